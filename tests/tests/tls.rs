//! TLS with client certificates and passwords against Mosquitto, with an authority made here: an
//! agent's source and uplink and the aggregator work over it; a wrong authority, a wrong host, a
//! missing client certificate and a wrong password are shown, retried, and lose nothing; no
//! secret is ever shown.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use headwater_tests::broker::{Mosquitto, mosquitto_is_installed};
use headwater_tests::node::Node;
use headwater_tests::process::run;
use headwater_tests::rig::{Broker, Rig, publish, without_repeats};
use headwater_tests::scratch::{Scratch, free_port};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

const RESULTS_MAX: Duration = Duration::from_secs(60);
const SHOWN_MAX: Duration = Duration::from_secs(15);
const STOP_MAX: Duration = Duration::from_secs(5);
const PASSWORD: &str = "correct-horse-battery";
const FAST: &str = "[checkpoint]\ninterval = \"200ms\"\n\n[log]\nlevel = \"trace\"\n";

macro_rules! needs_mosquitto {
    () => {
        if !mosquitto_is_installed() {
            println!("skipped: Mosquitto is not installed");
            return;
        }
    };
}

/// An authority that signs certificates into a folder.
struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Writes `name.pem`.
    fn new(dir: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        fs::write(dir.join(format!("{name}.pem")), params.self_signed(&key).unwrap().pem())
            .unwrap();
        Self(Issuer::new(params, key))
    }

    /// Writes `name.pem` and `name.key`, for hosts named `hosts`.
    fn sign(&self, dir: &Path, name: &str, hosts: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &self.0).unwrap();
        fs::write(dir.join(format!("{name}.pem")), signed.pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// A rig whose nodes reach the broker by mutual TLS and password only; readings are published on
/// a listener without. The proxy is not used.
fn rig() -> Rig {
    let scratch = Scratch::new("tls").unwrap();
    let dir = scratch.path().canonicalize().unwrap();
    let authority = Authority::new(&dir, "ca");
    authority.sign(&dir, "server", &["127.0.0.1"]);
    authority.sign(&dir, "client", &["client.example"]);
    Authority::new(&dir, "other");
    let passwords = dir.join("passwords");
    let mut command = Command::new("mosquitto_passwd");
    command.args(["-b", "-c"]).arg(&passwords).args(["node", PASSWORD]);
    assert_eq!(run(&mut command, STOP_MAX).unwrap().unwrap().code, Some(0));
    fs::write(dir.join("password"), PASSWORD).unwrap();
    let (port, dir) = (free_port(), dir.display().to_string());
    let listener = format!(
        "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {dir}/passwords\n\
         cafile {dir}/ca.pem\ncertfile {dir}/server.pem\nkeyfile {dir}/server.key\n\
         require_certificate true\n"
    );
    let broker = Mosquitto::start(scratch.path(), 100, &listener).unwrap();
    let source = format!(
        "'connector'='mqtt', 'url'='mqtts://127.0.0.1:{port}', 'topic'='gw/${{n}}/readings', \
         'version'='5', 'username'='node', 'password'='${{secret:mqtt}}', \
         'tls.ca'='{dir}/ca.pem', 'tls.cert'='{dir}/client.pem', 'tls.key'='{dir}/client.key'"
    );
    let rig = Rig::new(1, scratch, Broker::Mosquitto(broker), &source, FAST).unwrap();
    for (node, address, version) in
        [(&rig.agents[0], rig.proxy.address(), "5"), (&rig.core, rig.core_proxy.address(), "3.1.1")]
    {
        let uplink = format!(
            "broker = \"mqtts://127.0.0.1:{port}\"\nversion = \"{version}\"\nuser = \"node\"\n\
             password = \"${{secret:mqtt}}\"\n\n[uplink.tls]\nca = \"{dir}/ca.pem\"\n\
             cert = \"{dir}/client.pem\"\nkey = \"{dir}/client.key\"\n\n\
             [secrets]\nmqtt = \"{dir}/password\"\n"
        );
        node.edit("node.toml", &format!("broker = \"mqtt://{address}\"\n"), &uplink).unwrap();
    }
    rig
}

/// Nothing that a node shows holds the password or a line of the private key.
fn keeps_secrets(node: &Node, key: &str) {
    let mut shown = vec![node.log(), node.metrics(), node.health(), node.status().to_string()];
    shown.push(node.inspect().unwrap().to_string());
    for subcommand in ["check", "explain"] {
        let finished = run(&mut node.command(subcommand), STOP_MAX).unwrap().unwrap();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        shown.extend([finished.stdout, finished.stderr]);
    }
    assert!(shown[0].contains("MQTT connected"), "it logs: {}", shown[0]);
    let secrets = key.lines().filter(|line| !line.starts_with('-')).chain([PASSWORD]);
    for secret in secrets.filter(|secret| secret.len() > 8) {
        for text in &shown {
            assert!(!text.contains(secret), "{}: {secret} in {text}", node.dir().display());
        }
    }
}

#[test]
fn readings_and_frames_over_mutual_tls_with_passwords() {
    needs_mosquitto!();
    let mut rig = rig();
    rig.start().unwrap();
    let expected = publish(rig.broker.address(), &without_repeats(20, 60), 1, None).unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
    let key = fs::read_to_string(rig.scratch.join("client.key")).unwrap();
    keeps_secrets(&rig.agents[0], &key);
    keeps_secrets(&rig.core, &key);
}

/// A fault: what to replace by what, in the pipeline and in the configuration, and what is said.
struct Fault {
    from: &'static str,
    to: &'static str,
    words: &'static [&'static str],
}

const FAULTS: [Fault; 4] = [
    Fault { from: "/ca.pem", to: "/other.pem", words: &["known authorities", "check the CA file"] },
    Fault {
        from: "mqtts://127.0.0.1",
        to: "mqtts://localhost",
        words: &["is not for 'localhost'"],
    },
    Fault { from: "", to: "", words: &["asks for a certificate of this client"] },
    Fault { from: "\"node\"", to: "\"nobody\"", words: &["refuses user, password"] },
];

/// Puts a fault into the node's files. The third one takes the client's certificate away.
fn spoil(node: &Node, fault: &Fault) {
    let path = node.dir().join("node.toml");
    let text = fs::read_to_string(&path).unwrap();
    let without = |line: &&str| !line.starts_with("cert =") && !line.starts_with("key =");
    let config = match fault.from {
        "" => text.lines().filter(without).collect::<Vec<_>>().join("\n"),
        from => text.replace(from, fault.to),
    };
    assert_ne!(config, text);
    fs::write(path, config).unwrap();
    let path = node.dir().join("pipeline.sql");
    let text = fs::read_to_string(&path).unwrap();
    let sql = match fault.from {
        "" => {
            let (head, tail) = text.split_once(", 'tls.cert'").unwrap();
            format!("{head}{}", &tail[tail.find(')').unwrap()..])
        }
        "\"node\"" => text.replace("'node'", "'nobody'"),
        from => text.replace(from, fault.to),
    };
    // A table of the pipeline has one format still.
    let sql = if fault.from.is_empty() {
        sql.replace("ca.pem')", "ca.pem', 'format'='json')")
    } else {
        sql
    };
    fs::write(path, sql).unwrap();
}

/// Waits until the node's health says the fault's words once for each of `components`: their
/// connections fail one after the other.
fn says_it_of_each(node: &Node, components: &[&str], fault: &Fault) {
    let mut health = String::new();
    let said = headwater_tests::process::wait_until(SHOWN_MAX, || {
        health = node.health();
        let times = |word: &&str| health.matches(*word).count();
        components.iter().all(|component| health.contains(component))
            && fault.words.iter().all(|word| times(word) >= components.len())
    });
    assert!(said, "{:?} of each of {components:?}: {health}; log: {}", fault.words, node.log());
}

/// Runs `node` with each fault, sees it said and tried again, and puts the files back.
fn suffers(node: &mut Node, components: &[&str]) {
    let files = ["node.toml", "pipeline.sql"].map(|file| node.dir().join(file));
    let good = files.clone().map(|file| fs::read_to_string(file).unwrap());
    for fault in &FAULTS {
        spoil(node, fault);
        node.start().unwrap();
        says_it_of_each(node, components, fault);
        let tries = || node.log().matches("MQTT connection lost").count();
        let enough = headwater_tests::process::wait_until(SHOWN_MAX, || tries() >= 3);
        assert!(enough, "tried {} times: {}", tries(), node.log());
        assert!(node.metric("headwater_problem").is_some(), "{}", node.metrics());
        let finished = node.stop(STOP_MAX).expect("it ends in good order");
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        for (file, text) in files.iter().zip(&good) {
            fs::write(file, text).unwrap();
        }
    }
}

#[test]
fn faults_of_tls_are_shown_and_retried_and_lose_nothing() {
    needs_mosquitto!();
    let mut rig = rig();
    rig.start().unwrap();
    rig.agents[0].stop(STOP_MAX).unwrap();
    rig.core.stop(STOP_MAX).unwrap();
    // The broker keeps it all in the agent's session.
    let expected = publish(rig.broker.address(), &without_repeats(20, 60), 1, None).unwrap();
    suffers(&mut rig.agents[0], &["source readings", "\"uplink\""]);
    suffers(&mut rig.core, &["\"uplink\""]);
    rig.start().unwrap();
    rig.wait_for(&expected, RESULTS_MAX).unwrap();
}

#[test]
fn files_that_hold_no_certificate_are_found_before_anything_is_connected() {
    needs_mosquitto!();
    let rig = rig();
    fs::write(rig.scratch.join("client.key"), "no key\n").unwrap();
    for node in [&rig.agents[0], &rig.core] {
        for subcommand in ["check", "run"] {
            let finished = run(&mut node.command(subcommand), STOP_MAX).unwrap().unwrap();
            let said = finished.stderr;
            assert_eq!(finished.code, Some(78), "{subcommand}: {said}");
            assert!(said.contains("key") && said.contains("no private key"), "{said}");
        }
        assert!(!node.dir().join("state").exists(), "nothing is opened before");
    }
}
