//! Random text, and the comparison of secrets.

use aws_lc_rs::{constant_time, rand};

/// 32 letters and digits that are not mistaken for each other, so that each is worth five bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Text of `length` random letters and digits, five bits each.
#[expect(clippy::expect_used, reason = "a system without random numbers is one on which nothing can be made secret")]
pub fn text(length: usize) -> String {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Whether two secrets are the same, in a time that tells nothing about where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits as bytes, if it is as many as wanted.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_no_letter_twice_and_text_differs() {
        let mut letters = ALPHABET.to_vec();
        letters.sort_unstable();
        letters.dedup();
        assert_eq!(letters.len(), 32);
        assert_ne!(text(32), text(32));
        assert_eq!(text(7).len(), 7);
    }

    #[test]
    fn bytes_survive_hexadecimal() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
        assert_eq!(unhex("000aFF"), Some([0, 10, 255]));
        for bad in ["", "00", "00000g", "0000ff00", "+00aff", "é0000"] {
            assert_eq!(unhex::<3>(bad), None, "{bad}");
        }
    }
}
