//! Shards that are split and merged: what is read in which order (N-KCL-14, N-KCL-15).

use super::*;

/// Shard 0 holds records of one key, of a second each, at 60 s and is split at 60.5; at 61 one child
/// gets a record of that key, the other one of another key.
fn split_with_a_backlog(parents_first: bool, records: u32, seed: u64) -> Bench {
    let mut config = config(1);
    config.parents_first = parents_first;
    let mut bench = Bench::new(&config, &stream(1), seed);
    bench.run_until(at_ms(60_000));
    let batches: Vec<Batch> = (0..records).map(|_| bench.batch(KeyClass(0), 1, 100)).collect();
    bench.put(0, bench.now, &batches);
    bench.run_until(at_ms(60_500));
    bench.split(0);
    bench.run_until(at_ms(61_000));
    for (child, key) in [(1, KeyClass(0)), (2, KeyClass(1))] {
        let batch = bench.batch(key, 1, 100);
        bench.put(child, bench.now, &[batch]);
    }
    bench
}

/// The parent is read to its end at 65; its children's leases are created then and taken at the next
/// scan (20.05 s) and loop (1 s) at most, and their records take a second.
#[test]
fn a_child_shard_is_not_read_before_its_parent_is_read_to_its_end() {
    for seed in 0..10 {
        let mut bench = split_with_a_backlog(true, 5, seed);
        bench.run_until(at_ms(65_000));
        assert_eq!(bench.noted("shard_ended"), [at_ms(65_000)]);
        assert_eq!(bench.delivered(), 5);
        bench.run_until(before(at_ms(66_000)));
        assert_eq!(bench.delivered(), 5);
        bench.run_until(at_ms(65_000 + 20_050 + 1_000 + 1_000));
        assert_eq!(bench.delivered(), 7, "seed {seed}");
        assert_eq!(bench.ledger.consumers[0].reordered, 0);
        assert_eq!(bench.redelivered(), 0);
    }
}

/// The negative: a reader that does not wait for parents reads both children within 22.05 s and a
/// second, and what the parent of sixty still has by then comes too late.
#[test]
fn a_naive_reader_reads_children_beside_their_parent_and_breaks_the_order() {
    for seed in 0..10 {
        let mut bench = split_with_a_backlog(false, 60, seed);
        bench.run_until(at_ms(60_500 + 20_050 + 1_000 + 1_000));
        let unread = |shard: usize| bench.app.shards[shard].as_ref().map_or(0, |it| it.unread);
        assert_eq!((unread(1), unread(2)), (0, 0), "seed {seed}");
        // 22 s of records or fewer are done, and 38 or more come after those of the children.
        assert!(unread(0) >= 37, "{}", unread(0));
        bench.run_until(at_ms(200_000));
        assert_eq!(bench.delivered(), 62);
        assert!(bench.ledger.consumers[0].reordered >= 37);
    }
}

/// A merged child has two parents: that of three records ends at 63 s, that of forty at 100. The
/// child's lease is taken in between, but its reader looks for the end of its parents every 10 s, and
/// begins by 110.
#[test]
fn a_merged_child_is_not_read_before_both_parents_are_read_to_their_end() {
    for seed in 0..10 {
        let mut bench = Bench::new(&config(1), &stream(2), seed);
        bench.run_until(at_ms(60_000));
        bench.append(0, 3);
        bench.append(1, 40);
        bench.merge(0, 1);
        bench.append(2, 1);
        bench.run_until(at_ms(100_000));
        assert_eq!(bench.noted("shard_ended"), [at_ms(63_000), at_ms(100_000)]);
        bench.run_until(before(at_ms(101_000)));
        assert_eq!(bench.delivered(), 43);
        bench.run_until(at_ms(111_000));
        assert_eq!(bench.delivered(), 44, "seed {seed}");
    }
}

/// A child is read from its start, not from its newest record (N-KCL-15), and its parent is not read
/// again.
#[test]
fn a_child_shard_is_read_from_its_start() {
    let mut bench = split_with_a_backlog(true, 1, 1);
    bench.run_until(at_ms(62_000));
    bench.append(1, 1);
    bench.run_until(at_ms(100_000));
    let book = bench.ledger.consumers[0];
    assert_eq!((book.delivered, book.redelivered, book.unread()), (4, 0, 0));
}

/// Three records of many keys are read from the parent by 64 s; two that were offered a second before
/// them are stored only then, in a child. The bench says that all overtaken records are of one key.
#[test]
fn a_child_shard_knows_which_later_records_its_parent_delivered() {
    let mut bench = Bench::new(&config(1), &stream(1), 1);
    bench.run_until(at_ms(60_000));
    let early = bench.batch(KeyClass::REST, 2, 200);
    bench.run_until(at_ms(61_000));
    bench.append(0, 3);
    bench.run_until(at_ms(64_000));
    bench.split(0);
    bench.put(1, bench.now, &[early]);
    bench.run_until(at_ms(90_000));
    assert_eq!((bench.delivered(), bench.ledger.consumers[0].reordered), (5, 2));
}
