use std::time::Duration;

use super::*;

const LEAST: &str = "id = \"a1\"\nstate-dir = \"/tmp/x\"\n";

fn error(text: &str) -> String {
    AgentConfig::parse("agent.toml", text).unwrap_err().to_string()
}

#[test]
fn the_least_configuration_has_the_written_defaults() {
    let config = AgentConfig::parse("agent.toml", LEAST).unwrap();
    assert_eq!(config.checkpoint.interval.duration(), Duration::from_secs(10));
    assert_eq!(config.checkpoint.dirty_bytes, Bytes(1 << 20));
    assert_eq!(config.outbox.policy, OutboxPolicy::Pause);
    assert!(config.http.listen.ip().is_loopback());
    assert_eq!(config.clock.rules(), crate::clock::Rules::default());
    assert!(config.uplink.is_none());
}

#[test]
fn templates_are_valid_also_with_every_comment_taken_off() {
    let text = agent_template("a1", "/var/lib/headwater", "mqtts://localhost:8883");
    AgentConfig::parse("agent.toml", &text).unwrap();
    let bare = text.replace("# ", "").replace("Headwater", "#").replace("What is", "#");
    let bare: String = bare.lines().map(|line| strip(line) + "\n").collect();
    let config = AgentConfig::parse("agent.toml", &bare).unwrap();
    assert_eq!(config.uplink.unwrap().window, 32);
    let text = aggregator_template("hub", "/var/lib/headwater", "mqtts://localhost");
    AggregatorConfig::parse("aggregator.toml", &text).unwrap();
    let bare: String = text.replace("# ", "").lines().map(|line| strip(line) + "\n").collect();
    let bare = bare.replace("Headwater", "#").replace("What is", "#");
    let config = AggregatorConfig::parse("aggregator.toml", &bare).unwrap();
    assert_eq!(config.uplink.correction_horizon, Span::from_secs(604_800));
}

/// What stands before the explanation of a line: the part up to two blanks after a value.
fn strip(line: &str) -> String {
    let end = line.find("  ").unwrap_or(line.len());
    line[..end].into()
}

#[test]
fn errors_name_their_place_and_a_remedy() {
    let text = error(&format!("{LEAST}[checkpoint]\nintervall = \"10s\"\n"));
    assert!(text.contains("agent.toml:4:1"), "{text}");
    assert!(text.contains("did you mean 'interval'?"), "{text}");
    assert!(text.contains("intervall = \"10s\"\n   | ^^^^^^^^^"), "{text}");
    let text = error(&format!("{LEAST}[checkpoint]\ninterval = 10\n"));
    assert!(text.contains("agent.toml:4:12") && text.contains("unit"), "{text}");
    let text = error(&format!("{LEAST}[limits]\nmemory = \"64 MiBs\"\n"));
    assert!(text.contains("agent.toml:4:10") && text.contains("64MiB"), "{text}");
    let text = error("id = \"a b\"\nstate-dir = \"x\"\n");
    assert!(text.contains("agent.toml:1:6") && text.contains("A-Z"), "{text}");
    let text = error("state-dir = \"x\"\n");
    assert!(text.contains("add the line id"), "{text}");
    let text = error("id = \"a\nstate-dir = \"x\"\n");
    assert!(text.contains("agent.toml:1:"), "{text}");
    let text = error(&format!("{LEAST}[outbox]\npolicy = \"drop-oldes\"\n"));
    assert!(text.contains("did you mean 'drop-oldest'?"), "{text}");
    let text = error(&format!("{LEAST}[clock]\ntrust = \"ntpd\"\n"));
    assert!(text.contains("did you mean 'ntp'?"), "{text}");
    let text = error(&format!("{LEAST}[clock]\nhold-bytes = \"2GiB\"\n"));
    assert!(text.contains("agent.toml:4:14") && text.contains("1GiB"), "{text}");
    let text = error(&format!("{LEAST}[http]\nlisten = \"0.0.0.0:80\"\n"));
    assert!(text.contains("agent.toml:4:10") && text.contains("public = true"), "{text}");
    let text = error(&format!("{LEAST}[uplink]\nbroker = \"http://x\"\n"));
    assert!(text.contains("agent.toml:4:10") && text.contains("mqtt://"), "{text}");
    let text = AgentConfig::load(Path::new("/no/such.toml")).unwrap_err().to_string();
    assert!(text.contains("init"), "{text}");
}

#[test]
fn units() {
    assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
    assert_eq!(parse_duration("10 min"), Ok(Duration::from_secs(600)));
    assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
    for wrong in ["", "10", "s", "-1s", "1e3s", "1 parsec", "1.2.3s", "99999999999999999999d"] {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
    }
    assert_eq!(parse_bytes("64MiB"), Ok(64 << 20));
    assert_eq!(parse_bytes("1.5 kB"), Ok(1500));
    assert!(parse_bytes("64").is_err() && parse_bytes("1e9GiB").is_err());
}

#[test]
fn nearest_names() {
    assert_eq!(did_you_mean("conector", ["connector", "format"]), Some("connector"));
    assert_eq!(did_you_mean("xyz", ["connector", "format"]), None);
}
