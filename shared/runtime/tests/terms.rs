//! What an agent makes of the core's word on terms (PROTOCOL.md, rule 8): only a later term than
//! its own is another machine.

use headwater_engine::operator::RestoreError;
use headwater_plan::{Target, Vars, compile};
use headwater_runtime::agent::{Agent, FlashLimits, LinkState, Message, Now, Policy, Settings};
use headwater_runtime::clock::Rules;
use headwater_runtime::driver::wiring;
use headwater_runtime::task::Task;
use headwater_store::{Head, Identity, PlanRecord};
use headwater_wire::{
    AgentId, ChannelHead, ChannelUpto, Control, ControlBody, Incarnation, encode_control,
};

const SCRIPT: &str = "
CREATE TABLE readings (id BIGINT, rt TIMESTAMP(3), WATERMARK FOR rt AS rt)
  WITH ('connector' = 'mqtt', 'url' = 'mqtt://h:1', 'topic' = 'r', 'format' = 'json');
CREATE TABLE results (id BIGINT, n BIGINT) WITH ('connector' = 'print');
INSERT INTO results SELECT id, COUNT(*)
  FROM TABLE(TUMBLE(TABLE readings, DESCRIPTOR(rt), INTERVAL '10' SECOND))
  GROUP BY window_start, window_end, id;
";
const INCARNATION: [u8; 16] = [7; 16];

fn at(mono_ms: i64) -> Now {
    Now { wall_ms: 1_800_000_000_000 + mono_ms, mono_ms, boot_ms: mono_ms }
}

fn name() -> AgentId {
    "gateway".parse().expect("a name")
}

fn agent() -> Agent {
    agent_of(None).expect("no record")
}

fn agent_of(record: Option<&[u8]>) -> Result<Agent, RestoreError> {
    let plan = compile(SCRIPT, "p.sql", &Vars::new(), Target::Cut).expect("a correct script");
    let edge = plan.edge.as_ref().expect("an edge fragment");
    let scans = wiring::scan_ports(&plan, edge, "edge").expect("scans");
    let (outputs, _) = wiring::output_ports(&plan, edge).expect("outputs");
    let task = Task::new(edge, &plan.limits, scans, outputs).expect("it can be built");
    let settings = Settings {
        id: name(),
        plan: PlanRecord { fingerprint: 1, operators: Vec::new() },
        exchanges: vec![0],
        sinks: Vec::new(),
        checkpoint_interval_ms: 1000,
        flash: FlashLimits::NONE,
        dirty_bytes_max: 1 << 20,
        quota_bytes: 1 << 20,
        policy: Policy::Pause,
        resend_after_ms: 1000,
        machine_hash: 1,
        boot_id: 1,
        clock: Rules::default(),
    };
    let identity = Identity { incarnation: INCARNATION, machine_id: String::new(), parent: None };
    Agent::new(settings, task, identity, &Head::default(), record, at(0))
}

fn tell(agent: &mut Agent, now: Now, body: ControlBody) {
    let control = Control { agent: name(), incarnation: INCARNATION, body };
    agent.control_received(&encode_control(&control).expect("it fits"), now);
}

/// Connects and is granted `term`.
fn granted(agent: &mut Agent, now: Now, term: u32) {
    agent.connected(now);
    let Some(Message::Hello(hello)) = agent.next_message(now) else { panic!("no hello") };
    tell(agent, now, ControlBody::GrantWithHeads { term, nonce: hello.nonce, heads: Vec::new() });
    assert_eq!(agent.link_state(), LinkState::Granted);
}

#[test]
fn a_later_term_is_another_machine() {
    let mut agent = agent();
    granted(&mut agent, at(10), 4);
    tell(&mut agent, at(20), ControlBody::Fenced { term: 5 });
    assert!(matches!(agent.link_state(), LinkState::Fenced(_)));
    assert!(agent.link_problem().is_some_and(|text| text.contains("term 5")));
}

#[test]
fn a_frame_of_before_the_present_grant_fences_nobody() {
    let mut agent = agent();
    granted(&mut agent, at(10), 4);
    // The link broke with a frame of term 4 under way; the core has granted 5 when it arrives.
    agent.disconnected();
    granted(&mut agent, at(20), 5);
    tell(&mut agent, at(30), ControlBody::Fenced { term: 5 });
    assert_eq!(agent.link_state(), LinkState::Granted);
    assert_eq!(agent.term(), 5);
    assert_eq!(agent.link_problem(), None);
}

#[test]
fn a_core_that_knows_no_term_is_greeted_again() {
    let mut agent = agent();
    granted(&mut agent, at(10), 4);
    tell(&mut agent, at(20), ControlBody::Fenced { term: 0 });
    assert!(matches!(agent.link_state(), LinkState::Waiting(_)));
    assert!(matches!(agent.next_message(at(21)), Some(Message::Hello(_))));
}

#[test]
fn the_answer_to_an_earlier_hello_grants_nothing() {
    let mut agent = agent();
    agent.connected(at(0));
    let Some(Message::Hello(first)) = agent.next_message(at(0)) else { panic!("no hello") };
    agent.connected(at(10));
    let Some(Message::Hello(second)) = agent.next_message(at(10)) else { panic!("no hello") };
    let grant =
        |hello: u64, term| ControlBody::GrantWithHeads { term, nonce: hello, heads: Vec::new() };
    tell(&mut agent, at(20), grant(first.nonce, 8));
    assert!(matches!(agent.link_state(), LinkState::Waiting(_)));
    tell(&mut agent, at(20), grant(second.nonce, 9));
    assert_eq!((agent.link_state(), agent.term()), (LinkState::Granted, 9));
}

#[test]
fn only_marks_beyond_its_own_frames_make_a_state_an_old_copy() {
    let mut agent = agent();
    granted(&mut agent, at(10), 4);
    let rewound = |upto_seq| {
        let marks = vec![ChannelUpto { channel: 0, upto_seq }];
        ControlBody::Rewound { marks }
    };
    // The answer to a hello that was repeated: the state has made more since.
    tell(&mut agent, at(20), rewound(0));
    assert_eq!(agent.link_state(), LinkState::Granted);
    tell(&mut agent, at(30), rewound(1));
    assert_ne!(agent.link_state(), LinkState::Granted);
}

#[test]
fn a_grant_about_the_frames_of_another_is_not_taken() {
    let mut agent = agent();
    agent.set_random([1; 16]);
    agent.connected(at(0));
    let Some(Message::Hello(hello)) = agent.next_message(at(0)) else { panic!("no hello") };
    let heads = vec![ChannelHead { channel: 0, upto_seq: 3, frame_seq: 3, frame_hash: 9 }];
    tell(&mut agent, at(1), ControlBody::GrantWithHeads { term: 1, nonce: hello.nonce, heads });
    assert_eq!(agent.link_state(), LinkState::Minting, "it has made no third frame");
    let parent = parent_of_next_hello(&mut agent);
    assert_eq!(parent, (INCARNATION, vec![ChannelUpto { channel: 0, upto_seq: 3 }]));
}

/// Stores what is due and gives the parent that the next hello names.
fn parent_of_next_hello(agent: &mut Agent) -> (Incarnation, Vec<ChannelUpto>) {
    let commit = agent.checkpoint(Vec::new(), at(10));
    agent.committed(&commit, 0, 0);
    let Some(Message::Hello(hello)) = agent.next_message(at(20)) else { panic!("no hello") };
    let parent = hello.parent.expect("a life that continues another");
    (parent.incarnation, parent.marks)
}

/// Its rows would count twice if it were taken for the state that it was copied from.
#[test]
fn an_old_copy_that_is_moved_before_the_core_hears_of_it_stays_one() {
    let mut agent = agent();
    agent.set_random([1; 16]);
    granted(&mut agent, at(0), 4);
    let marks = vec![ChannelUpto { channel: 0, upto_seq: 3 }];
    tell(&mut agent, at(1), ControlBody::Rewound { marks: marks.clone() });
    agent.set_random([2; 16]);
    agent.moved_to("another machine");
    assert_eq!(parent_of_next_hello(&mut agent), (INCARNATION, marks));
}

/// The record of an agent that was granted term 7, without anything else. Version 3 adds what the
/// core's numbers are ahead of the store's, version 4 frames that were dropped unacknowledged.
#[test]
fn records_of_earlier_versions_are_read() {
    const V2: [u8; 11] = [2, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    const V3: [u8; 14] = [3, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 40];
    const V4: [u8; 20] = [4, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 40, 1, 0, 3, 1, 5, 77];
    for (record, oldest_seq) in [(&V2[..], 1), (&V3[..], 41), (&V4[..], 41)] {
        let mut agent = agent_of(Some(record)).expect("a record");
        agent.connected(at(10));
        let Some(Message::Hello(hello)) = agent.next_message(at(10)) else { panic!("no hello") };
        assert_eq!((hello.last_term, hello.channels[0].oldest_seq), (7, oldest_seq));
    }
    for newer in [&[5, 7][..], &[]] {
        assert!(agent_of(Some(newer)).is_err());
    }
}
