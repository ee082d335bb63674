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

const GAP: usize = 2;
/// A sign and the blank before it.
const SIGN: usize = 2;
const LEAST_COLUMN: usize = 9;

/// A metric in all runs.
struct Row {
    name: &'static str,
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
    let wanted = |rows: &[Row]| {
        let columns: usize = (0..names.len())
            .map(|run| GAP + column_width(rows, run))
            .sum();
        metric_width(rows) + columns
    };
    let rows = if wanted(&full) <= width {
        full
    } else {
        rows(report, true).0
    };
    for block in blocks(&rows, names.len(), width) {
        line(text, "");
        write_block(text, &rows, &names, &block, width, paint);
    }
    let signs = rows.iter().flat_map(|row| &row.cells);
    if signs.into_iter().any(|cell| cell.rank != Rank::Other) {
        let legend = format!(
            "{} best of all runs   {} worst",
            paint.good("*"),
            paint.bad("!")
        );
        line(text, &legend);
    }
    if hidden > 0 {
        let metrics = if hidden == 1 {
            "metric is"
        } else {
            "metrics are"
        };
        let told = format!("{hidden} more {metrics} the same in all runs; see summary.json");
        line(text, &paint.dim(&told));
    }
}

/// The rows to show, and how many there are besides.
fn rows(report: &Report<'_>, compact: bool) -> (Vec<Row>, usize) {
    let mut rows = Vec::new();
    let mut hidden = 0;
    for metric in METRICS {
        let values: Vec<Option<Value>> = report
            .runs
            .iter()
            .map(|run| run.summary.get(metric.name).copied())
            .collect();
        if values.iter().all(Option::is_none) {
            continue;
        }
        let row = row(metric, &values, compact);
        let same = row.cells.iter().all(|cell| cell.text == row.cells[0].text);
        let nothing = values.iter().flatten().all(|value| value.as_f64() == 0.0);
        // A single run differs from nothing, so it shows all that happened in it.
        let telling = if report.runs.len() == 1 {
            !nothing
        } else {
            !same
        };
        if telling || KEY.contains(&metric.name) {
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
        let short: Vec<String> = values.iter().map(short_count).collect();
        if tells_apart(&texts, &short) {
            texts = short;
        }
    }
    let ranks = ranks(metric.better, values, &texts);
    let cells = texts.into_iter().zip(ranks);
    Row {
        name: metric.name,
        cells: cells.map(|(text, rank)| Cell { text, rank }).collect(),
    }
}

fn short_count(value: &Option<Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(Value::Count(count)) if *count < 10_000 => format::grouped(*count),
        Some(value) if value.as_f64().is_finite() => format::compact(value.as_f64()),
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

/// Best and worst, judged by what is shown: values that read the same are the same. Where more
/// than half of the runs share the best (or the worst), that is no distinction.
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
    if texts[best] == texts[worst] {
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

fn metric_width(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.name.len()).max().unwrap_or(0)
}

fn column_width(rows: &[Row], run: usize) -> usize {
    let cells = rows.iter().map(|row| row.cells[run].text.width() + SIGN);
    cells.max().unwrap_or(0).max(LEAST_COLUMN)
}

/// The runs of each block; the baseline leads all of them.
fn blocks(rows: &[Row], runs: usize, width: usize) -> Vec<Vec<usize>> {
    let mut blocks = Vec::new();
    let mut block = vec![0];
    let start = metric_width(rows) + GAP + column_width(rows, 0);
    let mut used = start;
    for run in 1..runs {
        let column = GAP + column_width(rows, run);
        if used + column > width && block.len() > 1 {
            blocks.push(std::mem::replace(&mut block, vec![0]));
            used = start;
        }
        block.push(run);
        used += column;
    }
    blocks.push(block);
    blocks
}

fn write_block(
    text: &mut String,
    rows: &[Row],
    names: &[String],
    block: &[usize],
    width: usize,
    paint: Paint,
) {
    let widths = widths(rows, names, block, width);
    let metric = metric_width(rows);
    let headers: Vec<Vec<String>> = block
        .iter()
        .zip(&widths)
        .map(|(run, width)| wrap(&names[*run], *width - SIGN))
        .collect();
    let lines = headers.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..lines {
        let mut header = pad_right("", metric);
        for (names, width) in headers.iter().zip(&widths) {
            // Short names stand on the last line, next to their numbers.
            let name = (at + names.len())
                .checked_sub(lines)
                .map(|at| names[at].as_str());
            let name = pad_left(name.unwrap_or_default(), *width - SIGN);
            header = format!("{header}{:GAP$}{}{:SIGN$}", "", paint.bold(&name), "");
        }
        line(text, &header);
    }
    let rule: usize = metric + widths.iter().map(|width| width + GAP).sum::<usize>();
    line(text, &paint.dim(&"─".repeat(rule.min(width))));
    for row in rows {
        let mut told = pad_right(row.name, metric);
        for (run, width) in block.iter().zip(&widths) {
            let cell = &row.cells[*run];
            let shown = format!("{}{}", cell.text, cell.rank.sign());
            let padding = width.saturating_sub(shown.width());
            let shown = match cell.rank {
                Rank::Best => paint.good(&shown),
                Rank::Worst => paint.bad(&shown),
                Rank::Other => shown,
            };
            told = format!("{told}{:GAP$}{:padding$}{shown}", "", "");
        }
        line(text, &told);
    }
}

/// Widths of the columns of a block: what their numbers need, and then, as long as there is room,
/// a column more for whichever header takes the most lines.
fn widths(rows: &[Row], names: &[String], block: &[usize], width: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = block.iter().map(|run| column_width(rows, *run)).collect();
    let used = metric_width(rows) + widths.iter().map(|it| it + GAP).sum::<usize>();
    let lines = |at: usize, width: usize| wrap(&names[block[at]], width - SIGN).len();
    for _ in used..width {
        let tallest = (0..block.len())
            .rev()
            .max_by_key(|at| lines(*at, widths[*at]))
            .filter(|at| lines(*at, widths[*at]) > 2);
        match tallest {
            Some(at) => widths[at] += 1,
            None => break,
        }
    }
    widths
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
            ranks(better, &values, &texts)
                .iter()
                .map(|it| it.sign())
                .collect()
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
