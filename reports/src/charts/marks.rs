//! Faults and operator actions above the panels: which there are, what they are called, and in
//! which row of labels each finds room.

use plotters::style::RGBColor;
use sim_core::result::{Mark, MarkKind, RunResult};

use super::canvas::Type;
use super::palette::{self, FAULT_INK, INK};

/// Height of a row of labels.
pub(super) const ROW: f64 = 17.0;
/// Labels beyond this many rows are counted, not shown.
const MAX_ROWS: usize = 10;
/// Room between a mark's line and its label.
pub(super) const LABEL_GAP: f64 = 5.0;
/// Length of the sample of a run's line before an action's label.
pub(super) const SAMPLE: f64 = 16.0;

/// A fault or an action of one or more runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub kind: MarkKind,
    /// Seconds.
    pub from: f64,
    /// Seconds; none for what happens at once.
    pub until: Option<f64>,
    /// Empty if an earlier item speaks for this one.
    pub label: String,
    /// Whose it is, if it is of one run among several.
    pub run: Option<usize>,
    /// Row and left edge of the label; none if there was no room.
    pub place: Option<(usize, f64)>,
}

impl Item {
    /// The colour of its label.
    pub(super) fn ink(&self) -> RGBColor {
        match (self.kind, self.run) {
            (MarkKind::Fault, _) => FAULT_INK,
            (MarkKind::Action, Some(run)) => palette::look(run).ink,
            (MarkKind::Action, None) => INK,
        }
    }

    /// The look of its label.
    pub(super) fn text(&self) -> Type {
        Type::new(11.5, self.ink()).halo()
    }

    /// Whether a sample of its run's line stands before the label.
    pub(super) fn has_sample(&self) -> bool {
        self.kind == MarkKind::Action && self.run.is_some()
    }

    fn width(&self) -> f64 {
        let sample = if self.has_sample() { SAMPLE + 4.0 } else { 0.0 };
        LABEL_GAP + sample + self.text().measure(&self.label) + 8.0
    }
}

/// Faults, then actions, each once however many runs have it, in order of time.
pub(crate) fn collect(runs: &[RunResult]) -> Vec<Item> {
    let mut found: Vec<(&Mark, Vec<usize>)> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        for mark in &run.marks {
            let same = |it: &&mut (&Mark, Vec<usize>)| {
                it.0.kind == mark.kind
                    && (it.0.from, it.0.until) == (mark.from, mark.until)
                    && it.0.label == mark.label
            };
            match found.iter_mut().find(same) {
                Some((_, of)) if of.last() == Some(&index) => {}
                Some((_, of)) => of.push(index),
                None => found.push((mark, vec![index])),
            }
        }
    }
    found.sort_by_key(|(mark, of)| (mark.kind == MarkKind::Action, mark.from, of[0]));
    let mut items = Vec::new();
    for (mark, of) in found {
        if of.len() == runs.len() || mark.kind == MarkKind::Fault {
            let whose = whose(&of, runs);
            items.push(item(mark, format!("{}{whose}", mark.label), None));
        } else {
            let each = of.iter().map(|run| item(mark, mark.label.clone(), Some(*run)));
            items.extend(each);
        }
    }
    name_repeats_once(&mut items);
    items
}

fn item(mark: &Mark, label: String, run: Option<usize>) -> Item {
    Item {
        kind: mark.kind,
        from: mark.from.as_secs_f64(),
        until: mark.until.map(|it| it.as_secs_f64()),
        label,
        run,
        place: None,
    }
}

/// What to add to the label of a fault that not every run has.
fn whose(of: &[usize], runs: &[RunResult]) -> String {
    match of {
        _ if of.len() == runs.len() => String::new(),
        [one] => format!(" (only {})", runs[*one].name),
        _ if !of.contains(&0) => format!(" (in {} mitigations)", of.len()),
        _ => format!(" (in {} of {} runs)", of.len(), runs.len()),
    }
}

/// A pod that restarts forty times is labelled once, with the number.
fn name_repeats_once(items: &mut [Item]) {
    for first in 0..items.len() {
        let label = items[first].label.clone();
        if label.is_empty() {
            continue;
        }
        let (kind, run) = (items[first].kind, items[first].run);
        let mut times = 1;
        for later in &mut items[first + 1..] {
            if (later.kind, later.run) == (kind, run) && later.label == label {
                later.label.clear();
                times += 1;
            }
        }
        if times > 1 {
            items[first].label = format!("{label} ×{times}");
        }
    }
}

/// Finds a row for each label between `left` and `right`; `x` gives the place of a second.
/// Returns how many rows there are, and how many labels found none.
pub(super) fn pack(
    items: &mut [Item],
    left: f64,
    right: f64,
    x: impl Fn(f64) -> f64,
) -> (usize, usize) {
    let mut rows: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut dropped = 0;
    for item in items.iter_mut().filter(|item| !item.label.is_empty()) {
        let text_width = right - left - LABEL_GAP * 2.0 - SAMPLE - 12.0;
        item.label = item.text().fit(&item.label, text_width);
        let width = item.width();
        // Beside its line: on the right, or on the left where the right has no room.
        let line = x(item.from);
        let start = if line + width <= right { line } else { line - width };
        let start = start.min(right - width).max(left);
        let span = (start, start + width);
        let free = |row: &Vec<(f64, f64)>| row.iter().all(|it| span.1 <= it.0 || it.1 <= span.0);
        let row = rows.iter().position(free).unwrap_or(rows.len());
        if row == MAX_ROWS {
            dropped += 1;
            continue;
        }
        if row == rows.len() {
            rows.push(Vec::new());
        }
        rows[row].push(span);
        item.place = Some((row, start));
    }
    (rows.len(), dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::engine::SimTime;

    fn mark(kind: MarkKind, label: &str, from_s: u64, until_s: Option<u64>) -> Mark {
        let at = |seconds: u64| SimTime(seconds * 1_000_000_000);
        Mark { kind, label: label.to_owned(), from: at(from_s), until: until_s.map(at) }
    }

    fn run(name: &str, marks: Vec<Mark>) -> RunResult {
        RunResult { name: name.to_owned(), marks, ..RunResult::default() }
    }

    #[test]
    fn a_fault_of_all_runs_is_shown_once_and_an_action_for_its_run() {
        let fault = || mark(MarkKind::Fault, "hot key", 300, Some(1_200));
        let split = || mark(MarkKind::Action, "split", 480, None);
        let runs = [
            run("baseline", vec![fault()]),
            run("a", vec![fault(), split()]),
            run("b", vec![fault(), split()]),
        ];
        let items = collect(&runs);
        let shown: Vec<_> = items.iter().map(|it| (it.label.as_str(), it.run)).collect();
        assert_eq!(shown, [("hot key", None), ("split", Some(1)), ("split", Some(2))]);
    }

    #[test]
    fn a_fault_that_some_runs_lack_says_so() {
        let runs = [
            run("baseline", vec![mark(MarkKind::Fault, "az cut", 60, Some(90))]),
            run("two zones", vec![]),
        ];
        assert_eq!(collect(&runs)[0].label, "az cut (only baseline)");
    }

    #[test]
    fn repeats_are_counted_and_all_but_the_first_go_unlabelled() {
        let marks = (0..3).map(|at| mark(MarkKind::Fault, "restart", at * 10, Some(at * 10 + 5)));
        let items = collect(&[run("baseline", marks.collect())]);
        let labels: Vec<_> = items.iter().map(|it| it.label.as_str()).collect();
        assert_eq!(labels, ["restart ×3", "", ""]);
    }

    #[test]
    fn labels_at_one_moment_stack_and_stay_inside() {
        let split = |name| run(name, vec![mark(MarkKind::Action, "split the shard", 990, None)]);
        let mut items = collect(&[run("baseline", vec![]), split("a"), split("b")]);
        let (rows, dropped) = pack(&mut items, 0.0, 1_000.0, |second| second);
        assert_eq!((rows, dropped), (2, 0));
        for item in &items {
            let (_, start) = item.place.unwrap();
            assert!(start + item.width() <= 1_000.0);
        }
    }

    #[test]
    fn a_label_with_too_little_room_on_both_sides_stays_inside() {
        let label = "a label that is longer than either side of its moment";
        let fault = mark(MarkKind::Fault, label, 150, None);
        let mut items = collect(&[run("baseline", vec![fault])]);
        pack(&mut items, 0.0, 320.0, |second| second);
        let (_, start) = items[0].place.unwrap();
        assert!(0.0 <= start && start + items[0].width() <= 320.0, "{start}");
    }

    #[test]
    fn labels_beyond_the_last_row_are_counted() {
        let runs: Vec<RunResult> = (0..14)
            .map(|index| {
                let marks = vec![mark(MarkKind::Action, "do it", 10, None)];
                run(&format!("run {index}"), if index == 0 { vec![] } else { marks })
            })
            .collect();
        let mut items = collect(&runs);
        assert_eq!(pack(&mut items, 0.0, 100.0, |second| second), (10, 3));
    }
}
