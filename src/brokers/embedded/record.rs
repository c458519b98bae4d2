//! A record in a file: length and checksum (u32 each, little-endian), then the bytes.

/// Bytes that a record takes beyond its content.
pub const HEADER: usize = 8;

/// Appends the record that holds what `write` writes.
pub fn append(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    write(out);
    let content = &out[start + HEADER..];
    let (length, checksum) = (content.len() as u32, crc32fast::hash(content));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEADER].copy_from_slice(&checksum.to_le_bytes());
}

/// The content of the first record of `bytes`, and what comes after it; `None` where it is cut off or damaged.
pub fn next(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    let (content, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    // An empty record is what a file that was extended but not written looks like.
    let whole = !content.is_empty() && crc32fast::hash(content) == u32::from_le_bytes(*checksum);
    whole.then_some((content, rest))
}

/// Visits the records of a file; returns how many of its bytes they take. What comes after was cut off by a crash.
pub fn read_all<E>(bytes: &[u8], mut visit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<usize, E> {
    let mut left = bytes;
    while let Some((content, rest)) = next(left) {
        visit(content)?;
        left = rest;
    }
    Ok(bytes.len() - left.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_until_the_first_that_is_cut_off_or_damaged() {
        let mut bytes = Vec::new();
        append(&mut bytes, |out| out.extend(b"one"));
        let second = bytes.len();
        append(&mut bytes, |out| out.extend(b"two"));
        let read = |bytes: &[u8]| {
            let mut seen = Vec::new();
            let whole = read_all(bytes, |content| {
                seen.push(content.to_vec());
                Ok::<_, ()>(())
            });
            (whole.unwrap(), seen.len())
        };
        assert_eq!(read(&bytes), (bytes.len(), 2));
        for cut in second..bytes.len() {
            assert_eq!(read(&bytes[..cut]), (second, 1));
            let mut damaged = bytes.clone();
            damaged[cut] ^= 1;
            assert_eq!(read(&damaged), (second, 1), "a flipped bit at {cut}");
        }
        bytes.resize(bytes.len() + 100, 0);
        assert_eq!(read(&bytes), (second * 2, 2), "zeros that follow are no record");
    }
}
