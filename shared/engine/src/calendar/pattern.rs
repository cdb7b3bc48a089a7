//! Java's date patterns (`yyyy-MM-dd''T''HH:mm`), compiled once, to format and to parse.
//!
//! Flink uses two of Java's dialects: `DateTimeFormatter` in DATE_FORMAT and TO_TIMESTAMP of
//! timestamps, the older, lenient `SimpleDateFormat` in FROM_UNIXTIME, UNIX_TIMESTAMP and TO_DATE.
//! They agree on most letters and differ in fractions and in what they forgive. Names are English.
//! Letters about eras, weeks and zones are refused when the pattern is compiled.

use alloc::vec::Vec;

use super::Moment;

mod format;
mod read;

/// Which of Java's classes a pattern is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `java.time.format.DateTimeFormatter`: `S` is a fraction, parsing is exact.
    DateTimeFormatter,
    /// `java.text.SimpleDateFormat`: `S` is milliseconds, parsing carries values over and ignores
    /// text that follows.
    SimpleDateFormat,
}

/// Why a pattern cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// A letter that is not supported, or that many of it, at this byte of the pattern.
    Letter {
        /// The letter.
        letter: char,
        /// How many of them.
        count: usize,
        /// Where, in bytes.
        position: usize,
    },
    /// A quote that is not closed.
    Quote,
}

impl core::fmt::Display for PatternError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Letter { letter, count, position } => write!(
                f,
                "unsupported date pattern: {count} of the letter '{letter}' at position {position}"
            ),
            Self::Quote => f.write_str("unsupported date pattern: a quote is not closed"),
        }
    }
}

impl core::error::Error for PatternError {}

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    items: Vec<Item>,
    dialect: Dialect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Literal(char),
    Field(Field, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    DayOfYear,
    DayName,
    /// 0–23
    Hour,
    /// 1–24
    HourFromOne,
    /// 1–12
    ClockHour,
    /// 0–11
    HalfDayHour,
    HalfDay,
    Minute,
    Second,
    /// A decimal fraction, or milliseconds in `SimpleDateFormat`.
    Fraction,
}

impl Field {
    fn of_letter(letter: char, dialect: Dialect) -> Option<Self> {
        Some(match letter {
            'y' => Self::Year,
            'u' if dialect == Dialect::DateTimeFormatter => Self::Year,
            'M' | 'L' => Self::Month,
            'd' => Self::Day,
            'D' => Self::DayOfYear,
            'E' => Self::DayName,
            'H' => Self::Hour,
            'k' => Self::HourFromOne,
            'h' => Self::ClockHour,
            'K' => Self::HalfDayHour,
            'a' => Self::HalfDay,
            'm' => Self::Minute,
            's' => Self::Second,
            'S' => Self::Fraction,
            _ => return None,
        })
    }

    const fn is_text(self, count: usize) -> bool {
        matches!(self, Self::DayName | Self::HalfDay) || matches!(self, Self::Month) && count >= 3
    }

    /// How many letters `DateTimeFormatter` allows.
    const fn count_max(self) -> usize {
        match self {
            Self::Year => 9,
            Self::Month | Self::DayName => 4,
            Self::DayOfYear => 3,
            Self::HalfDay => 1,
            Self::Fraction => 9,
            _ => 2,
        }
    }
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// On letters that are not supported, and on a quote that is not closed.
    pub fn compile(text: &str, dialect: Dialect) -> Result<Self, PatternError> {
        let mut items = Vec::new();
        let mut chars = text.char_indices().peekable();
        while let Some((position, c)) = chars.next() {
            match c {
                '\'' if chars.next_if(|(_, c)| *c == '\'').is_some() => {
                    items.push(Item::Literal('\''));
                }
                '\'' => loop {
                    match chars.next().ok_or(PatternError::Quote)?.1 {
                        '\'' if chars.next_if(|(_, c)| *c == '\'').is_none() => break,
                        c => items.push(Item::Literal(c)),
                    }
                },
                c if c.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while chars.next_if(|(_, next)| *next == c).is_some() {
                        count += 1;
                    }
                    let limited = dialect == Dialect::DateTimeFormatter;
                    let field = Field::of_letter(c, dialect)
                        .filter(|field| !limited || count <= field.count_max())
                        .ok_or(PatternError::Letter { letter: c, count, position })?;
                    items.push(Item::Field(field, count));
                }
                '[' | ']' | '{' | '}' | '#' if dialect == Dialect::DateTimeFormatter => {
                    return Err(PatternError::Letter { letter: c, count: 1, position });
                }
                c => items.push(Item::Literal(c)),
            }
        }
        Ok(Self { items, dialect })
    }

    /// Writes a timestamp.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(
        &self,
        out: &mut (impl core::fmt::Write + ?Sized),
        moment: Moment,
    ) -> core::fmt::Result {
        format::write(self, out, moment)
    }

    /// Reads a timestamp; parts that the pattern does not have are those of 1970-01-01 00:00:00.
    /// None where the text does not follow the pattern.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Moment> {
        read::parse(self, text)
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// By ISO day of week, from 1.
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const SHORT_NAME_BYTES: usize = 3;
