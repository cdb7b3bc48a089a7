//! Walks a JSON text once: checks it and finds the value at a path.
//!
//! No tree and no recursion but over the path's steps. As Jackson does in Flink, text after the
//! document is ignored and more than 1000 levels are an error.

use core::ops::Range;

use super::path::Step;
use super::string;

/// Levels of arrays and objects.
const DEPTH_MAX: usize = 1000;
const WORDS: usize = DEPTH_MAX / 64 + 1;

/// Where the scan is.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The value at the path: `None` when the text is no JSON, `Some(None)` when nothing is there.
    pub(super) fn find(&mut self, steps: &[Step]) -> Option<Option<Range<usize>>> {
        self.blanks();
        match (steps.split_first(), self.peek()?) {
            (None, _) => self.value().map(Some),
            (Some((Step::Name(name), rest)), b'{') => self.member(name, rest),
            (Some((Step::Index(index), rest)), b'[') => self.element(*index, rest),
            (Some((Step::FromEnd(index), rest)), b'[') => {
                let start = self.at;
                // No element has this position: all are counted.
                let count = self.elements(usize::MAX, &[])?.0;
                match count.checked_sub(*index) {
                    Some(position) => {
                        self.at = start;
                        self.element(position, rest)
                    }
                    None => Some(None),
                }
            }
            _ => self.value().map(|_| None),
        }
    }

    /// Of several members of that name, the last.
    fn member(&mut self, name: &str, rest: &[Step]) -> Option<Option<Range<usize>>> {
        self.at += 1;
        let mut found = None;
        if self.step_over(b'}') {
            return Some(found);
        }
        loop {
            self.blanks();
            let key = self.string()?;
            self.expect(b':')?;
            if string::equals(&self.text[key], name) {
                found = self.find(rest)?;
            } else {
                self.value()?;
            }
            if self.step_over(b'}') {
                return Some(found);
            }
            self.expect(b',')?;
        }
    }

    fn element(&mut self, index: usize, rest: &[Step]) -> Option<Option<Range<usize>>> {
        self.elements(index, rest).map(|(_, found)| found)
    }

    /// The number of elements, and what is found in the one at `index`.
    fn elements(&mut self, index: usize, rest: &[Step]) -> Option<(usize, Option<Range<usize>>)> {
        self.at += 1;
        let (mut found, mut position) = (None, 0);
        if self.step_over(b']') {
            return Some((position, found));
        }
        loop {
            if position == index {
                found = self.find(rest)?;
            } else {
                self.value()?;
            }
            position += 1;
            if self.step_over(b']') {
                return Some((position, found));
            }
            self.expect(b',')?;
        }
    }

    /// Checks and steps over one value; its place without blanks around.
    fn value(&mut self) -> Option<Range<usize>> {
        self.blanks();
        let start = self.at;
        // One bit a level: whether it is an object.
        let (mut objects, mut depth) = ([0_u64; WORDS], 0_usize);
        loop {
            self.blanks();
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = open == b'{';
                    if !self.step_over(if is_object { b'}' } else { b']' }) {
                        if depth == DEPTH_MAX {
                            return None;
                        }
                        set_bit(&mut objects, depth, is_object);
                        depth += 1;
                        self.key_if(is_object)?;
                        continue;
                    }
                }
                b'"' => {
                    self.string()?;
                }
                _ => self.scalar()?,
            }
            // A value has ended: close what ends with it.
            loop {
                if depth == 0 {
                    return Some(start..self.at);
                }
                let is_object = bit(&objects, depth - 1);
                if self.step_over(b',') {
                    self.key_if(is_object)?;
                    break;
                }
                self.expect(if is_object { b'}' } else { b']' })?;
                depth -= 1;
            }
        }
    }

    fn key_if(&mut self, is_object: bool) -> Option<()> {
        if is_object {
            self.blanks();
            self.string()?;
            self.expect(b':')?;
        }
        Some(())
    }

    /// A string with its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(start..self.at),
                b'\\' => {
                    let escaped = self.peek()?;
                    self.at += 1;
                    match escaped {
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                            self.at += 4;
                        }
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        _ => return None,
                    }
                }
                0..=0x1f => return None,
                _ => {}
            }
        }
    }

    /// true, false, null or a number.
    fn scalar(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        for word in ["true", "false", "null"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return self.ends_here();
            }
        }
        self.step_if(b'-');
        let whole = self.digits();
        let has_leading_zero = whole > 1 && self.text.as_bytes()[self.at - whole] == b'0';
        if whole == 0 || has_leading_zero {
            return None;
        }
        if self.step_if(b'.') && self.digits() == 0 {
            return None;
        }
        if self.step_if(b'e') || self.step_if(b'E') {
            let _ = self.step_if(b'+') || self.step_if(b'-');
            if self.digits() == 0 {
                return None;
            }
        }
        self.ends_here()
    }

    /// A word or number must not run on.
    fn ends_here(&self) -> Option<()> {
        let ends =
            matches!(self.peek(), None | Some(b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'));
        ends.then_some(())
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn step_if(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Steps over blanks and, if it is there, the byte.
    fn step_over(&mut self, byte: u8) -> bool {
        self.blanks();
        self.step_if(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.step_over(byte).then_some(())
    }
}

fn set_bit(words: &mut [u64; WORDS], i: usize, value: bool) {
    let mask = 1 << (i % 64);
    words[i / 64] = if value { words[i / 64] | mask } else { words[i / 64] & !mask };
}

const fn bit(words: &[u64; WORDS], i: usize) -> bool {
    words[i / 64] >> (i % 64) & 1 == 1
}
