//! A state directory written by format version 1 stays readable for ever.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::path::{Path, PathBuf};

use headwater_store::{
    AgentRecord, ColdWrite, Commit, DeadLetter, Gap, Mark, MarkWrite, Options, OutboxRow,
    PlanRecord, PositionWrite, Quarantined, StateWrite, Store,
};

fn commit() -> Commit {
    let mark = Mark {
        incarnation: [2; 16],
        term: 3,
        seq: 4,
        last_frame_hash: 5,
        last_event_time: 1_700_000_000_000,
        watermark: 1_699_999_990_000,
    };
    let agent = AgentRecord {
        incarnation: [2; 16],
        term: 3,
        grants: vec![(3, 1_700_000_000_000)],
        last_seen_ms: 1_700_000_000_001,
        plan_fingerprint: 6,
        extra: vec![7],
    };
    Commit {
        epoch: 1,
        plan: Some(PlanRecord { fingerprint: 6, operators: vec![("hourly".into(), 8)] }),
        state: Some(StateWrite { full: true, pages: vec![b"base".to_vec(), vec![9; 5000]] }),
        positions: vec![PositionWrite {
            source: "readings".into(),
            split: "0".into(),
            value: Some(b"position".to_vec()),
        }],
        outbox_put: vec![OutboxRow { channel: 1, seq: 1, bytes: b"frame".to_vec() }],
        marks: vec![MarkWrite { agent: "gw-1".into(), channel: 1, mark: Some(mark) }],
        agents: vec![("gw-1".into(), agent)],
        cold: vec![ColdWrite {
            operator: 1,
            window_end: 1_700_000_000_000,
            chunk: 0,
            value: Some(b"partials".to_vec()),
        }],
        dead_letters: vec![DeadLetter {
            at_ms: 10,
            place: "readings".into(),
            reason: "parse".into(),
            detail: "no JSON".into(),
            bytes: b"{".to_vec(),
        }],
        quarantine: vec![Quarantined {
            at_ms: 11,
            agent: "gw-2".into(),
            channel: 1,
            seq: 12,
            reason: "crc".into(),
            bytes: vec![13],
        }],
        gaps: vec![Gap {
            at_ms: 14,
            agent: "gw-2".into(),
            channel: 1,
            from: 15,
            to: 16,
            reason: "drop-oldest".into(),
        }],
        counters: vec![("rows_late".into(), 17)],
        records: vec![("term".into(), Some(vec![3]))],
        ..Commit::default()
    }
}

#[test]
fn version_1_is_read() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/state-v1.bin");
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sample-v1");
    let _ = fs::remove_dir_all(&dir);
    let expected = commit();
    if std::env::var_os("HEADWATER_WRITE_SAMPLES").is_some() {
        let mut store = Store::open(&dir, &Options::new([1; 16], "machine")).unwrap();
        store.commit(&expected).unwrap();
        store.close().unwrap();
        fs::copy(dir.join("state.redb"), &sample).unwrap();
    }
    fs::create_dir_all(&dir).unwrap();
    fs::copy(&sample, dir.join("state.redb")).unwrap();
    let store = Store::open(&dir, &Options::new([9; 16], "machine")).unwrap();
    assert_eq!(store.identity().incarnation, [1; 16]);
    assert_eq!(store.head().epoch, 1);
    assert_eq!(store.plan(), expected.plan.as_ref());
    assert_eq!(store.counters()["rows_late"], 17);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.load_state().unwrap().base, expected.state.unwrap().pages);
    let positions = snapshot.positions().unwrap();
    assert_eq!(positions[&("readings".into(), "0".into())], b"position");
    assert_eq!(snapshot.outbox(1, 1, 1).unwrap(), expected.outbox_put);
    assert_eq!(
        Some(&snapshot.ledger().unwrap()[&("gw-1".into(), 1)]),
        expected.marks[0].mark.as_ref()
    );
    assert_eq!(snapshot.agents().unwrap()["gw-1"], expected.agents[0].1);
    assert_eq!(snapshot.cold(1, 1_700_000_000_000).unwrap(), [(0, b"partials".to_vec())]);
    assert_eq!(snapshot.dead_letters(0, 9).unwrap(), [(0, expected.dead_letters[0].clone())]);
    assert_eq!(snapshot.quarantine(0, 9).unwrap(), [(0, expected.quarantine[0].clone())]);
    assert_eq!(snapshot.gaps(0, 9).unwrap(), [(0, expected.gaps[0].clone())]);
    assert_eq!(snapshot.record("term").unwrap(), Some(vec![3]));
}
