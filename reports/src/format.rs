//! Numbers as people read them: `12,345`, `31.2 %`, `6m 52s`, `$1,095`.

use sim_core::metrics::catalogue::Unit;
use sim_core::result::Value;

/// What a value reads like where it never happened.
pub const NEVER: &str = "never";

/// A metric's value with its unit.
#[must_use]
pub fn value(value: Value, unit: Unit) -> String {
    match value {
        Value::Count(count) if unit == Unit::Count => grouped(count),
        Value::Never => NEVER.to_owned(),
        Value::Count(_) | Value::Number(_) => number(value.as_f64(), unit),
    }
}

/// A number in a metric's unit.
#[must_use]
pub fn number(number: f64, unit: Unit) -> String {
    if !number.is_finite() {
        return NEVER.to_owned();
    }
    match unit {
        Unit::Count => plain(number),
        Unit::Ratio => percent(number),
        Unit::Seconds => duration(number),
        Unit::PartitionSeconds => partition_seconds(number),
        Unit::Millis => duration(number / 1e3),
        Unit::Bytes => bytes(number),
        Unit::Usd => usd(number),
    }
}

/// An integer with its thousands apart: `12,345`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share: `31.2 %`. What is not nothing never reads as nothing.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent == 0.0 {
        "0 %".to_owned()
    } else if percent.abs() < 0.01 {
        "<0.01 %".to_owned()
    } else if percent.abs() < 1.0 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A length of time: `320 ms`, `42.1 s`, `6m 52s`, `2h 05m`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NEVER.to_owned();
    }
    let size = seconds.abs();
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 0.000_05 {
        "<0.1 ms".to_owned()
    } else if size < 0.009_95 {
        format!("{:.1} ms", seconds * 1e3)
    } else if size < 0.999_5 {
        format!("{:.0} ms", seconds * 1e3)
    } else if size < 119.95 {
        format!("{seconds:.1} s")
    } else {
        let sign = if seconds < 0.0 { "-" } else { "" };
        let whole = to_u64(size.round());
        if whole < 7_200 {
            format!("{sign}{}m {:02}s", whole / 60, whole % 60)
        } else {
            format!("{sign}{}h {:02}m", whole / 3_600, whole % 3_600 / 60)
        }
    }
}

/// Seconds summed over partitions: `1,988 partition-s`. Never in minutes: `33m 08s` would read as a
/// time that somebody waited.
#[must_use]
pub fn partition_seconds(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NEVER.to_owned();
    }
    let number = match seconds {
        0.0 => "0".to_owned(),
        _ if seconds < 0.1 => "<0.1".to_owned(),
        _ if seconds < 99.95 => format!("{seconds:.1}"),
        _ if seconds < 99_999.5 => grouped(to_u64(seconds.round())),
        _ => compact(seconds),
    };
    format!("{number} partition-s")
}

/// Bytes in powers of ten: `1.23 GB`.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, " ", &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// A count in three digits: `412`, `41.2k`, `3.11M`.
#[must_use]
pub fn compact(count: f64) -> String {
    scaled(count, "", &["", "k", "M", "G", "T", "P"])
}

/// A count to a thousandth of its prefix: `412`, `41.235k`, `3.112M`.
#[must_use]
pub fn compact_finely(count: f64) -> String {
    let (size, unit) = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|(size, _)| count >= *size)
        .unwrap_or((1.0, ""));
    if size > 1.0 { format!("{:.3}{unit}", count / size) } else { format!("{count:.0}") }
}

/// US dollars: `$1,095`, `$12.40`.
#[must_use]
pub fn usd(dollars: f64) -> String {
    if dollars == 0.0 {
        "$0".to_owned()
    } else if dollars.abs() < 99.995 {
        format!("${dollars:.2}")
    } else {
        format!("${}", grouped(to_u64(dollars.round())))
    }
}

/// A moment of a run that lasts `whole` seconds: `m:ss`, or `h:mm` beyond two hours.
#[must_use]
pub fn clock(seconds: f64, whole: f64) -> String {
    let total = to_u64(seconds.max(0.0).round());
    if is_long(whole) {
        format!("{}:{:02}", total / 3_600, total % 3_600 / 60)
    } else {
        format!("{}:{:02}", total / 60, total % 60)
    }
}

/// A moment to the second: `m:ss`, or `h:mm:ss` in a run of more than two hours.
#[must_use]
pub fn moment(seconds: f64, whole: f64) -> String {
    let total = to_u64(seconds.max(0.0).round());
    let (minutes, rest) = (total / 60, total % 60);
    if is_long(whole) {
        format!("{}:{:02}:{rest:02}", minutes / 60, minutes % 60)
    } else {
        format!("{minutes}:{rest:02}")
    }
}

/// Whether moments of a run that lasts so many seconds are told as `h:mm`.
#[must_use]
pub fn is_long(whole: f64) -> bool {
    whole > 7_200.0
}

/// The number as a whole, not negative; zero for what is none.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what a display wants"
)]
pub fn to_u64(number: f64) -> u64 {
    number as u64
}

fn plain(number: f64) -> String {
    if number.fract() == 0.0 && (0.0..1e15).contains(&number) {
        grouped(to_u64(number))
    } else {
        format!("{number:.2}")
    }
}

/// Three digits and a prefix; whole below a thousand.
fn scaled(number: f64, gap: &str, units: &[&str]) -> String {
    let mut size = number.abs();
    let mut index = 0;
    // At 999.5 three digits would read 1000.
    while size >= 999.5 && index + 1 < units.len() {
        size /= 1e3;
        index += 1;
    }
    let sign = if number < 0.0 { "-" } else { "" };
    let unit = units.get(index).copied().unwrap_or_default();
    let digits = if index == 0 && size.fract() == 0.0 || size >= 99.95 {
        format!("{size:.0}")
    } else if size >= 9.995 {
        format!("{size:.1}")
    } else {
        format!("{size:.2}")
    };
    format!("{sign}{digits}{gap}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(12_345), "12,345");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(percent(0.312), "31.2 %");
        assert_eq!(bytes(1_234_567_890.0), "1.23 GB");
        assert_eq!(usd(1_095.0), "$1,095");
        assert_eq!(usd(12.4), "$12.40");
        assert_eq!(compact(412.0), "412");
        assert_eq!(compact(3_112_345.0), "3.11M");
    }

    #[test]
    fn lengths_of_time_change_unit_where_people_do() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.0042, "4.2 ms"),
            (0.32, "320 ms"),
            (0.9996, "1.0 s"),
            (42.12, "42.1 s"),
            (119.96, "2m 00s"),
            (412.4, "6m 52s"),
            (7_500.0, "2h 05m"),
            (f64::INFINITY, "never"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn seconds_of_partitions_never_read_as_a_time() {
        for (seconds, text) in [
            (0.0, "0 partition-s"),
            (0.04, "<0.1 partition-s"),
            (61.9, "61.9 partition-s"),
            (1_988.2, "1,988 partition-s"),
            (123_456.0, "123k partition-s"),
            (f64::INFINITY, "never"),
        ] {
            assert_eq!(number(seconds, Unit::PartitionSeconds), text, "{seconds}");
        }
    }

    #[test]
    fn rounding_never_gives_a_fourth_digit_or_hides_a_little() {
        assert_eq!(compact(999.6), "1.00k");
        assert_eq!(compact(9_995.0), "10.0k");
        assert_eq!(compact(99_960.0), "100k");
        assert_eq!(percent(0.000_001), "<0.01 %");
        assert_eq!(percent(0.0), "0 %");
    }

    #[test]
    fn a_clock_has_minutes_or_hours() {
        assert_eq!(clock(779.0, 1_800.0), "12:59");
        assert_eq!(clock(5_400.0, 86_400.0), "1:30");
        assert_eq!(moment(5_401.2, 86_400.0), "1:30:01");
        assert_eq!(moment(779.0, 1_800.0), "12:59");
    }
}
