//! Metrics by runs: a row for each metric that differs, a column for each run.
//!
//! Runs keep their names: a header takes several lines rather than a letter to be looked up. Where
//! the columns are too many for the terminal, numbers are told in three digits, and if that does
//! not do, the table is cut into blocks that each begin with the baseline.

use sim_core::metrics::catalogue::{Better, METRICS, Metric, Unit};
use sim_core::result::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::format;
use crate::report::Report;

use super::{Paint, line, pad_left, pad_right, plain};

/// Shown even where all runs agree: their absence would be a question.
const KEY: [&str; 7] = [
    "records_offered",
    "throttled_ratio",
    "records_lost",
    "records_unread",
    "lag_records_max",
    "lag_seconds_max",
    "lag_recovery_s",
];

const GAP: usize = 1;
/// A sign and the blank before it.
const SIGN: usize = 2;
const LEAST_COLUMN: usize = 8;
/// A longer word of a run's name may be broken.
const LONGEST_WORD: usize = 12;
/// Values closer than this share of the greater are as good as each other.
const NOISE: f64 = 0.01;

/// A metric in all runs.
struct Row {
    name: &'static str,
    about: &'static str,
    cells: Vec<Cell>,
}

struct Cell {
    text: String,
    rank: Rank,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    Best,
    Worst,
    Other,
}

impl Rank {
    fn sign(self) -> &'static str {
        match self {
            Self::Best => " *",
            Self::Worst => " !",
            Self::Other => "  ",
        }
    }
}

pub(super) fn write(text: &mut String, report: &Report<'_>, width: usize, paint: Paint) {
    let (full, hidden) = rows(report, false);
    if full.is_empty() {
        return;
    }
    let names: Vec<String> = report.runs.iter().map(|run| plain(&run.name)).collect();
    let full = Plan::new(full, &names);
    let plan = if full.width(0..names.len()) <= width {
        full
    } else {
        Plan::new(rows(report, true).0, &names)
    };
    for block in plan.blocks(width) {
        line(text, "");
        plan.write_block(text, &block, width, paint);
    }
    let rows = &plan.rows;
    let signs = rows.iter().flat_map(|row| &row.cells);
    if signs.into_iter().any(|cell| cell.rank != Rank::Other) {
        let legend = format!("{} best of all runs   {} worst", paint.good("*"), paint.bad("!"));
        line(text, &legend);
    }
    if hidden > 0 {
        let same = if names.len() == 1 { "zero" } else { "the same in all runs" };
        let told = match hidden {
            1 => format!("1 more metric is {same}; see summary.json"),
            more => format!("{more} more metrics are {same}; see summary.json"),
        };
        line(text, &paint.dim(&told));
    }
}

/// The rows to show, and how many there are besides.
fn rows(report: &Report<'_>, compact: bool) -> (Vec<Row>, usize) {
    let mut rows = Vec::new();
    let mut hidden = 0;
    // Where nobody reads, no lag is no news.
    let has_consumers = report.runs.iter().any(|run| !run.consumers.is_empty());
    for metric in METRICS {
        let values: Vec<Option<Value>> =
            report.runs.iter().map(|run| run.summary.get(metric.name).copied()).collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let row = row(metric, &values, compact);
        let same = row.cells.iter().all(|cell| cell.text == row.cells[0].text);
        let nothing = values.iter().flatten().all(|value| value.as_f64() == 0.0);
        // A single run differs from nothing, so it shows all that happened in it.
        let telling = if report.runs.len() == 1 { !nothing } else { !same };
        let key = KEY.contains(&metric.name) && (has_consumers || !metric.name.starts_with("lag_"));
        if telling || key {
            rows.push(row);
        } else {
            hidden += 1;
        }
    }
    (rows, hidden)
}

fn row(metric: &Metric, values: &[Option<Value>], compact: bool) -> Row {
    let full = |value: &Option<Value>| {
        value.map_or("–".to_owned(), |value| format::value(value, metric.unit))
    };
    let mut texts: Vec<String> = values.iter().map(full).collect();
    if compact && metric.unit == Unit::Count {
        for shorten in [format::compact, format::compact_finely] {
            let short: Vec<String> = values.iter().map(|it| short_count(*it, shorten)).collect();
            if tells_apart(&texts, &short) {
                texts = short;
                break;
            }
        }
    }
    if compact && metric.unit == Unit::PartitionSeconds {
        // The name of the row says whose seconds they are.
        texts.iter_mut().for_each(|it| *it = it.replace(" partition-s", " part-s"));
    }
    let ranks = ranks(metric.better, values, &texts);
    let cells = texts.into_iter().zip(ranks);
    Row {
        name: metric.name,
        about: metric.about,
        cells: cells.map(|(text, rank)| Cell { text, rank }).collect(),
    }
}

fn short_count(value: Option<Value>, shorten: fn(f64) -> String) -> String {
    match value {
        None => "–".to_owned(),
        Some(Value::Count(count)) if count < 10_000 => format::grouped(count),
        Some(value) if value.as_f64().is_finite() => shorten(value.as_f64()),
        Some(_) => format::NEVER.to_owned(),
    }
}

/// Whether what differs in full still differs when shortened.
fn tells_apart(full: &[String], short: &[String]) -> bool {
    full.iter().zip(short).all(|(a, short_a)| {
        let mut others = full.iter().zip(short);
        others.all(|(b, short_b)| (a == b) == (short_a == short_b))
    })
}

/// Best and worst, judged by what is shown: values that read the same are the same, and a percent
/// is noise. Where more than half of the runs share the best (or the worst), that is no
/// distinction.
fn ranks(better: Better, values: &[Option<Value>], texts: &[String]) -> Vec<Rank> {
    let sign = match better {
        Better::Lower => 1.0,
        Better::Higher => -1.0,
        Better::Neither => return vec![Rank::Other; values.len()],
    };
    let harm = |index: usize| values[index].map(|value| value.as_f64() * sign);
    let known = || (0..values.len()).filter(|index| harm(*index).is_some_and(|it| !it.is_nan()));
    let by_harm = |a: &usize, b: &usize| {
        let key = |index: usize| harm(index).unwrap_or(0.0);
        key(*a).total_cmp(&key(*b))
    };
    let (Some(best), Some(worst)) = (known().min_by(by_harm), known().max_by(by_harm)) else {
        return vec![Rank::Other; values.len()];
    };
    let size = |index: usize| values[index].map_or(0.0, |value| value.as_f64().abs());
    let (least, greatest) = (size(best).min(size(worst)), size(best).max(size(worst)));
    let noise = greatest.is_finite() && greatest - least < greatest * NOISE;
    if texts[best] == texts[worst] || noise {
        return vec![Rank::Other; values.len()];
    }
    let few = |of: &String| texts.iter().filter(|it| *it == of).count() * 2 <= texts.len();
    let rank = |text: &String| {
        if *text == texts[best] && few(text) {
            Rank::Best
        } else if *text == texts[worst] && few(text) {
            Rank::Worst
        } else {
            Rank::Other
        }
    };
    texts.iter().map(rank).collect()
}

/// The rows, and the room that they and the names of the runs need.
struct Plan<'a> {
    rows: Vec<Row>,
    names: &'a [String],
    metric: usize,
    /// What the numbers of each run and the longest word of its name need.
    columns: Vec<usize>,
}

impl<'a> Plan<'a> {
    fn new(rows: Vec<Row>, names: &'a [String]) -> Self {
        let column = |(run, name): (usize, &String)| {
            let cells = rows.iter().map(|row| row.cells[run].text.width());
            let words = name.split_inclusive([' ', '-']);
            let words = words.map(|it| it.trim_end().width().min(LONGEST_WORD));
            let widest = cells.chain(words).max().unwrap_or(0) + SIGN;
            widest.max(LEAST_COLUMN)
        };
        Self {
            metric: rows.iter().map(|row| row.name.len()).max().unwrap_or(0),
            columns: names.iter().enumerate().map(column).collect(),
            names,
            rows,
        }
    }

    fn width(&self, runs: impl IntoIterator<Item = usize>) -> usize {
        let columns = runs.into_iter().map(|run| GAP + self.columns[run]);
        self.metric + columns.sum::<usize>()
    }

    /// The runs of each block; the baseline leads all of them.
    fn blocks(&self, width: usize) -> Vec<Vec<usize>> {
        let mut blocks: Vec<Vec<usize>> = Vec::new();
        let mut block = vec![0];
        for run in 1..self.names.len() {
            let with = self.width(block.iter().copied().chain([run]));
            if with > width && block.len() > 1 {
                blocks.push(std::mem::replace(&mut block, vec![0]));
            }
            block.push(run);
        }
        blocks.push(block);
        // Rather 4 and 4 than 6 and 2, if that fits.
        let mitigations: Vec<usize> = (1..self.names.len()).collect();
        let even: Vec<Vec<usize>> = mitigations
            .chunks(mitigations.len().div_ceil(blocks.len()).max(1))
            .map(|runs| [&[0], runs].concat())
            .collect();
        let fits = |block: &Vec<usize>| self.width(block.iter().copied()) <= width;
        if blocks.len() > 1 && even.iter().all(fits) { even } else { blocks }
    }

    fn write_block(&self, text: &mut String, block: &[usize], width: usize, paint: Paint) {
        let widths = self.widened(block, width);
        let header = |(run, width): (&usize, &usize)| wrap(&self.names[*run], *width - SIGN);
        let headers: Vec<Vec<String>> = block.iter().zip(&widths).map(header).collect();
        let lines = headers.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..lines {
            let mut header = pad_right("", self.metric);
            for (names, width) in headers.iter().zip(&widths) {
                // Short names stand on the last line, next to their numbers.
                let name = (at + names.len()).checked_sub(lines).map(|at| names[at].as_str());
                let name = pad_left(name.unwrap_or_default(), *width - SIGN);
                header = format!("{header}{:GAP$}{}{:SIGN$}", "", paint.bold(&name), "");
            }
            line(text, &header);
        }
        let rule = self.metric + widths.iter().map(|width| width + GAP).sum::<usize>();
        line(text, &paint.dim(&"─".repeat(rule.min(width))));
        for row in &self.rows {
            let mut told = pad_right(row.name, self.metric);
            for (run, width) in block.iter().zip(&widths) {
                told.push_str(&cell(&row.cells[*run], GAP + width, paint));
            }
            // Where there is one run there is room to say what its numbers mean.
            if self.names.len() == 1 && rule + row.about.width() + GAP <= width {
                told = format!("{told}{:GAP$}{}", "", paint.dim(row.about));
            }
            line(text, &told);
        }
    }

    /// Widths of the columns of a block: what they need and then, as long as there is room, a
    /// column more for whichever header takes the most lines.
    fn widened(&self, block: &[usize], width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = block.iter().map(|run| self.columns[*run]).collect();
        let lines = |at: usize, width: usize| wrap(&self.names[block[at]], width - SIGN).len();
        for _ in self.width(block.iter().copied())..width {
            let tallest = (0..block.len())
                .rev()
                .max_by_key(|at| lines(*at, widths[*at]))
                .filter(|at| lines(*at, widths[*at]) > 3);
            match tallest {
                Some(at) => widths[at] += 1,
                None => break,
            }
        }
        widths
    }
}

fn cell(cell: &Cell, width: usize, paint: Paint) -> String {
    let shown = format!("{}{}", cell.text, cell.rank.sign());
    let padding = width.saturating_sub(shown.width());
    let shown = match cell.rank {
        Rank::Best => paint.good(&shown),
        Rank::Worst => paint.bad(&shown),
        Rank::Other => shown,
    };
    format!("{:padding$}{shown}", "")
}

/// Lines of at most `width` columns, broken at blanks, or after a hyphen, or anywhere.
fn wrap(name: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut last = String::new();
    for piece in name.split_inclusive([' ', '-']) {
        if last.width() + piece.trim_end().width() > width && !last.is_empty() {
            lines.push(std::mem::take(&mut last).trim_end().to_owned());
        }
        for char in piece.chars() {
            let fits = last.width() + char.width().unwrap_or(0) <= width;
            if !fits && char != ' ' {
                lines.push(std::mem::take(&mut last));
            }
            last.push(char);
        }
    }
    lines.push(last.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_break_at_blanks_then_at_hyphens_then_anywhere() {
        assert_eq!(wrap("salt the key x8", 8), ["salt the", "key x8"]);
        assert_eq!(wrap("cooperative-sticky", 12), ["cooperative-", "sticky"]);
        assert_eq!(wrap("unbreakable", 4), ["unbr", "eaka", "ble"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn best_and_worst_follow_what_is_better_and_never_is_worst() {
        let values = [Value::Number(3.0), Value::Never, Value::Number(1.0)].map(Some);
        let texts = ["3 s", "never", "1 s"].map(str::to_owned);
        let signs = |better| -> Vec<&str> {
            ranks(better, &values, &texts).iter().map(|it| it.sign()).collect()
        };
        assert_eq!(signs(Better::Lower), ["  ", " !", " *"]);
        assert_eq!(signs(Better::Neither), ["  ", "  ", "  "]);
    }

    #[test]
    fn the_best_of_most_runs_is_no_distinction() {
        let values = [0, 0, 0, 7].map(|it| Some(Value::Count(it)));
        let texts = ["0", "0", "0", "7"].map(str::to_owned);
        let ranks = ranks(Better::Lower, &values, &texts);
        let signs: Vec<&str> = ranks.iter().map(|it| it.sign()).collect();
        assert_eq!(signs, ["  ", "  ", "  ", " !"]);
    }

    #[test]
    fn counts_are_shortened_only_where_that_hides_no_difference() {
        let of = |values: [u64; 2]| {
            let metric = sim_core::metrics::catalogue::find("records_offered").unwrap();
            let values = values.map(|it| Some(Value::Count(it)));
            let row = row(metric, &values, true);
            [row.cells[0].text.clone(), row.cells[1].text.clone()]
        };
        assert_eq!(of([10_800_000, 10_800_000]), ["10.8M", "10.8M"]);
        assert_eq!(of([10_800_000, 10_799_999]), ["10,800,000", "10,799,999"]);
    }
}
