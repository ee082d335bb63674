//! Why records were late: for each consumer, what its longest delivery in the baseline waited
//! for, as bars; and in a line each, what is left of that in the other runs.

use sim_core::result::BlameMap;
use unicode_width::UnicodeWidthStr;

use crate::format;
use crate::report::Report;

use super::{Paint, line, pad_left, pad_right, plain};

/// Causes beyond these are added up.
const MOST_CAUSES: usize = 7;
/// A lesser share of the whole is not worth a line.
const LEAST_SHARE: f64 = 0.005;
const WIDEST_BAR: usize = 36;

/// What a cause means, for those whose name does not say it to a person at 3 AM.
const IN_WORDS: [(&str, &str); 6] = [
    ("leader_unavailable", "its partition had no leader to write to or read from"),
    ("replicas_missing", "refused: fewer in sync than min.insync.replicas"),
    ("replication", "stored, on its way to the other in-sync replicas"),
    ("watermark_held", "stored, yet hidden: an in-sync replica is dead or frozen"),
    ("rebalance", "the group was rebalancing, or the new owner had not begun"),
    ("state_restore", "the new owner was restoring its local state"),
];

pub(super) fn write(text: &mut String, report: &Report<'_>, width: usize, paint: Paint) {
    let Some((baseline, others)) = report.runs.split_first() else {
        return;
    };
    for (consumer, blame) in &baseline.blame {
        let whole = whole(blame);
        if whole <= 0.0 {
            continue;
        }
        line(text, "");
        let title = format!(
            "Why {} was late: its longest delivery in {} took {}",
            plain(consumer),
            plain(&baseline.name),
            format::duration(whole)
        );
        line(text, &paint.bold(&title));
        let over_all = baseline.blame_total.get(consumer);
        for told in bars(blame, over_all, width, paint) {
            line(text, &told);
        }
        for told in in_words(blame, width) {
            line(text, &paint.dim(&told));
        }
        let names = others.iter().map(|run| plain(&run.name).width());
        let longest = names.max().unwrap_or(0).min(width / 2);
        if others.iter().any(|run| run.blame.contains_key(consumer)) {
            line(text, &paint.dim("  and in the other runs"));
        }
        for run in others {
            if let Some(blame) = run.blame.get(consumer) {
                let name = pad_right(&plain(&run.name), longest);
                line(text, &format!("  {name}  {}", in_short(blame)));
            }
        }
    }
}

fn whole(blame: &BlameMap) -> f64 {
    blame.values().filter(|it| it.is_finite()).sum()
}

/// Causes and seconds, the greatest first; beyond the limits they are added up as `other`.
fn greatest(blame: &BlameMap) -> Vec<(String, f64)> {
    let whole = whole(blame);
    let mut causes: Vec<(&String, f64)> = blame
        .iter()
        .filter(|(_, seconds)| seconds.is_finite())
        .map(|(cause, seconds)| (cause, *seconds))
        .collect();
    causes.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let mut kept: Vec<(String, f64)> = Vec::new();
    let mut rest = 0.0;
    for (cause, seconds) in causes {
        if kept.len() < MOST_CAUSES && seconds >= whole * LEAST_SHARE {
            kept.push((plain(cause), seconds));
        } else {
            rest += seconds;
        }
    }
    if rest > 0.0 {
        kept.push(("other".to_owned(), rest));
    }
    kept
}

fn bars(blame: &BlameMap, over_all: Option<&BlameMap>, width: usize, paint: Paint) -> Vec<String> {
    let whole = whole(blame);
    let all = over_all.map(self::whole).filter(|it| *it > 0.0);
    let causes = greatest(blame);
    let longest = causes.iter().map(|it| it.0.width()).max().unwrap_or(0);
    let bar_width = width.saturating_sub(longest + 48).clamp(8, WIDEST_BAR);
    let told = |(cause, seconds): &(String, f64)| {
        let share = seconds / whole;
        let bar = pad_right(&bar(share, bar_width), bar_width);
        let percent = format!("{:.0} %", share * 100.0);
        let general = over_all
            .and_then(|it| it.get(cause))
            .zip(all)
            .map(|(part, all)| format!("   ({:.0} % over all deliveries)", part / all * 100.0));
        format!(
            "  {}  {}  {bar} {}{}",
            pad_right(cause, longest),
            pad_left(&format::duration(*seconds), 8),
            pad_left(&percent, 5),
            paint.dim(&general.unwrap_or_default()),
        )
    };
    causes.iter().map(told).collect()
}

/// A line for each cause that is shown and needs one, as far as the terminal has room for it.
fn in_words(blame: &BlameMap, width: usize) -> Vec<String> {
    let causes = greatest(blame);
    let about = |cause: &str| IN_WORDS.iter().find(|it| it.0 == cause).map(|it| it.1);
    let told = causes.iter().filter_map(|(cause, _)| Some((cause, about(cause)?)));
    let longest = told.clone().map(|it| it.0.width()).max().unwrap_or(0);
    told.map(|(cause, about)| format!("    {}: {about}", pad_right(cause, longest)))
        .filter(|line| line.width() <= width)
        .collect()
}

/// A bar of that share of the width, to an eighth of a column; what is there is seen.
fn bar(share: f64, width: usize) -> String {
    const PARTS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = share * f64::from(u32::try_from(width).unwrap_or(0)) * 8.0;
    let eighths = format::to_u64(eighths.round().max(1.0));
    let full = usize::try_from(eighths / 8).unwrap_or(0).min(width);
    let part = usize::try_from(eighths % 8).unwrap_or(0);
    let mut bar = "█".repeat(full);
    if part > 0 && full < width {
        bar.push(PARTS[part]);
    }
    bar
}

/// `1.2 s: 60 % poll_gap, 30 % service`.
fn in_short(blame: &BlameMap) -> String {
    let whole = whole(blame);
    if whole <= 0.0 {
        return format::duration(0.0);
    }
    let causes = greatest(blame);
    // What rounds to nothing is not worth a word.
    let parts: Vec<String> = causes
        .iter()
        .filter(|(_, seconds)| *seconds >= whole * LEAST_SHARE)
        .take(3)
        .map(|(cause, seconds)| format!("{:.0} % {cause}", seconds / whole * 100.0))
        .collect();
    let took = pad_left(&format::duration(whole), 8);
    format!("{took}: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_empty() {
        assert_eq!(bar(0.5, 8), "████");
        assert_eq!(bar(1.0, 8), "████████");
        // 9/64 of 8 columns are one column and an eighth.
        assert_eq!(bar(9.0 / 64.0, 8), "█▏");
        assert_eq!(bar(0.000_1, 8), "▏");
    }

    #[test]
    fn causes_come_by_size_and_the_small_ones_together() {
        let blame = BlameMap::from(
            [("put", 0.004), ("throttled", 9.0), ("service", 0.003), ("poll_gap", 0.993)]
                .map(|(cause, seconds)| (cause.to_owned(), seconds)),
        );
        let causes = greatest(&blame);
        let names: Vec<&str> = causes.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["throttled", "poll_gap", "other"]);
        assert!((causes[2].1 - 0.007).abs() < 1e-12);
    }
}
