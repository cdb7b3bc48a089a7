//! A checked JSON value taken apart once, so that it can be written in another order.
//!
//! One list of nodes in the order of the text; a container knows where its own end in the list.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};
use core::ops::Range;

use super::super::build::Builder;
use super::filter::{Filter, NoScalar};
use super::path::Step;
use super::{number::Plain, string};
use crate::slot::Slot;

struct Node {
    /// Its place in the text, blanks around left out.
    range: Range<usize>,
    /// The node after it and all within it.
    next: usize,
}

/// The nodes that steps lead to; None where the first one does not fit.
type Follows = Result<Option<Vec<usize>>, NoScalar>;

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

    /// The nodes that steps with wildcards lead to, in order. None where the first step needs an
    /// array and has none: what does not fit further down is left out.
    pub(super) fn follow(&self, text: &[u8], steps: &[Step]) -> Follows {
        let mut found = vec![0];
        for (i, step) in steps.iter().enumerate() {
            let is_list = |node: &usize| text[self.nodes[*node].range.start] == b'[';
            let needs_list = matches!(step, Step::Range(..) | Step::Indices(_));
            if i == 0 && needs_list && !is_list(&0) {
                return Ok(None);
            }
            let mut next = Vec::new();
            for node in &found {
                match step {
                    Step::Filter(filter) => self.filtered(*node, filter, text, &mut next)?,
                    _ => next.extend(self.step(*node, step, text)),
                }
            }
            found = next;
        }
        Ok(Some(found))
    }

    /// Elements that meet a filter, or an object that does.
    fn filtered(
        &self,
        node: usize,
        filter: &Filter,
        text: &[u8],
        out: &mut Vec<usize>,
    ) -> Result<(), NoScalar> {
        let asked = match text[self.nodes[node].range.start] {
            b'[' => self.children(node),
            b'{' => vec![node],
            _ => Vec::new(),
        };
        for node in asked {
            if filter.takes(self, node, text)? {
                out.push(node);
            }
        }
        Ok(())
    }

    /// What a step down to one place leads to.
    pub(super) fn child(&self, node: usize, step: &Step, text: &[u8]) -> Option<usize> {
        self.step(node, step, text).first().copied()
    }

    /// The members of a name in a value and all within it.
    fn deep(&self, node: usize, name: &str, text: &[u8]) -> Vec<usize> {
        let (mut found, mut open) = (Vec::new(), vec![node]);
        while let Some(node) = open.pop() {
            match text[self.nodes[node].range.start] {
                b'{' => {
                    let members = self.members(node, text);
                    found.extend(members.iter().find(|(n, _)| n == name).map(|(_, value)| *value));
                    open.extend(members.into_iter().rev().map(|(_, value)| value));
                }
                b'[' => open.extend(self.children(node).into_iter().rev()),
                _ => {}
            }
        }
        found
    }

    fn step(&self, node: usize, step: &Step, text: &[u8]) -> Vec<usize> {
        let children = self.children(node);
        let at = |i: usize| children.get(i).copied().into_iter().collect();
        let from_end = |i: usize| children.len().checked_sub(i);
        match (text[self.nodes[node].range.start], step) {
            (b'[', Step::All) => children,
            (b'{', Step::All) => self.members(node, text).into_iter().map(|(_, v)| v).collect(),
            (b'{', Step::Name(name)) => {
                let is_own = |pair: &&[usize]| string::decoded(text, self.range(pair[0])) == *name;
                let found = children.chunks_exact(2).rfind(is_own).map(|pair| pair[1]);
                found.into_iter().collect()
            }
            (_, Step::Deep(name)) => self.deep(node, name, text),
            (b'[', Step::Index(i)) => at(*i),
            (b'[', Step::FromEnd(i)) => from_end(*i).map_or(Vec::new(), at),
            (b'[', Step::Indices(all)) => {
                let size = |i: &i64| usize::try_from(i.unsigned_abs()).ok();
                let place = |i: &i64| if *i < 0 { from_end(size(i)?) } else { size(i) };
                all.iter().filter_map(place).flat_map(at).collect()
            }
            (b'[', Step::Range(from, to)) => {
                let length = i64::try_from(children.len()).unwrap_or(i64::MAX);
                let place = |i: i64| (if i < 0 { i + length } else { i }).clamp(0, length);
                let from = usize::try_from(place(from.unwrap_or(0))).unwrap_or(0);
                let to = usize::try_from(place(to.unwrap_or(length))).unwrap_or(0);
                children.get(from..to).unwrap_or(&[]).to_vec()
            }
            _ => Vec::new(),
        }
    }

    /// Names and values of an object in the order of the text. Of equal names the value is the
    /// last one, at the place of the first.
    fn members(&self, node: usize, text: &[u8]) -> Vec<(String, usize)> {
        let mut members: Vec<(String, usize)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for pair in self.children(node).chunks_exact(2) {
            let name = string::decoded(text, self.range(pair[0]));
            match places.get(&name) {
                Some(place) => members[*place].1 = pair[1],
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, pair[1]));
                }
            }
        }
        members
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
                // A builder never refuses: it notes what does not fit.
                let _ = number.write(out);
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
    let _ = string::write(&text, out);
}
