//! The scanner: tokens of one JSON text, which is valid UTF-8. It allocates nothing and every
//! call advances. Unescaped control characters in texts are accepted, as in Flink.

use headwater_engine::arena::Arena;

use crate::format::number::Number;
use crate::format::{DecodeError, Reason};

pub(super) struct Scanner<'a> {
    text: &'a str,
    pub(super) at: usize,
}

/// One value; an opening bracket is not taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Token<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Text<'a>),
    Object,
    Array,
}

/// A text between its quotation marks, escapes as they stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) raw: &'a str,
    pub(super) escaped: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), DecodeError> {
        if self.peek() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn malformed(&self) -> DecodeError {
        self.error(Reason::Malformed)
    }

    pub(super) fn error(&self, reason: Reason) -> DecodeError {
        DecodeError { reason, at: self.at, column: None }
    }

    /// The text whose quotation mark is next.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Text<'a>, DecodeError> {
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start;
        let mut escaped = false;
        loop {
            at = match stop(bytes, at) {
                Some(at) => at,
                None => return Err(self.malformed()),
            };
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Ok(Text { raw: &self.text[start..at], escaped });
            }
            escaped = true;
            at += 2;
        }
    }

    #[inline]
    pub(super) fn value(&mut self) -> Result<Token<'a>, DecodeError> {
        match self.peek() {
            Some(b'"') => Ok(Token::Text(self.text()?)),
            Some(b'-' | b'0'..=b'9') => {
                let number = Number::scan(&self.text[self.at..]).ok_or_else(|| self.malformed())?;
                self.at += number.text.len();
                Ok(Token::Number(number))
            }
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::Array),
            Some(b't') => self.word("true", Token::Bool(true)),
            Some(b'f') => self.word("false", Token::Bool(false)),
            Some(b'n') => self.word("null", Token::Null),
            _ => Err(self.malformed()),
        }
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, DecodeError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.malformed());
        }
        self.at += word.len();
        Ok(token)
    }

    /// Steps over a value of any kind.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), DecodeError> {
        self.walk(depth, &mut |_| true)
    }

    /// Steps over a value and shows each of its tokens.
    pub(super) fn walk(
        &mut self,
        depth: usize,
        show: &mut impl FnMut(Piece<'a>) -> bool,
    ) -> Result<(), DecodeError> {
        let token = self.value()?;
        let (open, close) = match token {
            Token::Object => (b'{', b'}'),
            Token::Array => (b'[', b']'),
            token => {
                self.check(token)?;
                return self.shown(show(Piece::Value(token)));
            }
        };
        if depth >= DEPTH_MAX {
            return Err(self.error(Reason::TooDeep));
        }
        self.at += 1;
        self.shown(show(Piece::Mark(open)))?;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return self.shown(show(Piece::Mark(close)));
        }
        loop {
            if open == b'{' {
                let key = Token::Text(self.text()?);
                self.check(key)?;
                self.shown(show(Piece::Value(key)))?;
                self.space();
                self.expect(b':')?;
                self.shown(show(Piece::Mark(b':')))?;
                self.space();
            }
            self.walk(depth + 1, show)?;
            self.space();
            let mark = self.peek().unwrap_or(0);
            if mark != b',' && mark != close {
                return Err(self.malformed());
            }
            self.at += 1;
            self.shown(show(Piece::Mark(mark)))?;
            if mark == close {
                return Ok(());
            }
            self.space();
        }
    }

    /// Escapes are checked also where nobody wants the text.
    fn check(&self, token: Token<'_>) -> Result<(), DecodeError> {
        match token {
            Token::Text(text) if text.escaped => {
                text.unescape(|_| true).map_err(|reason| self.error(reason))
            }
            _ => Ok(()),
        }
    }

    fn shown(&self, taken: bool) -> Result<(), DecodeError> {
        if taken { Ok(()) } else { Err(self.error(Reason::TextTooLarge)) }
    }
}

/// What [`Scanner::walk`] shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece<'a> {
    Value(Token<'a>),
    /// A bracket, comma or colon.
    Mark(u8),
}

/// The next quotation mark or backslash. Most texts are short: eight bytes at a time, inline.
#[inline]
pub(super) fn stop(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    for _ in 0..4 {
        let Some(chunk) = bytes.get(at..at + 8) else { break };
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let quotes = word ^ (ONES * b'"' as u64);
        let escapes = word ^ (ONES * b'\\' as u64);
        let hits = (quotes.wrapping_sub(ONES) & !quotes) | (escapes.wrapping_sub(ONES) & !escapes);
        let hits = hits & HIGH;
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr2(b'"', b'\\', bytes.get(at..)?).map(|found| at + found)
}

impl Text<'_> {
    /// Whether the text, unescaped, is this one.
    pub(super) fn equals(&self, other: &str) -> bool {
        if !self.escaped {
            return self.raw == other;
        }
        let mut rest = other.as_bytes();
        let same = self.unescape(|piece| match rest.strip_prefix(piece) {
            Some(left) => {
                rest = left;
                true
            }
            None => false,
        });
        same == Ok(()) && rest.is_empty()
    }

    /// Copies the unescaped text into the arena.
    pub(super) fn store(&self, arena: &mut Arena) -> Result<(u32, u32), Reason> {
        if !self.escaped {
            return arena.push(self.raw.as_bytes()).ok_or(Reason::TextTooLarge);
        }
        let start = arena.begin();
        self.unescape(|piece| arena.append(piece))?;
        arena.finish(start).ok_or(Reason::TextTooLarge)
    }

    /// Hands over the unescaped text in pieces until one is not taken.
    pub(super) fn unescape(&self, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Reason> {
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            if at > 0 && !take(&rest.as_bytes()[..at]) {
                return Err(Reason::TextTooLarge);
            }
            let (escaped, length) = escape(&rest.as_bytes()[at..]).ok_or(Reason::Malformed)?;
            let mut buffer = [0; 4];
            if !take(escaped.encode_utf8(&mut buffer).as_bytes()) {
                return Err(Reason::TextTooLarge);
            }
            rest = rest.get(at + length..).ok_or(Reason::Malformed)?;
        }
        if take(rest.as_bytes()) { Ok(()) } else { Err(Reason::TextTooLarge) }
    }
}

/// The character of an escape and how many bytes it takes. A lone surrogate, which Java can hold
/// and UTF-8 cannot, becomes '?', as in Flink.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    let plain = match bytes.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex(bytes.get(2..6)?)?;
            if (0xD800..0xDC00).contains(&first)
                && let Some([b'\\', b'u', digits @ ..]) = bytes.get(6..12)
                && let Some(second @ 0xDC00..0xE000) = hex(digits)
            {
                let point = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Some((char::from_u32(point)?, 12));
            }
            return Some((char::from_u32(first).unwrap_or('?'), 6));
        }
        _ => return None,
    };
    Some((plain, 2))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

/// How deep objects and arrays may be nested.
pub(super) const DEPTH_MAX: usize = 128;
