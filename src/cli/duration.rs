//! Durations on the command line: `250ms`, `30s`, `5m`, `2h`, `1d`.

use std::time::Duration;

/// Reads a whole number with its unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let total = number.parse::<u64>().ok().and_then(|n| n.checked_mul(millis)).filter(|_| millis > 0);
    total
        .map(Duration::from_millis)
        .ok_or_else(|| "write a whole number and its unit, as 250ms, 30s, 5m, 2h or 1d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_needs_its_unit() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7_200)));
        for bad in ["", "5", "s", "1.5s", "-1s", "1 s", "99999999999999999999d", "1w"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
