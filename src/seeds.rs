//! The claims of a scenario on one seed or on many.

use reports::{Bound, ExpectationRow, OverSeeds, Seeds, Spread, Verdict};
use scenarios::{Loaded, Outcome};
use sim_core::result::{RunResult, Value};

/// Results seed by seed: of the first everything is kept, of the others what they measured.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) first: Vec<RunResult>,
    seeds: Seeds,
    rows: Vec<Claim>,
}

/// A claim as the first seed sees it, and what each seed measured.
#[derive(Debug)]
struct Claim {
    row: ExpectationRow,
    verdicts: Vec<Verdict>,
    measured: Vec<Value>,
}

impl Collected {
    /// Adds the runs of the next seed.
    pub(crate) fn add(&mut self, loaded: &Loaded, of_seed: Vec<RunResult>) {
        // Claims about runs that were not asked for are skipped, on every seed the same.
        let rows = loaded.evaluate(&of_seed).into_iter().filter_map(row);
        for (index, row) in rows.enumerate() {
            if self.rows.len() <= index {
                self.rows.push(Claim {
                    row: row.clone(),
                    verdicts: Vec::new(),
                    measured: Vec::new(),
                });
            }
            self.rows[index].verdicts.push(row.verdict);
            self.rows[index].measured.push(row.measured);
        }
        self.seeds.add(&of_seed);
        if self.first.is_empty() {
            self.first = of_seed;
        }
    }

    /// The runs of the first seed, the verdicts over all, and the spread if there are several.
    pub(crate) fn finish(self) -> (Vec<RunResult>, Vec<ExpectationRow>, Option<Seeds>) {
        let several = self.seeds.count() > 1;
        let rows = self.rows.into_iter().map(|claim| claim.finish(several));
        let rows = rows.collect();
        (self.first, rows, several.then_some(self.seeds))
    }
}

impl Claim {
    /// What holds on each seed passes, what fails on each fails, the rest is inconclusive. Shown
    /// is what the first seed measured.
    fn finish(mut self, several: bool) -> ExpectationRow {
        if !several {
            return self.row;
        }
        let of = self.verdicts.len();
        let passed = |it: &&Verdict| **it == Verdict::Pass;
        let met = self.verdicts.iter().filter(passed).count();
        self.row.verdict = match met {
            0 => Verdict::Fail,
            met if met == of => Verdict::Pass,
            _ => Verdict::Inconclusive,
        };
        let measured = Spread::of(&self.measured);
        self.row.over_seeds = measured.map(|measured| OverSeeds { met, of, measured });
        self.row
    }
}

/// `None` if a run that the claim is about was left out.
fn row(outcome: Outcome) -> Option<ExpectationRow> {
    let of_run = |value: Option<Value>| value.map_or(f64::INFINITY, Value::as_f64);
    let (bound, than) = match outcome.bound {
        scenarios::Bound::Above(bound) => (Bound::Above(bound), None),
        scenarios::Bound::Below(bound) => (Bound::Below(bound), None),
        scenarios::Bound::Between(low, high) => (Bound::Between(low, high), None),
        scenarios::Bound::Higher(run, value) => (Bound::Above(of_run(value)), Some(run)),
        scenarios::Bound::Lower(run, value) => (Bound::Below(of_run(value)), Some(run)),
    };
    let verdict = match outcome.verdict {
        scenarios::Verdict::Pass => Verdict::Pass,
        scenarios::Verdict::Fail => Verdict::Fail,
        scenarios::Verdict::Skipped => return None,
    };
    Some(ExpectationRow {
        run: outcome.run,
        metric: outcome.metric,
        bound,
        than,
        measured: outcome.measured.unwrap_or(Value::Never),
        verdict,
        over_seeds: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_about_two_runs_is_held_against_the_other_ones_value() {
        let row_of = |bound| {
            let row = row(Outcome {
                run: "salt".to_owned(),
                metric: "lag_recovery_s".to_owned(),
                bound,
                measured: Some(Value::Number(59.0)),
                verdict: scenarios::Verdict::Pass,
            });
            row.map(|it| (it.bound, it.than))
        };
        let other = || "baseline".to_owned();
        let of_other = |bound| Some((bound, Some(other())));
        let lower = scenarios::Bound::Lower(other(), Some(Value::Count(60)));
        assert_eq!(row_of(lower), of_other(Bound::Below(60.0)));
        let higher = scenarios::Bound::Higher(other(), Some(Value::Count(50)));
        assert_eq!(row_of(higher), of_other(Bound::Above(50.0)));
        // What never happened comes later than anything.
        let never = scenarios::Bound::Lower(other(), Some(Value::Never));
        assert_eq!(row_of(never), of_other(Bound::Below(f64::INFINITY)));
        assert_eq!(row_of(scenarios::Bound::Below(60.0)), Some((Bound::Below(60.0), None)));
    }
}
