//! What is wrong with a pipeline, where, and what to do about it.
//!
//! Guarantees: every [`Diagnostic`] has a file, a line, a column and a remedy, and renders to the
//! same bytes for the same text. The planner's own steps raise an [`Issue`], which knows only a
//! span; it becomes a diagnostic when the source text is at hand.
//! Does not decide what is wrong: that is each step's own business.

use core::fmt;

use sqlparser::tokenizer::{Location, Span};

/// One fault of a pipeline file: a lower-case sentence, a place and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong: a lower-case sentence without a full stop.
    pub message: String,
    /// The file as the caller named it.
    pub file: String,
    /// Line number, from 1.
    pub line: u64,
    /// Column number in characters, from 1.
    pub column: u64,
    /// The whole source line.
    pub source_line: String,
    /// How many characters are marked, at least 1.
    pub width: u64,
    /// One line that says what to do.
    pub remedy: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gutter = " ".repeat(self.line.to_string().len());
        // Tabs stay tabs in front of the caret, so that it stands under its column everywhere.
        let before = usize::try_from(self.column.saturating_sub(1)).unwrap_or(0);
        let indent: String = (self.source_line.chars().take(before))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .chain(core::iter::repeat(' '))
            .take(before)
            .collect();
        let carets = "^".repeat(usize::try_from(self.width).unwrap_or(1).max(1));
        writeln!(f, "error: {}", self.message)?;
        writeln!(f, "{gutter}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{} | {}", self.line, self.source_line)?;
        writeln!(f, "{gutter} | {indent}{carets}")?;
        write!(f, "{gutter} = remedy: {}", self.remedy)
    }
}

/// A fault found by one step of the planner, before it is tied to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issue {
    pub(crate) message: String,
    pub(crate) span: Span,
    pub(crate) remedy: String,
}

impl Issue {
    pub(crate) fn new(span: Span, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), span, remedy: remedy.into() }
    }

    /// Real Flink SQL that this project does not plan.
    pub(crate) fn unsupported(span: Span, construct: &str) -> Self {
        let message = format!("{construct} is not supported yet");
        Self::new(span, message, "docs/reference/sql.md lists what is supported")
    }

    /// What the parser would accept but Flink would not.
    pub(crate) fn not_flink(span: Span, construct: &str, remedy: &str) -> Self {
        Self::new(span, format!("{construct} is not Flink SQL"), remedy)
    }
}

/// Shorthand of the planner's steps.
pub(crate) type Result<T> = core::result::Result<T, Issue>;

/// A pipeline's text with its name, to turn issues into diagnostics.
#[derive(Clone, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    pub(crate) fn diagnostic(&self, issue: Issue) -> Diagnostic {
        let Issue { message, span, remedy } = issue;
        let start = self.anchor(span.start);
        let source_line = self.line(start.line).to_owned();
        let length = u64::try_from(source_line.chars().count()).unwrap_or(u64::MAX);
        let end = if span.end.line == start.line { span.end.column } else { length + 1 };
        // A span that runs over several lines marks its first one to the end.
        let width = end.min(length + 1).saturating_sub(start.column).max(1);
        Diagnostic {
            message,
            file: self.file.to_owned(),
            line: start.line,
            column: start.column,
            source_line,
            width,
            remedy,
        }
    }

    /// The start of a span, or the last character of the text where there is none (the parser
    /// gives errors at the end of input no position).
    fn anchor(&self, start: Location) -> Location {
        if start.line > 0 && start.column > 0 {
            return start;
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let last = lines.iter().rposition(|line| !line.trim().is_empty()).unwrap_or(0);
        let text = lines.get(last).copied().unwrap_or("");
        let column = text.trim_end().chars().count().max(1);
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Location::new(number(last + 1), number(column))
    }

    fn line(&self, number: u64) -> &str {
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        self.text.lines().nth(index).unwrap_or("")
    }

    /// The text a one-line span covers; empty for others.
    pub(crate) fn slice(&self, span: Span) -> String {
        if span.start.line != span.end.line {
            return String::new();
        }
        let from = usize::try_from(span.start.column.saturating_sub(1)).unwrap_or(0);
        let count = usize::try_from(span.end.column.saturating_sub(span.start.column)).unwrap_or(0);
        self.line(span.start.line).chars().skip(from).take(count).collect()
    }
}

/// The candidate nearest to `name`, when it is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let bound = (name.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A remedy of the kind "did you mean …?", or the list of what exists.
pub(crate) fn suggest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
    kind: &str,
) -> String {
    if let Some(best) = nearest(name, candidates.clone()) {
        return format!("did you mean '{best}'?");
    }
    let mut all: Vec<&str> = candidates.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    match all.len() {
        0 => format!("there are no {kind} here"),
        1..=12 => format!("the {kind} here: {}", all.join(", ")),
        n => format!("the {kind} here: {}, … ({n} in all)", all[..12].join(", ")),
    }
}

/// Edit distance with swaps of neighbours counted as one.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = rows[i - 1][j - 1] + change;
            best = best.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        assert_eq!(nearest("tmep", ["temp", "time", "v"]), Some("temp"));
        assert_eq!(nearest("Temp", ["temp"]), Some("temp"));
        assert_eq!(nearest("pressure", ["temp", "v"]), None);
    }

    #[test]
    fn end_of_input_points_at_the_last_character() {
        let source = Source { file: "p.sql", text: "SELECT 1\nFROM t WHERE\n\n" };
        let d = source.diagnostic(Issue::new(Span::empty(), "m", "r"));
        assert_eq!((d.line, d.column, d.source_line.as_str()), (2, 12, "FROM t WHERE"));
    }

    #[test]
    fn tabs_keep_the_caret_under_its_column() {
        let source = Source { file: "p.sql", text: "\tSELECT x" };
        let span = Span::new(Location::new(1, 9), Location::new(1, 10));
        let text = source.diagnostic(Issue::new(span, "m", "r")).to_string();
        assert!(text.contains("\n  | \t       ^\n"), "{text}");
    }
}
