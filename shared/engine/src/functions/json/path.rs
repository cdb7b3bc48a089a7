//! JSON paths: names and positions lead to one place, wildcards and ranges to many.

use alloc::{string::String, vec::Vec};

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
}

impl Step {
    /// Whether it leads to one place at most.
    const fn is_definite(&self) -> bool {
        matches!(self, Step::Name(_) | Step::Index(_) | Step::FromEnd(_))
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
            let (step, after) = if let Some(after) = rest.strip_prefix("['") {
                bracket_name(after, '\'')?
            } else if let Some(after) = rest.strip_prefix("[\"") {
                bracket_name(after, '"')?
            } else if let Some(after) = rest.strip_prefix('[') {
                let (inner, after) = after.split_once(']')?;
                (elements(inner.trim())?, after)
            } else if let Some(after) = rest.strip_prefix(".*") {
                (Step::All, after)
            } else {
                let after = rest.strip_prefix('.')?;
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let name = &after[..end];
                let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | ':');
                if name.is_empty() || !name.chars().all(is_name) {
                    return None;
                }
                (Step::Name(name.into()), &after[end..])
            };
            steps.push(step);
            rest = after;
        }
        let definite = steps.iter().position(|s| !s.is_definite()).unwrap_or(steps.len());
        let many = steps.split_off(definite);
        Some(Self { steps, many, is_lax })
    }
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
