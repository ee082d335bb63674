//! What a stream costs (us-east-1).
//!
//! | Price                                                                      | Fact  |
//! |----------------------------------------------------------------------------|-------|
//! | provisioned: $0.015 a shard-hour, $0.014 a million PUT units of 25 KB        | N-P-1 |
//! | fan-out: $0.015 a consumer-shard-hour and $0.013 a GB; shared reads are free  | N-P-1 |
//! | retention to 7 days: $0.020 a shard-hour                                     | N-P-1 |
//! | on-demand: $0.04 a stream-hour, $0.08 a GB in, $0.04 out, fan-out $0.05       | N-P-2 |
//!
//! Simplification: retention beyond 7 days and On-demand Advantage (N-P-3) are not priced. GB are
//! 10^9 B; if AWS bills GiB the GB terms are 7 % lower.

/// What was used over a run, in hours, units and bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bill {
    /// Shard-hours under provisioned capacity.
    pub shard_hours: f64,
    /// Hours under on-demand capacity.
    pub on_demand_hours: f64,
    /// PUT payload units while provisioned.
    pub put_units: f64,
    /// Bytes in while on-demand, records rounded up to 1,024.
    pub on_demand_bytes_in: f64,
    /// Bytes read by polling consumers.
    pub shared_bytes_out: f64,
    /// Bytes pushed to fan-out consumers.
    pub fan_out_bytes: f64,
    /// Fan-out consumers.
    pub fan_out_consumers: f64,
    /// Whether records are kept for more than a day.
    pub long_retention: bool,
}

const GB: f64 = 1e9;

impl Bill {
    /// US dollars for the run.
    #[must_use]
    pub fn usd(&self) -> f64 {
        let hours_by_shard = self.shard_hours;
        let all = hours_by_shard + self.on_demand_hours;
        let provisioned_share = if all > 0.0 { hours_by_shard / all } else { 0.0 };
        let on_demand_share = 1.0 - provisioned_share;
        let keep = if self.long_retention { 0.020 } else { 0.0 };
        let provisioned = hours_by_shard * (0.015 + keep)
            + self.put_units * 0.014 / 1e6
            + self.fan_out_consumers * hours_by_shard * 0.015
            + provisioned_share * self.fan_out_bytes / GB * 0.013;
        let on_demand = self.on_demand_hours * 0.04
            + self.on_demand_bytes_in / GB * 0.08
            + on_demand_share * self.shared_bytes_out / GB * 0.04
            + on_demand_share * self.fan_out_bytes / GB * 0.05;
        provisioned + on_demand
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N-P-7: a shard is $10.95 a month, and 1 MB/s of 1 KB records $36.79 of PUT units
    /// (1,000/s * 730 h * 3,600 s / 10^6 * $0.014).
    #[test]
    fn a_shard_at_one_mb_per_second_costs_what_the_price_list_says() {
        let shard = Bill { shard_hours: 730.0, ..Bill::default() };
        assert!((shard.usd() - 10.95).abs() < 0.005);
        let puts = Bill { put_units: 1_000.0 * 730.0 * 3_600.0, ..Bill::default() };
        assert!((puts.usd() - 36.79).abs() < 0.005);
    }

    /// N-P-7: 1 MB/s on demand with one shared reader is $345 a month:
    /// 730 * 0.04 + 2,628 GB * (0.08 + 0.04) = 29.2 + 315.4.
    #[test]
    fn on_demand_at_one_mb_per_second_costs_what_the_price_list_says() {
        let bytes = 1e6 * 730.0 * 3_600.0;
        let bill = Bill {
            on_demand_hours: 730.0,
            on_demand_bytes_in: bytes,
            shared_bytes_out: bytes,
            ..Bill::default()
        };
        assert!((bill.usd() - 344.6).abs() < 0.5);
    }
}
