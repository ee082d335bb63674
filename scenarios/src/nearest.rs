//! "Did you mean": the name nearest to one that is not there.

/// The candidate that a person most likely meant, if one is near enough.
///
/// Case, `_`, `-` and `.` do not count; beyond that a third of the letters may differ, and one.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain_word = plain(word);
    let near = candidates.into_iter().filter_map(|candidate| {
        let plain_candidate = plain(candidate);
        let distance = strsim::damerau_levenshtein(&plain_word, &plain_candidate);
        let allowed = 1 + plain_candidate.chars().count() / 3;
        (distance <= allowed && distance < plain_candidate.chars().count())
            .then_some((distance, candidate))
    });
    near.min().map(|(_, candidate)| candidate)
}

/// A help line for a name that is not there: the nearest, or all if they are few.
#[must_use]
pub fn help<'a>(word: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    const FEW: usize = 12;
    if let Some(name) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let all: Vec<_> = candidates.take(FEW + 1).collect();
    match all.len() {
        0 => None,
        1..=FEW => Some(format!("there is: `{}`", all.join("`, `"))),
        _ => Some(format!("there are, among others: `{}`", all.join("`, `"))),
    }
}

/// Longest word that is compared, in letters: comparing takes the product of both lengths.
const LONGEST: usize = 40;

fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| !"_-.".contains(*c))
        .flat_map(char::to_lowercase)
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_another_word_is_not() {
        let names = ["service_time", "workers", "version"];
        assert_eq!(nearest("servce_time", names), Some("service_time"));
        assert_eq!(nearest("serviceTime", names), Some("service_time"));
        assert_eq!(nearest("wrokers", names), Some("workers"));
        assert_eq!(nearest("retention", names), None);
        assert_eq!(nearest("x", ["a", "b"]), None);
    }

    #[test]
    fn without_a_near_name_the_few_that_exist_are_listed() {
        let help = help("clicks", ["orders", "users"].into_iter());
        assert_eq!(help.as_deref(), Some("there is: `orders`, `users`"));
    }
}
