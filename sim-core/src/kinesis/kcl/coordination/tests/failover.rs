//! Monte-Carlo of the failover times of N-KCL-8, -18 and -23.

use super::*;

/// Seconds, over seeds.
struct Sample(Vec<f64>);

impl Sample {
    fn over_seeds(seeds: u64, one: impl Fn(u64) -> f64) -> Self {
        Self((0..seeds).map(one).collect())
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand seeds")]
    fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand seeds")]
    fn standard_error(&self) -> f64 {
        let (mean, n) = (self.mean(), self.0.len() as f64);
        let squares = self.0.iter().map(|x| (x - mean).powi(2));
        (squares.sum::<f64>() / (n - 1.0) / n).sqrt()
    }
    fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }
    fn max(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }
}

fn show(name: &str, s: &Sample) {
    println!(
        "{name}: {:.2}..{:.2} mean {:.2} se {:.2}",
        s.min(),
        s.max(),
        s.mean(),
        s.standard_error()
    );
}

#[test]
fn explore() {
    for survivors in [1u32, 2, 3, 5] {
        let runs: Vec<(f64, f64)> = (0..2000)
            .map(|seed| {
                let mut b = Bench::new(
                    &config(KclVersion::V2, survivors + 1),
                    (survivors + 1) * survivors,
                    seed,
                    STEADY,
                );
                b.run_until(at(60));
                b.kill(1);
                b.run_until(at(120));
                let t = b.takeovers(WorkerId(1), at(60));
                (
                    t[0].since(at(60)).as_secs_f64(),
                    t[t.len() - 1].since(at(60)).as_secs_f64(),
                )
            })
            .collect();
        show(
            &format!("v2 first S={survivors}"),
            &Sample(runs.iter().map(|r| r.0).collect()),
        );
        show(
            &format!("v2 last S={survivors}"),
            &Sample(runs.iter().map(|r| r.1).collect()),
        );
    }
    for by_count in [false, true] {
        for workers in [2u32, 3, 10] {
            let mut p99 = vec![];
            let mut all = vec![];
            let mut firsts = vec![];
            let mut lasts = vec![];
            for seed in 0..500 {
                let mut c = config(KclVersion::V3, workers);
                c.lease_count_based = by_count;
                let mut b = Bench::new(&c, workers * 10, seed, STEADY);
                b.run_until(at(200));
                b.kill(1);
                b.run_until(at(400));
                let mut st: Vec<_> = (0..workers * 10)
                    .filter(|n| n % workers == 1)
                    .map(|n| {
                        b.starts(at(200))
                            .into_iter()
                            .find(|(_, s)| *s == shard(n))
                            .unwrap()
                            .0
                            .since(at(200))
                            .as_secs_f64()
                    })
                    .collect();
                st.sort_by(f64::total_cmp);
                p99.push(st[9]);
                firsts.push(st[0]);
                lasts.push(st[st.len() - 1]);
                all.extend(st);
            }
            p99.sort_by(f64::total_cmp);
            println!("p99 last {}", p99[495]);
            show(&format!("v3 all W={workers} {by_count}"), &Sample(all));
            show(&format!("v3 first W={workers}"), &Sample(firsts));
            show(&format!("v3 last W={workers}"), &Sample(lasts));
        }
    }
    for cand in [1u32, 5] {
        let mut lock = vec![];
        let mut st = vec![];
        for seed in 0..1000 {
            let mut b = Bench::new(
                &config(KclVersion::V3, cand + 1),
                10 * (cand + 1),
                seed,
                STEADY,
            );
            b.run_until(at(300));
            b.kill(0);
            b.run_until(at(600));
            let l = b
                .log
                .iter()
                .find(|(_, c)| matches!(c, Change::LeaderChanged { .. }))
                .unwrap()
                .0;
            lock.push(l.since(at(300)).as_secs_f64());
            for (t, _) in b.starts(at(300)) {
                st.push(t.since(at(300)).as_secs_f64());
            }
        }
        show(&format!("lock {cand}"), &Sample(lock));
        show(&format!("leader {cand}"), &Sample(st));
    }
}
