use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// What a store keeps of a position.
#[derive(Clone, Debug, Default)]
struct Stored {
    parts: BTreeMap<String, Vec<u8>>,
    written_bytes: usize,
}

impl Stored {
    fn put(&mut self, intake: &mut Intake) {
        self.written_bytes = 0;
        intake.encode(&mut |name, value| {
            self.written_bytes += value.len();
            self.parts.insert(name, value);
        });
    }

    fn read(&self, window: u16) -> Result<Intake, PositionError> {
        let blocks = self.parts.iter().filter(|(name, _)| *name != HEAD);
        Intake::decode(&self.parts[HEAD], blocks.map(|(_, value)| value.as_slice()), window)
    }

    fn of(intake: &mut Intake) -> Self {
        let mut stored = Stored::default();
        stored.put(intake);
        stored
    }
}

#[test]
fn a_message_delivered_again_is_recognised_also_after_a_restart() {
    let mut intake = Intake::new(20);
    assert_eq!(intake.offer(1, false, 7), Offer::Apply);
    assert_eq!(intake.offer(2, false, 8), Offer::Apply);
    assert_eq!(intake.offer(1, true, 7), Offer::Repeated { receipt: 1 });
    intake.consume(1);
    let mut intake = Stored::of(&mut intake).read(20).unwrap();
    let repeated = Offer::Repeated { receipt: 1 };
    assert_eq!(intake.offer(1, true, 7), repeated, "was in the checkpoint");
    assert_eq!(intake.offer(2, true, 8), Offer::Apply, "was not yet consumed");
}

#[test]
fn another_message_with_the_same_id_is_applied() {
    let mut intake = Intake::new(20);
    intake.offer(1, false, 7);
    intake.consume(1);
    assert_eq!(intake.offer(1, true, 9), Offer::Apply, "other content");
    assert_eq!(intake.offer(1, false, 9), Offer::Apply, "DUP=0 is a new message");
    intake.forget();
    assert_eq!(intake.offer(1, true, 9), Offer::Apply, "the session is another one");
}

#[test]
fn a_newer_message_takes_the_place_of_the_older_in_the_encoding() {
    let mut intake = Intake::new(20);
    intake.offer(1, false, 7);
    intake.consume(1);
    intake.offer(1, false, 8);
    let mut intake = Stored::of(&mut intake).read(20).unwrap();
    assert_eq!(intake.offer(1, true, 8), Offer::Apply);
}

#[test]
fn sequential_ids_take_two_bytes_each_and_only_new_ones_are_written() {
    let mut intake = Intake::new(65_535);
    let mut stored = Stored::default();
    let mut id = 65_000;
    // Two rounds of the ring, a checkpoint every 8,000 messages.
    for n in 0..160_000_u32 {
        intake.offer(id, false, u16::try_from(n % 60_000).unwrap());
        id = successor(id);
        intake.consume(u64::from(n) + 1);
        if n % 8000 == 7999 {
            stored.put(&mut intake);
            assert!(stored.written_bytes < 2 * 8000 + 2 * 4096, "{}", stored.written_bytes);
        }
    }
    assert!(stored.parts.len() <= 1 + usize::try_from(RING).unwrap());
    let read = stored.read(65_535).unwrap();
    assert_eq!(read.last_receipt(), 160_000);
    assert_eq!(read.ids, intake.ids);
    assert_eq!(read.receipts, intake.receipts);
    let known = (0..IDS).filter(|id| read.receipts[*id] != 0);
    assert!(known.map(|id| (read.hashes[id], intake.hashes[id])).all(|(a, b)| a == b));
}

#[test]
fn a_lost_session_stays_lost_after_a_restart() {
    let mut intake = Intake::new(20);
    intake.offer(1, false, 7);
    intake.consume(1);
    intake.forget();
    intake.offer(2, false, 8);
    intake.consume(2);
    let mut intake = Stored::of(&mut intake).read(20).unwrap();
    assert_eq!(intake.offer(1, true, 7), Offer::Apply);
    assert_eq!(intake.offer(2, true, 8), Offer::Repeated { receipt: 2 });
}

#[test]
fn a_position_of_version_1_is_read() {
    let bytes = [1, 9, 0, 2, 0, 7, 0, 8, 0];
    let mut intake = Intake::decode(&bytes, std::iter::empty(), 20).unwrap();
    assert_eq!(intake.offer(10, true, 8), Offer::Repeated { receipt: 2 });
}

#[test]
fn damaged_positions_are_errors() {
    let none = || std::iter::empty();
    for bytes in [&b""[..], &[9], &[1, 1], &[1, 1, 0, 2, 0, 1, 1], &[1, 0, 0, 1, 0, 1, 1], &[2]] {
        assert!(Intake::decode(bytes, none(), 20).is_err(), "{bytes:?}");
    }
    let mut intake = Intake::new(20);
    intake.offer(1, false, 7);
    intake.consume(1);
    let mut stored = Stored::of(&mut intake);
    stored.parts.remove("0");
    assert!(stored.read(20).is_err(), "a block is missing");
}

#[derive(Clone, Debug)]
enum Step {
    Publish,
    Deliver,
    Consume,
    Commit,
    Acknowledge,
    Reconnect,
    Crash,
}

/// A server as the specification has it: sequential ids, a window, redelivery with DUP.
struct Model {
    window: usize,
    next_id: u16,
    next_message: u32,
    queue: VecDeque<u32>,
    under_way: VecDeque<(u16, u32)>,
    /// What is on the wire of the present connection.
    wire: VecDeque<(u16, u32, bool)>,
    intake: Intake,
    /// Messages to apply: (receipt, message).
    inbox: VecDeque<(u64, u32)>,
    /// Packet ids to acknowledge, with the receipt that must be committed before.
    owed: VecDeque<(u64, u16)>,
    applied: Vec<u32>,
    committed: (Stored, Vec<u32>, u64),
}

impl Model {
    fn new(window: u16) -> Self {
        let mut intake = Intake::new(window);
        let stored = Stored::of(&mut intake);
        Self {
            window: usize::from(window),
            next_id: 65_530,
            next_message: 0,
            queue: VecDeque::new(),
            under_way: VecDeque::new(),
            wire: VecDeque::new(),
            intake,
            inbox: VecDeque::new(),
            owed: VecDeque::new(),
            applied: Vec::new(),
            committed: (stored, Vec::new(), 0),
        }
    }

    fn send(&mut self) {
        while self.under_way.len() < self.window {
            let Some(message) = self.queue.pop_front() else { return };
            self.under_way.push_back((self.next_id, message));
            self.wire.push_back((self.next_id, message, false));
            self.next_id = successor(self.next_id);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Publish => {
                self.queue.push_back(self.next_message);
                self.next_message += 1;
            }
            Step::Deliver => self.deliver(),
            Step::Consume => {
                if let Some((receipt, message)) = self.inbox.pop_front() {
                    self.applied.push(message);
                    self.intake.consume(receipt);
                }
            }
            Step::Commit => {
                self.committed.0.put(&mut self.intake);
                self.committed.1 = self.applied.clone();
                self.committed.2 = self.intake.consumed();
            }
            Step::Acknowledge => {
                while let Some((receipt, id)) = self.owed.front().copied() {
                    if receipt > self.committed.2 {
                        break;
                    }
                    self.owed.pop_front();
                    self.under_way.retain(|(other, _)| *other != id);
                }
            }
            Step::Reconnect => self.reconnect(),
            Step::Crash => {
                self.intake = self.committed.0.read(u16::try_from(self.window).unwrap()).unwrap();
                self.applied = self.committed.1.clone();
                self.committed.2 = self.intake.consumed();
                self.inbox.clear();
                self.reconnect();
            }
        }
        self.send();
    }

    fn deliver(&mut self) {
        let Some((id, message, dup)) = self.wire.pop_front() else { return };
        // Eight different contents: readings repeat themselves.
        match self.intake.offer(id, dup, u16::try_from(message % 8).unwrap()) {
            Offer::Apply => {
                let receipt = self.intake.last_receipt();
                self.inbox.push_back((receipt, message));
                self.owed.push_back((receipt, id));
            }
            Offer::Repeated { receipt } => self.owed.push_back((receipt, id)),
        }
    }

    fn reconnect(&mut self) {
        self.owed.clear();
        self.wire = self.under_way.iter().map(|(id, message)| (*id, *message, true)).collect();
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Publish),
        10 => Just(Step::Deliver),
        10 => Just(Step::Consume),
        3 => Just(Step::Commit),
        4 => Just(Step::Acknowledge),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_message_counts_once(
        window in 1_u16..30,
        steps in proptest::collection::vec(step(), 0..400),
    ) {
        let mut model = Model::new(window);
        for step in &steps {
            model.step(step);
        }
        while !(model.queue.is_empty() && model.under_way.is_empty() && model.wire.is_empty()) {
            for step in [Step::Deliver, Step::Consume, Step::Commit, Step::Acknowledge] {
                model.step(&step);
            }
        }
        let mut applied = model.committed.1.clone();
        applied.sort_unstable();
        prop_assert_eq!(applied, (0..model.next_message).collect::<Vec<_>>());
    }

    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Intake::decode(&bytes, std::iter::empty(), 100);
        let head = [vec![2], 50_u64.to_le_bytes().to_vec(), vec![0; 8]].concat();
        let block = [vec![2], 1_u64.to_le_bytes().to_vec(), bytes].concat();
        let _ = Intake::decode(&head, std::iter::once(&block[..]), 100);
    }
}
