//! What holds of every group, over random ones.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A group in which no partition has two owners, as after any number of joins and departures.
#[derive(Clone, Debug)]
struct Case {
    partitions: Vec<u32>,
    members: Vec<Member>,
}

impl Case {
    fn total(&self) -> usize {
        everything(&self.partitions, &self.members).len()
    }

    /// The next round, in which everyone owns what it was given.
    fn after(&self, lists: &[Vec<TopicPartition>]) -> Self {
        let mut next = self.clone();
        for (member, list) in next.members.iter_mut().zip(lists) {
            member.owned.clone_from(list);
        }
        next
    }

    fn assign(&self, assignor: Assignor) -> Vec<Vec<TopicPartition>> {
        assign(assignor, &self.partitions, &self.members)
    }

    fn target(&self, assignor: ServerAssignor) -> Vec<Vec<TopicPartition>> {
        target(assignor, &self.partitions, &self.members)
    }
}

/// The partitions of all topics that somebody subscribes to.
fn everything(partitions: &[u32], members: &[Member]) -> BTreeSet<TopicPartition> {
    let topics: BTreeSet<u16> = members.iter().flat_map(|it| it.topics.clone()).collect();
    let partition = |topic: u16| {
        let numbers = 0..partitions[usize::from(topic)];
        numbers.map(move |partition| TopicPartition { topic, partition })
    };
    topics.into_iter().flat_map(partition).collect()
}

/// Members of which each subscribes to the topics in its mask, and each of whose partitions is
/// dealt to one of them or, past their number, to nobody. Ids do not sort as they are given.
fn build(partitions: Vec<u32>, masks: &[u8], deals: &[usize], some_left: bool) -> Case {
    let topics = |mask: u8| (0..).take(partitions.len()).filter(|t| mask >> t & 1 == 1).collect();
    let member = |(at, &mask): (usize, &u8)| Member {
        id: format!("c{}", at * 7 % 10),
        instance: (at % 3 == 2).then(|| format!("i{}", at * 3 % 10)),
        topics: topics(mask),
        owned: Vec::new(),
        generation: 7,
    };
    let mut members: Vec<Member> = masks.iter().enumerate().map(member).collect();
    let choices = members.len() + usize::from(some_left);
    for (partition, deal) in everything(&partitions, &members).into_iter().zip(deals) {
        let owner =
            members.get_mut(deal % choices).filter(|it| it.topics.contains(&partition.topic));
        if let Some(owner) = owner {
            owner.owned.push(partition);
        }
    }
    Case { partitions, members }
}

/// Up to 4 topics of up to 19 partitions and up to 9 members that subscribe to all of them.
fn equal(some_left: bool) -> impl Strategy<Value = Case> {
    let partitions = prop::collection::vec(0..20_u32, 1..5);
    let deals = prop::collection::vec(any::<usize>(), 80);
    (partitions, 1..10_usize, deals).prop_map(move |(partitions, members, deals)| {
        build(partitions, &vec![u8::MAX; members], &deals, some_left)
    })
}

/// As above, but each subscribes to topics of its own.
fn unequal() -> impl Strategy<Value = Case> {
    let partitions = prop::collection::vec(0..20_u32, 1..5);
    let deals = prop::collection::vec(any::<usize>(), 80);
    let masks = prop::collection::vec(any::<u8>(), 1..10);
    (partitions, masks, deals)
        .prop_map(|(partitions, masks, deals)| build(partitions, &masks, &deals, true))
}

/// Every partition at one member at most, which subscribes to it; lists are sorted. How many
/// partitions are at a member.
fn check_shape(case: &Case, lists: &[Vec<TopicPartition>]) -> Result<usize, TestCaseError> {
    prop_assert_eq!(lists.len(), case.members.len());
    let all = everything(&case.partitions, &case.members);
    let mut seen = BTreeSet::new();
    for (member, list) in case.members.iter().zip(lists) {
        prop_assert!(list.is_sorted());
        for partition in list {
            prop_assert!(member.topics.contains(&partition.topic), "no subscriber");
            prop_assert!(all.contains(partition), "no such partition");
            prop_assert!(seen.insert(*partition), "twice");
        }
    }
    Ok(seen.len())
}

fn check_all_assigned(case: &Case, lists: &[Vec<TopicPartition>]) -> Result<(), TestCaseError> {
    prop_assert_eq!(check_shape(case, lists)?, case.total());
    Ok(())
}

fn check_balance(lists: &[Vec<TopicPartition>]) -> Result<(), TestCaseError> {
    let sizes = || lists.iter().map(Vec::len);
    prop_assert!(sizes().max() <= sizes().min().map(|least| least + 1));
    Ok(())
}

fn check_no_move_helps(case: &Case, lists: &[Vec<TopicPartition>]) -> Result<(), TestCaseError> {
    for list in lists {
        for partition in list {
            for (member, other) in case.members.iter().zip(lists) {
                let takes = member.topics.contains(&partition.topic);
                prop_assert!(!takes || list.len() <= other.len() + 1, "{partition:?}");
            }
        }
    }
    Ok(())
}

/// A member that stays keeps at least min(owned, floor(P / m)) of what it owned.
fn check_stickiness(case: &Case, lists: &[Vec<TopicPartition>]) -> Result<(), TestCaseError> {
    let quota = case.total() / case.members.len();
    for (member, list) in case.members.iter().zip(lists) {
        let kept = member.owned.iter().filter(|it| list.contains(it)).count();
        prop_assert!(kept >= member.owned.len().min(quota), "{} kept {}", member.id, kept);
    }
    Ok(())
}

const EAGER: [Assignor; 3] = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky];

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_partition_is_at_one_of_its_subscribers(case in prop_oneof![equal(true), unequal()]) {
        for assignor in EAGER {
            check_all_assigned(&case, &case.assign(assignor))?;
        }
        for assignor in [ServerAssignor::Uniform, ServerAssignor::Range] {
            check_all_assigned(&case, &case.target(assignor))?;
        }
    }

    /// K-ASG-3 and K-848-5; roundrobin is as even, by K-ASG-2.
    #[test]
    fn equal_subscriptions_are_even_within_one(case in equal(true)) {
        check_balance(&case.assign(Assignor::RoundRobin))?;
        check_balance(&case.assign(Assignor::Sticky))?;
        check_balance(&case.target(ServerAssignor::Uniform))?;
    }

    #[test]
    fn who_stays_keeps_up_to_its_quota(case in equal(true)) {
        check_stickiness(&case, &case.assign(Assignor::Sticky))?;
        check_stickiness(&case, &case.assign(Assignor::CooperativeSticky))?;
        check_stickiness(&case, &case.target(ServerAssignor::Uniform))?;
    }

    /// An even group stays as it is (KAFKA-18688 of uniform), and so does the outcome of any run.
    #[test]
    fn a_second_run_moves_nothing(case in equal(true)) {
        let sticky = case.assign(Assignor::Sticky);
        prop_assert_eq!(&case.after(&sticky).assign(Assignor::Sticky), &sticky);
        prop_assert_eq!(&case.after(&sticky).assign(Assignor::CooperativeSticky), &sticky);
        let uniform = case.target(ServerAssignor::Uniform);
        prop_assert_eq!(case.after(&uniform).target(ServerAssignor::Uniform), uniform);
    }

    /// K-ASG-5: nobody is given what another still owns, and everything else is handed out.
    #[test]
    fn a_cooperative_round_withholds_what_moves(case in prop_oneof![equal(true), unequal()]) {
        let round = case.assign(Assignor::CooperativeSticky);
        check_shape(&case, &round)?;
        let sticky = case.assign(Assignor::Sticky);
        for ((at, given), target) in round.iter().enumerate().zip(&sticky) {
            for partition in target {
                let others = case.members.iter().enumerate().filter(|other| other.0 != at);
                let moves = others.flat_map(|other| &other.1.owned).any(|it| it == partition);
                prop_assert_eq!(given.contains(partition), !moves);
            }
            prop_assert!(given.iter().all(|it| target.contains(it)));
        }
    }

    /// With every partition owned, the second round hands out what the first withheld, and ends
    /// where sticky would have gone at once.
    #[test]
    fn two_cooperative_rounds_reach_stickys_target(case in equal(false)) {
        let first = case.assign(Assignor::CooperativeSticky);
        let second = case.after(&first).assign(Assignor::CooperativeSticky);
        prop_assert_eq!(second, case.assign(Assignor::Sticky));
    }

    /// If some had no owner the first round gives them away, and the second may deal the rest in
    /// another order; but it is complete, as even, and final.
    #[test]
    fn two_cooperative_rounds_are_complete(case in equal(true)) {
        let first = case.assign(Assignor::CooperativeSticky);
        let next = case.after(&first);
        let second = next.assign(Assignor::CooperativeSticky);
        check_all_assigned(&case, &second)?;
        check_balance(&second)?;
        prop_assert_eq!(next.after(&second).assign(Assignor::CooperativeSticky), second);
    }

    /// K-ASG-4, and the server's last step (K-848-5): no partition could move to a subscriber with
    /// two fewer.
    #[test]
    fn unequal_subscriptions_are_as_even_as_single_moves_make_them(case in unequal()) {
        let sticky = case.assign(Assignor::Sticky);
        check_no_move_helps(&case, &sticky)?;
        prop_assert_eq!(case.after(&sticky).assign(Assignor::Sticky), sticky);
        let uniform = case.target(ServerAssignor::Uniform);
        check_no_move_helps(&case, &uniform)?;
        prop_assert_eq!(case.after(&uniform).target(ServerAssignor::Uniform), uniform);
    }
}

/// K-ASG-3 at the size of a large group: 5,000 partitions, of which the members that stay owned
/// all, and 500 members of which the last 100 are new.
#[test]
fn a_large_group_moves_no_more_than_the_new_members_need() {
    let owned = |at: u32| (at..5_000).step_by(400);
    let partition = |partition| TopicPartition { topic: 0, partition };
    let mut members: Vec<Member> =
        (0..500).map(|at| member(&format!("c{at:03}"), "t1", "-")).collect();
    for (at, member) in (0..400).zip(&mut members) {
        member.owned = owned(at).map(partition).collect();
    }
    // 12 or 13 each before, 10 each after: 1,000 change hands.
    let stays = |lists: &[Vec<TopicPartition>]| {
        let pairs = members.iter().zip(lists);
        pairs.map(|(member, list)| list.iter().filter(|it| member.owned.contains(it)).count()).sum()
    };
    for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
        let kept: usize = stays(&assign(assignor, &[5_000], &members));
        assert_eq!(kept, 4_000, "{assignor:?}");
    }
    let kept: usize = stays(&target(ServerAssignor::Uniform, &[5_000], &members));
    assert_eq!(kept, 4_000);
}

/// K-ASG-4: what an older generation owned goes back to its owner rather than to the least loaded.
#[test]
fn a_previous_owner_comes_before_the_least_loaded() {
    let mut group = [
        member("c1", "t1 t2", "t1 0-3"),
        member("c2", "t1", "-"),
        member("c3", "t1", "t1 0"),
        member("c4", "t2", "t2 0"),
    ];
    group[2].generation = 3;
    // c1 wins number 0 and has four, so 0 goes back to c3 and 1 to c2, who has none; then c1 has
    // only one more than anybody. By load alone c2, first by id, would get 0 and c3 would get 1.
    let lists = assign(Assignor::Sticky, &[4, 1], &group);
    assert_eq!(lists, [list("t1 2,3"), list("t1 1"), list("t1 0"), list("t2 0")]);
}

/// K-ASG-4: what had to leave its owner for a while comes home in place of another.
#[test]
fn a_partition_that_this_run_took_goes_back_first() {
    let group =
        [member("a", "t1 t2", "t1 1-5 t2 0-5"), member("b", "t1", "t1 0"), member("c", "t2", "-")];
    // The first topic goes from a to b until both have six, then t2 0-2 from a to c until both have
    // three. Now b has three more than a: it owes one, and t1 1 was a's where t1 0 never was.
    let lists = assign(Assignor::Sticky, &[6, 6], &group);
    assert_eq!(lists, [list("t1 1 t2 3-5"), list("t1 0,2-5"), list("t2 0-2")]);
}

/// K-ASG-4: new partitions move before owned ones, unless a member must give up some anyway.
#[test]
fn new_partitions_move_before_owned_ones() {
    let mut group =
        [member("a", "t1 t2", "t1 0"), member("b", "t1", "t1 2"), member("c", "t2", "t2 0-3")];
    // a gets the free t1 1, by its id, and t2 4 and 5, as c has four. With four against b's one it
    // must give one of t1: the new number 1, not the owned number 0.
    let lists = assign(Assignor::Sticky, &[3, 6], &group);
    assert_eq!(lists, [list("t1 0 t2 4,5"), list("t1 1,2"), list("t2 0-3")]);
    // The same, but t1 1 was c's, which no longer reads t1.
    group[2].owned.extend(list("t1 1"));
    let lists = assign(Assignor::Sticky, &[3, 6], &group);
    assert_eq!(lists, [list("t1 1 t2 4,5"), list("t1 0,2"), list("t2 0-3")]);
}

/// K-848-5, unequal: the most loaded gives its last partitions to the least loaded.
#[test]
fn uniform_evens_out_unequal_subscriptions() {
    let group = [member("A", "t1 t2", "t1 0-3"), member("B", "t1", "-"), member("C", "t2", "t2 0")];
    // t1: A has four and B none; 3 and then 2 go. t2: A has two, C has one.
    let lists = target(ServerAssignor::Uniform, &[4, 1], &group);
    assert_eq!(lists, [list("t1 0,1"), list("t1 2,3"), list("t2 0")]);
}

#[test]
fn groups_without_members_topics_or_partitions_assign_nothing() {
    assert!(assign(Assignor::Sticky, &[3], &[]).is_empty());
    assert!(target(ServerAssignor::Uniform, &[3], &[]).is_empty());
    // Neither a topic that does not exist nor one without partitions.
    let group = [member("c1", "t2 t9", "t9 1"), member("c2", "t2", "t2 0 t1 5")];
    for assignor in EAGER.into_iter().chain([Assignor::CooperativeSticky]) {
        assert_eq!(assign(assignor, &[3, 0], &group), [[], []], "{assignor:?}");
    }
    for assignor in [ServerAssignor::Uniform, ServerAssignor::Range] {
        assert_eq!(target(assignor, &[3, 0], &group), [[], []], "{assignor:?}");
    }
}
