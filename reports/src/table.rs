//! The summary for a terminal: what differs between the runs, why, and what was expected.
//!
//! Meaning never rests on colour: best and worst carry signs, verdicts too.

mod grid;
mod why;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use sim_core::metrics::catalogue::{self, Unit};
use sim_core::result::{MarkKind, RunResult};
use unicode_width::UnicodeWidthStr;

use crate::charts::marks;
use crate::format;
use crate::report::{Bound, ExpectationRow, OverSeeds, Report, Verdict};

/// The whole text, for a terminal `width` columns wide, with colour if the caller says so.
#[must_use]
pub fn summary(report: &Report<'_>, width: usize, color: bool) -> String {
    let paint = Paint { color };
    let width = width.clamp(40, 200);
    let mut text = String::new();
    heading(&mut text, report, paint);
    grid::write(&mut text, report, width, paint);
    why::write(&mut text, report, width, paint);
    expectations(&mut text, report.expectations, paint);
    timeline(&mut text, report, paint);
    warnings(&mut text, report.runs, paint);
    text
}

/// Styles that are only applied if the caller wants colour.
#[derive(Clone, Copy, Debug)]
struct Paint {
    color: bool,
}

impl Paint {
    fn style(self, text: &str, style: Style) -> String {
        if self.color && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn bold(self, text: &str) -> String {
        self.style(text, Style::new().bold())
    }

    fn dim(self, text: &str) -> String {
        self.style(text, Style::new().dimmed())
    }

    fn good(self, text: &str) -> String {
        self.style(text, AnsiColor::Green.on_default().bold())
    }

    fn bad(self, text: &str) -> String {
        self.style(text, AnsiColor::Red.on_default().bold())
    }

    fn doubtful(self, text: &str) -> String {
        self.style(text, AnsiColor::Yellow.on_default().bold())
    }
}

/// Writing to a string cannot fail; this says so once.
fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", line.trim_end());
}

/// The text without what would move the cursor or colour the terminal.
fn plain(text: &str) -> String {
    let safe = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    text.chars().map(safe).collect()
}

/// The text and blanks after it, `width` columns in all.
fn pad_right(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{:blanks$}", "")
}

/// Blanks and the text after them, `width` columns in all.
fn pad_left(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{:blanks$}{text}", "")
}

fn heading(text: &mut String, report: &Report<'_>, paint: Paint) {
    line(text, &paint.bold(&plain(report.title)));
    let resolution = match report.resolution_ms {
        0 => "record by record".to_owned(),
        millis => format!("resolution {millis} ms"),
    };
    let caption = format!(
        "scenario {} · seed {} · {} simulated · {resolution}",
        plain(report.scenario),
        report.seed,
        format::duration(report.duration_s),
    );
    line(text, &paint.dim(&caption));
    if let Some(seeds) = report.spread {
        let (first, last) = report.seeds;
        let told = format!(
            "expectations and lag chart: {} seeds, {first} to {last}; all else: seed {}",
            seeds.count(),
            report.seed,
        );
        line(text, &paint.dim(&told));
    }
}

fn expectations(text: &mut String, rows: &[ExpectationRow], paint: Paint) {
    line(text, "");
    if rows.is_empty() {
        line(text, &paint.dim("No expectations in this scenario."));
        return;
    }
    let met = rows.iter().filter(|it| it.verdict == Verdict::Pass).count();
    let count = format!("Expectations: {met} of {} met", rows.len());
    line(text, &paint.bold(&count));
    for row in rows {
        line(text, &format!("  {}", judged(row, paint)));
    }
}

/// The expectations that were not met, a line each.
#[must_use]
pub fn unmet(report: &Report<'_>, color: bool) -> String {
    let mut text = String::new();
    let rows = report.expectations.iter();
    for row in rows.filter(|it| it.verdict != Verdict::Pass) {
        let told = judged(row, Paint { color });
        line(&mut text, &format!("{}: {told}", plain(report.scenario)));
    }
    text
}

/// `✗ baseline: throttled_ratio is 1.9 %, expected above 10 %`.
fn judged(row: &ExpectationRow, paint: Paint) -> String {
    let sign = match row.verdict {
        Verdict::Pass => paint.good("✓"),
        Verdict::Fail => paint.bad("✗"),
        Verdict::Inconclusive => paint.doubtful("?"),
    };
    let doubt = match row.verdict {
        Verdict::Inconclusive => " (the seeds disagree)",
        Verdict::Pass | Verdict::Fail => "",
    };
    let unit = unit_of(&row.metric);
    let over = row.over_seeds.map(|it| over_seeds(&it, unit));
    format!(
        "{sign} {}: {} is {}, expected {}{doubt}{}",
        plain(&row.run),
        plain(&row.metric),
        paint.bold(&format::value(row.measured, unit)),
        expected(row, unit),
        over.unwrap_or_default(),
    )
}

/// `; over 20 seeds 31.0 % to 35.2 %, met on 18`.
fn over_seeds(over: &OverSeeds, unit: Unit) -> String {
    let (min, max) = (over.measured.min, over.measured.max);
    let (min, max) = (format::value(min, unit), format::value(max, unit));
    let range = if min == max { format!("always {min}") } else { format!("{min} to {max}") };
    format!("; over {} seeds {range}, met on {}", over.of, over.met)
}

fn expected(row: &ExpectationRow, unit: Unit) -> String {
    // Bounds are round: `25 %` rather than `25.0 %`.
    let number = |bound| format::number(bound, unit).replace(".0 ", " ");
    let (word, bound) = match row.bound {
        Bound::Above(bound) => ("above", number(bound)),
        Bound::Below(bound) => ("below", number(bound)),
        Bound::Between(low, high) => ("between", format!("{} and {}", number(low), number(high))),
    };
    match &row.than {
        Some(than) => format!("{word} that of {}, {bound}", plain(than)),
        None => format!("{word} {bound}"),
    }
}

/// The unit of a metric, also of one of a member: `producers.web.throttled_ratio`.
fn unit_of(metric: &str) -> Unit {
    let name = metric.rsplit('.').next().unwrap_or(metric);
    catalogue::find(name).map_or(Unit::Count, |metric| metric.unit)
}

fn timeline(text: &mut String, report: &Report<'_>, paint: Paint) {
    let mut items = marks::collect(report.runs);
    items.retain(|item| !item.label.is_empty());
    items.sort_by(|a, b| a.from.total_cmp(&b.from));
    if items.is_empty() {
        return;
    }
    line(text, "");
    line(text, &paint.bold("Timeline"));
    let clock = |second: f64| format::moment(second, report.duration_s);
    for item in items {
        let until = item.until.map(|it| format!("–{}", clock(it)));
        let when = format!("{}{}", clock(item.from), until.unwrap_or_default());
        let kind = match item.kind {
            MarkKind::Fault => "fault ",
            MarkKind::Action => "action",
        };
        let run = item.run.and_then(|run| report.runs.get(run));
        let whose = run.map(|run| format!("   [{}]", plain(&run.name)));
        let told = format!(
            "  {}  {kind}  {}{}",
            pad_right(&when, 1 + 2 * clock(report.duration_s).len()),
            plain(&item.label),
            paint.dim(&whose.unwrap_or_default()),
        );
        line(text, &told);
    }
}

fn warnings(text: &mut String, runs: &[RunResult], paint: Paint) {
    if runs.iter().all(|run| run.warnings.is_empty()) {
        return;
    }
    line(text, "");
    line(text, &paint.bold("Warnings"));
    for run in runs {
        for warning in &run.warnings {
            let sign = paint.doubtful("!");
            line(text, &format!("  {sign} {}: {}", plain(&run.name), plain(warning)));
        }
    }
}
