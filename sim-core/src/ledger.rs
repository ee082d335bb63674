//! The truth about every record (decision D-17). Models report what they did; this book alone says
//! what it means, and balances to the record at any instant:
//!
//! * per producer `offered = refused + in flight + stored`;
//! * per consumer `stored = delivered + lost + filtered + unread`.

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
    /// Completed processings beyond the first.
    pub redelivered: u64,
    /// First deliveries after a later record of the same flow and key.
    pub reordered: u64,
    /// Repeats at a sink that is not idempotent.
    pub effects_duplicated: u64,
}

impl ConsumerBook {
    /// Stored, and neither delivered nor lost.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.stored - self.delivered - self.lost
    }
}

/// The books of all producers and consumers.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By index of producer.
    pub producers: Vec<ProducerBook>,
    /// By index of consumer.
    pub consumers: Vec<ConsumerBook>,
}

impl Ledger {
    /// Empty books.
    #[must_use]
    pub fn new(producers: usize, consumers: usize) -> Self {
        Self {
            producers: vec![ProducerBook::default(); producers],
            consumers: vec![ConsumerBook::default(); consumers],
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
