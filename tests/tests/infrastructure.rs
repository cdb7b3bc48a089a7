//! The test infrastructure itself: a fault that is not injected proves nothing.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::broker::{Embedded, Mosquitto, mosquitto_is_installed};
use headwater_tests::mqtt::{Publisher, Subscriber};
use headwater_tests::process::{Process, Signal, run, wait_until};
use headwater_tests::proxy::{Flow, Proxy, Way};
use headwater_tests::scratch::Scratch;

const SOON: Duration = Duration::from_secs(5);
const WHILE: Duration = Duration::from_millis(100);

/// A server that sends back what it gets.
fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut writer = stream.try_clone().expect("a socket can be cloned");
                let _ = std::io::copy(&mut { stream }, &mut writer);
                let _ = writer.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).expect("the proxy listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout can be set");
    stream
}

fn answers(stream: &mut TcpStream, text: &str) -> bool {
    let mut back = vec![0; text.len()];
    let sent = stream.write_all(text.as_bytes());
    sent.and_then(|()| stream.read_exact(&mut back)).is_ok() && back == text.as_bytes()
}

#[test]
fn proxy_passes_and_counts() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert!(answers(&mut stream, "hello"));
    // A byte is counted just after it was handed on.
    assert!(wait_until(SOON, || (proxy.bytes(Way::Up), proxy.bytes(Way::Down)) == (5, 5)));
    drop(stream);
    assert!(wait_until(SOON, || proxy.connections_count() == 0));
}

#[test]
fn proxy_cuts_and_heals() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert!(answers(&mut stream, "hello"));
    proxy.cut();
    assert!(!answers(&mut stream, "again"));
    assert!(!answers(&mut connect(&proxy), "again"), "refused until healed");
    proxy.heal();
    assert!(answers(&mut connect(&proxy), "again"));
}

#[test]
fn proxy_holds_without_losing() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.hold();
    thread::sleep(WHILE);
    stream.write_all(b"held").unwrap();
    stream.set_read_timeout(Some(WHILE)).unwrap();
    let mut back = [0; 4];
    assert!(stream.read(&mut back).is_err(), "nothing passes and the connection is open");
    proxy.heal();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"held");
}

#[test]
fn proxy_can_lose_the_answers_alone() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.set_flow(Way::Down, Flow::Discard);
    thread::sleep(WHILE);
    stream.write_all(b"lost").unwrap();
    assert!(wait_until(SOON, || proxy.bytes(Way::Up) == 4));
    proxy.heal();
    assert!(!answers(&mut stream, "x"), "a stream with a hole does not go on");
    assert!(answers(&mut connect(&proxy), "x"));
}

#[test]
fn proxy_half_opens_and_resets() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert!(answers(&mut stream, "hello"));
    proxy.half_open();
    stream.set_read_timeout(Some(WHILE)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "silence, not an end");
    proxy.heal();
    let mut stream = connect(&proxy);
    assert!(answers(&mut stream, "hello"));
    proxy.reset();
    assert!(wait_until(SOON, || stream.write_all(b"x").is_err()), "answered with a reset");
}

#[test]
fn proxy_cuts_after_so_many_bytes() {
    let proxy = Proxy::start(echo()).unwrap();
    proxy.cut_after(Way::Up, 3);
    let mut stream = connect(&proxy);
    stream.write_all(b"hello").unwrap();
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back);
    assert_eq!(proxy.bytes(Way::Up), 3);
    assert!(b"hello".starts_with(back.as_slice()));
}

#[test]
fn proxy_delays() {
    let proxy = Proxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    proxy.set_delay(WHILE);
    let start = Instant::now();
    assert!(answers(&mut stream, "hello"));
    assert!(start.elapsed() >= WHILE * 2);
}

#[test]
fn a_process_costs_what_it_costs() {
    let scratch = Scratch::new("usage").unwrap();
    let file = scratch.join("file");
    let script = format!(
        "dd if=/dev/zero of={} bs=1M count=8 conv=fsync; n=0; while [ $n -lt 300000 ]; \
         do n=$((n+1)); done; echo said; exit 3",
        file.display()
    );
    let finished = run(Command::new("sh").arg("-c").arg(script), SOON * 4).unwrap().unwrap();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), "said\n"));
    assert!(finished.usage.cpu > Duration::from_millis(50), "{:?}", finished.usage);
    assert!(finished.usage.rss_bytes_max > 100_000, "{:?}", finished.usage);
}

#[test]
fn a_process_can_be_frozen_and_killed() {
    let mut process = Process::start(Command::new("sh").args(["-c", "sleep 60"])).unwrap();
    process.signal(Signal::Stop).unwrap();
    process.signal(Signal::Cont).unwrap();
    assert!(process.is_running());
    let finished = process.kill();
    assert_eq!(finished.code, None);
    assert!(!process.is_running());
}

#[test]
fn a_process_that_does_not_end_is_ended() {
    let finished = run(Command::new("sleep").arg("60"), WHILE).unwrap();
    assert!(finished.is_none());
}

fn messages_arrive(address: std::net::SocketAddr) {
    let mut subscriber = Subscriber::connect(address, "s", "a/#").unwrap();
    let mut publisher = Publisher::connect(address, "p", 100).unwrap();
    for n in 0..1000 {
        publisher.publish("a/b", n.to_string().as_bytes()).unwrap();
    }
    publisher.flush(SOON).unwrap();
    assert_eq!(publisher.acknowledged(), 1000);
    for n in 0..1000 {
        let message = subscriber.receive(SOON).unwrap().expect("1000 messages");
        assert_eq!(message.topic, "a/b");
        assert_eq!(message.payload, n.to_string().as_bytes());
    }
    assert_eq!(subscriber.receive(WHILE).unwrap(), None);
}

#[test]
fn embedded_broker_delivers_and_comes_back() {
    let mut broker = Embedded::start().unwrap();
    messages_arrive(broker.address());
    broker.kill();
    assert!(Publisher::connect(broker.address(), "p", 1).is_err());
    broker.restart().unwrap();
    messages_arrive(broker.address());
}

#[test]
fn mosquitto_delivers_freezes_and_comes_back() {
    if !mosquitto_is_installed() {
        println!("skipped: Mosquitto is not installed");
        return;
    }
    let scratch = Scratch::new("mosquitto").unwrap();
    let mut broker = Mosquitto::start(scratch.path(), 100, "").unwrap();
    messages_arrive(broker.address());
    let mut publisher = Publisher::connect(broker.address(), "q", 10).unwrap();
    broker.freeze().unwrap();
    publisher.publish("x", b"y").unwrap();
    assert!(publisher.flush(WHILE).is_err());
    broker.thaw().unwrap();
    publisher.flush(SOON).unwrap();
    publisher.publish_retained("kept", b"1").unwrap();
    publisher.publish("x", b"y").unwrap();
    publisher.flush(SOON).unwrap();
    broker.stop();
    broker.restart().unwrap();
    let mut subscriber = Subscriber::connect(broker.address(), "s", "kept").unwrap();
    let message = subscriber.receive(SOON).unwrap().expect("retained over a restart");
    assert_eq!(message.payload, b"1");
    broker.kill();
}
