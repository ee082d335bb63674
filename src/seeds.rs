//! The claims of a scenario on one seed or on many.

use reports::{Bound, ExpectationRow, Op, OverSeeds, Seeds, Spread, Verdict};
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
    let (bound, than) = match outcome.bound {
        scenarios::Bound::Number(number) => (Bound::One(number), None),
        scenarios::Bound::Range(low, high) => (Bound::Range(low, high), None),
        scenarios::Bound::Run(name, value) => {
            (Bound::One(value.map_or(f64::INFINITY, Value::as_f64)), Some(name))
        }
    };
    let verdict = match outcome.verdict {
        scenarios::Verdict::Pass => Verdict::Pass,
        scenarios::Verdict::Fail => Verdict::Fail,
        scenarios::Verdict::Skipped => return None,
    };
    Some(ExpectationRow {
        run: outcome.run,
        metric: outcome.metric,
        op: match outcome.op {
            scenarios::Op::Above => Op::Above,
            scenarios::Op::Below => Op::Below,
            scenarios::Op::Between => Op::Between,
            scenarios::Op::Higher => Op::Higher,
            scenarios::Op::Lower => Op::Lower,
        },
        bound,
        than,
        measured: outcome.measured.unwrap_or(Value::Never),
        verdict,
        over_seeds: None,
    })
}
