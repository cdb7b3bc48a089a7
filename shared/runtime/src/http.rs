//! A very small HTTP/1.1 server for metrics, health and status.
//!
//! Answers `GET /metrics`, `/health` and `/status` and closes the connection. Bounded in
//! everything: request size, time per connection, connections at a time. Listens on loopback
//! unless the configuration says otherwise. Does not know keep-alive, bodies or encryption.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::metrics::Registry;

/// Starts to listen and returns the address taken (port 0 becomes a free one).
pub fn serve(listen: SocketAddr, registry: Registry, handle: &Handle) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let _entered = handle.enter();
    let listener = TcpListener::from_std(listener)?;
    handle.spawn(accept(listener, registry));
    Ok(address)
}

async fn accept(listener: TcpListener, registry: Registry) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let registry = registry.clone();
                tokio::spawn(async move {
                    // A peer that is slow or gone is of no interest.
                    let _ = timeout(TIME_MAX, answer(stream, &registry)).await;
                    drop(place);
                });
            }
            // Out of file descriptors, for example.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut stream: TcpStream, registry: &Registry) -> io::Result<()> {
    let mut request = Vec::with_capacity(1024);
    while !complete(&request) {
        if request.len() >= REQUEST_BYTES_MAX {
            return respond(&mut stream, "431 Request Header Fields Too Large", TEXT, "").await;
        }
        let left = (REQUEST_BYTES_MAX - request.len()) as u64;
        if (&mut stream).take(left).read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, kind, body) = reply(&request, registry);
    respond(&mut stream, status, kind, &body).await
}

fn complete(request: &[u8]) -> bool {
    memchr::memmem::find(request, b"\r\n\r\n").is_some()
}

fn reply(request: &[u8], registry: &Registry) -> (&'static str, &'static str, String) {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != b"GET" {
        return ("405 Method Not Allowed", TEXT, "only GET\n".into());
    }
    match target.split(|byte| *byte == b'?').next().unwrap_or_default() {
        b"/metrics" => ("200 OK", METRICS, registry.render()),
        b"/health" => {
            let (well, body) = registry.health();
            (if well { "200 OK" } else { "503 Service Unavailable" }, JSON, body + "\n")
        }
        b"/status" => ("200 OK", JSON, registry.status() + "\n"),
        _ => ("404 Not Found", TEXT, "try /metrics, /health or /status\n".into()),
    }
}

async fn respond(stream: &mut TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

const CONNECTIONS_MAX: usize = 8;
const REQUEST_BYTES_MAX: usize = 8 << 10;
const TIME_MAX: Duration = Duration::from_secs(5);
const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn get(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // The server may close before it has read everything.
        let _ = stream.write_all(request);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn answers_what_it_knows_and_refuses_the_rest() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let registry = Registry::new();
        registry.counter("headwater_rows_total", "Rows.", &[]).add(7);
        registry.set_status("{\"rows\":7}".into());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = serve(listen, registry.clone(), runtime.handle()).unwrap();
        let text = get(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("headwater_rows_total 7"));
        assert!(get(address, b"GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503"));
        registry.set_ready(true);
        assert!(get(address, b"GET /health HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
        assert!(get(address, b"GET /status?x HTTP/1.1\r\n\r\n").ends_with("{\"rows\":7}\n"));
        assert!(get(address, b"GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(get(address, b"POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(get(address, &[b'a'; 8 << 10]).starts_with("HTTP/1.1 431"));
    }
}
