//! The scenarios that come with the program, and a template for new ones.

use crate::nearest;

/// A shipped scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// The stem of its file: `hot_key`.
    pub name: &'static str,
    /// The whole file.
    pub text: &'static str,
}

/// All shipped scenarios, by name.
pub const SHIPPED: &[Shipped] = &[
    Shipped { name: "hot_key", text: include_str!("../hot_key.ron") },
    Shipped { name: "on_demand_ramp", text: include_str!("../on_demand_ramp.ron") },
    Shipped { name: "rebalance_storm", text: include_str!("../rebalance_storm.ron") },
    Shipped { name: "zk_quorum_loss", text: include_str!("../zk_quorum_loss.ron") },
];

/// A commented scenario to start from.
pub const TEMPLATE: &str = include_str!("../templates/new.ron");

/// The shipped scenario of that name.
///
/// # Errors
/// A help line: the nearest name, or all of them.
pub fn find(name: &str) -> Result<&'static Shipped, String> {
    let found = SHIPPED.iter().find(|it| it.name == name);
    found.ok_or_else(|| nearest::help(name, SHIPPED.iter().map(|it| it.name)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;

    #[test]
    fn every_shipped_file_and_the_template_check_clean_without_warnings() {
        let template = Shipped { name: "template", text: TEMPLATE };
        for shipped in SHIPPED.iter().chain([&template]) {
            let file = format!("{}.ron", shipped.name);
            let loaded = load(&file, shipped.text, &[], &|_| Err("none".into()));
            let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
            assert!(loaded.warnings.list.is_empty(), "{}", loaded.warnings);
            assert_eq!(loaded.name, shipped.name);
        }
    }

    #[test]
    fn every_file_beside_the_crate_is_shipped() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "ron") {
                names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
            }
        }
        names.sort();
        let shipped: Vec<_> = SHIPPED.iter().map(|it| it.name).collect();
        assert_eq!(names, shipped);
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        assert_eq!(find("hot_key").map(|it| it.name), Ok("hot_key"));
        assert_eq!(find("hotkey").unwrap_err(), "did you mean `hot_key`?");
    }
}
