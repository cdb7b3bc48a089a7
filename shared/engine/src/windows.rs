//! Where the windows of a [`WindowSpec`] lie, and the slices that they are made of.
//!
//! A slice is the longest stretch of time that no window cuts: rows of one slice belong to the same
//! windows, so a row updates one state whatever the number of its windows. Windows are aligned to
//! the epoch downward, also before 1970, and half-open. Pure arithmetic; knows no rows.

use crate::{
    fragment::{WindowKind, WindowSpec},
    operator::{Timestamp, WATERMARK_MAX},
};

/// The windows of a step, ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    size_ms: i64,
    slide_ms: i64,
    slice_ms: i64,
    offset_ms: i64,
    kind: WindowKind,
}

fn floor(time: i64, step: i64, offset: i64) -> i64 {
    time - (time - offset).rem_euclid(step)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Slices of the longest window.
pub fn slices_count(spec: &WindowSpec) -> i64 {
    Windows::new(spec).slices_count()
}

impl Windows {
    pub(crate) fn new(spec: &WindowSpec) -> Self {
        let WindowSpec { rowtime: _, size_ms, slide_ms, offset_ms, kind } = *spec;
        Windows { size_ms, slide_ms, slice_ms: gcd(size_ms, slide_ms), offset_ms, kind }
    }

    /// Whether each slice is one window.
    pub(crate) fn is_tumbling(&self) -> bool {
        self.size_ms == self.slide_ms
    }

    /// Distance of window ends.
    pub(crate) fn slide_ms(&self) -> i64 {
        self.slide_ms
    }

    /// Length of a slice.
    pub(crate) fn slice_ms(&self) -> i64 {
        self.slice_ms
    }

    /// Slices of the longest window.
    pub(crate) fn slices_count(&self) -> i64 {
        self.size_ms / self.slice_ms
    }

    /// The most windows that a slice belongs to.
    pub(crate) fn windows_per_slice(&self) -> i64 {
        self.size_ms / self.slide_ms + i64::from(self.size_ms % self.slide_ms != 0)
    }

    /// Start of the slice that holds `time`.
    pub(crate) fn slice_of(&self, time: Timestamp) -> Timestamp {
        floor(time, self.slice_ms, self.offset_ms)
    }

    /// Whether a window ends at `end`.
    pub(crate) fn is_end(&self, end: Timestamp) -> bool {
        self.end_at_or_before(end) == end
    }

    /// The last window end that is not after `time`.
    pub(crate) fn end_at_or_before(&self, time: Timestamp) -> Timestamp {
        floor(time, self.slide_ms, self.offset_ms + self.size_ms % self.slide_ms)
    }

    /// End of the first window that holds the slice.
    pub(crate) fn first_end(&self, slice: Timestamp) -> Timestamp {
        if self.slice_ms == self.slide_ms {
            return slice.saturating_add(self.slide_ms);
        }
        self.end_at_or_before(slice + self.slice_ms + self.slide_ms - 1)
    }

    /// End of the last window that holds the slice.
    pub(crate) fn last_end(&self, slice: Timestamp) -> Timestamp {
        match self.kind {
            WindowKind::Cumulating => {
                floor(slice, self.size_ms, self.offset_ms).saturating_add(self.size_ms)
            }
            WindowKind::Hopping if self.slice_ms == self.slide_ms => {
                slice.saturating_add(self.size_ms)
            }
            WindowKind::Hopping => self.end_at_or_before(slice.saturating_add(self.size_ms)),
        }
    }

    /// Start of the window that ends at `end`.
    pub(crate) fn start_of(&self, end: Timestamp) -> Timestamp {
        match self.kind {
            WindowKind::Cumulating => floor(end - 1, self.size_ms, self.offset_ms),
            WindowKind::Hopping => end - self.size_ms,
        }
    }

    /// End of the last window that a watermark has closed.
    pub(crate) fn closed_end(&self, watermark: Timestamp) -> Timestamp {
        match watermark {
            WATERMARK_MAX => WATERMARK_MAX,
            w if w < crate::pipeline::TIME_MIN => Timestamp::MIN,
            w => self.end_at_or_before(w + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn spec() -> impl Strategy<Value = WindowSpec> {
        let hop = (1..40_i64, 1..40_i64, -50..50_i64).prop_map(|(a, b, offset_ms)| WindowSpec {
            rowtime: 0,
            size_ms: a,
            slide_ms: b,
            offset_ms,
            kind: WindowKind::Hopping,
        });
        let cumulate =
            (1..20_i64, 1..6_i64, -50..50_i64).prop_map(|(step, n, offset_ms)| WindowSpec {
                rowtime: 0,
                size_ms: step * n,
                slide_ms: step,
                offset_ms,
                kind: WindowKind::Cumulating,
            });
        prop_oneof![hop, cumulate]
    }

    /// Start and end of every window around 0, by their definition.
    fn all(spec: &WindowSpec) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        for n in -300..300 {
            match spec.kind {
                WindowKind::Hopping => {
                    let start = n * spec.slide_ms + spec.offset_ms;
                    all.push((start, start + spec.size_ms));
                }
                WindowKind::Cumulating => {
                    let start = n * spec.size_ms + spec.offset_ms;
                    let ends =
                        (1..=spec.size_ms / spec.slide_ms).map(|k| start + k * spec.slide_ms);
                    all.extend(ends.map(|end| (start, end)));
                }
            }
        }
        all.sort_by_key(|w| w.1);
        all
    }

    proptest! {
        #[test]
        fn windows_are_what_they_are_defined_to_be(spec in spec(), time in -99..99_i64) {
            let windows = Windows::new(&spec);
            let all = all(&spec);
            let of = |time: i64| -> Vec<(i64, i64)> {
                all.iter().copied().filter(|w| w.0 <= time && time < w.1).collect()
            };
            let own = of(time);
            let slice = windows.slice_of(time);
            for other in slice..slice + windows.slice_ms() {
                prop_assert_eq!(&of(other), &own, "rows of one slice share their windows");
            }
            if own.is_empty() {
                prop_assert!(windows.last_end(slice) <= slice);
                prop_assert!(windows.last_end(slice) < windows.first_end(slice));
            } else {
                prop_assert_eq!(windows.first_end(slice), own[0].1);
                prop_assert_eq!(windows.last_end(slice), own[own.len() - 1].1);
            }
            prop_assert!(own.len() as i64 <= windows.windows_per_slice());
            for &(start, end) in &own {
                prop_assert!(windows.is_end(end));
                prop_assert_eq!(windows.start_of(end), start);
                prop_assert!((end - start) / windows.slice_ms() <= windows.slices_count());
            }
            let closed = all.iter().rev().find(|w| w.1 - 1 <= time).map(|w| w.1);
            prop_assert_eq!(Some(windows.closed_end(time)), closed);
        }
    }
}
