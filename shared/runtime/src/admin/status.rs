//! `status`: asks a running node how it is.
//!
//! Guarantees: bounded in time and size. Does not follow redirects and speaks no TLS: the
//! server is the node's own, on loopback unless configured otherwise.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::admin::Failure;
use crate::config::Http;
use crate::exit::Exit;

/// Where the node is asked.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// At this address.
    Address(SocketAddr),
    /// Where a node with this configuration and state directory listens.
    Node(&'a Http, &'a Path),
}

/// What the node said.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Whether its health is good.
    pub well: bool,
    /// For a person.
    pub text: String,
    /// For a program.
    pub json: Value,
}

/// Asks `/health` and `/status`.
///
/// # Errors
/// When no address is known or the node does not answer.
pub fn status(target: Target<'_>) -> Result<Answer, Failure> {
    let address = address(target)?;
    let ask = |path| fetch(address, path).map_err(|error| silent(address, &error));
    let (code, health) = ask("/health")?;
    let (_, status) = ask("/status")?;
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let json = serde_json::json!({ "health": parse(&health), "status": parse(&status) });
    let mut text = format!("node at {address}\n");
    for part in ["health", "status"] {
        render(&mut text, part, &json[part], 0);
    }
    Ok(Answer { well: code == 200, text, json })
}

fn address(target: Target<'_>) -> Result<SocketAddr, Failure> {
    let (http, state_dir) = match target {
        Target::Address(address) => return Ok(address),
        Target::Node(http, state_dir) => (http, state_dir),
    };
    if !http.enabled {
        let remedy = "set 'enabled = true' in [http] of the configuration and restart it";
        return Err(Failure::new(Exit::Failed, "the node does not listen on HTTP", remedy));
    }
    if http.listen.port() != 0 {
        return Ok(http.listen);
    }
    // The node chose a free port and wrote it down.
    let path = state_dir.join("http.addr");
    let written = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    written.ok_or_else(|| {
        let message = format!("no address of a running node in {}", path.display());
        Failure::new(Exit::Failed, message, "start the node, or name its address with --addr")
    })
}

fn silent(address: SocketAddr, error: &io::Error) -> Failure {
    let message = format!("no answer from {address}: {error}");
    Failure::new(Exit::Failed, message, "check that the node runs; its log says where it listens")
}

/// `GET path`: the status code and the body.
///
/// # Errors
/// When the node cannot be reached or its answer is no HTTP.
pub fn fetch(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, TIME_MAX)?;
    stream.set_read_timeout(Some(TIME_MAX))?;
    stream.set_write_timeout(Some(TIME_MAX))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.ok_or_else(|| io::Error::other("the answer is no HTTP"))?;
    Ok((code, body.to_owned()))
}

/// Objects as indented names, lists of objects as one line an entry.
fn render(out: &mut String, name: &str, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            let _ = writeln!(out, "{indent}{name}");
            for (name, value) in fields {
                render(out, name, value, depth + 1);
            }
        }
        Value::Array(items) => {
            let _ = writeln!(out, "{indent}{name}");
            for item in items {
                let _ = writeln!(out, "{indent}  {}", line(item));
            }
        }
        other => {
            let _ = writeln!(out, "{indent}{name}: {}", line(other));
        }
    }
}

fn line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let parts: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name} {}", line(value))).collect();
            parts.join(", ")
        }
        other => other.to_string(),
    }
}

const TIME_MAX: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_lists_are_rendered_for_people() {
        let json = serde_json::json!({
            "link": "up", "agents": [{ "agent": "a", "term": 1 }], "counters": { "x": 2 }
        });
        let mut text = String::new();
        render(&mut text, "status", &json, 0);
        let expected = "status\n  agents\n    agent a, term 1\n  counters\n    x: 2\n  link: up\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_node_without_address_is_a_clear_failure() {
        let http = Http::default();
        let failure = status(Target::Node(&http, Path::new("/nonexistent"))).unwrap_err();
        assert!(failure.exit == Exit::Failed && failure.text.contains("http.addr"));
    }
}
