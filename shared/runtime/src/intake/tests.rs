use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[test]
fn a_message_delivered_again_is_recognised_also_after_a_restart() {
    let mut intake = Intake::new(20);
    assert_eq!(intake.offer(1, false, 7), Offer::Apply);
    assert_eq!(intake.offer(2, false, 8), Offer::Apply);
    assert_eq!(intake.offer(1, true, 7), Offer::Repeated { receipt: 1 });
    intake.consume(1);
    let mut bytes = Vec::new();
    intake.encode(&mut bytes);
    let mut intake = Intake::decode(&bytes, 20).unwrap();
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
    let mut bytes = Vec::new();
    intake.encode(&mut bytes);
    let mut intake = Intake::decode(&bytes, 20).unwrap();
    assert_eq!(intake.offer(1, true, 8), Offer::Apply);
}

#[test]
fn sequential_ids_take_two_bytes_each_and_the_window_is_kept() {
    let mut intake = Intake::new(1000);
    let mut id = 65_000;
    for n in 0..5000_u16 {
        intake.offer(id, false, n);
        id = successor(id);
        intake.consume(u64::from(n) + 1);
    }
    let mut bytes = Vec::new();
    intake.encode(&mut bytes);
    assert_eq!(bytes.len(), 1 + 4 + 2000);
    assert!(intake.ids.len() <= 1000);
}

#[test]
fn damaged_positions_are_errors() {
    for bytes in [&b""[..], &[9], &[1, 1], &[1, 1, 0, 2, 0, 1, 1], &[1, 0, 0, 1, 0, 1, 1]] {
        assert!(Intake::decode(bytes, 20).is_err(), "{bytes:?}");
    }
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
    committed: (Vec<u8>, Vec<u32>, u64),
}

impl Model {
    fn new(window: u16) -> Self {
        let intake = Intake::new(window);
        let mut bytes = Vec::new();
        intake.encode(&mut bytes);
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
            committed: (bytes, Vec::new(), 0),
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
                let mut bytes = Vec::new();
                self.intake.encode(&mut bytes);
                self.committed = (bytes, self.applied.clone(), self.intake.consumed());
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
                self.intake =
                    Intake::decode(&self.committed.0, u16::try_from(self.window).unwrap()).unwrap();
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
        let _ = Intake::decode(&bytes, 100);
    }
}
