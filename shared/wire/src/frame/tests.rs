//! Frames from every side: round trips, limits, mutations, noise.

use alloc::vec;

use proptest::prelude::*;

use super::*;

fn header(rows_count: u32, dropped: usize) -> FrameHeader {
    FrameHeader {
        agent: "gw-1".parse().unwrap(),
        incarnation: [7; 16],
        channel: 2,
        seq: u64::MAX,
        plan_fingerprint: 3,
        previous_hash: 4,
        first_event_time: i64::MIN,
        last_event_time: i64::MAX,
        watermark: -5,
        clock: Clock { wall_ms: 6, boot_ms: 7, boot_id: 8, step_ms: -9, trusted: true },
        rows_count,
        dropped_before: vec![DroppedRange { from: 1, to: 2, rows: 3 }; dropped],
    }
}

#[test]
fn a_new_term_changes_neither_hash_nor_content() {
    let mut bytes = encode_frame(1, &header(1, 0), b"payload").unwrap();
    let hash = frame_hash(&bytes).unwrap();
    set_frame_term(&mut bytes, 9).unwrap();
    assert_eq!(frame_hash(&bytes), Ok(hash));
    assert_eq!(frame_term(&bytes), Ok(9));
    let frame = decode_frame(&bytes).unwrap();
    assert_eq!((frame.term, &*frame.payload), (9, &b"payload"[..]));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(set_frame_term(&mut bytes, 10), Err(WireError::Checksum));
}

#[test]
fn a_frame_of_an_earlier_life_goes_out_under_the_present_one() {
    let own = encode_frame(1, &header(1, 2), b"payload").unwrap();
    let mut bytes = own.clone();
    let seq = header(1, 2).seq;
    let present = FrameAddress { term: 9, incarnation: [7; 16], seq, behind: None };
    address_frame(&mut bytes, &present).unwrap();
    assert_eq!((frame_hash(&bytes), frame_term(&bytes)), (frame_hash(&own), Ok(9)));
    let next = FrameAddress { term: 10, incarnation: [8; 16], ..present };
    address_frame(&mut bytes, &next).unwrap();
    let frame = decode_frame(&bytes).unwrap();
    let adopted = FrameHeader { incarnation: [8; 16], previous_hash: 0, ..header(1, 2) };
    assert_eq!((frame.term, frame.header, &*frame.payload), (10, adopted, &b"payload"[..]));
    let behind = DroppedRange { from: 4, to: 9, rows: 0 };
    address_frame(&mut bytes, &FrameAddress { behind: Some(behind), ..next }).unwrap();
    let found = decode_header(&bytes).unwrap().1;
    assert_eq!((found.previous_hash, found.dropped_before.last()), (0, Some(&behind)));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(address_frame(&mut bytes, &next), Err(WireError::Checksum));
}

#[test]
fn a_frame_that_goes_out_under_another_number_takes_its_declarations_along() {
    let declared = DroppedRange { from: 3, to: 4, rows: 7 };
    let header = FrameHeader { dropped_before: vec![declared], seq: 5, ..header(1, 2) };
    let mut bytes = encode_frame(1, &header, b"payload").unwrap();
    let address = FrameAddress { term: 2, incarnation: [8; 16], seq: 105, behind: None };
    address_frame(&mut bytes, &address).unwrap();
    let found = decode_header(&bytes).unwrap().1;
    let moved = DroppedRange { from: 103, to: 104, rows: 7 };
    assert_eq!((found.seq, found.dropped_before), (105, vec![moved]));
}

#[test]
fn limits_are_refused_on_both_sides() {
    let long = vec![0; PAYLOAD_BYTES_MAX + 1];
    assert!(matches!(encode_frame(1, &header(0, 0), &long), Err(WireError::TooLarge { .. })));
    let noise: Vec<u8> = (0..u32::try_from(FRAME_BYTES_MAX).unwrap())
        .flat_map(|i| [xxh3_64(&i.to_le_bytes()).to_le_bytes()[0]])
        .collect();
    assert!(matches!(encode_frame(1, &header(0, 0), &noise), Err(WireError::TooLarge { .. })));
    assert!(matches!(encode_frame(1, &header(0, 65), &[]), Err(WireError::TooLarge { .. })));
    let most = encode_frame(1, &header(0, 64), &long[1..]).unwrap();
    assert!(most.len() < 20_000);
    assert_eq!(decode_frame(&most).unwrap().payload.len(), PAYLOAD_BYTES_MAX);
    assert!(matches!(decode_frame(&noise), Err(WireError::UnknownVersion { .. })));
    assert!(matches!(decode_frame(&long[..FRAME_BYTES_MAX + 1]), Err(WireError::TooLarge { .. })));
}

#[test]
fn a_short_frame_cannot_claim_a_long_payload() {
    let bytes = encode_frame(1, &header(0, 0), &[0; 1000]).unwrap();
    let mut rest = bytes[HEAD_BYTES..].to_vec();
    for claimed in [1_001u32, 999, 0, 4 << 20, u32::MAX] {
        rest[5..9].copy_from_slice(&claimed.to_le_bytes());
        assert!(decode_frame(&envelope::seal(VERSION, &rest)).is_err(), "{claimed}");
    }
    rest[5..9].copy_from_slice(&1000u32.to_le_bytes());
    assert!(decode_frame(&envelope::seal(VERSION, &rest)).is_ok());
    rest[4] = 9;
    let sealed = envelope::seal(VERSION, &rest);
    assert_eq!(decode_frame(&sealed), Err(WireError::UnknownCompression { found: 9 }));
}

proptest! {
    #[test]
    fn round_trip(
        payload in prop::collection::vec(0u8..4, 0..5000),
        rows: u32, term: u32, dropped in 0usize..5,
    ) {
        let header = header(rows, dropped);
        let bytes = encode_frame(term, &header, &payload).unwrap();
        let frame = decode_frame(&bytes).unwrap();
        prop_assert_eq!(frame.payload.as_ref(), &payload[..]);
        prop_assert_eq!((frame.term, &frame.header), (term, &header));
        prop_assert_eq!(decode_header(&bytes), Ok((term, header)));
    }

    #[test]
    fn altered_bytes_are_refused(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        place: prop::sample::Index, bit in 0u8..8,
    ) {
        let mut bytes = encode_frame(1, &header(1, 1), &payload).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(decode_frame(&bytes).is_err());
        prop_assert!(decode_frame(&bytes[..place]).is_err());
    }

    // The checksum would hide everything behind it from a mutation, so it is made right again.
    #[test]
    fn mutations_behind_the_checksum_never_panic(
        payload in prop::collection::vec(0u8..3, 0..300),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let bytes = encode_frame(1, &header(1, 2), &payload).unwrap();
        let mut rest = bytes[HEAD_BYTES..].to_vec();
        for (place, byte) in changes {
            let place = place.index(rest.len());
            rest[place] = byte;
        }
        if let Ok(frame) = decode_frame(&envelope::seal(VERSION, &rest)) {
            prop_assert!(frame.payload.len() <= PAYLOAD_BYTES_MAX);
        }
    }

    #[test]
    fn noise_never_panics(mut noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_frame(&noise);
        let _ = decode_frame(&envelope::seal(VERSION, &noise));
        let _ = frame_hash(&noise);
        let _ = set_frame_term(&mut noise, 1);
    }
}
