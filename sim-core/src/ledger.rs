//! The truth about every record (decision D-17). Models report what they did; this book alone says
//! what it means, and balances to the record at any instant:
//!
//! * per producer `offered = refused + in flight + stored`;
//! * per consumer `stored = delivered + lost + filtered + unread`.

mod seen;

pub use seen::{Records, Seen};

/// Counts of one producer. Counts are application records, also inside aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProducerBook {
    /// Handed to the client by the application.
    pub offered: u64,
    /// Bytes of them.
    pub offered_bytes: u64,
    /// The client was told that they are stored.
    pub accepted: u64,
    /// Bytes of them.
    pub accepted_bytes: u64,
    /// Judged by the service, each time.
    pub attempts: u64,
    /// Judged and refused for want of throughput.
    pub throttled: u64,
    /// Given up and not stored.
    pub refused: u64,
    /// Given up, yet stored.
    pub unconfirmed: u64,
    /// Stored at least once.
    pub stored: u64,
    /// Second copies stored.
    pub copies: u64,
    /// Acknowledged, and gone otherwise than by retention.
    pub lost: u64,
}

impl ProducerBook {
    /// Not stored, and the client holds it.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.offered - self.refused - self.stored
    }
}

/// Counts of one consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsumerBook {
    /// Stored in its stream from its first position on.
    pub stored: u64,
    /// Processed at least once.
    pub delivered: u64,
    /// Bytes of them.
    pub delivered_bytes: u64,
    /// Gone, or skipped, before they were processed.
    pub lost: u64,
    /// Of these: gone by retention, which a stream does not count as its own loss.
    pub expired: u64,
    /// Of these: gone with a log's tail, which the system counts as its own loss.
    pub lost_with_log: u64,
    /// Given up by the consumer, and kept in a dead-letter queue.
    pub dead_lettered: u64,
    /// Completed processings beyond the first.
    pub redelivered: u64,
    /// First deliveries after a later record of the same flow and key.
    pub reordered: u64,
    /// Repeats at a sink that is not idempotent.
    pub effects_duplicated: u64,
}

impl ConsumerBook {
    /// Stored, and neither delivered nor lost nor in a dead-letter queue.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.stored - self.delivered - self.lost - self.dead_lettered
    }
}

/// The books of all producers and consumers.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By index of producer.
    pub producers: Vec<ProducerBook>,
    /// By index of consumer.
    pub consumers: Vec<ConsumerBook>,
    /// What has happened and nobody has taken yet, if anybody listens.
    seen: Option<Vec<Seen>>,
}

impl Ledger {
    /// Empty books.
    #[must_use]
    pub fn new(producers: usize, consumers: usize) -> Self {
        Self {
            producers: vec![ProducerBook::default(); producers],
            consumers: vec![ConsumerBook::default(); consumers],
            seen: None,
        }
    }

    /// From now on somebody listens, and takes what is told.
    pub fn listen(&mut self) {
        self.seen.get_or_insert_default();
    }

    /// Something happened, if anybody listens.
    pub fn saw(&mut self, seen: impl FnOnce() -> Seen) {
        if let Some(list) = &mut self.seen {
            list.push(seen());
        }
    }

    /// Gives what has happened since the last time to `each`, in order.
    pub fn tell(&mut self, mut each: impl FnMut(&Seen)) {
        if let Some(list) = &mut self.seen {
            list.iter().for_each(&mut each);
            list.clear();
        }
    }

    /// Applications handed records to their client.
    pub fn offer(&mut self, producer: usize, records: u64, bytes: u64) {
        self.producers[producer].offered += records;
        self.producers[producer].offered_bytes += bytes;
    }

    /// The service judged records: so many attempts, so many of them throttled.
    pub fn judge(&mut self, producer: usize, attempts: u64, throttled: u64) {
        debug_assert!(throttled <= attempts);
        self.producers[producer].attempts += attempts;
        self.producers[producer].throttled += throttled;
    }

    /// Records were appended; `copy` if they had been stored before.
    pub fn append(&mut self, producer: usize, readers: &[usize], records: u64, copy: bool) {
        if copy {
            self.producers[producer].copies += records;
            return;
        }
        let book = &mut self.producers[producer];
        book.stored += records;
        debug_assert!(book.stored + book.refused <= book.offered, "stored what nobody offered");
        for &consumer in readers {
            self.consumers[consumer].stored += records;
        }
    }

    /// A consumer begins: so many records are stored from its first position on.
    pub fn begin(&mut self, consumer: usize, records: u64) {
        self.consumers[consumer].stored += records;
    }

    /// The client learned that records are stored.
    pub fn accept(&mut self, producer: usize, records: u64, bytes: u64) {
        let book = &mut self.producers[producer];
        book.accepted += records;
        book.accepted_bytes += bytes;
        debug_assert!(book.accepted <= book.stored, "accepted what is not stored");
    }

    /// The client gave records up; `stored` if a copy of them is stored all the same.
    pub fn give_up(&mut self, producer: usize, records: u64, stored: bool) {
        let book = &mut self.producers[producer];
        if stored {
            book.unconfirmed += records;
        } else {
            book.refused += records;
            debug_assert!(book.stored + book.refused <= book.offered, "refused what was stored");
        }
    }

    /// Records that the client had given up are stored after all.
    pub fn regret(&mut self, producer: usize, records: u64) {
        let book = &mut self.producers[producer];
        book.refused -= records;
        book.unconfirmed += records;
    }

    /// A consumer completed the first processing of records.
    pub fn deliver(&mut self, consumer: usize, records: u64, bytes: u64) {
        let book = &mut self.consumers[consumer];
        book.delivered += records;
        book.delivered_bytes += bytes;
        debug_assert!(book.delivered + book.lost <= book.stored, "delivered what is not stored");
    }

    /// A consumer gave records up: they are in its dead-letter queue.
    pub fn dead_letter(&mut self, consumer: usize, records: u64) {
        self.consumers[consumer].dead_lettered += records;
    }

    /// A consumer completed a processing beyond the first.
    pub fn redeliver(&mut self, consumer: usize, records: u64, sink_idempotent: bool) {
        let book = &mut self.consumers[consumer];
        book.redelivered += records;
        if !sink_idempotent {
            book.effects_duplicated += records;
        }
    }

    /// Retention overtook a consumer.
    pub fn expire(&mut self, consumer: usize, records: u64) {
        let book = &mut self.consumers[consumer];
        book.lost += records;
        book.expired += records;
        debug_assert!(book.delivered + book.lost <= book.stored, "lost what is not stored");
    }

    /// A consumer skipped records that were still there.
    pub fn skip(&mut self, consumer: usize, records: u64) {
        let book = &mut self.consumers[consumer];
        book.lost += records;
        debug_assert!(book.delivered + book.lost <= book.stored, "lost what is not stored");
    }

    /// Acknowledged records are gone from the log.
    pub fn lose_acknowledged(&mut self, producer: usize, records: u64) {
        self.producers[producer].lost += records;
    }

    /// Records that a consumer had not processed are gone from the log, and were acknowledged or
    /// processed by another one.
    pub fn lose(&mut self, consumer: usize, records: u64) {
        self.skip(consumer, records);
        self.consumers[consumer].lost_with_log += records;
    }

    /// Records counted as accepted that are in no log: with acks=0 they never got there, else they
    /// were cut while the answer was on its way.
    pub fn lose_unstored(&mut self, producer: usize, readers: &[usize], records: u64) {
        let book = &mut self.producers[producer];
        book.stored += records;
        book.lost += records;
        debug_assert!(book.stored + book.refused <= book.offered, "lost what nobody offered");
        for &consumer in readers {
            self.consumers[consumer].stored += records;
            self.lose(consumer, records);
        }
    }

    /// Records that nobody was told of are gone from the log: the client holds them still.
    pub fn unstore(&mut self, producer: usize, records: u64) {
        self.producers[producer].stored -= records;
    }

    /// The same, and the client has given them up.
    pub fn unstore_given_up(&mut self, producer: usize, records: u64) {
        let book = &mut self.producers[producer];
        book.stored -= records;
        book.unconfirmed -= records;
        book.refused += records;
    }

    /// The same as seen by a consumer, which had not processed them.
    pub fn unstore_for(&mut self, consumer: usize, records: u64) {
        self.consumers[consumer].stored -= records;
    }

    /// Compares the books with what the models hold (decision D-22).
    ///
    /// # Panics
    /// If they disagree.
    pub fn audit(&self, held_by_clients: &[u64], unread_in_logs: &[u64]) {
        for (index, (book, held)) in self.producers.iter().zip(held_by_clients).enumerate() {
            assert_eq!(book.in_flight(), *held, "producer {index} holds other records: {book:?}");
        }
        for (index, (book, unread)) in self.consumers.iter().zip(unread_in_logs).enumerate() {
            assert_eq!(book.unread(), *unread, "consumer {index} has other unread: {book:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten records of 100 bytes, of which four are throttled at first and two of these again.
    fn sent_three_times() -> Ledger {
        let mut ledger = Ledger::new(1, 2);
        ledger.offer(0, 10, 1_000);
        for (attempts, throttled) in [(10, 4), (4, 2), (2, 0)] {
            ledger.judge(0, attempts, throttled);
            let stored = attempts - throttled;
            ledger.append(0, &[0, 1], stored, false);
            ledger.accept(0, stored, stored * 100);
        }
        ledger
    }

    /// 10 + 4 + 2 attempts, of which 4 + 2 were refused; each record is accepted once.
    #[test]
    fn an_attempt_counts_once_each_time_it_is_judged_and_a_record_once() {
        let book = sent_three_times().producers[0];
        assert_eq!((book.attempts, book.throttled), (16, 6));
        assert_eq!((book.offered, book.stored, book.accepted, book.refused), (10, 10, 10, 0));
        assert_eq!((book.offered_bytes, book.accepted_bytes, book.in_flight()), (1_000, 1_000, 0));
    }

    /// What is stored is unread to each consumer of the stream until it reads it.
    #[test]
    fn each_consumer_has_its_own_unread() {
        let mut ledger = sent_three_times();
        ledger.deliver(0, 7, 700);
        let unread = |ledger: &Ledger| [0, 1].map(|it: usize| ledger.consumers[it].unread());
        assert_eq!(unread(&ledger), [3, 10]);
        assert_eq!((ledger.consumers[0].delivered, ledger.consumers[0].delivered_bytes), (7, 700));
        // Retention takes them from one consumer and not from the other; a repeat from neither.
        ledger.expire(0, 2);
        ledger.redeliver(0, 5, false);
        assert_eq!(unread(&ledger), [1, 10]);
        let book = ledger.consumers[0];
        assert_eq!((book.lost, book.expired, book.lost_with_log), (2, 2, 0));
        assert_eq!((book.delivered, book.redelivered, book.effects_duplicated), (7, 5, 5));
    }

    #[test]
    fn a_repeat_at_an_idempotent_sink_has_no_effect() {
        let mut ledger = sent_three_times();
        ledger.deliver(1, 10, 1_000);
        ledger.redeliver(1, 4, true);
        let book = ledger.consumers[1];
        assert_eq!((book.delivered, book.redelivered, book.effects_duplicated), (10, 4, 0));
    }

    /// N-W-10: stored once more, a record is neither stored twice nor unread twice.
    #[test]
    fn a_second_copy_is_no_second_record() {
        let mut ledger = sent_three_times();
        ledger.append(0, &[0, 1], 3, true);
        assert_eq!((ledger.producers[0].stored, ledger.producers[0].copies), (10, 3));
        assert_eq!(ledger.consumers[0].unread(), 10);
    }

    /// Given up: refused if no copy is stored, else unconfirmed (D-17); neither is in flight.
    #[test]
    fn what_is_given_up_is_refused_unless_it_is_stored() {
        let mut ledger = Ledger::new(1, 0);
        ledger.offer(0, 10, 1_000);
        ledger.append(0, &[], 3, false);
        ledger.give_up(0, 2, false);
        ledger.give_up(0, 3, true);
        let book = ledger.producers[0];
        assert_eq!((book.refused, book.unconfirmed, book.in_flight()), (2, 3, 5));
        // Refused, and stored after all.
        ledger.regret(0, 2);
        let book = ledger.producers[0];
        assert_eq!((book.refused, book.unconfirmed), (0, 5));
    }

    /// Skipped, expired or gone with the log: lost to the consumer, and told apart.
    #[test]
    fn losses_of_a_consumer_are_told_apart() {
        let mut ledger = sent_three_times();
        ledger.skip(0, 1);
        ledger.expire(0, 2);
        ledger.lose(0, 3);
        let book = ledger.consumers[0];
        assert_eq!((book.lost, book.expired, book.lost_with_log, book.unread()), (6, 2, 3, 4));
    }

    #[test]
    #[should_panic(expected = "holds other records")]
    fn the_audit_finds_a_record_that_no_client_holds() {
        let mut ledger = sent_three_times();
        ledger.offer(0, 1, 100);
        ledger.audit(&[0], &[10, 10]);
    }

    #[test]
    #[should_panic(expected = "has other unread")]
    fn the_audit_finds_an_unread_record_that_is_in_no_log() {
        sent_three_times().audit(&[0], &[10, 9]);
    }
}
