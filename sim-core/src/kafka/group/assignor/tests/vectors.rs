//! K-VEC-2 to K-VEC-4: what Kafka 4.1's own classes returned.

use super::*;

const CLASSIC: [Assignor; 4] =
    [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];

fn lists(texts: &[&str]) -> Vec<Vec<TopicPartition>> {
    texts.iter().map(|text| list(text)).collect()
}

/// Members that own nothing, as "id: topics".
fn fresh(members: &[&str]) -> Vec<Member> {
    let parse = |text: &&str| {
        let (id, topics) = text.split_once(": ").unwrap();
        member(id, topics, "-")
    };
    members.iter().map(parse).collect()
}

/// K-VEC-2 of a fresh group: the columns range, roundrobin and cooperative-sticky. Nobody owns
/// anything, so cooperative-sticky withholds nothing and sticky is the same.
fn check_fresh(partitions: &[u32], members: &[&str], columns: [&[&str]; 3]) {
    let members = fresh(members);
    let [range, round_robin, sticky] = columns;
    for (assignor, expected) in CLASSIC.into_iter().zip([range, round_robin, sticky, sticky]) {
        assert_eq!(assign(assignor, partitions, &members), lists(expected), "{assignor:?}");
    }
    let server = target(ServerAssignor::Range, partitions, &members);
    assert_eq!(server, lists(range), "the server's range (K-VEC-4)");
}

#[test]
fn k_vec_2_two_topics_of_three() {
    let round_robin = ["t1 0,2 t2 1", "t1 1 t2 0,2"];
    let range = ["t1 0,1 t2 0,1", "t1 2 t2 2"];
    check_fresh(&[3, 3], &["c1: t1 t2", "c2: t1 t2"], [&range, &round_robin, &round_robin]);
}

#[test]
fn k_vec_2_seven_among_three() {
    let round_robin = ["t1 0,3,6", "t1 1,4", "t1 2,5"];
    let range = ["t1 0-2", "t1 3,4", "t1 5,6"];
    check_fresh(&[7], &["c1: t1", "c2: t1", "c3: t1"], [&range, &round_robin, &round_robin]);
}

#[test]
fn k_vec_2_two_among_three() {
    let all = ["t1 0", "t1 1", "-"];
    check_fresh(&[2], &["c1: t1", "c2: t1", "c3: t1"], [&all, &all, &all]);
}

#[test]
fn k_vec_2_ids_sort_as_strings() {
    let round_robin = ["t1 0,4,8", "t1 1,5,9", "t1 2,6", "t1 3,7"];
    let range = ["t1 0-2", "t1 3-5", "t1 6,7", "t1 8,9"];
    let members = ["c1: t1", "c10: t1", "c2: t1", "c3: t1"];
    check_fresh(&[10], &members, [&range, &round_robin, &round_robin]);
    // The order in which members are given is that of the lists, not of the choice.
    let shuffled = fresh(&["c3: t1", "c10: t1", "c1: t1", "c2: t1"]);
    for assignor in CLASSIC {
        let sorted = if assignor == Assignor::Range { range } else { round_robin };
        let expected = [3, 1, 0, 2].map(|at: usize| list(sorted[at]));
        assert_eq!(assign(assignor, &[10], &shuffled), expected, "{assignor:?}");
    }
}

#[test]
fn k_vec_2_nested_subscriptions() {
    let range = ["t1 0", "t2 0", "t2 1 t3 0-2"];
    let sticky = ["t1 0", "t2 0,1", "t3 0-2"];
    let members = ["c0: t1", "c1: t1 t2", "c2: t1 t2 t3"];
    check_fresh(&[1, 2, 3], &members, [&range, &range, &sticky]);
}

#[test]
fn k_vec_2_one_member_with_a_topic_of_its_own() {
    let range = ["t1 0", "t1 1 t2 0,1", "t1 2"];
    let sticky = ["t1 0,2", "t2 0,1", "t1 1"];
    let members = ["c1: t1", "c2: t1 t2", "c3: t1"];
    check_fresh(&[3, 2], &members, [&range, &range, &sticky]);
}

/// K-VEC-2, last row: c9 is i1, c5 is i2, c1 is dynamic.
#[test]
fn k_vec_2_static_members_come_first() {
    let mut members = fresh(&["c9: t1", "c5: t1", "c1: t1"]);
    members[0].instance = Some("i1".to_owned());
    members[1].instance = Some("i2".to_owned());
    let expected = lists(&["t1 0,1", "t1 2,3", "t1 4"]);
    assert_eq!(assign(Assignor::Range, &[5], &members), expected);
    assert_eq!(target(ServerAssignor::Range, &[5], &members), expected);
    // K-ASG-2: the circle begins with c9.
    let circle = lists(&["t1 0,3", "t1 1,4", "t1 2"]);
    assert_eq!(assign(Assignor::RoundRobin, &[5], &members), circle);
}

fn check_round(partitions: &[u32], members: &[Member], expected: &[&str]) {
    let round = assign(Assignor::CooperativeSticky, partitions, members);
    assert_eq!(round, lists(expected));
}

#[test]
fn k_vec_3_1_and_2_a_new_member_waits_one_round() {
    let mut group =
        [member("c1", "t1", "t1 0,2,4"), member("c2", "t1", "t1 1,3,5"), member("c3", "t1", "-")];
    check_round(&[6], &group, &["t1 0,2", "t1 1,3", "-"]);
    for (member, owned) in group.iter_mut().zip(["t1 0,2", "t1 1,3", "-"]) {
        member.owned = list(owned);
    }
    check_round(&[6], &group, &["t1 0,2", "t1 1,3", "t1 4,5"]);
}

#[test]
fn k_vec_3_3_what_a_dead_member_owned_is_handed_out_at_once() {
    let group = [member("c1", "t1", "t1 0,2"), member("c3", "t1", "t1 4,5")];
    check_round(&[6], &group, &["t1 0,1,2", "t1 3,4,5"]);
}

#[test]
fn k_vec_3_4_members_keep_the_lowest_numbers_across_topics() {
    let topics = "t1 t2";
    let group = [
        member("c1", topics, "t1 0,2 t2 1"),
        member("c2", topics, "t1 1 t2 0,2"),
        member("c3", topics, "-"),
        member("c4", topics, "-"),
    ];
    check_round(&[3, 3], &group, &["t1 0 t2 1", "t1 1 t2 0", "-", "-"]);
}

fn claimed_twice(generation: u32) -> [Member; 3] {
    let mut group =
        [member("c1", "t1", "t1 0,1"), member("c2", "t1", "t1 1,2"), member("c3", "t1", "t1 3")];
    group[1].generation = generation;
    group
}

#[test]
fn k_vec_3_5_the_higher_generation_wins_a_claim() {
    check_round(&[4], &claimed_twice(3), &["t1 0,1", "t1 2", "t1 3"]);
}

#[test]
fn k_vec_3_6_two_claims_of_one_generation_are_withheld() {
    check_round(&[4], &claimed_twice(4), &["t1 0", "t1 2", "t1 3"]);
}

#[test]
fn k_vec_3_7_unequal_subscriptions_withhold_too() {
    let group =
        [member("c1", "t1", "t1 0,1"), member("c2", "t1 t2", "t2 0,1"), member("c3", "t2", "-")];
    check_round(&[2, 2], &group, &["t1 0,1", "t2 1", "-"]);
}

fn check_uniform(partitions: &[u32], members: &[Member], expected: &[&str]) {
    assert_eq!(target(ServerAssignor::Uniform, partitions, members), lists(expected));
}

#[test]
fn k_vec_4_uniform_fresh() {
    let three = fresh(&["A: t1", "B: t1", "C: t1"]);
    check_uniform(&[6], &three, &["t1 0,1", "t1 2,3", "t1 4,5"]);
    // KAFKA-18688: the extra one is passed on to the last.
    check_uniform(&[7], &three, &["t1 0,1", "t1 2,3", "t1 4-6"]);
    check_uniform(&[3, 3], &fresh(&["A: t1 t2", "B: t1 t2"]), &["t1 0-2", "t2 0-2"]);
    let unequal = fresh(&["A: t1", "B: t1 t2", "C: t1"]);
    check_uniform(&[3, 2], &unequal, &["t1 0,2", "t2 0,1", "t1 1"]);
}

#[test]
fn k_vec_4_uniform_with_a_new_member() {
    let group = [member("A", "t1", "t1 0-2"), member("B", "t1", "t1 3-5"), member("C", "t1", "-")];
    check_uniform(&[6], &group, &["t1 0,1", "t1 3,4", "t1 2,5"]);
    let group = [
        member("A", "t1", "t1 0-2"),
        member("B", "t1", "t1 3,4"),
        member("D", "t1", "t1 5,6"),
        member("E", "t1", "-"),
    ];
    check_uniform(&[7], &group, &["t1 0,1", "t1 3,4", "t1 5,6", "t1 2"]);
}

#[test]
fn k_vec_4_uniform_after_a_member_left() {
    let group = [member("A", "t1", "t1 0,1"), member("C", "t1", "t1 4,5")];
    check_uniform(&[6], &group, &["t1 0-2", "t1 3-5"]);
}
