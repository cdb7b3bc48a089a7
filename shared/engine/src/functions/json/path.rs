//! JSON paths: names and positions lead to one place; wildcards, ranges, filters and `..` to many.

use alloc::{string::String, vec::Vec};

use super::filter::Filter;

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A member of an object.
    Name(String),
    /// An element of an array, from 0.
    Index(usize),
    /// An element of an array, from 1 at its end.
    FromEnd(usize),
    /// `[*]` and `.*`: all elements, or the values of all members.
    All,
    /// `[a:b]`: elements from `a`, before `b`; negative ones count from the end.
    Range(Option<i64>, Option<i64>),
    /// `[a, b]`: these elements.
    Indices(Vec<i64>),
    /// `[?(…)]`: the elements that meet it, or an object that does.
    Filter(Filter),
    /// `..name`: the members of that name at any depth, outer ones first.
    Deep(String),
}

impl Step {
    /// Whether it leads to one place at most.
    pub(super) const fn is_definite(&self) -> bool {
        matches!(self, Step::Name(_) | Step::Index(_) | Step::FromEnd(_))
    }

    /// The first step of a path, and what follows it.
    pub(super) fn parse(text: &str) -> Option<(Self, &str)> {
        if let Some(after) = text.strip_prefix("[?(") {
            let (filter, after) = Filter::parse(after)?;
            return Some((Step::Filter(filter), after));
        }
        if let Some(after) = text.strip_prefix("['") {
            return bracket_name(after, '\'');
        }
        if let Some(after) = text.strip_prefix("[\"") {
            return bracket_name(after, '"');
        }
        if let Some(after) = text.strip_prefix('[') {
            let (inner, after) = after.split_once(']')?;
            return Some((elements(inner.trim())?, after));
        }
        if let Some(after) = text.strip_prefix("..") {
            let named = if after.starts_with('[') { Step::parse(after)? } else { name(after)? };
            return match named {
                (Step::Name(name), after) => Some((Step::Deep(name), after)),
                _ => None,
            };
        }
        if let Some(after) = text.strip_prefix(".*") {
            return Some((Step::All, after));
        }
        name(text.strip_prefix('.')?)
    }
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Down to one place.
    pub(super) steps: Vec<Step>,
    /// From there on, if the path leads to many: what comes is a list, be it empty.
    pub(super) many: Vec<Step>,
    pub(super) is_lax: bool,
}

impl Path {
    /// None for what is not supported.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_lax, text) = mode(text);
        let mut rest = text.trim().strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = Step::parse(rest)?;
            steps.push(step);
            rest = after;
        }
        // Each of several would find again what the one before has found.
        if steps.iter().filter(|step| matches!(step, Step::Deep(_))).count() > 1 {
            return None;
        }
        let definite = steps.iter().position(|s| !s.is_definite()).unwrap_or(steps.len());
        let many = steps.split_off(definite);
        Some(Self { steps, many, is_lax })
    }
}

fn name(text: &str) -> Option<(Step, &str)> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | ':');
    let end = text.find(|c: char| !is_name(c)).unwrap_or(text.len());
    (end > 0).then(|| (Step::Name(text[..end].into()), &text[end..]))
}

/// What stands between `[` and `]`, but for names.
fn elements(inner: &str) -> Option<Step> {
    if inner == "*" {
        return Some(Step::All);
    }
    if inner.contains(',') {
        return inner.split(',').map(|i| index(i.trim())).collect::<Option<_>>().map(Step::Indices);
    }
    let Some((from, to)) = inner.split_once(':') else {
        let at = index(inner)?;
        let size = usize::try_from(at.unsigned_abs()).ok()?;
        return Some(if at < 0 { Step::FromEnd(size) } else { Step::Index(size) });
    };
    let bound = |text: &str| match text.trim() {
        "" => Some(None),
        digits => index(digits).map(Some),
    };
    match (bound(from)?, bound(to)?) {
        // Flink counts these in a way of its own.
        (Some(from), Some(to)) if from < 0 || to < 0 => None,
        (None, None) => None,
        (from, to) => Some(Step::Range(from, to)),
    }
}

fn index(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// `lax` or `strict` before the path; strict without either.
fn mode(text: &str) -> (bool, &str) {
    let trimmed = text.trim_start();
    for (word, is_lax) in [("lax", true), ("strict", false)] {
        let (Some(start), Some(rest)) = (trimmed.get(..word.len()), trimmed.get(word.len()..))
        else {
            continue;
        };
        if start.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace) {
            return (is_lax, rest);
        }
    }
    (false, text)
}

fn bracket_name(text: &str, quote: char) -> Option<(Step, &str)> {
    let (name, after) = text.split_once(quote)?;
    let plain = !name.contains('\\');
    plain.then(|| Some((Step::Name(name.into()), after.strip_prefix(']')?)))?
}
