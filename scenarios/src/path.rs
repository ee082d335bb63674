//! Paths of a scenario: `producers.web.rate`, `timeline[0].at`.

use std::fmt;

use crate::units::shortened;

/// Maps whose keys may hold dots.
pub(crate) const KEY_MAPS: [&str; 2] = ["config", "hot_keys"];

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A field, or a name in a map.
    Name(String),
    /// A place in a list or tuple, from 0.
    Index(usize),
}

/// From the root of a scenario to a value: `producers.web.rate`, `timeline[0].at`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// This path, one name further.
    #[must_use]
    pub fn name(&self, name: &str) -> Self {
        self.and(Step::Name(name.to_owned()))
    }

    /// This path, one index further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.and(Step::Index(index))
    }

    fn and(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Its names, with empty ones for indices.
    pub(crate) fn names(&self) -> Vec<&str> {
        let steps = self.0.iter();
        let names = steps.map(|step| match step {
            Step::Name(name) => name.as_str(),
            Step::Index(_) => "",
        });
        names.collect()
    }

    /// Whether this path is `other` or leads into it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Name(name) if place == 0 => write!(f, "{name}")?,
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The path of a section: `producers`.
pub(crate) fn root(section: &str) -> Path {
    Path::default().name(section)
}

/// Reads a path: `producers.web.rate`, `timeline[0].at`, `producers.web.client.config.RateLimit`.
///
/// # Errors
/// A sentence, if it is no path.
pub fn parse_path(text: &str) -> Result<Path, String> {
    let wrong = || {
        format!(
            "`{}` is no path; one looks like `producers.web.rate` or `timeline[0].at`",
            shortened(text)
        )
    };
    let mut path = Path::default();
    let mut rest = text;
    loop {
        let swallow =
            matches!(path.0.last(), Some(Step::Name(name)) if KEY_MAPS.contains(&name.as_str()));
        let (part, next) = if swallow {
            (rest, None)
        } else {
            rest.split_once('.').map_or((rest, None), |(part, next)| (part, Some(next)))
        };
        if swallow {
            if part.is_empty() {
                return Err(wrong());
            }
            return Ok(path.name(part));
        }
        let mut pieces = part.split('[');
        let name = pieces.next().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        path = match (name.parse::<usize>(), path.0.is_empty()) {
            (Ok(index), false) => path.index(index),
            _ => path.name(name),
        };
        for piece in pieces {
            let index = piece.strip_suffix(']').and_then(|it| it.parse().ok());
            path = path.index(index.ok_or_else(wrong)?);
        }
        match next {
            Some(next) => rest = next,
            None => return Ok(path),
        }
    }
}
