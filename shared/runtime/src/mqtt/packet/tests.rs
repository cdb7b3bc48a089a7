//! What is written is read again, and any bytes are an answer or an error.

use proptest::prelude::*;

use super::*;

fn read(version: Version, bytes: &[u8]) -> Result<(Published<'_>, usize), String> {
    let header = header(bytes)?.ok_or("short")?;
    let body = bytes.get(header.header_len..header.len()).ok_or("short")?;
    Ok((message(version, header.first, body)?, header.len()))
}

#[test]
fn a_server_of_the_other_version_is_recognised() {
    for bytes in [&[0x20, 2, 0, 1][..], &[0x20, 3, 0, 0x84, 0], &[0x20, 2, 0, 0x84]] {
        let mut packet = BytesMut::from(bytes);
        let header = header(bytes).unwrap().unwrap();
        assert_eq!(take(Version::V5, header, &mut packet), Ok(Incoming::OtherVersion));
    }
}

#[test]
fn what_a_server_grants() {
    // Receive Maximum 10, Maximum Packet Size 1000, Server Keep Alive 7.
    let bytes = [0x20, 14, 1, 0, 11, 0x21, 0, 10, 0x27, 0, 0, 3, 0xE8, 0x13, 0, 7];
    let header = header(&bytes).unwrap().unwrap();
    let up = Up {
        session_present: true,
        receive_max: 10,
        packet_bytes_max: 1000,
        keep_alive_s: Some(7),
    };
    let taken = take(Version::V5, header, &mut BytesMut::from(&bytes[..]));
    assert_eq!(taken, Ok(Incoming::Up(up)));
}

#[test]
fn refusals_have_a_reason() {
    let bytes = [0x40, 4, 0, 9, 0x97, 0];
    let header = header(&bytes).unwrap().unwrap();
    let taken = take(Version::V5, header, &mut BytesMut::from(&bytes[..]));
    let refused = Some("QuotaExceeded".to_owned());
    assert_eq!(taken, Ok(Incoming::Confirmed { packet_id: 9, refused }));
}

proptest! {
    #[test]
    fn a_publish_is_read_as_it_was_written(
        topic in "[a-z/]{1,40}",
        payload in proptest::collection::vec(any::<u8>(), 0..40_000),
        packet_id in 1u16..,
        is_v5 in any::<bool>(),
    ) {
        let version = if is_v5 { Version::V5 } else { Version::V4 };
        let mut bytes = Vec::new();
        prop_assert!(publish(version, (&topic, &payload), false, packet_id, &mut bytes));
        prop_assert_eq!(bytes.len(), publish_len(version, &topic, &payload));
        let (read, length) = read(version, &bytes).unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(read.topic, topic.as_bytes());
        prop_assert_eq!(read.payload, &payload[..]);
        prop_assert_eq!((read.packet_id, read.dup, read.qos), (packet_id, false, 1));
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(
        bytes in proptest::collection::vec(any::<u8>(), 0..64),
        is_v5 in any::<bool>(),
    ) {
        let version = if is_v5 { Version::V5 } else { Version::V4 };
        let _ = read(version, &bytes);
        if let Ok(Some(header)) = header(&bytes)
            && header.len() <= bytes.len()
        {
            let _ = take(version, header, &mut BytesMut::from(&bytes[..]));
        }
    }
}
