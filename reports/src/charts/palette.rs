//! Colours and dashes of the runs, and of all else in a chart.
//!
//! Hues are those of Okabe and Ito, told apart by people with any common colour blindness; yellow
//! is darkened to be seen on white. Seven hues and six dash patterns have no common divisor, so
//! 42 mitigations pass before a pair repeats.

use plotters::style::RGBColor;

/// Titles and what must be read.
pub(super) const INK: RGBColor = RGBColor(30, 34, 42);
/// Axis labels and captions.
pub(super) const DIM: RGBColor = RGBColor(91, 99, 113);
/// Axis lines.
pub(super) const AXIS: RGBColor = RGBColor(140, 147, 160);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(230, 233, 238);
/// Shading and bars of faults.
pub(super) const FAULT: RGBColor = RGBColor(200, 60, 50);
/// Labels of faults.
pub(super) const FAULT_INK: RGBColor = RGBColor(150, 35, 30);
/// The paper.
pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);

const BASELINE: RGBColor = RGBColor(70, 76, 88);

const HUES: [RGBColor; 7] = [
    RGBColor(0, 114, 178),   // blue
    RGBColor(213, 94, 0),    // vermilion
    RGBColor(0, 158, 115),   // bluish green
    RGBColor(204, 121, 167), // reddish purple
    RGBColor(86, 180, 233),  // sky blue
    RGBColor(230, 159, 0),   // orange
    RGBColor(140, 120, 10),  // yellow, darkened
];

/// In tenths of a pixel.
const DASHES: [&[u16]; 6] = [&[], &[80, 40], &[20, 30], &[120, 30, 20, 30], &[45, 25], &[180, 50]];

/// How the curves of one run look.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// Of the curve.
    pub color: RGBColor,
    /// Of text in the run's name: the same hue, dark enough to read.
    pub ink: RGBColor,
    /// Of the curve, in pixels.
    pub width: f64,
    /// Empty for a solid line.
    pub dash: &'static [u16],
}

/// The look of the run at that place; the baseline comes first. It is thick and under all
/// others, so that a curve on top of it leaves both to be seen.
pub(super) fn look(index: usize) -> Look {
    let Some(mitigation) = index.checked_sub(1) else {
        return Look { color: BASELINE, ink: INK, width: 3.6, dash: &[] };
    };
    let color = HUES[mitigation % HUES.len()];
    Look { color, ink: darkened(color), width: 1.8, dash: DASHES[mitigation % DASHES.len()] }
}

/// The look of a curve that others are compared with.
pub(super) fn reference() -> Look {
    Look { color: AXIS, ink: DIM, width: 1.4, dash: &[15, 25] }
}

/// The look of spells in which a group rebalances.
pub(super) fn spell() -> Look {
    Look { color: INK, ink: INK, width: 5.0, dash: &[] }
}

fn darkened(color: RGBColor) -> RGBColor {
    let darker = |part: u8| part / 3 * 2;
    RGBColor(darker(color.0), darker(color.1), darker(color.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_of_forty_three_runs_look_alike() {
        let mut looks: Vec<_> = (0..43)
            .map(|run| {
                let look = look(run);
                (look.color.0, look.color.1, look.color.2, look.dash)
            })
            .collect();
        looks.sort_unstable();
        looks.dedup();
        assert_eq!(looks.len(), 43);
    }
}
