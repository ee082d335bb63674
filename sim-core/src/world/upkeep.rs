//! What happens each second, whoever looks: on-demand capacity follows the load, logs forget what
//! nobody can ask for any more, and the greatest lag is kept.

use crate::engine::{Ctx, SimTime, Turn};

use super::{Event, World};

impl World {
    pub(super) fn on_upkeep(&mut self, turn: Turn, now: SimTime) {
        let mut ctx = Ctx::new(now, &mut self.queue);
        if !self.upkeep.comes(turn, Event::Upkeep, &mut ctx) {
            return;
        }
        for index in 0..self.streams.len() {
            if !self.streams[index].scale(now).is_empty() {
                self.plan_reshard(index);
            }
            self.trim(index);
        }
        self.clusters.iter_mut().for_each(crate::kafka::Cluster::look);
        self.note_lag(now);
    }

    /// The log of each shard forgets what no application can read again.
    fn trim(&mut self, stream: usize) {
        let of_stream = self.apps.iter().filter(|app| app.config.stream == stream);
        // Who begins later may begin with the oldest record.
        let horizon = of_stream.filter(|app| app.waits_for_all()).map(|_| 0).min();
        for (shard, number) in self.streams[stream].shards.iter_mut().zip(0..) {
            let apps = self.readers[stream].iter().map(|&app| &self.apps[app]);
            let needed = apps.map(|app| app.needs_from(number)).chain(horizon).min();
            let end = shard.log.end();
            shard.log.drop_before(needed.unwrap_or(end).min(end));
        }
    }

    /// The greatest number of unread records: of all consumers together as each second finds them,
    /// or of one of them at any time.
    pub(super) fn note_lag(&mut self, now: SimTime) {
        let of_apps =
            self.apps.iter().map(|it| it.lag(&self.streams[it.config.stream], now).unread);
        let of_groups =
            self.groups.iter().map(|&(cluster, place)| self.clusters[cluster].unread(place, now));
        let together = of_apps.chain(of_groups).sum::<u64>();
        let of_apps = self.apps.iter().map(|app| app.counts.lag_records_max);
        let of_groups = self
            .groups
            .iter()
            .map(|&(cluster, place)| self.clusters[cluster].group_result(place).lag_records_max);
        let alone = of_apps.chain(of_groups).max().unwrap_or(0);
        self.lag_records_max = self.lag_records_max.max(together).max(alone);
    }
}
