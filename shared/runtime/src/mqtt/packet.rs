//! Packets as bytes: what a client sends, and what a server says in our words.
//!
//! Pure. Rare packets go through the codec of `rumqttc`; messages and their acknowledgements, of
//! which there are thousands a second, are read and written in place, without allocation.
//! A decoder answers an error for any bytes that are no packet; it never panics.

use bytes::{Buf, BufMut, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::{MqttOptions, Version};

/// A packet from the server other than a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Up(Up),
    /// The server does not speak this version of the protocol.
    OtherVersion,
    Confirmed {
        packet_id: u16,
        refused: Option<String>,
    },
    Subscribed {
        /// Number of the filter and the reason.
        refused: Option<(usize, String)>,
    },
    /// The server ends the connection (MQTT 5) or has refused it.
    Ended(String),
    Other,
}

/// What a server that accepts a connection grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Up {
    pub(super) session_present: bool,
    /// Unacknowledged publishes that the server lets us have under way.
    pub(super) receive_max: u16,
    /// Largest packet that the server takes, bytes.
    pub(super) packet_bytes_max: u32,
    /// Keep-alive that the server prescribes, seconds.
    pub(super) keep_alive_s: Option<u16>,
}

/// First byte, length of the fixed header and of what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) first: u8,
    pub(super) header_len: usize,
    pub(super) body_len: usize,
}

impl Header {
    pub(super) fn is_message(self) -> bool {
        self.first >> 4 == PUBLISH
    }

    pub(super) fn len(self) -> usize {
        self.header_len + self.body_len
    }
}

/// A message within the bytes after its fixed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Published<'a> {
    pub(super) topic: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) packet_id: u16,
    pub(super) dup: bool,
    pub(super) qos: u8,
}

/// The fixed header, once it is there.
pub(super) fn header(bytes: &[u8]) -> Result<Option<Header>, String> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let mut body_len = 0;
    for index in 0..4 {
        let Some(byte) = bytes.get(1 + index) else { return Ok(None) };
        body_len |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some(Header { first, header_len: index + 2, body_len }));
        }
    }
    Err("the server sent a length that is none".into())
}

/// Reads a message from the bytes after the fixed header.
pub(super) fn message(version: Version, first: u8, body: &[u8]) -> Result<Published<'_>, String> {
    let short = || "the server sent a message that is cut short".to_owned();
    let (length, rest) = body.split_first_chunk().ok_or_else(short)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (topic, mut rest) = rest.split_at_checked(length).ok_or_else(short)?;
    let qos = first >> 1 & 3;
    let mut packet_id = 0;
    if qos > 0 {
        let (id, after) = rest.split_first_chunk().ok_or_else(short)?;
        (packet_id, rest) = (u16::from_be_bytes(*id), after);
    }
    if qos > 1 || (qos == 1 && packet_id == 0) {
        return Err(format!("the server sent a message with QoS {qos} and id {packet_id}"));
    }
    if version == Version::V5 {
        let properties = header_like_length(rest).ok_or_else(short)?;
        rest = rest.get(properties..).ok_or_else(short)?;
    }
    Ok(Published { topic, payload: rest, packet_id, dup: first & 8 != 0, qos })
}

/// Length of the properties, their length field included.
fn header_like_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for index in 0..4 {
        let byte = bytes.get(index)?;
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(length + index + 1);
        }
    }
    None
}

/// Takes the next packet, which is no message and complete, out of `bytes`.
pub(super) fn take(
    version: Version,
    header: Header,
    bytes: &mut BytesMut,
) -> Result<Incoming, String> {
    let packet = bytes.split_to(header.len());
    let body = &packet[header.header_len..];
    match (header.first >> 4, version) {
        (CONNACK, _) => connack(version, packet),
        (PUBACK, _) => {
            let (id, rest) =
                body.split_first_chunk().ok_or("the server sent a short acknowledgement")?;
            let reason = rest.first().copied().unwrap_or(0);
            // 16: taken, but nobody has subscribed.
            let refused = (reason != 0 && reason != 16).then(|| puback_reason(reason));
            Ok(Incoming::Confirmed { packet_id: u16::from_be_bytes(*id), refused })
        }
        (SUBACK, Version::V5) => suback_v5(packet),
        (SUBACK, _) => suback_v4(packet),
        (DISCONNECT, _) => {
            let code = body.first().copied().unwrap_or(0);
            Ok(Incoming::Ended(format!("the server ends the connection, reason {code:#04x}")))
        }
        _ => Ok(Incoming::Other),
    }
}

fn connack(version: Version, mut packet: BytesMut) -> Result<Incoming, String> {
    let up = |session_present| Up {
        session_present,
        receive_max: u16::MAX,
        packet_bytes_max: u32::MAX,
        keep_alive_s: None,
    };
    let (flags, code) = match packet[..] {
        [_, _, flags, code, ..] => (flags, code),
        _ => return Err("the server sent a short answer to the connection request".into()),
    };
    // A server of 3.1.1 answers MQTT 5 in its own form: code 1, without properties.
    if code == 1 || code == UNSUPPORTED_VERSION {
        return Ok(Incoming::OtherVersion);
    }
    if version != Version::V5 || packet.len() == 4 {
        let reason = match code {
            0 => return Ok(Incoming::Up(up(flags & 1 != 0))),
            2 => "client id not accepted".to_owned(),
            3 => "server unavailable".to_owned(),
            4 | 5 => return Ok(Incoming::Ended(login_words(&code))),
            code => format!("code {code}"),
        };
        return Ok(Incoming::Ended(format!("connection refused: {reason}")));
    }
    match v5::Packet::read(&mut packet, None) {
        Ok(v5::Packet::ConnAck(ack)) if ack.code == v5::ConnectReturnCode::Success => {
            let properties = ack.properties;
            let of = properties.as_ref();
            Ok(Incoming::Up(Up {
                receive_max: of.and_then(|p| p.receive_max).unwrap_or(u16::MAX),
                packet_bytes_max: of.and_then(|p| p.max_packet_size).unwrap_or(u32::MAX),
                keep_alive_s: of.and_then(|p| p.server_keep_alive),
                ..up(ack.session_present)
            }))
        }
        Ok(v5::Packet::ConnAck(v5::ConnAck {
            code:
                code @ (v5::ConnectReturnCode::BadUserNamePassword
                | v5::ConnectReturnCode::NotAuthorized),
            ..
        })) => Ok(Incoming::Ended(login_words(&code))),
        Ok(v5::Packet::ConnAck(ack)) => {
            let text = ack.properties.and_then(|p| p.reason_string).unwrap_or_default();
            let reason = format!("connection refused: {:?} {text}", ack.code);
            Ok(Incoming::Ended(reason.trim_end().to_owned()))
        }
        Ok(_) => Err("the server did not answer the connection request".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a refused login means, in plain words.
fn login_words(code: &dyn std::fmt::Debug) -> String {
    format!("the server refuses user, password or client id ({code:?})")
}

fn suback_v4(mut packet: BytesMut) -> Result<Incoming, String> {
    let limit = packet.len();
    match v4::Packet::read(&mut packet, limit) {
        Ok(v4::Packet::SubAck(ack)) => {
            let failed = |code: &v4::SubscribeReasonCode| *code == v4::SubscribeReasonCode::Failure;
            let refused = ack.return_codes.iter().position(failed);
            let refused = refused.map(|index| (index, "refused by the server".to_owned()));
            Ok(Incoming::Subscribed { refused })
        }
        Ok(_) => Ok(Incoming::Other),
        Err(error) => Err(error.to_string()),
    }
}

fn suback_v5(mut packet: BytesMut) -> Result<Incoming, String> {
    match v5::Packet::read(&mut packet, None) {
        Ok(v5::Packet::SubAck(ack)) => {
            let mut codes = ack.return_codes.iter().enumerate();
            let refused = codes.find_map(|(index, code)| match code {
                v5::SubscribeReasonCode::Success(_) => None,
                reason => Some((index, format!("{reason:?}"))),
            });
            Ok(Incoming::Subscribed { refused })
        }
        Ok(_) => Ok(Incoming::Other),
        Err(error) => Err(error.to_string()),
    }
}

/// The name that the protocol has for it: what a server's log and manual say.
fn puback_reason(code: u8) -> String {
    match code {
        0x87 => "NotAuthorized".into(),
        0x90 => "TopicNameInvalid".into(),
        0x91 => "PacketIdentifierInUse".into(),
        0x97 => "QuotaExceeded".into(),
        0x99 => "PayloadFormatInvalid".into(),
        _ => format!("reason {code:#04x}"),
    }
}

/// The connection request. `clean` throws the server's session away.
pub(super) fn connect(options: &MqttOptions, version: Version, clean: bool, out: &mut BytesMut) {
    let keep = !clean && options.persistent;
    let keep_alive = u16::try_from(options.keep_alive.as_secs()).unwrap_or(u16::MAX);
    let login = options.user.as_ref();
    let written = if version == Version::V5 {
        let mut properties = v5::ConnectProperties::new();
        properties.session_expiry_interval = keep.then_some(options.session_expiry_s);
        properties.receive_maximum = Some(options.receive_max.max(1));
        properties.max_packet_size = Some(options.packet_bytes_max);
        let request = v5::Connect {
            keep_alive,
            client_id: options.client_id.clone(),
            clean_start: !keep,
            properties: Some(properties),
        };
        let login = login.map(|(user, password)| v5::Login::new(user, password.expose()));
        request.write(&None, &login, out).is_ok()
    } else {
        let mut request = v4::Connect::new(&options.client_id);
        request.keep_alive = keep_alive;
        request.clean_session = !keep;
        request.login = login.map(|(user, password)| v4::Login::new(user, password.expose()));
        request.write(out).is_ok()
    };
    assert!(written, "a connection request is far below the limit of a packet");
}

/// All subscriptions in one request; false when they do not fit a packet.
pub(super) fn subscribe(options: &MqttOptions, version: Version, out: &mut BytesMut) -> bool {
    let filters = options.subscriptions.iter();
    if version == Version::V5 {
        use rumqttc::v5::mqttbytes::QoS;
        let qos = if options.subscribe_qos0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let filters = filters.map(|filter| {
            let mut filter = v5::Filter::new(filter.clone(), qos);
            filter.retain_forward_rule = v5::RetainForwardRule::OnNewSubscribe;
            filter
        });
        let mut request = v5::Subscribe::new_many(filters, None);
        request.pkid = SUBSCRIBE_ID;
        return request.write(out).is_ok();
    }
    let qos =
        if options.subscribe_qos0 { rumqttc::QoS::AtMostOnce } else { rumqttc::QoS::AtLeastOnce };
    let filters = filters.map(|filter| v4::SubscribeFilter::new(filter.clone(), qos));
    let mut request = v4::Subscribe::new_many(filters);
    request.pkid = SUBSCRIBE_ID;
    request.write(out).is_ok()
}

/// Length of a publish packet at QoS 1.
pub(super) fn publish_len(version: Version, topic: &str, payload: &[u8]) -> usize {
    let body = 4 + topic.len() + payload.len() + usize::from(version == Version::V5);
    let digits = match body {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    };
    1 + digits + body
}

/// A message at QoS 1; false when it is longer than any packet can be.
pub(super) fn publish(
    version: Version,
    (topic, payload): (&str, &[u8]),
    retain: bool,
    packet_id: u16,
    out: &mut Vec<u8>,
) -> bool {
    let mut left = 4 + topic.len() + payload.len() + usize::from(version == Version::V5);
    let Ok(topic_len) = u16::try_from(topic.len()) else { return false };
    if left > PACKET_BYTES_MAX {
        return false;
    }
    out.put_u8(PUBLISH << 4 | 2 | u8::from(retain));
    loop {
        let digit = u8::try_from(left & 0x7F).expect("seven bits");
        left >>= 7;
        out.put_u8(if left > 0 { digit | 0x80 } else { digit });
        if left == 0 {
            break;
        }
    }
    out.put_u16(topic_len);
    out.put_slice(topic.as_bytes());
    out.put_u16(packet_id);
    if version == Version::V5 {
        out.put_u8(0);
    }
    out.put_slice(payload);
    true
}

/// The acknowledgement of a message.
pub(super) fn acknowledge(packet_id: u16, out: &mut BytesMut) {
    let [high, low] = packet_id.to_be_bytes();
    out.extend_from_slice(&[PUBACK << 4, 2, high, low]);
}

/// A sign of life.
pub(super) fn ping(out: &mut BytesMut) {
    out.put_slice(&[PINGREQ << 4, 0]);
}

/// Drops a message from the front of `bytes`.
pub(super) fn skip(header: Header, bytes: &mut BytesMut) {
    bytes.advance(header.len());
}

/// Packet ids of publishes begin above the one of the subscription.
pub(super) const SUBSCRIBE_ID: u16 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBACK: u8 = 9;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;
const UNSUPPORTED_VERSION: u8 = 0x84;
/// The largest value of a packet's length field.
const PACKET_BYTES_MAX: usize = 268_435_455;

#[cfg(test)]
mod tests;
