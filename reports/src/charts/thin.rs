//! Thinning of a series to what a chart can show: per column of pixels the first, least, greatest
//! and last value. No spike is ever lost, which averaging or sampling would do.

use crate::series::Xy;

/// The points to draw, in order; a subset of `points`, whose times must not decrease.
pub(super) fn thin(points: &[Xy], seconds: f64, columns: f64) -> Vec<Xy> {
    let column = |point: &Xy| (point.0 / seconds * columns).floor();
    let mut kept = Vec::new();
    // Equality on purpose: both are whole numbers.
    for group in points.chunk_by(|a, b| column(a).total_cmp(&column(b)).is_eq()) {
        let mut keep = [0, extreme(group, f64::lt), extreme(group, f64::gt), group.len() - 1];
        keep.sort_unstable();
        for (index, at) in keep.iter().enumerate() {
            if index == 0 || keep[index - 1] != *at {
                kept.push(group[*at]);
            }
        }
    }
    kept
}

/// Index of the first point whose value beats all others.
fn extreme(points: &[Xy], beats: fn(&f64, &f64) -> bool) -> usize {
    let mut best = 0;
    for (index, point) in points.iter().enumerate() {
        if beats(&point.1, &points[best].1) {
            best = index;
        }
    }
    best
}

/// Per column of pixels the greatest value, where it is: the upper edge of [`envelope`].
pub(super) fn crest(points: &[Xy], seconds: f64, columns: f64) -> Vec<Xy> {
    let column = |point: &Xy| (point.0 / seconds * columns).floor();
    points
        .chunk_by(|a, b| column(a).total_cmp(&column(b)).is_eq())
        .map(|group| group[extreme(group, f64::gt)])
        .collect()
}

/// Per column of pixels the range from the least `min` to the greatest `max`: (time, low, high).
pub(super) fn envelope(
    points: &[(f64, f64, f64)],
    seconds: f64,
    columns: f64,
) -> Vec<(f64, f64, f64)> {
    let column = |point: &(f64, f64, f64)| (point.0 / seconds * columns).floor();
    points
        .chunk_by(|a, b| column(a).total_cmp(&column(b)).is_eq())
        .map(|group| {
            let low = group.iter().map(|it| it.1).fold(f64::INFINITY, f64::min);
            let high = group.iter().map(|it| it.2).fold(f64::NEG_INFINITY, f64::max);
            (group[group.len() - 1].0, low, high)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the series, the extremes of the whole and of each column are drawn, nothing
        /// is made up, and there are at most four points to a column.
        #[test]
        fn thinning_keeps_every_extreme(
            values in prop::collection::vec(-1e6..1e6f64, 1..3_000),
            columns in 1..400u32,
        ) {
            let most = 4 * usize::try_from(columns).unwrap();
            let columns = f64::from(columns);
            let points: Vec<Xy> =
                (0u32..).zip(&values).map(|(at, value)| (f64::from(at), *value)).collect();
            let seconds = f64::from(u32::try_from(points.len()).unwrap());
            let kept = thin(&points, seconds, columns);

            prop_assert!(kept.iter().all(|it| points.contains(it)));
            prop_assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(kept.len() <= most);
            let column = |it: &Xy| (it.0 / seconds * columns).floor();
            for point in &points {
                let same = || kept.iter().filter(|it| column(it).total_cmp(&column(point)).is_eq());
                prop_assert!(same().any(|it| it.1 <= point.1));
                prop_assert!(same().any(|it| it.1 >= point.1));
            }
            prop_assert_eq!(kept.first(), points.first());
            prop_assert_eq!(kept.last(), points.last());
        }
    }

    proptest! {
        /// The crest tells the greatest value of every column, and is the upper edge of the shade.
        #[test]
        fn a_crest_keeps_the_greatest_of_each_column(
            values in prop::collection::vec(-1e6..1e6f64, 1..500),
            columns in 1..100u32,
        ) {
            let points: Vec<Xy> =
                (0u32..).zip(&values).map(|(at, value)| (f64::from(at), *value)).collect();
            let spans: Vec<_> = points.iter().map(|it| (it.0, it.1 - 1.0, it.1)).collect();
            let seconds = f64::from(u32::try_from(points.len()).unwrap());
            let columns = f64::from(columns);
            let crest = crest(&points, seconds, columns);
            let shade = envelope(&spans, seconds, columns);

            let column = |at: f64| (at / seconds * columns).floor();
            prop_assert_eq!(crest.len(), shade.len());
            for (top, span) in crest.iter().zip(&shade) {
                prop_assert!(column(top.0).total_cmp(&column(span.0)).is_eq());
                let of = points.iter().filter(|it| column(it.0).total_cmp(&column(top.0)).is_eq());
                let greatest = of.map(|it| it.1).fold(f64::NEG_INFINITY, f64::max);
                prop_assert!(top.1.total_cmp(&greatest).is_eq());
                prop_assert!(span.2.total_cmp(&greatest).is_eq());
            }
        }
    }

    #[test]
    fn an_envelope_spans_what_the_steps_of_a_column_span() {
        let points = [(0.0, 1.0, 2.0), (0.4, 0.5, 1.5), (1.2, 3.0, 9.0)];
        let spans = envelope(&points, 2.0, 2.0);
        assert_eq!(spans, [(0.4, 0.5, 2.0), (1.2, 3.0, 9.0)]);
    }

    #[test]
    fn nothing_thins_to_nothing() {
        assert!(thin(&[], 10.0, 100.0).is_empty());
        assert!(envelope(&[], 10.0, 100.0).is_empty());
    }
}
