//! Laws that hold whatever happens, over random histories.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Kill(u32),
    Stop(u32),
    Start(u32),
    StartNew,
    Twin(u32),
    Pause(u32),
    Resume(u32),
    Busy(u32, u64),
    Add(u32),
    CoordinatorLost,
    CoordinatorBack,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..60_000_u64).prop_map(Step::Wait),
        2 => (1..500_u64).prop_map(Step::Wait),
        1 => any::<u32>().prop_map(Step::Kill),
        1 => any::<u32>().prop_map(Step::Stop),
        3 => any::<u32>().prop_map(Step::Start),
        1 => Just(Step::StartNew),
        1 => any::<u32>().prop_map(Step::Twin),
        1 => any::<u32>().prop_map(Step::Pause),
        2 => any::<u32>().prop_map(Step::Resume),
        2 => (any::<u32>(), 1..400_u64).prop_map(|(m, s)| Step::Busy(m, s)),
        1 => (1..4_u32).prop_map(Step::Add),
        1 => Just(Step::CoordinatorLost),
        2 => Just(Step::CoordinatorBack),
    ]
}

struct Story {
    bench: Bench,
    partitions: u32,
    interval: SimDuration,
    /// Static members in a cooperative group.
    heals: bool,
}

impl Story {
    fn play(&mut self, step: &Step) {
        let bench = &mut self.bench;
        let members = bench.group.members();
        match *step {
            Step::Wait(ms) => {
                let end = bench.now + SimDuration::from_millis(ms);
                bench.run_until(end);
            }
            Step::Kill(n) => bench.kill(n % members),
            Step::Stop(n) => bench.stop(n % members),
            Step::Start(n) if !bench.group.is_up(id(n % members)) => self.start(n % members),
            Step::Start(_) => {}
            Step::StartNew => self.start(members),
            Step::Twin(n) => {
                bench.act(|group, ctx, changes| group.start_twin(id(n % members), ctx, changes));
            }
            Step::Pause(n) => bench.pause(n % members),
            Step::Resume(n) => bench.resume(n % members),
            Step::Busy(n, s) => {
                let until = bench.now + secs(s);
                bench.busy_until(n % members, until);
                let overdue = bench.now + self.interval;
                if overdue < until {
                    bench.queue.schedule_at(overdue, BenchEvent::Overdue(id(n % members), until));
                }
            }
            Step::Add(more) => {
                self.partitions += more;
                let total = self.partitions;
                bench.act(|group, ctx, changes| group.partitions_added(0, total, ctx, changes));
            }
            Step::CoordinatorLost => bench.act(|group, ctx, _| group.coordinator_lost(ctx)),
            Step::CoordinatorBack => {
                bench.act(|group, ctx, changes| group.coordinator_back(ctx, changes));
            }
        }
    }

    fn start(&mut self, member: u32) {
        self.bench.busy.remove(&id(member));
        self.bench.start_member(member);
    }

    /// Ends all trouble and lets everybody settle.
    fn settle(&mut self) {
        self.play(&Step::CoordinatorBack);
        for member in 0..self.bench.group.members() {
            self.bench.resume(member);
        }
        // The last ones may be about to learn that they are fenced.
        self.bench.run_until(self.bench.now + secs(1_000));
        if self.bench.group.members_alive() == 0 {
            self.play(&Step::StartNew);
        }
        // A partition that is withheld for an absent static member stays unread when that comes back
        // to a stable group: it revokes nothing, so nobody joins again. Any rebalance heals it.
        if self.heals {
            self.bench.run_until(self.bench.now + secs(1_000));
            self.play(&Step::StartNew);
        }
        // 400 s busy, 45 s sessions, 300 s barriers, some of them after one another.
        self.bench.run_until(self.bench.now + secs(3_000));
    }

    /// Every partition is read by exactly one live member, which may commit.
    fn assert_all_read(&self) {
        assert_eq!(self.bench.group.state(), GroupState::Stable);
        for number in 0..self.partitions {
            let readers = self.bench.readers.get(&part(number)).cloned().unwrap_or_default();
            assert_eq!(readers.len(), 1, "readers of {number}: {readers:?}");
            assert!(self.bench.group.is_up(readers[0]));
            assert!(self.bench.group.may_commit(readers[0]));
            assert_eq!(self.bench.group.owner(part(number)), Some(readers[0]));
            assert_eq!(self.bench.group.holder(part(number)), Some(readers[0]));
        }
    }
}

fn story(scene: &Scene, settled: bool, steps: &[Step]) -> Story {
    let mut story = Story {
        bench: Bench::new(scene, settled),
        partitions: scene.partitions[0],
        interval: scene.config.max_poll_interval,
        heals: scene.config.static_membership && scene.config.protocol == classic(COOPERATIVE),
    };
    for step in steps {
        story.play(step);
    }
    story.settle();
    story
}

fn protocol() -> impl Strategy<Value = GroupProtocol> {
    prop_oneof![
        Just(classic(RANGE)),
        Just(classic(SHIPPED)),
        Just(classic(&[Assignor::Sticky])),
        Just(classic(&[Assignor::RoundRobin])),
        Just(classic(&[Assignor::CooperativeSticky, Assignor::Range])),
        Just(classic(COOPERATIVE)),
        Just(classic(COOPERATIVE)),
        Just(UNIFORM),
        Just(UNIFORM),
        Just(UNIFORM),
        Just(GroupProtocol::Consumer { assignor: ServerAssignor::Range }),
    ]
}

fn any_scene() -> impl Strategy<Value = Scene> {
    let version =
        prop_oneof![Just(KafkaVersion::V2_4), Just(KafkaVersion::V3_9), Just(KafkaVersion::V4_1)];
    let shape = (1..6_u32, 1..13_u32, any::<u64>());
    let rtt = prop_oneof![Just(0_u64), Just(2), Just(200)];
    let traits = (any::<bool>(), any::<bool>(), rtt, prop_oneof![Just(300_u64), Just(30)]);
    (protocol(), version, shape, traits).prop_map(|(protocol, version, shape, traits)| {
        let (members, partitions, seed) = shape;
        let (static_membership, leaves_on_close, rtt, interval) = traits;
        let mut config = config(protocol, members);
        config.static_membership = static_membership;
        config.leaves_on_close = leaves_on_close;
        config.max_poll_interval = secs(interval);
        let mut scene = scene(config, partitions);
        (scene.version, scene.seed) = (version, seed);
        scene.rtt = SimDuration::from_millis(rtt);
        scene
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The audit holds after each event (the bench calls it), and in the end all is read.
    #[test]
    fn after_quiet_every_partition_has_one_live_reader(
        scene in any_scene(),
        settled in any::<bool>(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        story(&scene, settled, &steps).assert_all_read();
    }

    /// The same seed tells the same story.
    #[test]
    fn a_story_is_a_function_of_its_seed(
        scene in any_scene(),
        steps in prop::collection::vec(step(), 0..20),
    ) {
        let once = story(&scene, SETTLED, &steps);
        let again = story(&scene, SETTLED, &steps);
        prop_assert_eq!(once.bench.log, again.bench.log);
    }
}
