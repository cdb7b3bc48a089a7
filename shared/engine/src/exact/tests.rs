//! Against published answers, a naive big integer, and every way of splitting.

extern crate std;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::Value;

use super::{ExactMoments, ExactSum, quotient};

fn oracle(name: &str) -> Option<Value> {
    let root = std::env::var_os("HEADWATER_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join("oracles/numeric").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).expect("JSON")),
        Err(_) => {
            std::println!("skipped: exact sums against {name}: no {}", path.display());
            None
        }
    }
}

fn hex_float(text: &str) -> f64 {
    let negative = text.starts_with('-');
    let text = text.trim_start_matches('-');
    if text == "inf" {
        return if negative { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let (mantissa, exponent) = text.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = u64::from_str_radix(&[whole, fraction].concat(), 16).unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    let exponent = exponent - 4 * i32::try_from(fraction.len()).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "at most 53 bits are written")]
    let x = libm::scalbn(digits as f64, exponent);
    if negative { -x } else { x }
}

fn numbers(values: &Value) -> Vec<f64> {
    let number = |v: &Value| v.as_f64().unwrap_or_else(|| hex_float(v.as_str().unwrap()));
    values.as_array().unwrap().iter().map(number).collect()
}

fn moments_of(values: &[f64]) -> ExactMoments {
    let mut moments = ExactMoments::new();
    values.iter().for_each(|x| moments.add(*x));
    moments
}

fn check(name: &str, values: &[f64], expect: &Value) {
    let want = |key: &str| expect.get(key).map(|v| hex_float(v.as_str().unwrap()));
    let whole = moments_of(values);
    let mut backward = ExactMoments::new();
    values.iter().rev().for_each(|x| backward.add(*x));
    let mut merged = ExactMoments::new();
    values.chunks(7).rev().for_each(|part| merged.merge(&moments_of(part)));
    for moments in [&whole, &backward, &merged] {
        for (key, got) in [
            ("sum", Some(moments.sum().value())),
            ("mean", moments.mean()),
            ("var_pop", moments.var_pop()),
            ("var_sample", moments.var_samp()),
            ("std_sample", moments.stddev_samp()),
        ] {
            if let Some(want) = want(key) {
                let want = if want == 0.0 { 0.0 } else { want };
                assert_eq!(got.map(f64::to_bits), Some(want.to_bits()), "{name} {key} {got:?}");
            }
        }
        assert_eq!(encoded(moments), encoded(&whole), "{name}");
    }
}

fn encoded(moments: &ExactMoments) -> Vec<u8> {
    let mut bytes = Vec::new();
    moments.encode(&mut bytes);
    let (back, used) = ExactMoments::decode(&bytes).expect("own bytes");
    assert_eq!(used, bytes.len());
    let mut again = Vec::new();
    back.encode(&mut again);
    assert_eq!(bytes, again);
    bytes
}

#[test]
fn a_zero_among_readings_needs_no_heap() {
    let (mut sum, mut moments) = (ExactSum::new(), ExactMoments::new());
    for x in [20.5, 0.0, -0.0, 0.001, 0.0] {
        sum.add(x);
        moments.add(x);
    }
    assert_eq!((sum.heap_bytes(), moments.heap_bytes()), (0, 0));
    assert_eq!(sum.value(), 20.501);
    assert_eq!(moments.n(), 5);
}

#[test]
fn sums_equal_the_published_ones() {
    let Some(file) = oracle("exact_sums.json") else { return };
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        check(name, &numbers(&case["values"]), &case["expect"]);
    }
}

#[test]
fn nist_sets_equal_the_exact_answers() {
    let Some(file) = oracle("nist_strd_univariate.json") else { return };
    for (name, set) in file["sets"].as_object().unwrap() {
        let values = numbers(&set["values"]);
        check(name, &values, &set["double_exact"]);
        let certified = &set["certified"];
        let moments = moments_of(&values);
        let near = |got: f64, key: &str| {
            let want = certified[key].as_f64().unwrap();
            assert!((got - want).abs() <= want.abs() * 1e-8, "{name} {key}: {got} for {want}");
        };
        near(moments.mean().unwrap(), "mean");
        near(moments.stddev_samp().unwrap(), "std_sample");
    }
}

#[test]
fn empty_and_special() {
    let mut sum = ExactSum::new();
    assert_eq!(sum.value().to_bits(), 0);
    sum.add(-0.0);
    assert_eq!(sum.value().to_bits(), 0);
    sum.add(f64::INFINITY);
    assert_eq!(sum.value(), f64::INFINITY);
    sum.add(f64::NEG_INFINITY);
    assert!(sum.value().is_nan());
    sum.sub(f64::INFINITY);
    assert_eq!(sum.value(), f64::NEG_INFINITY);
    sum.sub(f64::NEG_INFINITY);
    sum.add(2.5);
    assert_eq!(sum.value(), 2.5);
    sum.add(f64::NAN);
    assert!(sum.value().is_nan());
    let mut bytes = Vec::new();
    sum.encode(&mut bytes);
    assert_eq!(ExactSum::decode(&bytes).map(|d| d.0), Some(sum));
    assert_eq!(ExactMoments::new().var_pop(), None);
    assert_eq!(moments_of(&[3.0]).var_samp(), None);
    assert_eq!(moments_of(&[3.0]).var_pop(), Some(0.0));
    assert!(moments_of(&[3.0, f64::INFINITY]).var_pop().unwrap().is_nan());
}

#[test]
fn overflow_is_infinity_and_comes_back() {
    let mut sum = ExactSum::new();
    sum.add(f64::MAX);
    sum.add(f64::MAX);
    assert_eq!(sum.value(), f64::INFINITY);
    sum.add(-f64::MAX);
    assert_eq!(sum.value(), f64::MAX);
    sum.add(-1e-300);
    assert_eq!(sum.value(), f64::MAX);
    sum.sub(f64::MAX);
    assert_eq!(sum.value(), -1e-300);
}

#[test]
fn typical_sums_are_small() {
    let mut sum = ExactSum::new();
    (0..10).for_each(|i| sum.add(20.0 + f64::from(i) * 0.137));
    let mut bytes = Vec::new();
    sum.encode(&mut bytes);
    assert!(bytes.len() <= 10, "{} bytes", bytes.len());
    assert_eq!(sum.heap_bytes(), 0);
}

#[test]
fn many_additions_settle() {
    let mut sum = ExactSum::new();
    (0..200_000).for_each(|_| sum.add(-0.1));
    let mut tenth = ExactSum::new();
    tenth.add(-0.1);
    for _ in 0..6 {
        let copy = tenth.clone();
        (0..9).for_each(|_| tenth.merge(&copy));
    }
    assert_eq!(tenth.value(), -100_000.0);
    let copy = sum.clone();
    (0..4).for_each(|_| sum.merge(&copy));
    assert_eq!(sum, tenth);
    assert_eq!(sum.heap_bytes(), 0);
}

/// The naive model: one i32 per bit position, schoolbook carries, decimal by string comparison.
fn model_sum(values: &[f64]) -> String {
    let mut bits = [0_i64; 2200];
    for x in values {
        let raw = x.to_bits();
        let exponent = usize::try_from(raw >> 52 & 0x7ff).unwrap();
        let fraction = raw & ((1 << 52) - 1);
        let (mantissa, at) =
            if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        for bit in 0..53 {
            let set = i64::try_from(mantissa >> bit & 1).unwrap();
            bits[at + bit] += if *x < 0.0 { -set } else { set };
        }
    }
    // The sign is that of the carry out of the top.
    let settle = |bits: &mut [i64]| {
        let mut carry = 0;
        for bit in bits {
            let sum = *bit + carry;
            carry = sum >> 1;
            *bit = sum & 1;
        }
        carry
    };
    let mut magnitude = bits;
    let negative = settle(&mut magnitude) < 0;
    if negative {
        magnitude = bits.map(|bit| -bit);
        settle(&mut magnitude);
    }
    let text: String = magnitude.iter().rev().map(|b| if *b == 1 { '1' } else { '0' }).collect();
    let sign = if negative { "-" } else { "" };
    [sign, text.trim_start_matches('0')].concat()
}

fn text_of(sum: &ExactSum) -> String {
    let (magnitude, negative) = sum.magnitude();
    let (position, bytes, _) = magnitude.bytes();
    let mut all: Vec<String> = bytes.map(|b| alloc::format!("{b:08b}")).collect();
    all.reverse();
    let zeros = "0".repeat(8 * position);
    let text = [all.concat(), zeros].concat();
    [if negative { "-" } else { "" }, text.trim_start_matches('0')].concat().to_string()
}

fn any_finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite()),
        -1e3..1e3,
        (-100_000_i32..100_000).prop_map(|n| f64::from(n) / 1000.0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_naive_integer(values in prop::collection::vec(any_finite(), 0..40)) {
        let mut sum = ExactSum::new();
        values.iter().for_each(|x| sum.add(*x));
        prop_assert_eq!(text_of(&sum), model_sum(&values));
    }

    #[test]
    fn few_digits_give_the_same_quotients_as_many(
        values in prop::collection::vec((-(1_i64 << 53)..1 << 53, -60_i32..60), 1..20),
        scale in -1080_i32..1000,
        n in prop_oneof![1_u64..20, any::<u64>()],
    ) {
        let power = |exponent: i32| (0..exponent.abs()).fold(1.0_f64, |x, _| {
            if exponent < 0 { x / 2.0 } else { x * 2.0 }
        });
        let mut sum = ExactSum::new();
        for (mantissa, exponent) in values {
            #[expect(clippy::cast_precision_loss, reason = "53 bits")]
            sum.add(mantissa as f64 * power(exponent) * power(scale));
        }
        if let Some((word, position)) = sum.finite.word()
            && let Some(quick) = super::word::quotient(word, position, n)
        {
            let slow = quotient(&sum.magnitude(), n);
            prop_assert_eq!(quick.to_bits(), slow.to_bits(), "{} and {}", quick, slow);
        }
    }

    #[test]
    fn any_split_and_order_gives_the_same_bytes(
        values in prop::collection::vec(any_finite(), 0..40),
        cuts in prop::collection::vec(0_usize..5, 40),
    ) {
        let mut parts: [ExactMoments; 5] = Default::default();
        for (x, part) in values.iter().zip(&cuts) {
            parts[*part].add(*x);
        }
        let [a, b, c, d, e] = &parts;
        let mut left = a.clone();
        [b, c, d, e].into_iter().for_each(|p| left.merge(p));
        let mut right = e.clone();
        [d, c, b, a].into_iter().for_each(|p| right.merge(p));
        let whole = moments_of(&values);
        prop_assert_eq!(encoded(&left), encoded(&whole));
        prop_assert_eq!(encoded(&right), encoded(&whole));
        prop_assert_eq!(left.stddev_pop().map(f64::to_bits), whole.stddev_pop().map(f64::to_bits));
    }

    #[test]
    fn variance_is_the_same_in_few_and_in_many_digits(
        values in prop::collection::vec(any_finite(), 2..8),
        offset in -1000_i32..900,
    ) {
        // A far smaller value, added and taken away again, widens every accumulator.
        let mut wide = moments_of(&values);
        let far = libm::scalbn(1.0, offset);
        wide.add(far);
        wide.sub(far);
        let plain = moments_of(&values);
        for (a, b) in [
            (plain.var_samp(), wide.var_samp()),
            (plain.stddev_pop(), wide.stddev_pop()),
            (plain.mean(), wide.mean()),
        ] {
            prop_assert_eq!(a.map(f64::to_bits), b.map(f64::to_bits));
        }
        let exact = values.iter().all(|x| x.abs() < 1e3 && (x * 1024.0) % 1.0 == 0.0);
        let n = 1024.0 * 1024.0;
        if exact {
            let power = |x: f64, p| libm::pow(x * 1024.0, f64::from(p));
            let naive = |p: i32| values.iter().map(|x| power(*x, p)).sum::<f64>();
            #[expect(clippy::cast_precision_loss, reason = "few values")]
            let count = values.len() as f64;
            let spread = (count * naive(2) - naive(1) * naive(1)) / n;
            prop_assert_eq!(plain.var_pop().unwrap(), spread / (count * count));
        }
    }

    #[test]
    fn what_was_added_can_be_taken_away(
        kept in prop::collection::vec(any_finite(), 0..10),
        gone in prop::collection::vec(any::<f64>(), 0..10),
    ) {
        let mut all = moments_of(&kept);
        gone.iter().for_each(|x| all.add(*x));
        gone.iter().for_each(|x| all.sub(*x));
        prop_assert_eq!(encoded(&all), encoded(&moments_of(&kept)));
    }

    #[test]
    fn one_value_comes_back(x in any::<f64>()) {
        let mut sum = ExactSum::new();
        sum.add(x);
        prop_assert!(sum.value() == x || x.is_nan() && sum.value().is_nan());
    }

    #[test]
    fn two_values_round_as_the_processor_does(x in any_finite(), y in any_finite()) {
        let mut sum = ExactSum::new();
        sum.add(x);
        sum.add(y);
        prop_assert_eq!(sum.value(), x + y);
    }

    #[test]
    fn equal_values_have_no_variance(x in any_finite(), n in 2_usize..50) {
        let moments = moments_of(&alloc::vec![x; n]);
        prop_assert_eq!(moments.var_samp(), Some(0.0));
        prop_assert_eq!(moments.mean(), Some(if x == 0.0 { 0.0 } else { x }));
    }

    #[test]
    fn decoding_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Some((moments, used)) = ExactMoments::decode(&bytes) {
            prop_assert!(used <= bytes.len());
            prop_assert_eq!(encoded(&moments), &bytes[..used]);
            let _ = (moments.var_pop(), moments.stddev_samp(), moments.mean());
        }
    }
}
