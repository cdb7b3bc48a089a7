//! The MQTT source and sink against a real Mosquitto on loopback; skipped where it is not
//! installed. Every server is a child process of its test and ends with it.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headwater_runtime::config::Secret;
use headwater_runtime::mqtt::{MqttClient, MqttEvent, MqttOptions, TlsFiles, Version};
use headwater_runtime::sink::{Chunk, Delivery, Sink};
use headwater_runtime::source::{Position, Source, SourceEvent, Wake};
use headwater_runtime::{sink, source};
use tokio::runtime::Runtime;

struct Server {
    child: Child,
    directory: PathBuf,
    port: u16,
}

impl Server {
    fn start(name: &str) -> Option<Self> {
        Self::start_with(name, |_| Some(String::new()))
    }

    /// With further lines of configuration, which may need files in the server's folder.
    fn start_with(
        name: &str,
        extra: impl FnOnce(&std::path::Path) -> Option<String>,
    ) -> Option<Self> {
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"];
        let Some(program) = program.iter().find(|path| std::path::Path::new(path).exists()) else {
            eprintln!("skipped: mosquitto is not installed");
            return None;
        };
        let directory = std::env::temp_dir().join(format!("hw-mqtt-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = directory.join("mosquitto.conf");
        let extra = extra(&directory)?;
        let text = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n\
             max_queued_messages 100000\nmax_inflight_messages 100\n{extra}"
        );
        std::fs::write(&file, text).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, directory, port };
        wait("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(server)
    }

    fn options(&self, client_id: &str, version: Version) -> MqttOptions {
        MqttOptions { version, ..MqttOptions::new(client_id, "127.0.0.1", self.port) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn open(
    server: &Server,
    version: Version,
    position: &Position,
    runtime: &Runtime,
) -> source::mqtt::Mqtt {
    let mut options = server.options("reader", version);
    options.subscriptions = vec!["in/+".into()];
    let wake = Wake::new();
    source::mqtt::Mqtt::open(options, 1000, position, wake, runtime.handle()).unwrap()
}

/// As a checkpoint does: parts that have changed take the place of the old ones.
fn store(source: &mut source::mqtt::Mqtt, position: &mut Position) {
    source.position(&mut |name, value| {
        position.insert(name, value);
    });
}

/// Everything that comes until `count` records were consumed; other events in words. Records
/// that were handed out but not wanted yet stay in `left`.
fn take(source: &mut source::mqtt::Mqtt, left: &mut Left, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut records = 0;
    wait("all records came", || {
        while records < count {
            if let Some((text, after)) = left.pop_front() {
                seen.push(text);
                source.consumed(0, after);
                records += 1;
                continue;
            }
            match source.poll() {
                Some(SourceEvent::Batch(batch)) => {
                    for (index, record) in batch.records.iter().enumerate() {
                        let text = String::from_utf8_lossy(batch.record(index)).into_owned();
                        left.push_back((text, record.after));
                    }
                }
                Some(SourceEvent::Rejected { split, after, bytes_len, .. }) => {
                    seen.push(format!("!{bytes_len}"));
                    source.consumed(split, after);
                }
                Some(SourceEvent::Gap { .. }) => seen.push("gap".into()),
                Some(_) => {}
                None => return false,
            }
        }
        true
    });
    seen
}

type Left = std::collections::VecDeque<(String, u64)>;

/// Waits until the source is connected, so that the server has its subscription.
fn until_subscribed(source: &mut source::mqtt::Mqtt) {
    wait("the source is connected", || {
        matches!(source.poll(), Some(SourceEvent::Connected { up: true, .. }))
    });
    std::thread::sleep(Duration::from_millis(200));
}

fn publish(server: &Server, runtime: &Runtime, payloads: &[Vec<u8>]) {
    let mut options = server.options("writer", Version::V4);
    options.persistent = false;
    let mut client = MqttClient::connect(options, Wake::new(), runtime.handle());
    let (mut sent, mut confirmed) = (0, 0);
    wait("everything is published", || {
        while let Some(event) = client.poll() {
            confirmed += usize::from(matches!(event, MqttEvent::Confirmed { .. }));
        }
        while sent < payloads.len()
            && client.publish("in/a", &payloads[sent], false, sent as u64, 32).is_ok()
        {
            sent += 1;
        }
        confirmed == payloads.len()
    });
}

fn numbers(range: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    range.map(|n| n.to_string().into_bytes()).collect()
}

fn texts(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

fn a_crash_between_commit_and_acknowledgement(version: Version, name: &str) {
    let Some(server) = Server::start(name) else { return };
    let runtime = runtime();
    let mut source = open(&server, version, &Position::new(), &runtime);
    until_subscribed(&mut source);
    publish(&server, &runtime, &numbers(0..300));
    // A 3.1.1 client gets no more than the server's window before it acknowledges.
    assert_eq!(take(&mut source, &mut Left::new(), 60), texts(0..60));
    let mut position = Position::new();
    store(&mut source, &mut position);
    // Killed here: committed, nothing acknowledged.
    drop(source);
    let mut source = open(&server, version, &position, &runtime);
    let mut left = Left::new();
    assert_eq!(take(&mut source, &mut left, 40), texts(60..100), "{name}");
    for next in [100..180, 180..300] {
        store(&mut source, &mut position);
        source.committed();
        let seen = take(&mut source, &mut left, next.len());
        assert_eq!(seen, texts(next), "{name}");
    }
    store(&mut source, &mut position);
    source.committed();
    std::thread::sleep(Duration::from_millis(300));
    drop(source);
    publish(&server, &runtime, &numbers(300..310));
    let mut source = open(&server, version, &position, &runtime);
    let seen = take(&mut source, &mut Left::new(), 10);
    assert_eq!(seen, texts(300..310), "acknowledged ones do not come again: {name}");
}

#[test]
fn nothing_counts_twice_with_3_1_1() {
    a_crash_between_commit_and_acknowledgement(Version::V4, "v4");
}

#[test]
fn nothing_counts_twice_with_5() {
    a_crash_between_commit_and_acknowledgement(Version::V5, "v5");
}

/// Where a server waits after few messages, a journal entry stands for the checkpoint.
#[test]
fn a_crash_between_journal_and_acknowledgement() {
    let Some(server) = Server::start("journal") else { return };
    let runtime = runtime();
    let mut position = Position::new();
    let mut source = open(&server, Version::V4, &position, &runtime);
    until_subscribed(&mut source);
    publish(&server, &runtime, &numbers(0..400));
    let first = take_all(&mut source);
    assert!(!source.journal(&mut Vec::new()), "the first commit is a checkpoint");
    store(&mut source, &mut position);
    source.committed();
    let second = take_all(&mut source);
    let mut entry = Vec::new();
    assert!(source.journal(&mut entry), "{} {}", first.len(), second.len());
    // Killed here: the second part is in the journal alone, and nobody has acknowledged it.
    drop(source);
    let mut source = open(&server, Version::V4, &position, &runtime);
    source.replay(&entry).unwrap();
    assert_eq!(take_all(&mut source), second, "once: what came again was recognised");
    assert_eq!(source.redelivered(), second.len() as u64);
    assert!(!source.journal(&mut Vec::new()), "a checkpoint has to take over the journal first");
    let mut seen = [first, second].concat();
    while seen.len() < 400 {
        store(&mut source, &mut position);
        source.committed();
        seen.extend(take_all(&mut source));
    }
    assert_eq!(seen, texts(0..400));
}

/// Everything that comes until the server waits.
fn take_all(source: &mut source::mqtt::Mqtt) -> Vec<String> {
    let (mut seen, mut last) = (Vec::new(), Instant::now());
    while last.elapsed() < Duration::from_millis(500) {
        let Some(SourceEvent::Batch(batch)) = source.poll() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        last = Instant::now();
        for (index, record) in batch.records.iter().enumerate() {
            seen.push(String::from_utf8_lossy(batch.record(index)).into_owned());
            source.consumed(0, record.after);
        }
    }
    seen
}

/// A certificate authority, and certificates for the server and for a client; `None` where
/// there is no `openssl`.
fn certificates(directory: &std::path::Path) -> Option<String> {
    let script = "set -e; openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem \
         -days 2 -subj /CN=test-ca 2>&1; for n in server client; do \
         openssl req -newkey rsa:2048 -nodes -keyout $n.key -out $n.csr -subj /CN=$n 2>&1; \
         printf 'subjectAltName=IP:127.0.0.1,DNS:localhost' > $n.ext; \
         openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile $n.ext -out $n.pem 2>&1; done";
    let made = Command::new("sh").arg("-c").arg(script).current_dir(directory).output().ok()?;
    if !made.status.success() {
        eprintln!("skipped: openssl: {}", String::from_utf8_lossy(&made.stdout));
        return None;
    }
    let at = |name: &str| directory.join(name).display().to_string();
    Some(format!(
        "cafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\n",
        at("ca.pem"),
        at("server.pem"),
        at("server.key")
    ))
}

#[test]
fn tls_with_client_certificates() {
    let Some(server) = Server::start_with("tls", certificates) else { return };
    let runtime = runtime();
    let read = |name: &str| std::fs::read(server.directory.join(name)).unwrap();
    let key = String::from_utf8(read("client.key")).unwrap();
    for version in [Version::V4, Version::V5] {
        let mut options = server.options("secure", version);
        let client = Some((read("client.pem"), Secret::new(key.as_str())));
        let files = TlsFiles { ca: Some(read("ca.pem")), client };
        options.tls = Some(files.client_config().unwrap());
        options.subscriptions = vec!["in/+".into()];
        let mut client = MqttClient::connect(options, Wake::new(), runtime.handle());
        wait("it is subscribed", || matches!(client.poll(), Some(MqttEvent::Subscribed)));
        // Larger than any record of TLS.
        let payload = vec![b'x'; 200_000];
        client.publish("in/a", &payload, false, 1, 8).unwrap();
        let mut seen = 0;
        wait("it comes back", || {
            if let Some(MqttEvent::Message(message)) = client.poll() {
                assert_eq!(message.payload, payload);
                client.ack(message.connection, message.packet_id, 1);
                seen += 1;
            }
            seen == 1
        });
        let mut options = server.options("stranger", version);
        let files = TlsFiles { ca: Some(read("ca.pem")), client: None };
        options.tls = Some(files.client_config().unwrap());
        let mut client = MqttClient::connect(options, Wake::new(), runtime.handle());
        wait("it is refused", || matches!(client.poll(), Some(MqttEvent::Disconnected { .. })));
    }
}

#[test]
fn large_messages_are_rejected_or_a_gap_and_the_rest_arrives() {
    for (version, name) in [(Version::V4, "large4"), (Version::V5, "large5")] {
        let Some(server) = Server::start(name) else { return };
        let runtime = runtime();
        let mut source = open(&server, version, &Position::new(), &runtime);
        until_subscribed(&mut source);
        publish(&server, &runtime, &[b"a".to_vec(), vec![b'x'; 5000], b"b".to_vec()]);
        assert_eq!(take(&mut source, &mut Left::new(), 2), ["a", "!5000", "b"], "{name}");
        publish(&server, &runtime, &[vec![b'x'; 10 << 20]]);
        let mut seen = Vec::new();
        wait("the session is reset", || {
            // With MQTT 5 the server keeps the message to itself: it knows our limit.
            publish(&server, &runtime, &[b"c".to_vec()]);
            while let Some(event) = source.poll() {
                match event {
                    SourceEvent::Gap { .. } => seen.push("gap".to_owned()),
                    SourceEvent::Batch(batch) => {
                        seen.push(String::from_utf8_lossy(batch.record(0)).into_owned());
                        source.consumed(0, batch.records[batch.records.len() - 1].after);
                    }
                    _ => {}
                }
            }
            store(&mut source, &mut Position::new());
            source.committed();
            let gap = seen.iter().position(|text| text == "gap");
            match version {
                Version::V4 => gap.is_some_and(|at| seen[at..].iter().any(|text| text == "c")),
                _ => seen.iter().any(|text| text == "c"),
            }
        });
    }
}

#[test]
fn a_sink_confirms_what_the_server_has() {
    let Some(server) = Server::start("sink") else { return };
    let runtime = runtime();
    let mut source = open(&server, Version::V4, &Position::new(), &runtime);
    until_subscribed(&mut source);
    for version in [Version::V4, Version::V5] {
        let options = server.options("sink", version);
        let topic = "in/b".to_owned();
        let mut sink = sink::mqtt::Mqtt::open(options, topic, false, Wake::new(), runtime.handle());
        let text: String = (0..50).map(|n| format!("{n}\n")).collect();
        let chunk = Chunk { seq: 7, offset: 0, bytes: text.as_bytes() };
        wait("the chunk is taken", || sink.deliver(chunk).unwrap() == Delivery::Pending);
        wait("the chunk is confirmed", || sink.confirmed() == Some(7));
        assert!(!sink.must_resend());
        assert_eq!(take(&mut source, &mut Left::new(), 50), texts(0..50));
        store(&mut source, &mut Position::new());
        source.committed();
    }
}
