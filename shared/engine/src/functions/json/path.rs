//! JSON paths that lead to one place: names and positions.

use alloc::{string::String, vec::Vec};

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A member of an object.
    Name(String),
    /// An element of an array, from 0.
    Index(usize),
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
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
                let (digits, after) = after.split_once(']')?;
                let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                (Step::Index(plain.then(|| digits.parse().ok()).flatten()?), after)
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
        Some(Self { steps, is_lax })
    }
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
