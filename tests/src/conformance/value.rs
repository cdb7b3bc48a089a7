//! JSON values in a canonical form for comparison: whole doubles are integers, time stamps have
//! one spelling, object fields one order. Does not round: closeness is the comparer's business.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::Value;

/// Whole numbers from here on are not all doubles.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A canonical value.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// SQL NULL.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number that is not whole, or too large to be exact.
    Float(f64),
    /// Text, dates and times.
    Text(String),
    /// An array.
    List(Vec<Plain>),
    /// A row, its fields sorted by name.
    Row(Vec<(String, Plain)>),
}

impl Plain {
    /// The canonical form of `value`.
    #[must_use]
    pub fn new(value: &Value) -> Plain {
        match value {
            Value::Null => Plain::Null,
            Value::Bool(b) => Plain::Bool(*b),
            Value::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(n), _) => Plain::Int(n.into()),
                (None, Some(n)) => Plain::Int(n.into()),
                (None, None) => Plain::float(n.as_f64().expect("any JSON number is a double")),
            },
            Value::String(text) => Plain::Text(time_stamp(text).unwrap_or_else(|| text.clone())),
            Value::Array(items) => Plain::List(items.iter().map(Plain::new).collect()),
            Value::Object(fields) => {
                let mut fields: Vec<_> =
                    fields.iter().map(|(k, v)| (k.clone(), Plain::new(v))).collect();
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                Plain::Row(fields)
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    fn float(x: f64) -> Plain {
        if x.fract() == 0.0 && x.abs() < EXACT_MAX {
            Plain::Int(x as i128)
        } else {
            Plain::Float(x)
        }
    }

    /// The value of a number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for closeness only")]
    pub fn number(&self) -> Option<f64> {
        match self {
            Plain::Int(n) => Some(*n as f64),
            Plain::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// A text that two values share exactly when they are equal.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = String::new();
        self.push_key(&mut key, true);
        key
    }

    /// A text that two rows share when they are equal but for their numbers.
    #[must_use]
    pub fn key_without_numbers(&self) -> String {
        let mut key = String::new();
        self.push_key(&mut key, false);
        key
    }

    fn push_key(&self, key: &mut String, numbers: bool) {
        match self {
            Plain::Null => key.push_str("null"),
            Plain::Bool(b) => key.push_str(if *b { "true" } else { "false" }),
            Plain::Int(_) | Plain::Float(_) if !numbers => key.push('#'),
            Plain::Int(n) => write!(key, "{n}").expect("writing to text does not fail"),
            Plain::Float(x) => write!(key, "{x:?}").expect("writing to text does not fail"),
            Plain::Text(text) => write!(key, "{text:?}").expect("writing to text does not fail"),
            Plain::List(items) => {
                key.push('[');
                items.iter().for_each(|item| {
                    item.push_key(key, numbers);
                    key.push(',');
                });
                key.push(']');
            }
            Plain::Row(fields) => {
                key.push('{');
                for (name, value) in fields {
                    write!(key, "{name:?}:").expect("writing to text does not fail");
                    value.push_key(key, numbers);
                    key.push(',');
                }
                key.push('}');
            }
        }
    }

    /// Whether two values are equal, doubles within the relative tolerance `rtol`.
    #[must_use]
    pub fn is_close(&self, other: &Plain, rtol: f64) -> bool {
        match (self, other) {
            (Plain::List(a), Plain::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_close(b, rtol))
            }
            (Plain::Row(a), Plain::Row(b)) => {
                let same = |(a, b): (&(String, Plain), &(String, Plain))| {
                    a.0 == b.0 && a.1.is_close(&b.1, rtol)
                };
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            (Plain::Int(a), Plain::Int(b)) => a == b || (rtol > 1e-12 && near(self, other, rtol)),
            // A BIGINT must not go through a double.
            (Plain::Int(n), Plain::Float(_)) if n.unsigned_abs() >= 1 << 53 => false,
            (Plain::Int(_) | Plain::Float(_), Plain::Int(_) | Plain::Float(_)) => {
                near(self, other, rtol)
            }
            _ => self == other,
        }
    }

    /// An order in which rows that differ in last digits only stay neighbours.
    #[must_use]
    pub fn rough_order(&self, other: &Plain) -> Ordering {
        match (self, other) {
            (Plain::Row(a), Plain::Row(b)) => a
                .iter()
                .zip(b)
                .map(|(a, b)| a.1.rough_order(&b.1))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| a.len().cmp(&b.len())),
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => rough(a).total_cmp(&rough(b)),
                _ => self.key().cmp(&other.key()),
            },
        }
    }
}

fn near(a: &Plain, b: &Plain, rtol: f64) -> bool {
    let (Some(a), Some(b)) = (a.number(), b.number()) else { return false };
    // Near zero a relative measure says nothing.
    let atol = if rtol <= 1e-12 { 1e-15 } else { rtol * 1e-3 };
    a == b || (a - b).abs() <= (rtol * a.abs().max(b.abs())).max(atol)
}

fn rough(x: f64) -> f64 {
    format!("{x:.6e}").parse().unwrap_or(x)
}

/// `text` with a blank between date and time and no trailing zeros, when it is a time stamp.
fn time_stamp(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let split = bytes.iter().position(|b| matches!(b, b'T' | b' '))?;
    let (date, rest) = (&text[..split], &text[split + 1..]);
    if !is_shaped(date.strip_prefix('-').unwrap_or(date), "yyyy-mm-dd") {
        return None;
    }
    let (time, zone) = match rest.strip_suffix('Z') {
        Some(time) => (time, "Z"),
        None => (rest, ""),
    };
    let (clock, fraction) = match time.split_once('.') {
        Some((_, "")) => return None,
        Some((clock, fraction)) => (clock, fraction),
        None => (time, ""),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_shaped(clock, "hh:mm:ss") || !digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!("{date} {clock}{dot}{fraction}{zone}"))
}

/// Whether `text` has a digit for each letter of `shape`; the first group may be longer.
fn is_shaped(text: &str, shape: &str) -> bool {
    let Some(extra) = text.len().checked_sub(shape.len()) else { return false };
    let extra = if shape.starts_with('y') || extra == 0 { extra } else { return false };
    let (head, tail) = text.as_bytes().split_at(extra);
    head.iter().all(u8::is_ascii_digit)
        && tail
            .iter()
            .zip(shape.bytes())
            .all(|(b, s)| if s.is_ascii_alphabetic() { b.is_ascii_digit() } else { *b == s })
}
