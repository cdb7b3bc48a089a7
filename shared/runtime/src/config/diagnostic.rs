//! Errors of the configuration: place, source line, caret, remedy.

use std::fmt;
use std::path::Path;

/// One error, ready to print. Exit code 78.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// File as the user named it.
    pub file: String,
    /// Line from 1; 0 if the error has no place.
    pub line: usize,
    /// Column from 1, in characters.
    pub column: usize,
    /// What is wrong, as a lower-case sentence.
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
    source: String,
    width: usize,
}

impl ConfigError {
    /// The file cannot be read.
    pub(crate) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self {
            file: path.display().to_string(),
            line: 0,
            column: 0,
            message: format!("cannot be read: {error}"),
            remedy: Some("write one with 'init', or name it with --config".into()),
            source: String::new(),
            width: 0,
        }
    }

    /// From the parser's error.
    pub(crate) fn toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let (start, end) = error.span().map_or((text.len(), text.len()), |s| (s.start, s.end));
        let message = error.message().trim().replace('\n', "; ");
        let remedy = remedy_of(&message);
        Self::at(file, text, start..end, first_lower(&message), remedy)
    }

    /// At the first use of a key; at the end of the file if it is not there.
    pub(crate) fn at_key(file: &str, text: &str, key: &str, reason: &str) -> Self {
        let place = line_starts(text).find(|(_, line)| {
            let line = line.trim_start();
            line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
        });
        let span = match place {
            Some((start, line)) => {
                let value = line.find('=').map_or(0, |equals| {
                    let rest = &line[equals + 1..];
                    equals + 1 + (rest.len() - rest.trim_start().len())
                });
                start + value..start + line.trim_end().len()
            }
            None => text.len()..text.len(),
        };
        Self::at(file, text, span, format!("'{key}' {reason}"), None)
    }

    fn at(
        file: &str,
        text: &str,
        span: std::ops::Range<usize>,
        message: String,
        remedy: Option<String>,
    ) -> Self {
        let start = floor(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |index| index + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |index| start + index);
        let end = floor(text, span.end).clamp(start, line_end);
        Self {
            file: file.into(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message,
            remedy,
            source: text[line_start..line_end].into(),
            width: text[start..end].chars().count().max(1),
        }
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn line_starts(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |start, line| {
        let at = *start;
        *start += line.len();
        Some((at, line))
    })
}

fn first_lower(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1)) {
        // An acronym keeps its capitals.
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.into(),
    }
}

/// The remedy that follows from the parser's message.
fn remedy_of(message: &str) -> Option<String> {
    if message.starts_with("unknown field") || message.starts_with("unknown variant") {
        let mut names = message.split('`').skip(1).step_by(2);
        let wrong = names.next()?;
        let known: Vec<&str> = names.collect();
        return Some(match did_you_mean(wrong, known.iter().copied()) {
            Some(name) => format!("did you mean '{name}'?"),
            None => format!("known here: {}", known.join(", ")),
        });
    }
    if let Some(rest) = message.strip_prefix("missing field") {
        return Some(format!("add the line {} = …", rest.trim().trim_matches('`')));
    }
    if message.contains("invalid type") && message.contains("with its unit") {
        return Some("write a number and a unit between quotation marks".into());
    }
    None
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.message)?;
        if self.line == 0 {
            write!(f, "  --> {}", self.file)?;
        } else {
            writeln!(f, "  --> {}:{}:{}", self.file, self.line, self.column)?;
            writeln!(f, "   | {}", self.source)?;
            let indent: String = self
                .source
                .chars()
                .take(self.column - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            write!(f, "   | {indent}{}", "^".repeat(self.width))?;
        }
        if let Some(remedy) = &self.remedy {
            write!(f, "\n   = {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The known name that is nearest to a wrong one, if it is near.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wrong.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Damerau–Levenshtein distance (neighbours swapped count once).
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
