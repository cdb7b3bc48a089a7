//! The end of a run: what was read, what was made of it, and what the sink has.

use std::collections::BTreeSet;

use headwater_store::Gap;

use super::super::readings::{Answer, Totals, Window, merge_into};
use super::{Checker, node};

/// Bytes of an offset in front of a chunk of results.
const CHUNK_HEAD_BYTES: usize = 8;

impl Checker {
    /// The end of a run: everything is delivered. `expected` is what must have come of each
    /// gateway's readings, `rows_dropped` what the core has heard of losses at quotas.
    pub(in crate::sim::world) fn finish(
        &mut self,
        expected: &[Answer],
        gaps: &[Gap],
        rows_dropped: u64,
    ) {
        let mut made = vec![Answer::new(); expected.len()];
        let mut arrived = Answer::new();
        let lost = self.declared(gaps);
        for ((stream, seq), content) in &self.frames {
            if self.removed.contains(&(*stream, *seq)) {
                continue;
            }
            for (window, totals) in &content.cells {
                merge_into(&mut made[stream.0 - 1], window, totals);
                if !lost.contains(&(*stream, *seq)) {
                    merge_into(&mut arrived, window, totals);
                }
            }
        }
        for (index, (made, expected)) in made.iter().zip(expected).enumerate() {
            let kept = self.kept(index + 1, made, expected);
            self.compare(index + 1, "the gateway's frames", made, &kept);
        }
        self.check_counted(&lost, rows_dropped);
        let committed = self.committed();
        self.compare(0, "the core's results", &committed, &arrived);
    }

    /// The end of a run in which states of gateways were replaced: nothing counts twice, nothing
    /// of the others is lost, and what is lost is declared. `most` is all that was read.
    pub(in crate::sim::world) fn finish_changed(
        &mut self,
        expected: &[Answer],
        most: &[Answer],
        gaps: &[Gap],
    ) {
        let kept: Vec<Gap> =
            gaps.iter().filter(|gap| !self.is_replaced(node(&gap.agent))).cloned().collect();
        let lost = self.declared(&kept);
        let (mut low, mut high) = (Answer::new(), Answer::new());
        for ((stream, seq), content) in &self.frames {
            let is_away =
                lost.contains(&(*stream, *seq)) || self.removed.contains(&(*stream, *seq));
            if self.is_replaced(stream.0) || is_away {
                continue;
            }
            for (window, totals) in &content.cells {
                merge_into(&mut low, window, totals);
                merge_into(&mut high, window, totals);
            }
        }
        for (index, (expected, most)) in expected.iter().zip(most).enumerate() {
            let is_most = self.reflashed.contains(&(index + 1)) || self.may_be_gone();
            let upper = if is_most { most } else { expected };
            for (window, totals) in upper.iter().filter(|_| self.is_replaced(index + 1)) {
                merge_into(&mut high, window, totals);
            }
        }
        self.add_settled(expected, &mut low);
        self.add_restored(expected, &mut low);
        let [committed, low, high] =
            [&self.committed(), &low, &high].map(|answer| self.compared(answer));
        let count = |answer: &Answer, window: &Window| answer.get(window).map_or(0, |t| t.count);
        let all: BTreeSet<&Window> = committed.keys().chain(high.keys()).collect();
        for window in &all {
            let found = count(&committed, window);
            let (least, most) = (count(&low, window), count(&high, window));
            if !(least..=most).contains(&found) {
                let what = format!("I1, I2: {window:?}: {found} rows, not {least} to {most}");
                return self.fail(0, what);
            }
        }
        let is_less = all.iter().any(|w| count(&committed, w) < count(&high, w));
        let is_declared = gaps.iter().any(|gap| self.is_replaced(node(&gap.agent)));
        if is_less && !is_declared && self.reflashed.is_empty() && !self.may_be_gone() {
            self.fail(0, "I3: rows of a restored gateway are lost and no gap says so".into());
        }
    }

    /// What the sink holds: the last row of each key.
    fn committed(&self) -> Answer {
        let mut answer = Answer::new();
        for chunk in self.results.values() {
            let lines = chunk[CHUNK_HEAD_BYTES..].split(|byte| *byte == b'\n');
            for line in lines.filter(|line| !line.is_empty()) {
                let row: serde_json::Value = serde_json::from_slice(line).expect("a line of JSON");
                let number = |name: &str| row[name].as_i64().expect("a number");
                let device = row["device"].as_str().expect("a text").to_owned();
                let totals = Totals {
                    count: number("n"),
                    sum: number("total"),
                    low: number("low"),
                    high: number("high"),
                };
                let start = number("start");
                answer.insert((device, start, number("end") - start), totals);
            }
        }
        answer
    }

    fn compare(&mut self, node: usize, who: &str, found: &Answer, expected: &Answer) {
        let (found, expected) = (&self.compared(found), &self.compared(expected));
        let windows: BTreeSet<&Window> = found.keys().chain(expected.keys()).collect();
        let differ = |w: &&&Window| found.get(*w) != expected.get(*w);
        let different: Vec<&&Window> = windows.iter().filter(differ).collect();
        if let Some(first) = different.first() {
            let (found, expected) = (found.get(*first), expected.get(*first));
            let count = different.len();
            let what = format!(
                "I1, I2: {who}: {count} windows differ; {first:?}: {found:?}, not {expected:?}"
            );
            self.fail(node, what);
        }
    }

    /// The answer in windows of the length in which answers are compared.
    fn compared(&self, answer: &Answer) -> Answer {
        let mut compared = Answer::new();
        for ((device, start, _), totals) in answer {
            let start = start.div_euclid(self.compared_ms) * self.compared_ms;
            merge_into(&mut compared, &(device.clone(), start, self.compared_ms), totals);
        }
        compared
    }
}
