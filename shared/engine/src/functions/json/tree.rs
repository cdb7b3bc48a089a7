//! A checked JSON value taken apart once, so that it can be written in another order.
//!
//! One list of nodes in the order of the text; a container knows where its own end in the list.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;
use core::ops::Range;

use super::super::build::Builder;
use super::{number::Plain, string};
use crate::slot::Slot;

struct Node {
    /// Its place in the text, blanks around left out.
    range: Range<usize>,
    /// The node after it and all within it.
    next: usize,
}

/// See the module.
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Takes the value at `range` of `text` apart; the scanner has checked it.
    pub(super) fn of(text: &[u8], range: Range<usize>) -> Self {
        let (mut nodes, mut open): (Vec<Node>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut at = range.start;
        while at < range.end {
            let start = at;
            at += 1;
            match text[start] {
                b'{' | b'[' => {
                    open.push(nodes.len());
                    nodes.push(Node { range: start..at, next: 0 });
                    continue;
                }
                b'}' | b']' => {
                    if let Some(node) = open.pop() {
                        (nodes[node].range.end, nodes[node].next) = (at, nodes.len());
                    }
                    continue;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => continue,
                b'"' => {
                    while text[at] != b'"' {
                        at += if text[at] == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                }
                _ => {
                    let ends = |b: &u8| matches!(b, b',' | b']' | b'}' | b' ' | b'\t'..=b'\r');
                    let rest = &text[at..range.end];
                    at += rest.iter().position(ends).unwrap_or(rest.len());
                }
            }
            nodes.push(Node { range: start..at, next: nodes.len() + 1 });
        }
        Self { nodes }
    }

    /// The place of a node in the text.
    pub(super) fn range(&self, node: usize) -> Range<usize> {
        self.nodes[node].range.clone()
    }

    /// Elements of an array; of an object names and values in turn.
    pub(super) fn children(&self, node: usize) -> Vec<usize> {
        let (mut found, mut child) = (Vec::new(), node + 1);
        while child < self.nodes[node].next {
            found.push(child);
            child = self.nodes[child].next;
        }
        found
    }

    /// Writes a node as Flink does. No deeper than the scanner lets arrays and objects nest.
    pub(super) fn write(&self, node: usize, source: Slot, out: &mut Builder<'_>) {
        let range = self.range(node);
        match out.bytes(source)[range.start] {
            b'{' => self.write_object(node, source, out),
            b'[' => {
                out.push("[");
                for (i, child) in self.children(node).into_iter().enumerate() {
                    if i > 0 {
                        out.push(",");
                    }
                    self.write(child, source, out);
                }
                out.push("]");
            }
            b'"' => write_string(source, range, out),
            b't' | b'f' | b'n' => out.push_part(source, range),
            _ => {
                let number = Plain::of(&out.bytes(source)[range]);
                number.write(out);
            }
        }
    }

    /// Members in the order of their names, the last of equal ones.
    fn write_object(&self, node: usize, source: Slot, out: &mut Builder<'_>) {
        let mut members: Vec<(String, usize)> = Vec::new();
        for pair in self.children(node).chunks_exact(2) {
            let name = string::decoded(out.bytes(source), self.range(pair[0]));
            members.push((name, pair[0]));
        }
        members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        out.push("{");
        let mut is_first = true;
        for (i, (name, key)) in members.iter().enumerate() {
            if members.get(i + 1).is_some_and(|(next, _)| next == name) {
                continue;
            }
            if !is_first {
                out.push(",");
            }
            is_first = false;
            write_string(source, self.range(*key), out);
            out.push(":");
            self.write(self.nodes[*key].next, source, out);
        }
        out.push("}");
    }
}

/// A string with only those escapes that it needs.
fn write_string(source: Slot, quoted: Range<usize>, out: &mut Builder<'_>) {
    if !out.bytes(source)[quoted.clone()].contains(&b'\\') {
        return out.push_part(source, quoted);
    }
    let text = string::decoded(out.bytes(source), quoted);
    out.push("\"");
    for c in text.chars() {
        match c {
            '"' => out.push("\\\""),
            '\\' => out.push("\\\\"),
            '\u{8}' => out.push("\\b"),
            '\u{c}' => out.push("\\f"),
            '\n' => out.push("\\n"),
            '\r' => out.push("\\r"),
            '\t' => out.push("\\t"),
            '\0'..='\u{1f}' => {
                // A builder never refuses: it notes what does not fit.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push_char(c),
        }
    }
    out.push("\"");
}
