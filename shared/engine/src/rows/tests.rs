//! The store against a plain list, with restarts in between.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{limits::Limits, operator::StateWriter, slot::Slot};

const TYPES: [DataType; 3] = [DataType::STRING, DataType::BigInt, DataType::STRING];

/// What a store holds, by key: (time, tag, number, text) in its order.
type Content = BTreeMap<String, Vec<(i64, u64, i64, String)>>;

#[derive(Default)]
struct Disk(BTreeMap<Vec<u8>, Vec<u8>>);

impl StateWriter for Disk {
    fn entry(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.0.insert(key.into(), value.into()),
            None => self.0.remove(key),
        };
    }

    fn cold(&mut self, _: Timestamp, _: &[u8]) {}
}

struct Run {
    rows: Rows,
    context: Context,
    disk: Disk,
    symbols: BTreeMap<u32, Vec<u8>>,
}

impl Run {
    fn new() -> Self {
        Run {
            rows: Rows::new(&TYPES, &[0], 50),
            context: Context::new(&Limits::default()),
            disk: Disk::default(),
            symbols: BTreeMap::new(),
        }
    }

    fn insert(&mut self, key: &str, time: i64, tag: u64) -> Result<RowId, Fault> {
        self.context.arena.clear();
        let slots = [
            self.context.put_text(key).slot,
            Slot::i64(time * 10),
            self.context.put_text(&alloc::format!("text {time}")).slot,
        ];
        self.rows.insert(Row::insert(&slots, 0), time, tag, &mut self.context)
    }

    fn checkpoint(&mut self, full: bool) {
        if full {
            self.disk.0.clear();
            self.symbols.clear();
        }
        self.rows.checkpoint(full, 7, &mut self.context, &mut self.disk);
        let symbols = &mut self.symbols;
        self.context.symbols.checkpoint(full, &mut |id, text| {
            match text {
                Some(text) => symbols.insert(id, text.to_vec()),
                None => symbols.remove(&id),
            };
        });
    }

    fn restart(self) -> Self {
        let mut back = Run { disk: self.disk, symbols: self.symbols, ..Run::new() };
        back.context.symbols.begin_restore();
        for (id, text) in &back.symbols {
            assert!(back.context.symbols.restore(*id, Some(text)));
        }
        for (key, value) in &back.disk.0 {
            back.rows.restore(&key[1..], Some(value), &mut back.context).unwrap();
        }
        back.context.symbols.restored();
        back
    }

    fn content(&self) -> Content {
        let mut content = Content::new();
        for id in self.rows.by_arrival() {
            let key = self.context.text(self.rows.get(id).slots[0]).into();
            let listed: Vec<_> = self.rows.of(self.rows.key(id)).collect();
            assert_eq!(listed.len(), self.rows.count(self.rows.key(id)));
            let one = |&id: &RowId| {
                let row = self.rows.get(id);
                let text = self.context.text(row.slots[2]).into();
                (self.rows.time(id), self.rows.tag(id), row.slots[1].as_i64(), text)
            };
            content.insert(key, listed.iter().map(one).collect());
        }
        content
    }
}

#[test]
fn rows_of_a_key_stand_in_order_of_time_then_arrival() {
    let mut run = Run::new();
    for (time, tag) in [(3, 0), (1, 1), (3, 2), (2, 3)] {
        run.insert("a", time, tag).unwrap();
    }
    let tags: Vec<_> = run.content()["a"].iter().map(|row| row.1).collect();
    assert_eq!(tags, [1, 3, 0, 2]);
}

#[test]
fn the_limit_holds_and_leaves_no_text_behind() {
    let mut run = Run::new();
    let ids: Vec<_> = (0..50).map(|time| run.insert("a", time, 0).unwrap()).collect();
    assert_eq!(run.insert("b", 1, 0), Err(Fault::StateFull));
    ids.into_iter().for_each(|id| run.rows.remove(id, &mut run.context));
    assert!(run.rows.is_empty());
    assert!(run.context.symbols.is_empty());
}

#[test]
fn a_row_that_came_and_went_is_not_written() {
    let mut run = Run::new();
    run.checkpoint(true);
    let id = run.insert("a", 1, 0).unwrap();
    run.rows.remove(id, &mut run.context);
    run.checkpoint(false);
    let keys: Vec<_> = run.disk.0.keys().collect();
    assert_eq!(keys, [&[7]], "only the next arrival number");
}

#[derive(Clone, Debug)]
enum Act {
    Insert(u8, i64),
    Remove(usize),
    Tag(usize, u64),
    Checkpoint(bool),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..4u8, 0..8i64).prop_map(|(key, time)| Act::Insert(key, time)),
        2 => any::<usize>().prop_map(Act::Remove),
        1 => (any::<usize>(), 0..5u64).prop_map(|(at, tag)| Act::Tag(at, tag)),
        1 => any::<bool>().prop_map(Act::Checkpoint),
        1 => Just(Act::Restart),
    ]
}

proptest! {
    #[test]
    fn a_restart_changes_nothing(acts in prop::collection::vec(act(), 0..80)) {
        let mut run = Run::new();
        run.checkpoint(true);
        for act in acts {
            let ids = run.rows.by_arrival();
            let pick = |at: usize| (!ids.is_empty()).then(|| ids[at % ids.len()]);
            match act {
                Act::Insert(key, time) => {
                    let key = alloc::format!("k{key}");
                    let _ = run.insert(&key, time, 0);
                }
                Act::Remove(at) => {
                    if let Some(id) = pick(at) {
                        run.rows.remove(id, &mut run.context);
                    }
                }
                Act::Tag(at, tag) => {
                    if let Some(id) = pick(at) {
                        run.rows.set_tag(id, tag);
                    }
                }
                Act::Checkpoint(full) => run.checkpoint(full),
                Act::Restart => {
                    run.checkpoint(false);
                    let before = (run.content(), run.rows.next_seq);
                    run = run.restart();
                    prop_assert_eq!((run.content(), run.rows.next_seq), before);
                }
            }
        }
        let len: usize = run.content().values().map(Vec::len).sum();
        prop_assert_eq!(len, run.rows.len());
    }
}
