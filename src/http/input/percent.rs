//! Percent-decoding that refuses what it does not understand, and encoding.

use std::{collections::HashMap, fmt::Write as _};

/// Decodes `%XX`, and `+` as a space where `plus_is_space` (queries). The result must be UTF-8.
pub(super) fn decode(text: &str, plus_is_space: bool) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        out.push(match byte {
            b'%' => {
                let pair = bytes.get(at..at + 2).and_then(|pair| Some(hex(pair[0])? << 4 | hex(pair[1])?));
                at += 2;
                pair.ok_or("has a % that is not followed by two hexadecimal digits; write % as %25")?
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(out).map_err(|_| "is not UTF-8; percent-encode the UTF-8 bytes".into())
}

/// The fields of a form, or of a query that is read like one; what cannot be read is not there.
pub fn fields(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(name, value)| Some((decode(name, true).ok()?, decode(value, true).ok()?))).collect()
}

/// Text as the value of a query's parameter.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            true => out.push(char::from(byte)),
            false => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_is_read_as_it_was() {
        let text = "/admin/x?y=1&z=ü + \"%";
        assert_eq!(fields(&format!("next={}", encode(text)))["next"], text);
        assert_eq!(fields("a=1&b&c=%zz&d=").len(), 2);
    }

    #[test]
    fn decodes_what_is_well_formed_and_refuses_the_rest() {
        assert_eq!(decode("a%20b%2Fc+%c3%bc", false).unwrap(), "a b/c+ü");
        assert_eq!(decode("a+b%2B", true).unwrap(), "a b+");
        for bad in ["%", "%2", "%zz", "%ff%fe", "%C3"] {
            assert!(decode(bad, false).is_err(), "{bad}");
        }
    }
}
