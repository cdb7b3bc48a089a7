//! Finds the place of a table's option in the text of a pipeline, for faults that only the run
//! time knows: a path that cannot be read, a secret that is missing.
//!
//! Guarantees: every fault gets a place, if need be the start of the text. Does not check SQL:
//! the text has been compiled before.

use core::ops::Range;

use headwater_plan::Diagnostic;

/// A fault at the value of `option` in the statement that creates `table`.
pub(super) fn fault(
    file: &str,
    text: &str,
    (table, option): (&str, &str),
    message: String,
    remedy: String,
) -> Diagnostic {
    let span = value_of(text, table, option).unwrap_or(0..0);
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
    let count = |text: &str| text.chars().count() as u64;
    Diagnostic {
        message,
        file: file.into(),
        line: text[..span.start].matches('\n').count() as u64 + 1,
        column: count(&text[line_start..span.start]) + 1,
        source_line: text[line_start..line_end].into(),
        width: count(&text[span.start..span.end.clamp(span.start, line_end)]).max(1),
        remedy,
    }
}

/// A token as far as it matters here.
#[derive(Debug, PartialEq)]
enum Token<'a> {
    Name(&'a str),
    Text(&'a str),
    Other(u8),
}

fn value_of(text: &str, table: &str, option: &str) -> Option<Range<usize>> {
    let tokens = tokens(text);
    let mut inside = false;
    for (index, (token, _)) in tokens.iter().enumerate() {
        match token {
            Token::Other(b';') => inside = false,
            Token::Name(word) if word.eq_ignore_ascii_case("table") => {
                let skipped = ["if", "not", "exists"];
                let mut names = tokens[index + 1..].iter().map(|(token, _)| token).skip_while(
                    |t| matches!(t, Token::Name(n) if skipped.contains(&&*n.to_lowercase())),
                );
                inside |= names.next() == Some(&Token::Name(table));
            }
            Token::Text(key) if inside && *key == option => {
                let value = tokens.get(index + 2)?;
                if tokens[index + 1].0 == Token::Other(b'=') && matches!(value.0, Token::Text(_)) {
                    return Some(value.1.clone());
                }
            }
            _ => {}
        }
    }
    None
}

/// Names, quoted texts and other characters with their places; comments and space left out.
fn tokens(text: &str) -> Vec<(Token<'_>, Range<usize>)> {
    let bytes = text.as_bytes();
    let (mut at, mut found) = (0, Vec::new());
    while let Some(&byte) = bytes.get(at) {
        let rest = &text[at..];
        let end = match byte {
            b'-' if rest.starts_with("--") => at + rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => at + rest.find("*/").map_or(rest.len(), |i| i + 2),
            b'\'' | b'`' => {
                let end = closing(bytes, at);
                let inner = &text[at + 1..end.max(at + 2) - 1];
                let token = if byte == b'`' { Token::Name(inner) } else { Token::Text(inner) };
                found.push((token, at..end));
                end
            }
            _ if is_word(byte) => {
                let end = at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
                found.push((Token::Name(&text[at..end]), at..end));
                end
            }
            _ => {
                if !byte.is_ascii_whitespace() {
                    found.push((Token::Other(byte), at..at + 1));
                }
                at + 1
            }
        };
        at = end;
    }
    found
}

/// One past the quote that closes the one at `start`; a doubled quote does not close.
fn closing(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "-- CREATE TABLE b ('path'='no')\n\
        CREATE TABLE a (x INT) WITH ('connector'='filesystem', 'path'='a''s');\n\
        CREATE TABLE IF NOT EXISTS `b` (`path` STRING)\n  WITH ('path' = 'ä/b.csv');\n";

    #[test]
    fn an_option_is_found_in_its_own_table() {
        let place = |table, option| value_of(TEXT, table, option).map(|span| &TEXT[span]);
        assert_eq!(place("a", "path"), Some("'a''s'"));
        assert_eq!(place("b", "path"), Some("'ä/b.csv'"));
        assert_eq!(place("b", "connector"), None);
        assert_eq!(place("c", "path"), None);
    }

    #[test]
    fn a_fault_has_line_column_and_width() {
        let fault = fault("p.sql", TEXT, ("b", "path"), "m".into(), "r".into());
        assert_eq!((fault.line, fault.column, fault.width), (4, 18, 9));
        let nowhere = super::fault("p.sql", "", ("b", "path"), "m".into(), "r".into());
        assert_eq!((nowhere.line, nowhere.column, nowhere.width), (1, 1, 1));
    }

    #[test]
    fn any_text_is_taken() {
        for text in ["'", "`", "--", "/*", "'a", "''", "CREATE TABLE", "table b 'path'", "ä`"] {
            let _ = value_of(text, "b", "path");
        }
    }
}
