//! Reads, checks and lowers scenario files, and carries the shipped ones.

mod defaults;
pub mod diagnostics;
pub mod knobs;
pub mod lower;
pub mod nearest;
pub mod rates;
mod read;
pub mod schema;
mod source;
pub mod span;
pub mod tree;
pub mod units;

/// Reads a file without any of the checks.
///
/// # Errors
/// One sentence with the first problem.
pub fn read(text: &str) -> Result<schema::Scenario, String> {
    let scan = span::scan(text).map_err(|error| error.message)?;
    let expanded = source::Expansion::of(&scan, text).apply(text, &[]);
    source::options()
        .from_str(&expanded.text)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_drafts_read_and_lower() {
        for text in [
            include_str!("../hot_key.ron"),
            include_str!("../on_demand_ramp.ron"),
        ] {
            let scenario = read(text).unwrap();
            let profiles = rates::Profiles::new();
            let resolution = lower::resolution(&scenario, &profiles);
            let world = lower::lower(&scenario, &profiles, resolution, scenario.seed);
            println!("{world:#?}");
            let tree = serde_json::to_value(&scenario).unwrap();
            println!("{tree:#}");
            assert_eq!(
                serde_json::from_value::<schema::Scenario>(tree).unwrap(),
                scenario
            );
        }
    }
}
