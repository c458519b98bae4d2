//! Percent-decoding that refuses what it does not understand.

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

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_is_well_formed_and_refuses_the_rest() {
        assert_eq!(decode("a%20b%2Fc+%c3%bc", false).unwrap(), "a b/c+ü");
        assert_eq!(decode("a+b%2B", true).unwrap(), "a b+");
        for bad in ["%", "%2", "%zz", "%ff%fe", "%C3"] {
            assert!(decode(bad, false).is_err(), "{bad}");
        }
    }
}
