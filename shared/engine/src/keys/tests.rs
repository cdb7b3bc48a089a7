//! The table against a plain map: texts in the arena, as symbols, short, long and new.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
};

use proptest::prelude::*;

use super::*;
use crate::limits::Limits;

const TYPES: [DataType; 3] = [DataType::STRING, DataType::BigInt, DataType::STRING];

/// A key as it is written in a test.
type Plain = (Option<String>, Option<i64>, Option<String>);

fn plain(first: &str, number: i64, second: &str) -> Plain {
    (Some(first.into()), Some(number), Some(second.into()))
}

struct Run {
    keys: KeyTable,
    cx: Context,
}

impl Run {
    fn new(limits: &Limits) -> Self {
        Run { keys: KeyTable::new(TYPES.to_vec(), 20), cx: Context::new(limits) }
    }

    /// Looks for a key; `as_symbol` gives texts that are in the table as their symbols.
    fn find(&mut self, key: &Plain, as_symbol: bool) -> Result<Option<KeyId>, Fault> {
        self.cx.arena.clear();
        let (first, number, second) = key;
        let mut slots = [Slot::ZERO; 3];
        let mut nulls = u64::from(number.is_none()) << 1;
        slots[1] = number.map_or(Slot::ZERO, Slot::i64);
        for (column, text) in [(0, first), (2, second)] {
            let Some(text) = text else {
                nulls |= 1 << column;
                continue;
            };
            slots[column] = self.cx.put_text(text).slot;
            let live = self.cx.symbols.len();
            if as_symbol && let Some(id) = self.cx.symbols.intern(text.as_bytes()) {
                match self.cx.symbols.len() == live {
                    true => slots[column] = Slot::symbol(id),
                    false => self.cx.symbols.discard(id),
                }
            }
        }
        self.keys.find(Row::insert(&slots, nulls), &[0, 1, 2], &mut self.cx)
    }

    fn insert(&mut self, key: &Plain) -> KeyId {
        assert_eq!(self.find(key, false), Ok(None));
        let id = self.keys.insert(&mut self.cx).unwrap();
        self.keys.retain(id);
        id
    }
}

#[test]
fn texts_that_differ_in_length_alone_are_two_keys() {
    let mut run = Run::new(&Limits::default());
    let ids = ["", "\0", "a", "a\0"].map(|text| run.insert(&plain(text, 1, "x")));
    let found = ["", "\0", "a", "a\0"].map(|text| run.find(&plain(text, 1, "x"), false));
    assert_eq!(found, ids.map(|id| Ok(Some(id))));
    assert_eq!(run.find(&(None, Some(1), Some("x".into())), false), Ok(None));
}

#[test]
fn a_key_that_finds_no_room_leaves_no_text_behind() {
    let long = "a text of more than sixteen bytes";
    for texts in 0..2 {
        let mut run = Run::new(&Limits { symbols_max: texts, ..Limits::default() });
        for key in [plain("short", 1, long), plain(long, 1, "short"), plain("a", 1, "b")] {
            assert_eq!(run.find(&key, false), Err(Fault::StateFull));
            assert!(run.cx.symbols.is_empty(), "{key:?} with room for {texts}");
        }
    }
}

#[test]
fn what_is_not_inserted_is_given_back() {
    let mut run = Run::new(&Limits::default());
    let id = run.insert(&plain("a", 1, "b"));
    assert_eq!(run.find(&plain("a", 1, "c"), false), Ok(None));
    run.keys.discard_probe(&mut run.cx);
    assert_eq!(run.find(&plain("a", 1, "b"), false), Ok(Some(id)));
    run.keys.discard_probe(&mut run.cx);
    assert_eq!(run.cx.symbols.len(), 2);
    run.keys.release(id, &mut run.cx);
    assert!(run.cx.symbols.is_empty());
}

fn key() -> impl Strategy<Value = Plain> {
    let text = prop_oneof![
        1 => Just(None),
        6 => "[ab]{0,2}".prop_map(Some),
        2 => "[ab]{15,18}".prop_map(Some),
    ];
    (text.clone(), proptest::option::weighted(0.9, 0..3i64), text)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn it_is_a_map(steps in proptest::collection::vec((key(), any::<bool>(), 0..4u8), 1..200)) {
        let mut run = Run::new(&Limits::default());
        let mut map = BTreeMap::<Plain, KeyId>::new();
        for (key, as_symbol, kind) in steps {
            let found = run.find(&key, as_symbol);
            prop_assert_eq!(found, Ok(map.get(&key).copied()));
            match (map.get(&key).copied(), kind) {
                (Some(id), 0) => {
                    run.keys.release(id, &mut run.cx);
                    map.remove(&key);
                }
                (Some(id), 1) => {
                    let (slots, nulls) = (run.keys.key(id).to_vec(), run.keys.nulls(id));
                    prop_assert_eq!(run.keys.restore(&slots, nulls, &mut run.cx), Some(id));
                }
                (None, 1..) if map.len() < 20 => {
                    let id = run.keys.insert(&mut run.cx).unwrap();
                    run.keys.retain(id);
                    map.insert(key, id);
                }
                (None, _) => run.keys.discard_probe(&mut run.cx),
                _ => {}
            }
            let texts = map.keys().flat_map(|key| [&key.0, &key.2]).flatten();
            let texts: BTreeSet<_> = texts.collect();
            prop_assert_eq!(run.cx.symbols.len(), texts.len());
        }
    }
}
