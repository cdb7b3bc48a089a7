//! What version 1 sent stays readable for ever.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::PathBuf;

use headwater_engine::context::Context;
use headwater_engine::limits::Limits;
use headwater_engine::row::{Change, Row};
use headwater_engine::slot::Slot;
use headwater_engine::types::{DataType, Field, Schema};
use headwater_wire::{
    Ack, BatchDecoder, BatchEncoder, BatchItem, ChannelHead, ChannelSpan, ChannelUpto, Clock,
    Control, ControlBody, DroppedRange, FrameHeader, Hello, Parent, UpMessage, decode_ack,
    decode_control, decode_frame, decode_up, encode_ack, encode_control, encode_frame, encode_up,
    frame_hash,
};

/// The checked-in bytes; written anew when HEADWATER_WRITE_SAMPLES is set.
fn sample(name: &str, now: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name);
    if std::env::var_os("HEADWATER_WRITE_SAMPLES").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    std::fs::read(path).unwrap()
}

fn clock() -> Clock {
    Clock { wall_ms: 1_700_000_000_500, boot_ms: 60_000, boot_id: 8, step_ms: -9, trusted: true }
}

fn schema() -> Schema {
    let types = [
        ("device", DataType::STRING),
        ("window_start", DataType::Timestamp(3)),
        ("count", DataType::BigInt),
        ("sum", DataType::Bytes),
        ("min", DataType::Double),
        ("ratio", DataType::Double),
        ("price", DataType::Decimal { precision: 38, scale: 2 }),
    ];
    Schema::new(types.into_iter().map(|(name, t)| Field::new(name, t)).collect())
}

/// Row `n` of the sample; its texts go to the arena.
fn row(n: u32, context: &mut Context) -> (Vec<Slot>, u64) {
    let device = ["pump-1", "pump-2", "boiler"][n as usize % 3];
    let nulls = if n == 2 { 0b101_0000 } else { 0 };
    let mut slots = vec![
        context.put_text(device).slot,
        Slot::timestamp(1_700_000_000_000 + 10_000 * i64::from(n / 3), 0),
        Slot::i64(10 + i64::from(n)),
        context.put_bytes(&[1, 2, 3, u8::try_from(n).unwrap()]).slot,
        Slot::f64(21.5 + f64::from(n) / 1000.0),
        Slot::f64(1.0 / (f64::from(n) + 3.0)),
        Slot::i128(if n == 1 { -(1 << 90) } else { 1999 }),
    ];
    for (index, slot) in slots.iter_mut().enumerate() {
        if nulls >> index & 1 == 1 {
            *slot = Slot::ZERO;
        }
    }
    (slots, nulls)
}

fn payload() -> Vec<u8> {
    let mut context = Context::new(&Limits::default());
    let mut encoder = BatchEncoder::new(&schema());
    for n in 0..5 {
        let (slots, nulls) = row(n, &mut context);
        let change = Change::from_u8(u8::try_from(n % 4).unwrap()).unwrap();
        encoder.push(Row { slots: &slots, nulls, change }, &context);
        if n == 2 {
            encoder.watermark(1_700_000_010_000);
        }
    }
    encoder.watermark(1_700_000_020_000);
    encoder.finish()
}

fn header() -> FrameHeader {
    FrameHeader {
        agent: "gw-1".parse().unwrap(),
        incarnation: [7; 16],
        channel: 2,
        seq: 300,
        plan_fingerprint: 0x0123_4567_89ab_cdef,
        previous_hash: 4,
        first_event_time: 1_700_000_000_000,
        last_event_time: 1_700_000_019_000,
        watermark: 1_700_000_020_000,
        clock: clock(),
        rows_count: 5,
        dropped_before: vec![DroppedRange { from: 290, to: 299, rows: 1000 }],
    }
}

#[test]
fn a_version_1_frame_is_read() {
    let bytes = sample("frame-v1.bin", &encode_frame(3, &header(), &payload()).unwrap());
    let frame = decode_frame(&bytes).unwrap();
    assert_eq!((frame.term, &frame.header), (3, &header()));
    assert_eq!(frame_hash(&bytes), Ok(0x1a28_ad85_696a_a3cc));
    let mut decoder = BatchDecoder::new(&frame.payload, &schema()).unwrap();
    let mut context = Context::new(&Limits::default());
    let mut slots = vec![Slot::ZERO; 7];
    let mut seen = Vec::new();
    let mut n = 0;
    while let Some(item) = decoder.next(&mut slots, &mut context).unwrap() {
        match item {
            BatchItem::Watermark(watermark) => seen.push((n, watermark)),
            BatchItem::Row { nulls, change } => {
                let (expected, expected_nulls) = row(n, &mut context);
                assert_eq!((nulls, change as u32), (expected_nulls, n % 4));
                for index in [1, 2, 4, 5, 6] {
                    assert_eq!(slots[index], expected[index], "row {n}, column {index}");
                }
                for index in [0, 3] {
                    assert_eq!(context.bytes(slots[index]), context.bytes(expected[index]));
                }
                n += 1;
            }
        }
    }
    assert_eq!((n, seen), (5, vec![(3, 1_700_000_010_000), (5, 1_700_000_020_000)]));
}

#[test]
fn version_1_messages_are_read() {
    let agent = || "gw-1".parse().unwrap();
    let upto = vec![ChannelUpto { channel: 2, upto_seq: 300 }];
    let hello = UpMessage::Hello(Hello {
        agent: agent(),
        incarnation: [7; 16],
        parent: Some(Parent { incarnation: [6; 16], marks: upto.clone() }),
        last_term: 3,
        machine_hash: 9,
        nonce: 10,
        clock: clock(),
        program_version: "0.1.0".into(),
        plan_fingerprint: 11,
        channels: vec![ChannelSpan { channel: 2, oldest_seq: 290, next_seq: 301 }],
    });
    assert_eq!(decode_up(&sample("hello-v1.bin", &encode_up(&hello).unwrap())), Ok(hello));
    let ack = Ack { agent: agent(), incarnation: [7; 16], term: 3, upto: upto.clone() };
    assert_eq!(decode_ack(&sample("ack-v1.bin", &encode_ack(&ack).unwrap())), Ok(ack));
    let body = ControlBody::Grant { term: 4, nonce: 10, marks: upto };
    let grant = Control { agent: agent(), incarnation: [7; 16], body };
    let bytes = sample("grant-v1.bin", &encode_control(&grant).unwrap());
    assert_eq!(decode_control(&bytes), Ok(grant));
    let head = ChannelHead { channel: 2, upto_seq: 300, frame_seq: 298, frame_hash: 12 };
    let body = ControlBody::GrantWithHeads { term: 4, nonce: 10, heads: vec![head] };
    let grant = Control { agent: agent(), incarnation: [7; 16], body };
    let bytes = sample("grant-with-heads-v1.bin", &encode_control(&grant).unwrap());
    assert_eq!(decode_control(&bytes), Ok(grant));
}
