//! Messages: round trips, limits, mutations, noise.

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::limits::{CHANNELS_MAX, TEXT_BYTES_MAX};

fn agent() -> AgentId {
    "gw-1".parse().unwrap()
}

fn hello(channels: usize, version: &str) -> UpMessage {
    let marks = vec![ChannelUpto { channel: 1, upto_seq: 9 }];
    UpMessage::Hello(Hello {
        agent: agent(),
        incarnation: [1; 16],
        parent: Some(Parent { incarnation: [2; 16], marks }),
        last_term: 3,
        machine_hash: 4,
        nonce: 5,
        clock: Clock::default(),
        program_version: version.into(),
        plan_fingerprint: 6,
        channels: vec![ChannelSpan { channel: 1, oldest_seq: 2, next_seq: 9 }; channels],
    })
}

fn controls() -> Vec<ControlBody> {
    let marks = vec![ChannelUpto { channel: 1, upto_seq: 9 }];
    let head = ChannelHead { channel: 1, upto_seq: 9, frame_seq: 7, frame_hash: u64::MAX };
    vec![
        ControlBody::Grant { term: 1, nonce: 2, marks: marks.clone() },
        ControlBody::Nack { term: 1, channel: 2, from: 3, to: 4 },
        ControlBody::Fenced { term: 2 },
        ControlBody::Rewound { marks: marks.clone() },
        ControlBody::Conflict { reason: "two machines".into() },
        ControlBody::Poison { channel: 1, seq: 2, reason: "crc".into() },
        ControlBody::Refill { channel: 1, from: 2 },
        ControlBody::Diverged { term: 3, marks },
        ControlBody::GrantWithHeads { term: 1, nonce: 2, heads: vec![head] },
    ]
}

#[test]
fn round_trips() {
    for channels in [0, 1, CHANNELS_MAX] {
        let message = hello(channels, "1.0");
        assert_eq!(decode_up(&encode_up(&message).unwrap()), Ok(message));
    }
    let beat = UpMessage::Heartbeat(Heartbeat {
        agent: agent(),
        incarnation: [1; 16],
        term: 2,
        clock: Clock::default(),
        plan_fingerprint: 3,
        backlog_frames: 4,
        backlog_bytes: 5,
        channels: vec![ChannelBeat { channel: 1, after_seq: 2, watermark: -3, idle: true }],
    });
    assert_eq!(decode_up(&encode_up(&beat).unwrap()), Ok(beat));
    for body in controls() {
        let control = Control { agent: agent(), incarnation: [1; 16], body };
        assert_eq!(decode_control(&encode_control(&control).unwrap()), Ok(control));
    }
}

#[test]
fn limits_are_refused_on_both_sides() {
    assert!(encode_up(&hello(CHANNELS_MAX + 1, "1.0")).is_err());
    assert!(encode_up(&hello(1, &"x".repeat(TEXT_BYTES_MAX + 1))).is_err());
    let mut bytes = encode_up(&hello(1, "1.0")).unwrap();
    bytes.push(0);
    assert_eq!(decode_up(&bytes), Err(WireError::Checksum));
    let longer = envelope::seal(VERSION, &bytes[envelope::HEAD_BYTES..]);
    assert_eq!(decode_up(&longer), Err(WireError::malformed("message")));
}

proptest! {
    #[test]
    fn mutations_never_panic(
        which in 0usize..10, place: prop::sample::Index, byte: u8, cut: prop::sample::Index,
    ) {
        let bytes = match controls().into_iter().nth(which) {
            Some(body) => {
                encode_control(&Control { agent: agent(), incarnation: [1; 16], body }).unwrap()
            }
            None => encode_up(&hello(2, "1.0")).unwrap(),
        };
        let mut rest = bytes[envelope::HEAD_BYTES..].to_vec();
        let place = place.index(rest.len());
        rest[place] = byte;
        rest.truncate(cut.index(rest.len()) + 1);
        let bytes = envelope::seal(VERSION, &rest);
        let _ = (decode_up(&bytes), decode_ack(&bytes), decode_control(&bytes));
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = envelope::seal(VERSION, &noise);
        let _ = (decode_up(&bytes), decode_ack(&bytes), decode_control(&bytes));
        let _ = (decode_up(&noise), decode_ack(&noise), decode_control(&noise));
    }
}
