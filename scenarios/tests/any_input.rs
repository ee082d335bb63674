//! No input makes the loader panic: any bytes, and any damage to a good file. What it accepts can
//! be lowered, recorded and changed.

use proptest::prelude::*;
use scenarios::{load_bytes, schema::Scenario};

const GOOD: [&str; 4] = [
    include_str!("hot_key.ron"),
    include_str!("orders.ron"),
    include_str!("../on_demand_ramp.ron"),
    include_str!("../templates/new.ron"),
];

/// Pieces that mean something to the language, or nearly so.
const PIECES: [&str; 34] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "//",
    "/*",
    "*/",
    "r#\"",
    "'",
    "\\",
    "#![",
    "None",
    "Some(",
    "OnDemand",
    "Kpl",
    "NaN",
    "-1",
    "0",
    "1e999",
    "99999999999999999999",
    "\"0s\"",
    "\"10000h\"",
    "\"1000000000/s\"",
    "\"0/s\"",
    "\"100%\"",
    "é",
    "\u{1F600}",
    "\0",
    "Csv(\"x\")",
];

/// Loads, and does with what is accepted all that a run does before it starts.
fn load_and_use(bytes: &[u8]) {
    let read_file = |_: &str| Ok("0,1\n60,2\n".to_owned());
    match load_bytes("any.ron", bytes, &[], &read_file) {
        Ok(loaded) => {
            for variant in &loaded.variants {
                let world = loaded.lower(variant, 1);
                assert_eq!(world.producers.len(), variant.scenario.producers.len());
                assert!(world.producers.iter().all(|it| !it.rate.knots.is_empty()));
            }
            let manifest = loaded.manifest();
            let again: Scenario = serde_json::from_value(manifest["scenario"].clone())
                .expect("a recorded scenario reads back");
            assert_eq!(again.systems.len(), loaded.scenario.systems.len());
            let _ = loaded.warnings.render(true);
        }
        Err(problems) => {
            assert!(problems.has_errors());
            assert!(!problems.to_string().is_empty());
            for problem in &problems.list {
                let place = problems.line_and_column(problem);
                assert!(place.is_some() || problem.span.is_none() || !problem.path.is_empty());
            }
            let _ = problems.to_json();
        }
    }
}

/// The character boundary at or before a place.
fn boundary(text: &str, place: usize) -> usize {
    (0..=place.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        load_and_use(&bytes);
    }

    #[test]
    fn no_row_of_pieces_panics(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        load_and_use(format!("Scenario({})", pieces.concat()).as_bytes());
        load_and_use(pieces.concat().as_bytes());
    }

    #[test]
    fn no_cut_of_a_good_file_panics(file in 0..GOOD.len(), place in any::<prop::sample::Index>()) {
        let text = GOOD[file];
        load_and_use(&text.as_bytes()[..place.index(text.len())]);
    }

    #[test]
    fn no_damage_to_a_good_file_panics(
        file in 0..GOOD.len(),
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(&PIECES[..])), 1..6),
    ) {
        let mut text = GOOD[file].to_owned();
        for (place, cut, piece) in edits {
            let start = boundary(&text, place.index(text.len() + 1));
            let end = boundary(&text, start + cut).max(start);
            text.replace_range(start..end, piece);
        }
        load_and_use(text.as_bytes());
    }

    #[test]
    fn no_value_of_a_token_panics(
        file in 0..GOOD.len(),
        place in any::<prop::sample::Index>(),
        piece in prop::sample::select(&PIECES[..]),
    ) {
        let text = GOOD[file];
        let starts: Vec<_> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
        let start = starts[place.index(starts.len())];
        let length = text[start..].find([',', ')', '\n']).unwrap_or(0);
        load_and_use(format!("{}{piece}{}", &text[..start], &text[start + length..]).as_bytes());
    }

    #[test]
    fn no_path_or_value_from_the_command_line_panics(path in ".{0,40}", value in ".{0,40}") {
        let sets = [(path, value)];
        let _ = scenarios::load("good.ron", GOOD[0], &sets, &|_| Err("none".to_owned()));
    }
}
