//! Against a server made of a few bytes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::super::{MqttClient, MqttEvent, MqttOptions};
use crate::source::Wake;

/// A server sends what it kept for a session right behind its answer, often in the same segment.
#[test]
fn many_messages_may_come_with_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 256];
        assert!(stream.read(&mut request).unwrap() > 0);
        let mut sent = vec![0x20, 2, 1, 0];
        for _ in 0..COUNT {
            // QoS 0, 1,003 bytes: topic "a" and a payload of 1,000.
            sent.extend_from_slice(&[0x30, 0xeb, 0x07, 0, 1, b'a']);
            sent.extend_from_slice(&[b'x'; 1000]);
        }
        stream.write_all(&sent).unwrap();
        stream
    });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = MqttOptions::new("reader", "127.0.0.1", port);
    let mut client = MqttClient::connect(options, Wake::new(), runtime.handle());
    let (start, mut count) = (Instant::now(), 0);
    while count < COUNT {
        assert!(start.elapsed() < Duration::from_secs(20), "{count} messages came");
        match client.poll() {
            Some(MqttEvent::Message(message)) => {
                assert_eq!(message.payload.len(), 1000);
                count += 1;
            }
            Some(MqttEvent::Disconnected { error, .. }) => panic!("{error}"),
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    drop(server.join().unwrap());
}

const COUNT: usize = 60;
