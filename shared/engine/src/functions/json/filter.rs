//! Filters in JSON paths: `[?(@.b > 1 && @.c == 'x')]`.
//!
//! A filter compares members of the value that it is asked of with constants, as Jayway's library
//! does in Flink: a number and a text are equal when the text is the number, an order is among
//! numbers and among texts, and what is not there equals nothing. Constants are numbers without an
//! exponent, texts without escapes, `true`, `false` and `null`.

use alloc::{string::String, vec::Vec};
use core::cmp::Ordering;

use super::number::Plain;
use super::path::Step;
use super::string;
use super::tree::Tree;

/// Comparisons of one filter.
const TERMS_MAX: usize = 16;
/// Characters of a number, and its digits after the point: those that Java writes as they are.
const NUMBER_LENGTH_MAX: usize = 30;
const DECIMALS_MAX: usize = 6;

/// Alternatives, each of comparisons that all have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter(Vec<Vec<Term>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    /// From the value that is asked down to the one that is compared.
    steps: Vec<Step>,
    order: Order,
    constant: Constant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Constant {
    /// As it is written.
    Number(String),
    Text(String),
    /// `true`, `false`, `null`
    Word(&'static str),
}

/// In the order in which they are looked for.
const ORDERS: [(&str, Order); 6] = [
    ("==", Order::Equal),
    ("!=", Order::NotEqual),
    ("<=", Order::LessOrEqual),
    (">=", Order::GreaterOrEqual),
    ("<", Order::Less),
    (">", Order::Greater),
];

/// What is compared is an object or an array: Flink's job fails.
pub(super) struct NoScalar;

impl Filter {
    /// Reads what stands behind `[?(`; gives what follows `)]`. None for what is not supported.
    pub(super) fn parse(text: &str) -> Option<(Self, &str)> {
        let (mut any, mut all) = (Vec::new(), Vec::new());
        let (mut rest, mut count) = (text, 0);
        loop {
            let (term, after) = Term::parse(rest)?;
            all.push(term);
            count += 1;
            let after = after.trim_start();
            if let Some(after) = after.strip_prefix("&&") {
                rest = after;
            } else if let Some(after) = after.strip_prefix("||") {
                any.push(core::mem::take(&mut all));
                rest = after;
            } else {
                any.push(all);
                let after = after.strip_prefix(")]")?;
                return (count <= TERMS_MAX).then_some((Self(any), after));
            }
        }
    }

    /// Whether a node meets it.
    pub(super) fn takes(&self, tree: &Tree, node: usize, text: &[u8]) -> Result<bool, NoScalar> {
        for terms in &self.0 {
            let mut holds = true;
            for term in terms {
                holds = holds && term.holds(tree, node, text)?;
            }
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Term {
    fn parse(text: &str) -> Option<(Self, &str)> {
        let mut rest = text.trim_start().strip_prefix('@')?;
        let mut steps = Vec::new();
        while rest.starts_with(['.', '[']) {
            let (step, after) = Step::parse(rest)?;
            if !step.is_definite() {
                return None;
            }
            steps.push(step);
            rest = after;
        }
        rest = rest.trim_start();
        let (order, after) = ORDERS.iter().find_map(|(sign, order)| {
            rest.strip_prefix(sign).map(|after| (*order, after.trim_start()))
        })?;
        let (constant, after) = Constant::parse(after)?;
        let is_equality = matches!(order, Order::Equal | Order::NotEqual);
        let fits = match &constant {
            Constant::Number(_) => true,
            Constant::Word(_) => is_equality,
            // Whether a text is a number is asked in the way of Java.
            Constant::Text(text) => {
                !is_equality || !text.trim_start().starts_with(|c: char| is_numeric(c))
            }
        };
        fits.then_some((Self { steps, order, constant }, after))
    }

    fn holds(&self, tree: &Tree, node: usize, text: &[u8]) -> Result<bool, NoScalar> {
        let mut at = Some(node);
        for step in &self.steps {
            at = at.and_then(|node| tree.child(node, step, text));
        }
        let Some(node) = at else { return Ok(self.order == Order::NotEqual) };
        let range = tree.range(node);
        let order = match (text[range.start], &self.constant) {
            (b'{' | b'[', _) => return Err(NoScalar),
            (b'"', Constant::Text(constant)) => {
                let value = string::decoded(text, range);
                Some(value.encode_utf16().cmp(constant.encode_utf16()))
            }
            (b'"', Constant::Number(number)) => {
                // Never in an order, even if they are equal.
                let is_equal = string::decoded(text, range) == *number;
                let asked = if is_equal { Order::Equal } else { Order::NotEqual };
                return Ok(self.order == asked);
            }
            (b'"', Constant::Word(_)) => None,
            (b't' | b'f' | b'n', Constant::Word(word)) => {
                (text[range] == *word.as_bytes()).then_some(Ordering::Equal)
            }
            (b't' | b'f' | b'n', _) => None,
            (_, Constant::Number(number)) => {
                Some(Plain::of(&text[range]).compare(&Plain::of(number.as_bytes())))
            }
            (_, _) => None,
        };
        Ok(self.order.holds(order))
    }
}

impl Order {
    /// None: the two cannot be compared.
    fn holds(self, found: Option<Ordering>) -> bool {
        let Some(found) = found else { return self == Order::NotEqual };
        match self {
            Order::Equal => found.is_eq(),
            Order::NotEqual => found.is_ne(),
            Order::Less => found.is_lt(),
            Order::LessOrEqual => found.is_le(),
            Order::Greater => found.is_gt(),
            Order::GreaterOrEqual => found.is_ge(),
        }
    }
}

impl Constant {
    fn parse(text: &str) -> Option<(Self, &str)> {
        for quote in ['\'', '"'] {
            if let Some(rest) = text.strip_prefix(quote) {
                let (inner, after) = rest.split_once(quote)?;
                return (!inner.contains('\\')).then(|| (Self::Text(inner.into()), after));
            }
        }
        let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
        let (word, after) = text.split_at(end);
        if let Some(word) = ["true", "false", "null"].into_iter().find(|known| *known == word) {
            return Some((Self::Word(word), after));
        }
        is_plain(word).then(|| (Self::Number(word.into()), after))
    }
}

fn is_numeric(c: char) -> bool {
    c.is_numeric() || matches!(c, '+' | '-' | '.')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+' | '_')
}

/// A number that Java writes as it is read: no zeros in front, no zero below zero.
fn is_plain(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
    are_digits(whole)
        && are_digits(decimals)
        && (whole == "0" || !whole.starts_with('0'))
        && !(is_zero && number.starts_with('-'))
        && number.len() <= NUMBER_LENGTH_MAX
        && decimals.len() <= DECIMALS_MAX
}
