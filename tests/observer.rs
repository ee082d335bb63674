//! Whoever looks changes nothing: moving the instants at which series are sampled moves no count, no
//! event, no latency and no blame. Random worlds of both kinds, with faults, splits, retention.

use sim_core::config::WorldConfig;
use sim_core::result::{RunResult, Summary};
use sim_core::run::Run;

use crate::swarm::draw;

/// All that a run leaves behind but what is read off the series: those, and `lag_recovery_s`.
fn without_series(config: &WorldConfig, instants_ms: [u64; 4]) -> String {
    let strip = |summary: &mut Summary| {
        summary.remove("lag_recovery_s");
    };
    let mut result = Run::observed_at(config, instants_ms).finish();
    strip(&mut result.summary);
    result.consumers.values_mut().for_each(strip);
    format!("{:#?}", RunResult { series: Vec::new(), ..result })
}

#[test]
fn moving_the_sampling_instants_moves_nothing_but_the_series() {
    for seed in 0..32 {
        let config = draw::case(seed).config;
        let [usual, early, even] = [[137, 391, 683, 1_000], [1, 2, 3, 4], [250, 500, 750, 1_000]]
            .map(|instants| without_series(&config, instants));
        for other in [early, even] {
            let differs = usual.lines().zip(other.lines()).find(|(a, b)| a != b);
            assert!(differs.is_none() && usual == other, "seed {seed}: {differs:?}");
        }
    }
}
