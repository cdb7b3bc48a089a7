//! APPROX_COUNT_DISTINCT: about how many different values there are, in little memory.
//!
//! A HyperLogLog sketch of 4096 registers: the standard error is 1.6 %. The hash is fixed, and a
//! merge takes the larger of each two registers, so that the answer is the same however rows are
//! split. A state lists its registers while few of them are set; `SKETCH_BYTES_MAX` bounds all
//! states of one call, and a row beyond it is set aside as `state-full`.

use alloc::{boxed::Box, format, string::String, vec, vec::Vec};

use super::{Accumulator, Aggregate, Arguments, Binding, Finish, Kind};
use crate::{
    codec,
    context::{Context, Fault},
    hash::{fold, hash_bytes, mix_pair},
    limits::SKETCH_BYTES_MAX,
    slot::{Datum, Slot},
    types::DataType,
};

/// `APPROX_COUNT_DISTINCT(x)`.
pub(super) const APPROX_COUNT_DISTINCT: Aggregate =
    Aggregate { name: "APPROX_COUNT_DISTINCT", bind };

fn bind(call: &Arguments<'_>) -> Result<Binding, String> {
    if call.is_distinct {
        return Err("APPROX_COUNT_DISTINCT counts each value once anyway".into());
    }
    match call.single()? {
        Some(t) if *t == DataType::Null || t.is_nested() => {
            Err(format!("APPROX_COUNT_DISTINCT does not take {t} here"))
        }
        Some(_) => Ok(Binding {
            kinds: vec![Kind::Sketch],
            finish: Finish::Value,
            result: DataType::BigInt,
        }),
        None => Err("APPROX_COUNT_DISTINCT takes one argument".into()),
    }
}

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 12;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash behind those: the largest value of a register is one more.
const VALUE_BITS: u32 = 64 - INDEX_BITS;
/// Registers that are listed; with more of them set all are kept.
const LISTED_MAX: usize = 512;
const BYTES_PER_LISTED: usize = 4;
const FORM_LIST: u8 = 0;
const FORM_ALL: u8 = 1;

/// The registers of one state; those that are not set are 0.
enum Registers {
    /// The set ones, by their number.
    List(Vec<(u16, u8)>),
    All(Box<[u8; REGISTERS]>),
}

impl Default for Registers {
    fn default() -> Self {
        Registers::List(Vec::new())
    }
}

impl Registers {
    fn bytes(&self) -> usize {
        match self {
            Registers::List(list) => list.len() * BYTES_PER_LISTED,
            Registers::All(_) => REGISTERS,
        }
    }

    /// Raises a register, never lowers it.
    fn raise(&mut self, index: u16, value: u8) {
        let list = match self {
            Registers::All(all) => {
                let register = &mut all[usize::from(index)];
                *register = value.max(*register);
                return;
            }
            Registers::List(list) => list,
        };
        match list.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => list[at].1 = value.max(list[at].1),
            Err(at) if list.len() < LISTED_MAX => list.insert(at, (index, value)),
            Err(_) => {
                let mut all = Box::new([0; REGISTERS]);
                for (index, value) in list.iter().chain(&[(index, value)]) {
                    all[usize::from(*index)] = *value;
                }
                *self = Registers::All(all);
            }
        }
    }

    fn each(&self, visit: &mut dyn FnMut(u16, u8)) {
        match self {
            Registers::List(list) => list.iter().for_each(|(index, value)| visit(*index, *value)),
            Registers::All(all) => {
                let set = (0..).zip(all.iter()).filter(|(_, value)| **value > 0);
                set.for_each(|(index, value)| visit(index, *value));
            }
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Registers::List(list) => {
                out.push(FORM_LIST);
                for (index, value) in list {
                    codec::put_u64(out, u64::from(*index));
                    out.push(*value);
                }
            }
            Registers::All(all) => {
                out.push(FORM_ALL);
                out.extend_from_slice(&all[..]);
            }
        }
    }

    /// How many different values there are: Ertl's estimator, which needs no tables of bias.
    fn estimate(&self) -> f64 {
        let mut counts = [0_u32; VALUE_BITS as usize + 2];
        let mut set = 0;
        self.each(&mut |_, value| {
            counts[usize::from(value)] += 1;
            set += 1;
        });
        let registers = f64::from(1_u32 << INDEX_BITS);
        let share = |count: u32| f64::from(count) / registers;
        let [_, inner @ .., last] = &counts;
        let mut z = registers * tau(1.0 - share(*last));
        for count in inner.iter().rev() {
            z = 0.5 * (z + f64::from(*count));
        }
        z += registers * sigma(share((1 << INDEX_BITS) - set));
        core::f64::consts::LOG2_E / 2.0 * registers * registers / z
    }
}

/// What empty registers tell; infinite where all of them are.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// What full registers tell.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = libm::sqrt(x);
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

/// Register and value of what is counted.
fn place(value: Datum, data_type: &DataType, cx: &Context) -> (u16, u8) {
    const SEED: u64 = 0x5851_F42D_4C95_7F2D;
    let hash = match data_type.is_referring() {
        true => hash_bytes(cx.bytes(value.slot)),
        false => mix_pair(SEED, value.slot.0, value.slot.1),
    };
    let hash = fold(hash ^ SEED, 0xDA94_2042_E4DD_58B5);
    let index = u16::try_from(hash >> VALUE_BITS).expect("as many bits as an index has");
    let zeros = (hash << INDEX_BITS).leading_zeros().min(VALUE_BITS);
    (index, u8::try_from(zeros + 1).expect("below 64"))
}

pub(super) struct Sketches {
    arg: DataType,
    panes: Vec<Registers>,
    bytes: usize,
}

impl Sketches {
    pub(super) fn new(arg: DataType) -> Self {
        Sketches { arg, panes: Vec::new(), bytes: 0 }
    }

    fn raise(&mut self, pane: usize, (index, value): (u16, u8)) {
        let registers = &mut self.panes[pane];
        let before = registers.bytes();
        registers.raise(index, value);
        self.bytes = (self.bytes + registers.bytes()).saturating_sub(before);
    }

    fn merge_bytes(&mut self, pane: usize, partial: Slot, cx: &Context) -> Option<()> {
        let (form, mut rest) = cx.bytes(partial).split_first()?;
        let mut set = Vec::new();
        if *form == FORM_ALL {
            set.extend((0..).zip(rest.iter().copied()).filter(|(_, value)| *value > 0));
        } else {
            while !rest.is_empty() {
                let index = u16::try_from(codec::take_u64(&mut rest)?).ok()?;
                let (value, after) = rest.split_first()?;
                rest = after;
                set.push((index, *value));
            }
        }
        let is_valid = |(index, value): &(u16, u8)| {
            usize::from(*index) < REGISTERS && u32::from(*value) <= VALUE_BITS + 1
        };
        set.iter().all(is_valid).then(|| set.into_iter().for_each(|set| self.raise(pane, set)))
    }
}

impl Accumulator for Sketches {
    fn reserve(&mut self, count: usize) {
        self.panes.resize_with(count.max(self.panes.len()), Registers::default);
    }

    fn clear(&mut self, pane: usize, _: &mut Context) {
        let registers = core::mem::take(&mut self.panes[pane]);
        self.bytes = self.bytes.saturating_sub(registers.bytes());
    }

    fn add(&mut self, pane: usize, value: Datum, cx: &mut Context) {
        if value.is_null() {
            return;
        }
        // One value may make a list the whole array.
        if self.bytes + REGISTERS > SKETCH_BYTES_MAX {
            cx.fail(Fault::StateFull);
            return;
        }
        let place = place(value, &self.arg, cx);
        self.raise(pane, place);
    }

    fn merge(&mut self, pane: usize, partial: Datum, cx: &mut Context) {
        if partial.is_null() {
            return;
        }
        if self.bytes + REGISTERS > SKETCH_BYTES_MAX {
            cx.fail(Fault::StateFull);
            return;
        }
        let _ = self.merge_bytes(pane, partial.slot, cx);
    }

    fn merge_pane(&mut self, into: usize, from: usize, _: &mut Context) {
        let mut set = Vec::new();
        self.panes[from].each(&mut |index, value| set.push((index, value)));
        set.into_iter().for_each(|set| self.raise(into, set));
    }

    fn partial(&self, pane: usize, cx: &mut Context) -> Datum {
        let mut bytes = Vec::new();
        self.panes[pane].encode(&mut bytes);
        cx.put_bytes(&bytes)
    }

    #[expect(clippy::cast_possible_truncation, reason = "far below 2^63, and a cast saturates")]
    fn value(&self, pane: usize, _: &mut Context) -> Datum {
        Datum::i64(libm::round(self.panes[pane].estimate()) as i64)
    }

    fn bytes_per_pane(&self) -> usize {
        size_of::<Registers>()
    }

    fn bytes_shared(&self) -> usize {
        // Lists grow by doubling.
        2 * SKETCH_BYTES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn sketches() -> Sketches {
        let mut sketches = Sketches::new(DataType::BigInt);
        sketches.reserve(4);
        sketches
    }

    fn count(sketches: &Sketches, cx: &mut Context) -> i64 {
        sketches.value(0, cx).slot.as_i64()
    }

    #[test]
    fn the_error_is_that_of_the_sketch() {
        let cx = &mut Context::new(&Limits::default());
        for (step, offset) in [(1, 0), (1 << 32, 7), (-1, 0)] {
            let mut own = sketches();
            let mut next = 1;
            assert_eq!(count(&own, cx), 0);
            for n in 1..=200_000_i64 {
                own.add(0, Datum::i64(offset + step * n), cx);
                own.add(0, Datum::i64(offset + step * (n / 2 + 1)), cx);
                if n != next {
                    continue;
                }
                next = n * 3 / 2 + 1;
                let found = count(&own, cx);
                // Three standard errors of 1.04 / √4096, and exact where there are few.
                let error = (found - n).abs();
                assert!(error <= n / 20 && (n > 20 || error == 0), "{found} of {n}");
            }
        }
    }

    #[test]
    fn texts_count_by_what_they_say() {
        let cx = &mut Context::new(&Limits::default());
        let mut own = Sketches::new(DataType::STRING);
        own.reserve(1);
        for n in 0..3000 {
            let text = cx.put_text(&format!("sensor-{}", n % 1000));
            own.add(0, text, cx);
            cx.arena.clear();
        }
        own.add(0, Datum::NULL, cx);
        assert!((950..=1050).contains(&count(&own, cx)), "{}", count(&own, cx));
    }

    #[test]
    fn it_does_not_matter_how_values_are_split() {
        let cx = &mut Context::new(&Limits::default());
        for total in [0, 3, 400, 600, 20_000_i64] {
            let mut whole = sketches();
            (0..total).for_each(|n| whole.add(0, Datum::i64(n * n), cx));
            let expected = whole.partial(0, cx);
            let expected = cx.bytes(expected.slot).to_vec();
            for turn in 0..3 {
                let mut parts = sketches();
                (0..total).for_each(|n| {
                    let pane = 1 + usize::try_from((n + turn) % 3).expect("small");
                    parts.add(pane, Datum::i64(n * n), cx);
                });
                let partial = parts.partial(1, cx);
                parts.merge(0, partial, cx);
                parts.merge_pane(0, 3, cx);
                parts.merge_pane(0, 2, cx);
                let found = parts.partial(0, cx);
                assert_eq!(cx.bytes(found.slot), expected, "{total}");
                (0..4).for_each(|pane| parts.clear(pane, cx));
                assert_eq!(parts.bytes, 0);
            }
            cx.arena.clear();
        }
    }

    #[test]
    fn beyond_the_bound_a_row_is_set_aside() {
        let cx = &mut Context::new(&Limits::default());
        let mut own = sketches();
        let panes = SKETCH_BYTES_MAX / REGISTERS + 1;
        own.reserve(panes);
        for pane in 0..panes {
            (0..2000).for_each(|n| own.add(pane, Datum::i64(n), cx));
        }
        assert_eq!(cx.fault.take(), Some(Fault::StateFull));
        assert!(own.bytes <= SKETCH_BYTES_MAX);
    }

    #[test]
    fn broken_partials_change_nothing() {
        let cx = &mut Context::new(&Limits::default());
        let mut own = sketches();
        for bytes in [&[][..], &[0, 1], &[0, 255, 255, 3, 1], &[1, 60], &[0, 1, 54]] {
            let partial = cx.put_bytes(bytes);
            own.merge(0, partial, cx);
        }
        assert_eq!(count(&own, cx), 0);
    }
}
