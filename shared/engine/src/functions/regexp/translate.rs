//! Java's pattern syntax to that of the `regex` crate.
//!
//! Walks the pattern once. Constructs that mean the same in both pass; those that differ are
//! written out; all others are refused with their name, never guessed.

use alloc::string::String;
use core::fmt::Write;
use core::iter::Peekable;
use core::str::Chars;

const DIGIT: &str = "0-9";
const WORD: &str = "A-Za-z0-9_";
const SPACE: &str = r"\t\n\x0B\f\r ";
/// Java's dot: everything but line ends.
const DOT: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";
const META: &str = r"\.+*?()|[]{}^$#&-~";

type Translated = Result<(), &'static str>;

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    dot_is_any: bool,
}

/// The pattern for the crate, or what it has that cannot be translated.
pub(super) fn translate(pattern: &str) -> Result<String, &'static str> {
    let (flags, pattern) = leading_flags(pattern)?;
    let mut this = Translator {
        rest: pattern.chars().peekable(),
        out: String::new(),
        dot_is_any: flags.contains('s'),
    };
    if flags.contains('i') {
        this.out.push_str("(?i)");
    }
    if flags.contains('m') {
        return Err("the flag m");
    }
    while let Some(c) = this.rest.next() {
        match c {
            '\\' => this.escape(false)?,
            '[' => this.class()?,
            '(' => this.group()?,
            '*' | '+' | '?' => this.quantifier(c)?,
            '{' => this.counted()?,
            '.' if this.dot_is_any => this.out.push_str("(?s:.)"),
            '.' => this.out.push_str(DOT),
            ')' | '|' | '^' | '$' => this.out.push(c),
            c => this.plain(c),
        }
    }
    Ok(this.out)
}

/// `(?is)` at the beginning.
fn leading_flags(pattern: &str) -> Result<(&str, &str), &'static str> {
    let Some(rest) = pattern.strip_prefix("(?") else { return Ok(("", pattern)) };
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    if letters == 0 || !rest[letters..].starts_with(')') {
        return Ok(("", pattern));
    }
    let flags = &rest[..letters];
    if flags.chars().all(|c| matches!(c, 'i' | 's' | 'm')) {
        return Ok((flags, &rest[letters + 1..]));
    }
    Err("an unknown flag")
}

impl Translator<'_> {
    fn plain(&mut self, c: char) {
        if META.contains(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn quantifier(&mut self, c: char) -> Translated {
        self.out.push(c);
        self.after_quantifier()
    }

    /// A quantifier may be lazy, but not possessive.
    fn after_quantifier(&mut self) -> Translated {
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        match self.rest.peek() {
            Some('+') => Err("a possessive quantifier"),
            _ => Ok(()),
        }
    }

    /// `{n}`, `{n,}`, `{n,m}`
    fn counted(&mut self) -> Translated {
        self.out.push('{');
        let mut digits = 0;
        loop {
            match self.rest.next() {
                Some(c) if c.is_ascii_digit() => {
                    digits += 1;
                    self.out.push(c);
                }
                Some(',') if digits > 0 => self.out.push(','),
                Some('}') if digits > 0 => break,
                _ => return Err("a bad repetition"),
            }
        }
        self.out.push('}');
        self.after_quantifier()
    }

    fn group(&mut self) -> Translated {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        match self.rest.next() {
            Some(':') => self.out.push(':'),
            Some('<') => match self.rest.peek() {
                Some('=' | '!') => return Err("look-behind"),
                _ => {
                    self.out.push('<');
                    while let Some(c) = self.rest.next_if(|c| *c != '>') {
                        self.out.push(c);
                    }
                }
            },
            Some('=' | '!') => return Err("look-ahead"),
            Some('>') => return Err("an atomic group"),
            _ => return Err("flags inside the pattern"),
        }
        if self.out.ends_with(':') {
            return Ok(());
        }
        self.rest.next();
        self.out.push('>');
        Ok(())
    }

    /// After a backslash.
    fn escape(&mut self, in_class: bool) -> Translated {
        let c = self.rest.next().ok_or("a backslash at its end")?;
        match c {
            'd' => self.set(DIGIT, false),
            'D' => self.set(DIGIT, true),
            'w' => self.set(WORD, false),
            'W' => self.set(WORD, true),
            's' => self.set(SPACE, false),
            'S' => self.set(SPACE, true),
            't' | 'n' | 'r' | 'f' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'a' => self.code(0x07),
            'e' => self.code(0x1b),
            'x' => {
                let code = self.hexadecimal(2)?;
                self.code(code);
            }
            'u' => {
                let code = self.hexadecimal(4)?;
                char::from_u32(code).ok_or("half of a surrogate pair")?;
                self.code(code);
            }
            'b' if !in_class => self.out.push_str(r"(?-u:\b)"),
            'A' if !in_class => self.out.push_str(r"\A"),
            'z' if !in_class => self.out.push_str(r"\z"),
            'Q' if !in_class => self.quoted(),
            'B' => return Err(r"\B"),
            '1'..='9' | 'k' => return Err("a back reference"),
            'p' | 'P' => return Err("a named character class"),
            c if c.is_ascii_alphanumeric() => return Err("an unknown escape"),
            c => self.plain(c),
        }
        Ok(())
    }

    /// A set of its own, also inside a class: what follows is then no end of a range.
    fn set(&mut self, members: &str, negated: bool) {
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(members);
        self.out.push(']');
    }

    fn code(&mut self, code: u32) {
        write!(self.out, r"\x{{{code:x}}}").expect("a String takes everything");
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<u32, &'static str> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.rest.next().and_then(|c| c.to_digit(16));
            code = code * 16 + digit.ok_or("a bad character code")?;
        }
        Ok(code)
    }

    /// `\Q…\E`
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.plain(c);
        }
    }

    /// `[…]`, without classes in classes and intersections.
    fn class(&mut self) -> Translated {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        if matches!(self.rest.peek(), Some(']')) {
            return Err("an empty class");
        }
        while let Some(c) = self.rest.next() {
            match c {
                ']' => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' => return Err("a class inside a class"),
                '&' if self.rest.peek() == Some(&'&') => return Err("an intersection of classes"),
                '-' if self.rest.peek() == Some(&'-') => return Err("a range from a hyphen"),
                '\\' => self.escape(true)?,
                '-' => self.out.push('-'),
                c => self.plain(c),
            }
        }
        Err("a class that is not closed")
    }
}
