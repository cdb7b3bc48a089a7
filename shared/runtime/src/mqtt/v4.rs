//! MQTT 3.1.1 by `rumqttc`: its events in our words. Keeps nothing itself.

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming,
    MqttOptions as Options, Outgoing, Packet, PubAck, Publish, QoS, StateError, SubscribeFilter,
    SubscribeReasonCode, TlsConfiguration, Transport,
};

use super::session::{Failure, Wire};
use super::{Message, MqttOptions, tls};

/// A client and its loop for one connection.
pub(super) fn open(options: &MqttOptions, clean: bool) -> (AsyncClient, EventLoop) {
    let mut given = Options::new(&options.client_id, &options.host, options.port);
    given.set_keep_alive(options.keep_alive);
    given.set_clean_session(clean || !options.persistent);
    given.set_manual_acks(true);
    given.set_inflight(options.publish_window);
    given.set_max_packet_size(options.packet_bytes_max as usize, OUTGOING_BYTES_MAX);
    if let Some((user, password)) = &options.user {
        given.set_credentials(user, password.expose());
    }
    if let Some(transport) = transport(options) {
        given.set_transport(transport);
    }
    AsyncClient::new(given, requests_max(options))
}

/// How many requests may wait in the client: more than can ever be wanted at once, because
/// acknowledging must never block.
pub(super) fn requests_max(options: &MqttOptions) -> usize {
    usize::from(u16::MAX) + usize::from(options.publish_window) + options.subscriptions.len() + 16
}

/// TLS as the options ask for it.
pub(super) fn transport(options: &MqttOptions) -> Option<Transport> {
    let config = options.tls.clone()?;
    Some(Transport::tls_with_config(TlsConfiguration::Rustls(config)))
}

/// Waits for the next event.
pub(super) async fn poll(events: &mut EventLoop, connection: u64) -> Result<Wire, Failure> {
    match events.poll().await {
        Ok(event) => Ok(translate(event, connection)),
        Err(ConnectionError::MqttState(StateError::Deserialization(
            rumqttc::mqttbytes::Error::PayloadSizeLimitExceeded(bytes),
        ))) => Err(Failure::TooLarge { bytes }),
        Err(ConnectionError::ConnectionRefused(
            code @ (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized),
        )) => Err(Failure::Other(refused_words(&code))),
        Err(error) => {
            Err(Failure::Other(tls::words(&error, &events.mqtt_options.broker_address().0)))
        }
    }
}

/// What a refused login means, in plain words.
pub(super) fn refused_words(code: &dyn std::fmt::Debug) -> String {
    format!("the server refuses user, password or client id ({code:?})")
}

/// The next event that was received before the connection failed.
pub(super) fn drain(events: &mut EventLoop, connection: u64) -> Option<Wire> {
    events.state.events.pop_front().map(|event| translate(event, connection))
}

fn translate(event: Event, connection: u64) -> Wire {
    match event {
        Event::Incoming(Packet::ConnAck(ack)) => Wire::Up { session_present: ack.session_present },
        Event::Incoming(Packet::Publish(publish)) => Wire::Message(message(publish, connection)),
        Event::Incoming(Packet::PubAck(ack)) => {
            Wire::Confirmed { packet_id: ack.pkid, refused: None }
        }
        Event::Incoming(Packet::SubAck(ack)) => Wire::Subscribed {
            refused: ack
                .return_codes
                .iter()
                .position(|code| *code == SubscribeReasonCode::Failure)
                .map(|index| (index, "refused by the server".into())),
        },
        Event::Incoming(Incoming::Disconnect) => Wire::Other,
        Event::Incoming(_) => Wire::Heard,
        Event::Outgoing(Outgoing::Publish(packet_id)) => Wire::Sent { packet_id },
        Event::Outgoing(Outgoing::PubAck(packet_id)) => Wire::Acked { packet_id },
        Event::Outgoing(Outgoing::PingReq) => Wire::Ping,
        Event::Outgoing(_) => Wire::Other,
    }
}

fn message(publish: Publish, connection: u64) -> Message {
    Message {
        topic: publish.topic,
        payload: publish.payload,
        packet_id: publish.pkid,
        dup: publish.dup,
        qos: publish.qos as u8,
        connection,
    }
}

/// Asks for one acknowledgement; whether the client took the request.
pub(super) fn ack(client: &AsyncClient, packet_id: u16) -> bool {
    let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
    publish.pkid = packet_id;
    client.try_ack(&publish).is_ok()
}

/// Writes acknowledgements at once, past the request queue, with one flush for all of them
/// (a request each costs a system call each).
pub(super) async fn write_acks(events: &mut EventLoop, ids: &[u16]) -> Result<(), Failure> {
    let Some(network) = events.network.as_mut() else { return Ok(()) };
    for packet_id in ids {
        let packet = Packet::PubAck(PubAck::new(*packet_id));
        network.write(packet).await.map_err(|error| Failure::Other(error.to_string()))?;
    }
    network.flush().await.map_err(|error| Failure::Other(error.to_string()))
}

/// Sends the subscriptions.
pub(super) fn subscribe(client: &AsyncClient, options: &MqttOptions) -> bool {
    let qos = if options.subscribe_qos0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    let filters =
        options.subscriptions.iter().map(|filter| SubscribeFilter::new(filter.clone(), qos));
    client.try_subscribe_many(filters).is_ok()
}

/// The protocol's own limit: what may be published is limited by whoever publishes.
const OUTGOING_BYTES_MAX: usize = 256 << 20;
