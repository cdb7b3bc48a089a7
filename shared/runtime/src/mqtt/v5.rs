//! MQTT 5 by `rumqttc`: its events in our words. Keeps nothing itself.

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, ConnectReturnCode, Filter, Packet, PubAckReason, Publish, RetainForwardRule,
    SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error, QoS};
use rumqttc::v5::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions as Options, StateError,
};

use super::session::{Failure, Wire};
use super::v4::{refused_words, requests_max, transport};
use super::{Message, MqttOptions, tls};

/// A client and its loop for one connection.
pub(super) fn open(options: &MqttOptions, clean: bool) -> (AsyncClient, EventLoop) {
    let mut given = Options::new(&options.client_id, &options.host, options.port);
    let keep = !clean && options.persistent;
    given.set_keep_alive(options.keep_alive);
    given.set_clean_start(!keep);
    given.set_manual_acks(true);
    // Without a limit the client reserves memory for 65,535 publishes.
    given.set_outgoing_inflight_upper_limit(options.publish_window);
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = keep.then_some(options.session_expiry_s);
    properties.receive_maximum = Some(options.receive_max);
    properties.max_packet_size = Some(options.packet_bytes_max);
    given.set_connect_properties(properties);
    if let Some((user, password)) = &options.user {
        given.set_credentials(user, password.expose());
    }
    if let Some(transport) = transport(options) {
        given.set_transport(transport);
    }
    AsyncClient::new(given, requests_max(options))
}

/// Waits for the next event.
pub(super) async fn poll(events: &mut EventLoop, connection: u64) -> Result<Wire, Failure> {
    match events.poll().await {
        Ok(event) => Ok(translate(event, connection)),
        Err(ConnectionError::MqttState(error)) => Err(match error {
            StateError::Deserialization(Error::PayloadSizeLimitExceeded { pkt_size, .. })
            | StateError::IncomingPacketTooLarge { pkt_size, .. } => {
                Failure::TooLarge { bytes: pkt_size }
            }
            // The crate does not name its source.
            StateError::Deserialization(inner) => {
                Failure::Other(tls::words(&inner, &events.options.broker_address().0))
            }
            other => Failure::Other(tls::words(&other, &events.options.broker_address().0)),
        }),
        Err(ConnectionError::ConnectionRefused(
            code @ (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized),
        )) => Err(Failure::Other(refused_words(&code))),
        Err(error) => Err(Failure::Other(tls::words(&error, &events.options.broker_address().0))),
    }
}

/// The next event that was received before the connection failed.
pub(super) fn drain(events: &mut EventLoop, connection: u64) -> Option<Wire> {
    events.state.events.pop_front().map(|event| translate(event, connection))
}

fn translate(event: Event, connection: u64) -> Wire {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => Wire::Up { session_present: ack.session_present },
        Event::Incoming(Packet::Publish(publish)) => Wire::Message(message(publish, connection)),
        Event::Incoming(Packet::PubAck(ack)) => Wire::Confirmed {
            packet_id: ack.pkid,
            refused: match ack.reason {
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
                reason => Some(format!("{reason:?}")),
            },
        },
        Event::Incoming(Packet::SubAck(ack)) => Wire::Subscribed {
            refused: ack.return_codes.iter().enumerate().find_map(|(index, code)| match code {
                SubscribeReasonCode::Success(_) => None,
                reason => Some((index, format!("{reason:?}"))),
            }),
        },
        Event::Incoming(_) => Wire::Heard,
        Event::Outgoing(Outgoing::Publish(packet_id)) => Wire::Sent { packet_id },
        Event::Outgoing(Outgoing::PubAck(packet_id)) => Wire::Acked { packet_id },
        Event::Outgoing(Outgoing::PingReq) => Wire::Ping,
        Event::Outgoing(_) => Wire::Other,
    }
}

fn message(publish: Publish, connection: u64) -> Message {
    Message {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        packet_id: publish.pkid,
        dup: publish.dup,
        qos: publish.qos as u8,
        connection,
    }
}

/// Asks for one acknowledgement.
pub(super) fn ack(client: &AsyncClient, packet_id: u16) {
    let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new(), None);
    publish.pkid = packet_id;
    // The queue is larger than the server's window; when it is full nevertheless, the message
    // comes again with the next connection.
    let _ = client.try_ack(&publish);
}

/// Sends the subscriptions.
pub(super) fn subscribe(client: &AsyncClient, options: &MqttOptions) -> bool {
    let qos = if options.subscribe_qos0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    let filters = options.subscriptions.iter().map(|filter| {
        let mut filter = Filter::new(filter.clone(), qos);
        filter.retain_forward_rule = RetainForwardRule::OnNewSubscribe;
        filter
    });
    client.try_subscribe_many(filters).is_ok()
}
