//! A slab: values behind dense `u32` ids that are used again after removal. Events carry ids, so
//! that they stay small (the 32-byte rule).

/// Values of one kind, each behind an id.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Stores `value` and returns its id. Freed ids are used again, last freed first.
    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = Some(value);
            return id;
        }
        let id = u32::try_from(self.slots.len()).expect("fewer than 2^32 live values");
        self.slots.push(Some(value));
        id
    }

    /// Takes the value behind `id`.
    ///
    /// # Panics
    /// If nothing is stored there: the id was forged or used twice.
    pub fn remove(&mut self, id: u32) -> T {
        let value = self.slots[id as usize].take().expect("a live slab id");
        self.free.push(id);
        value
    }

    /// The value behind `id`, if there is one.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&T> {
        self.slots.get(id as usize)?.as_ref()
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    /// The live values, in order of id, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten()
    }

    /// The live values, in order of id.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_id_is_used_again() {
        let mut slab = Slab::default();
        let first = slab.insert('a');
        let second = slab.insert('b');
        assert_eq!(slab.remove(first), 'a');
        assert_eq!(slab.insert('c'), first);
        assert_eq!(slab.remove(second), 'b');
        assert_eq!(slab.iter().collect::<Vec<_>>(), [&'c']);
    }
}
