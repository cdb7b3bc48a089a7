//! Encoding of stored values: version, checksum, content; and how long blobs are cut into rows.
//!
//! Guarantees: a value that was altered after it was written is reported, never used; decoding
//! any bytes returns an error instead of panicking. Does not know what the content means.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version byte of every stored value.
pub(crate) const VALUE_VERSION: u8 = 1;

/// `[version u8][crc32 of the content u32 LE][content]`.
pub(crate) fn seal(content: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + content.len());
    value.push(VALUE_VERSION);
    value.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    value.extend_from_slice(content);
    value
}

/// The content of a sealed value.
pub(crate) fn unseal(value: &[u8]) -> Result<&[u8], String> {
    let (&version, rest) = value.split_first().ok_or("empty value")?;
    if version != VALUE_VERSION {
        return Err(format!("value of unknown version {version}"));
    }
    let (crc, content) = rest.split_first_chunk::<4>().ok_or("value cut short")?;
    if u32::from_le_bytes(*crc) != crc32fast::hash(content) {
        return Err("value fails its checksum".into());
    }
    Ok(content)
}

/// Seals a record as postcard.
pub(crate) fn seal_record<T: Serialize>(record: &T) -> Vec<u8> {
    seal(&postcard::to_allocvec(record).expect("records have a known length"))
}

/// Reads a sealed postcard record; left-over bytes are an error.
pub(crate) fn unseal_record<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    let (record, rest) =
        postcard::take_from_bytes(unseal(value)?).map_err(|e| format!("unreadable record: {e}"))?;
    if rest.is_empty() { Ok(record) } else { Err("left-over bytes after a record".into()) }
}

/// Cuts a blob so that each piece fills one page of the database.
///
/// A row that does not share its page occupies the next power of two of 4 KiB, and all of it is
/// written; cutting 40 KB into 32 + 4 + 4 instead of one row of 64 KiB saves a third.
pub(crate) fn pieces(mut blob: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        if blob.is_empty() {
            return None;
        }
        let mut page = PAGE_BYTES_MAX;
        while page > PAGE_BYTES_MIN && page - PAGE_OVERHEAD_BYTES > blob.len() {
            page /= 2;
        }
        let (piece, rest) = blob.split_at(blob.len().min(page - PAGE_OVERHEAD_BYTES));
        blob = rest;
        Some(piece)
    })
}

/// The first bytes of a blob: `tag` is the caller's, then the length of what follows.
pub(crate) fn blob_head(tag: u64, content_bytes: usize) -> [u8; BLOB_HEAD_BYTES] {
    let len = u32::try_from(content_bytes).expect("blobs are bounded far below 4 GiB");
    let mut head = [0; BLOB_HEAD_BYTES];
    head[..8].copy_from_slice(&tag.to_le_bytes());
    head[8..].copy_from_slice(&len.to_le_bytes());
    head
}

/// Tag, content length and the content that is in this first piece.
pub(crate) fn split_head(first: &[u8]) -> Result<(u64, usize, &[u8]), String> {
    let (tag, rest) = first.split_first_chunk::<8>().ok_or("blob cut short")?;
    let (len, content) = rest.split_first_chunk::<4>().ok_or("blob cut short")?;
    Ok((u64::from_le_bytes(*tag), u32::from_le_bytes(*len) as usize, content))
}

const HEADER_BYTES: usize = 5;
pub(crate) const BLOB_HEAD_BYTES: usize = 12;
const PAGE_BYTES_MIN: usize = 4096;
const PAGE_BYTES_MAX: usize = 64 * 1024;
/// Room for the database's own page header, the key and the value's header.
const PAGE_OVERHEAD_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_value_is_refused() {
        let good = seal(b"content");
        assert_eq!(unseal(&good), Ok(&b"content"[..]));
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x10;
            assert!(unseal(&bad).is_err(), "byte {index}");
        }
        for len in 0..good.len() {
            assert!(unseal(&good[..len]).is_err(), "length {len}");
        }
    }

    #[test]
    fn pieces_fill_pages_and_lose_nothing() {
        for len in [0, 1, 4032, 4033, 20_000, 40_000, 65_472, 65_473, 300_000] {
            let blob: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
            assert_eq!(pieces(&blob).flatten().copied().collect::<Vec<u8>>(), blob);
            let pages: usize = pieces(&blob)
                .map(|p| (p.len() + PAGE_OVERHEAD_BYTES).next_power_of_two().max(4096))
                .sum();
            assert!(pages <= len + len / 32 + 2 * 4096, "{len}: {pages}");
        }
    }
}
