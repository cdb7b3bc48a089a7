//! Texts of values that formats share: writing into a byte buffer, whole numbers, Base64.

use std::fmt;

/// Lets the engine's writers write into bytes.
pub(super) struct Utf8<'a>(pub(super) &'a mut Vec<u8>);

impl fmt::Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends a whole number.
pub(super) fn write_i64(value: i64, out: &mut Vec<u8>) {
    let mut buffer = [0; 20];
    let mut start = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        start -= 1;
        buffer[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&buffer[start..]);
}

/// Java's `trim`: everything up to the blank goes.
pub(super) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// Java's `Boolean.parseBoolean` after `trim`.
pub(super) fn java_bool(text: &str) -> bool {
    java_trim(text).eq_ignore_ascii_case("true")
}

/// Appends bytes in Base64 with padding.
pub(super) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = (word >> (18 - 6 * i)) & 63;
            out.push(if i <= group.len() { BASE64[digit as usize] } else { b'=' });
        }
    }
}

/// Reads Base64, with or without padding, in pieces of at most three bytes.
pub(super) fn read_base64(text: &str, mut take: impl FnMut(&[u8]) -> bool) -> Option<()> {
    let text = text.trim_end_matches('=').as_bytes();
    for group in text.chunks(4) {
        let mut word = 0_u32;
        for byte in group {
            let digit = BASE64.iter().position(|other| other == byte)?;
            word = word << 6 | u32::try_from(digit).ok()?;
        }
        word <<= 6 * (4 - group.len());
        let [_, bytes @ ..] = word.to_be_bytes();
        let count = match group.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        take(&bytes[..count]).then_some(())?;
    }
    Some(())
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_there_and_back() {
        for (bytes, text) in [(&b""[..], ""), (b"M", "TQ=="), (b"Ma", "TWE="), (b"Man", "TWFu")] {
            let mut out = Vec::new();
            write_base64(bytes, &mut out);
            assert_eq!(out, text.as_bytes());
            let mut back = Vec::new();
            let put = |piece: &[u8]| {
                back.extend_from_slice(piece);
                true
            };
            assert_eq!(read_base64(text, put), Some(()));
            assert_eq!(back, bytes);
        }
        assert_eq!(read_base64("T", |_| true), None);
        assert_eq!(read_base64("T$==", |_| true), None);
    }

    #[test]
    fn whole_numbers() {
        let mut out = Vec::new();
        for value in [0, -1, 42, i64::MIN, i64::MAX] {
            out.clear();
            write_i64(value, &mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}
