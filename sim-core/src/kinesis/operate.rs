//! What an operator does to a stream.
//!
//! | Mechanism                                                    | Fact   |
//! |--------------------------------------------------------------|--------|
//! | SplitShard and MergeShards are refused while another is under way | N-C-3  |
//! | warm throughput is for on-demand streams                       | N-C-10 |

use crate::config::{Capacity, Happening};
use crate::engine::{SimDuration, SimTime};

use super::on_demand::{promised_capacity, shards_for};
use super::stream::Stream;

/// Time until warm throughput is there (N-C-10: "minutes"; an assumption).
const WARM_UP: SimDuration = SimDuration::from_secs(300);

impl Stream {
    /// Begins an action; gives the shard that it chose by itself, if it did.
    ///
    /// # Errors
    /// A sentence that says why the service refuses it.
    pub fn operate(&mut self, what: &Happening, now: SimTime) -> Result<Option<u32>, String> {
        if let Happening::SplitShard { .. }
        | Happening::SplitHottestShard { .. }
        | Happening::MergeShards { .. } = what
            && !self.pending.is_empty()
        {
            // One change at a time (N-C-3).
            return Err("the stream is UPDATING (ResourceInUseException)".to_owned());
        }
        let takes = self.config.reshard_time;
        let mut chosen = None;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are not about a stream")]
        match what {
            Happening::SplitShard { shard, .. } => {
                self.split(*shard, now, takes)?;
            }
            Happening::SplitHottestShard { .. } => {
                let hottest = self.hottest(now);
                self.split(hottest, now, takes)?;
                chosen = Some(hottest);
            }
            Happening::MergeShards { shard, adjacent, .. } => {
                self.merge(*shard, *adjacent, now)?;
            }
            Happening::UpdateShardCount { target, .. } => {
                self.update_shard_count(*target, now)?;
            }
            Happening::SwitchMode { capacity, .. } => self.switch_mode(capacity.clone(), now),
            Happening::WarmThroughput { bytes_per_s, .. } => {
                let Capacity::OnDemand(config) = &mut self.config.capacity else {
                    return Err("warm throughput needs an on-demand stream".to_owned());
                };
                config.warm_throughput = *bytes_per_s;
                let shards = shards_for(promised_capacity(config, 0));
                self.grow_to(shards, now + WARM_UP);
            }
            _ => {}
        }
        Ok(chosen)
    }
}
