//! What the books say of an application: first deliveries, repeats, order.

use super::*;

/// Two records are processed by 62 s, without a checkpoint, and again by the next owner.
fn processed_twice(sink_idempotent: bool) -> Bench {
    let mut config = config(1);
    config.sink_idempotent = sink_idempotent;
    config.checkpoint_interval = SimDuration::from_secs(86_400);
    let mut bench = Bench::new(&config, &stream(1), 1);
    bench.run_until(at_ms(60_000));
    bench.append(0, 2);
    bench.run_until(at_ms(62_000));
    bench.kill(1);
    bench.add_worker();
    bench.run_until(at_ms(100_000));
    bench
}

/// A record is delivered once, however often it is processed (D-17).
#[test]
fn what_is_processed_again_is_redelivered_and_not_delivered_twice() {
    let book = processed_twice(false).ledger.consumers[0];
    assert_eq!((book.delivered, book.redelivered), (2, 2));
    assert_eq!((book.delivered_bytes, book.unread()), (200, 0));
}

#[test]
fn a_repeat_harms_a_sink_unless_it_is_idempotent() {
    assert_eq!(processed_twice(false).ledger.consumers[0].effects_duplicated, 2);
    let book = processed_twice(true).ledger.consumers[0];
    assert_eq!((book.redelivered, book.effects_duplicated), (2, 0));
}

/// A repeat is neither late nor blamed: the age is that of the first delivery, 2 s for two records.
#[test]
fn a_repeat_has_no_age_and_no_order() {
    let bench = processed_twice(false);
    assert_eq!(bench.total(), [("service", 4_000)]);
    assert_eq!(bench.ledger.consumers[0].reordered, 0);
    assert_eq!(bench.app.latency.longest_ms(), Some(2_000.0));
}

/// N-W-10: a second copy of a stored record is read like any other and is a repeat.
#[test]
fn a_second_copy_is_redelivered() {
    let mut bench = Bench::new(&config(1), &stream(1), 1);
    let batch = bench.batch(KeyClass::REST, 3, 300);
    bench.put(0, SimTime::ZERO, &[batch]);
    bench.run_until(at_ms(10_000));
    bench.put(0, bench.now, &[Batch { already_stored: true, ..batch }]);
    assert_eq!(bench.unread(), 0);
    bench.run_until(at_ms(20_000));
    let book = bench.ledger.consumers[0];
    assert_eq!((book.delivered, book.redelivered, book.reordered), (3, 3, 0));
}

/// Numbers 0..4 of one class on shard 0, begun at 1 s, are done after 4..8 on shard 1, begun at 0:
/// all four come after later ones of their key (D-10).
fn overtaken(class: KeyClass) -> u64 {
    let mut bench = Bench::new(&config(1), &stream(2), 1);
    let early = bench.batch(class, 4, 400);
    bench.now = at_ms(500);
    let late = bench.batch(class, 4, 400);
    bench.put(1, bench.now, &[late]);
    bench.run_until(at_ms(1_000));
    bench.put(0, bench.now, &[early]);
    bench.run_until(at_ms(10_000));
    assert_eq!(bench.delivered(), 8);
    bench.ledger.consumers[0].reordered
}

#[test]
fn a_record_that_comes_after_a_later_one_of_its_key_is_reordered() {
    assert_eq!(overtaken(KeyClass(0)), 4);
}

/// The negatives: keys of their own have no order, and shards that differ share no other keys.
#[test]
fn records_of_unique_keys_or_of_other_shards_are_not_reordered() {
    assert_eq!(overtaken(KeyClass::UNIQUE), 0);
    assert_eq!(overtaken(KeyClass::REST), 0);
}

/// Three later records are processed before four early ones of the same shard.
fn overtaken_on_one_shard(class: KeyClass) -> u64 {
    let mut bench = Bench::new(&config(1), &stream(1), 1);
    let early = bench.batch(class, 4, 400);
    bench.now = at_ms(500);
    let late = bench.batch(class, 3, 300);
    bench.put(0, bench.now, &[late]);
    bench.put(0, bench.now, &[early]);
    bench.run_until(at_ms(10_000));
    bench.ledger.consumers[0].reordered
}

/// Of many keys the bench says that all overtaken ones are the same; keys of their own never are.
#[test]
fn a_batch_of_many_keys_is_reordered_by_what_overtook_it_on_its_shard() {
    assert_eq!(overtaken_on_one_shard(KeyClass::REST), 4);
    assert_eq!(overtaken_on_one_shard(KeyClass(0)), 4);
    assert_eq!(overtaken_on_one_shard(KeyClass::UNIQUE), 0);
}
