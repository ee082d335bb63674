//! The reference vectors of Kafka's own classes, and what holds of every group.

use super::*;

mod laws;
mod vectors;

/// Reads "t1 0,2 t2 1" as partitions 0 and 2 of the first topic and 1 of the second; "0-2" is a
/// range and "-" is nothing.
fn list(text: &str) -> Vec<TopicPartition> {
    let mut found = Vec::new();
    let mut topic = 0;
    for word in text.split_whitespace().filter(|&word| word != "-") {
        if let Some(name) = word.strip_prefix('t') {
            topic = name.parse::<u16>().unwrap() - 1;
            continue;
        }
        for numbers in word.split(',') {
            let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let numbers = first.parse::<u32>().unwrap()..=last.parse().unwrap();
            found.extend(numbers.map(|partition| TopicPartition { topic, partition }));
        }
    }
    found
}

/// A dynamic member: its id, its topics as "t1 t2" and what it owns.
fn member(id: &str, topics: &str, owned: &str) -> Member {
    let topic = |word: &str| word[1..].parse::<u16>().unwrap() - 1;
    Member {
        id: id.to_owned(),
        instance: None,
        topics: topics.split_whitespace().map(topic).collect(),
        owned: list(owned),
        generation: 4,
    }
}
