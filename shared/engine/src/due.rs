//! What falls due when: places by time, for operators that let rows wait for the watermark.
//!
//! A timing wheel on event time. A time is a number of eleven digits of six bits; a place stands in
//! the list of the highest digit in which its time differs from `base`, a time that all others have
//! reached. When a list of a higher digit comes first, its places move to lists of lower digits:
//! a place moves a few times, whatever the number of places, and never by comparison.
//!
//! Places of one time leave in the order in which they came, or by a rank that their owner gives
//! them. Memory is one node a place and never depends on the spread of times. A time before what
//! has been taken counts as due at once.

use alloc::{boxed::Box, vec, vec::Vec};

use crate::{memory, operator::Timestamp};

/// Number of what waits.
pub(crate) type Place = u32;

/// No place.
const NONE: Place = Place::MAX;
const DIGIT_BITS: u32 = 6;
const DIGITS: usize = 64_usize.div_ceil(DIGIT_BITS as usize);
const LISTS_PER_DIGIT: usize = 1 << DIGIT_BITS;

#[derive(Clone, Copy)]
struct Node {
    time: u64,
    previous: Place,
    next: Place,
}

/// Before a node that is in no list.
const GONE: Place = Place::MAX - 1;
const UNLINKED: Node = Node { time: 0, previous: GONE, next: NONE };

#[derive(Clone, Copy)]
struct List {
    first: Place,
    last: Place,
}

const EMPTY: List = List { first: NONE, last: NONE };

/// The queue.
pub(crate) struct DueQueue {
    nodes: Vec<Node>,
    lists: Box<[List]>,
    /// Which lists of each digit are not empty.
    occupied: [u64; DIGITS],
    /// Which digits have one.
    levels: u32,
    /// Which lists of the lowest digit are not in order of rank; sorted when their turn comes.
    unsorted: u64,
    sorting: Vec<Place>,
    base: u64,
}

/// Order-preserving: the earliest time is 0.
#[expect(clippy::cast_sign_loss, reason = "the sign bit is flipped to keep the order")]
fn number(time: Timestamp) -> u64 {
    time as u64 ^ 1 << 63
}

#[expect(clippy::cast_possible_wrap, reason = "undoes `number`")]
fn timestamp(number: u64) -> Timestamp {
    (number ^ 1 << 63) as i64
}

fn digit(number: u64, position: usize) -> usize {
    let shifted = number >> (position * DIGIT_BITS as usize);
    usize::try_from(shifted % LISTS_PER_DIGIT as u64).expect("six bits")
}

impl DueQueue {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        DueQueue {
            nodes: Vec::new(),
            lists: vec![EMPTY; DIGITS * LISTS_PER_DIGIT].into(),
            occupied: [0; DIGITS],
            levels: 0,
            unsorted: 0,
            sorting: Vec::new(),
            base: 0,
        }
    }

    /// Lets `place`, which is not in the queue, wait until `time`.
    pub(crate) fn insert(&mut self, place: Place, time: Timestamp) {
        self.insert_ranked(place, time, |_| ());
    }

    /// The same where places of one time leave by rank. It is asked for those that wait and for
    /// `place`, and must not change while one waits.
    pub(crate) fn insert_ranked<R: Ord>(
        &mut self,
        place: Place,
        time: Timestamp,
        rank: impl Fn(Place) -> R,
    ) {
        if self.nodes.len() <= place as usize {
            self.nodes.resize(place as usize + 1, UNLINKED);
        }
        self.link(place, number(time).max(self.base), rank);
    }

    #[inline]
    fn list_of(&self, time: u64) -> (usize, usize) {
        let highest = 63 - ((time ^ self.base) | 1).leading_zeros();
        let position = (highest / DIGIT_BITS) as usize;
        (position, digit(time, position))
    }

    #[inline]
    fn link<R: Ord>(&mut self, place: Place, time: u64, rank: impl Fn(Place) -> R) {
        let (position, digit) = self.list_of(time);
        let list = &mut self.lists[position * LISTS_PER_DIGIT + digit];
        let previous = core::mem::replace(&mut list.last, place);
        match previous {
            NONE => list.first = place,
            _ => self.nodes[previous as usize].next = place,
        }
        // Only a list of the lowest digit is of one time.
        if position == 0 && previous != NONE && rank(previous) > rank(place) {
            self.unsorted |= 1 << digit;
        }
        self.occupied[position] |= 1 << digit;
        self.levels |= 1 << position;
        self.nodes[place as usize] = Node { time, previous, next: NONE };
    }

    /// Notes that a list is empty.
    #[inline]
    fn vacate(&mut self, position: usize, digit: usize) {
        self.occupied[position] &= !(1 << digit);
        if self.occupied[position] == 0 {
            self.levels &= !(1 << position);
        }
    }

    /// Takes a place out that waits.
    pub(crate) fn remove(&mut self, place: Place) {
        let Node { time, previous, next } = self.nodes[place as usize];
        debug_assert!(previous != GONE, "what is taken away waits");
        let (position, digit) = self.list_of(time);
        let list = &mut self.lists[position * LISTS_PER_DIGIT + digit];
        match previous {
            NONE => list.first = next,
            _ => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE => list.last = previous,
            _ => self.nodes[next as usize].previous = previous,
        }
        if list.first == NONE {
            self.vacate(position, digit);
            self.unsorted &= !(u64::from(position == 0) << digit);
        }
        self.nodes[place as usize] = UNLINKED;
    }

    /// Takes `place` out, which [`first_ranked`](DueQueue::first_ranked) gave.
    pub(crate) fn remove_first(&mut self, place: Place) {
        self.unlink_first(place);
        self.nodes[place as usize] = UNLINKED;
    }

    /// Lets `place`, which [`first_ranked`](DueQueue::first_ranked) gave, wait until another time.
    pub(crate) fn put_off<R: Ord>(
        &mut self,
        place: Place,
        time: Timestamp,
        rank: impl Fn(Place) -> R,
    ) {
        self.unlink_first(place);
        self.link(place, number(time).max(self.base), rank);
    }

    /// Takes the first place out of its list, which is one of the lowest digit.
    #[inline]
    fn unlink_first(&mut self, place: Place) {
        let Node { time, previous, next } = self.nodes[place as usize];
        let digit = digit(time, 0);
        debug_assert!(previous == NONE && self.lists[digit].first == place, "it is the first");
        self.lists[digit].first = next;
        match next {
            NONE => {
                self.lists[digit].last = NONE;
                self.vacate(0, digit);
            }
            _ => self.nodes[next as usize].previous = NONE,
        }
    }

    /// When a place that waits is due.
    pub(crate) fn time(&self, place: Place) -> Timestamp {
        timestamp(self.nodes[place as usize].time)
    }

    /// Whether a place waits.
    pub(crate) fn holds(&self, place: Place) -> bool {
        self.nodes.get(place as usize).is_some_and(|node| node.previous != GONE)
    }

    /// The first place whose time `until` has reached; it stays in the queue. `near` is called for
    /// places that will be due within 64 ms, so that what they stand for is in the cache when
    /// it is needed: together, these loads overlap.
    pub(crate) fn first(&mut self, until: Timestamp, near: impl FnMut(Place)) -> Option<Place> {
        self.first_ranked(until, near, |_| ())
    }

    /// The same for places that were [inserted with a rank](DueQueue::insert_ranked).
    pub(crate) fn first_ranked<R: Ord>(
        &mut self,
        until: Timestamp,
        mut near: impl FnMut(Place),
        rank: impl Fn(Place) -> R,
    ) -> Option<Place> {
        loop {
            let (position, digit, start) = self.earliest()?;
            if start > number(until) {
                return None;
            }
            let at = position * LISTS_PER_DIGIT + digit;
            if position == 0 {
                if self.unsorted >> digit & 1 == 1 {
                    self.unsorted &= !(1 << digit);
                    self.sort(at, &rank);
                }
                return Some(self.lists[at].first);
            }
            // Stable: what came first is first in the lists of lower digits too.
            let mut place = core::mem::replace(&mut self.lists[at], EMPTY).first;
            self.vacate(position, digit);
            self.base = start;
            while place != NONE {
                let Node { time, next, .. } = self.nodes[place as usize];
                if position == 1 {
                    near(place);
                }
                self.link(place, time, &rank);
                place = next;
            }
        }
    }

    /// Puts the places of a list in order of rank.
    #[cold]
    fn sort<R: Ord>(&mut self, at: usize, rank: impl Fn(Place) -> R) {
        let mut places = core::mem::take(&mut self.sorting);
        let first = Some(self.lists[at].first);
        places.extend(core::iter::successors(first, |&place| {
            Some(self.nodes[place as usize].next).filter(|&next| next != NONE)
        }));
        places.sort_unstable_by_key(|&place| rank(place));
        self.lists[at] = EMPTY;
        for place in places.drain(..) {
            let list = &mut self.lists[at];
            let previous = core::mem::replace(&mut list.last, place);
            match previous {
                NONE => list.first = place,
                _ => self.nodes[previous as usize].next = place,
            }
            let node = &mut self.nodes[place as usize];
            (node.previous, node.next) = (previous, NONE);
        }
        self.sorting = places;
    }

    /// The list that is due first: its digit's position, the digit, and a time that none of its
    /// places comes before.
    #[inline]
    fn earliest(&self) -> Option<(usize, usize, u64)> {
        if self.levels & 1 == 1 {
            let digit = self.occupied[0].trailing_zeros();
            let higher = self.base & !(LISTS_PER_DIGIT as u64 - 1);
            return Some((0, digit as usize, higher | u64::from(digit)));
        }
        if self.levels == 0 {
            return None;
        }
        let position = self.levels.trailing_zeros();
        let shift = position * DIGIT_BITS;
        let position = position as usize;
        let digit = self.occupied[position].trailing_zeros();
        let higher = self.base.checked_shr(shift + DIGIT_BITS).unwrap_or(0);
        let higher = higher.checked_shl(shift + DIGIT_BITS).unwrap_or(0);
        Some((position, digit as usize, higher | u64::from(digit) << shift))
    }

    /// A time at which [`first`](DueQueue::first) is worth a call: not after anything is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.earliest().map(|(_, _, start)| timestamp(start))
    }

    /// Bytes when places below `places` wait.
    pub(crate) fn memory_bytes_max(places: usize) -> usize {
        memory::vec_bytes::<Node>(places) + DIGITS * LISTS_PER_DIGIT * size_of::<List>()
    }

    /// The same where places leave by rank.
    pub(crate) fn ranked_bytes_max(places: usize) -> usize {
        Self::memory_bytes_max(places) + memory::vec_bytes::<Place>(places)
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    use super::*;

    fn drain(queue: &mut DueQueue, until: Timestamp) -> Vec<Place> {
        let mut places = Vec::new();
        while let Some(place) = queue.first(until, |_| {}) {
            assert!(queue.holds(place));
            match places.len() % 2 {
                0 => queue.remove(place),
                _ => queue.remove_first(place),
            }
            assert!(!queue.holds(place));
            places.push(place);
        }
        places
    }

    #[test]
    fn equal_times_leave_in_the_order_in_which_they_came() {
        let mut queue = DueQueue::new();
        for (place, time) in [(3, 70), (1, 5000), (0, 70), (7, -4), (2, 5000)] {
            queue.insert(place, time);
        }
        assert_eq!(drain(&mut queue, 69), [7]);
        queue.insert(5, 5000);
        assert_eq!(drain(&mut queue, 4999), [3, 0]);
        queue.insert(4, 5000);
        assert_eq!(drain(&mut queue, Timestamp::MAX), [1, 2, 5, 4]);
        assert_eq!(queue.next(), None);
    }

    #[test]
    fn equal_times_leave_by_rank() {
        let ranks = [5, 4, 9, 1, 7, 0];
        let rank = |place: Place| ranks[place as usize];
        let mut queue = DueQueue::new();
        let times = [200, 200, 200, 200, 70, 200];
        for (place, time) in (0..5).zip(times) {
            queue.insert_ranked(place, time, rank);
        }
        let mut places = Vec::new();
        while let Some(place) = queue.first_ranked(500, |_| {}, rank) {
            queue.remove(place);
            places.push(place);
            if places.len() == 3 {
                queue.insert_ranked(5, 200, rank);
            }
        }
        assert_eq!(places, [4, 3, 1, 5, 0, 2]);
    }

    #[test]
    fn the_first_is_put_off() {
        let mut queue = DueQueue::new();
        for (place, time) in [(0, 10), (1, 10), (2, 11), (3, 5000)] {
            queue.insert(place, time);
        }
        for (place, time) in [(0, 11), (1, 7000), (2, 10), (2, 5000)] {
            assert_eq!(queue.first(20, |_| {}), Some(place));
            queue.put_off(place, time, |_| ());
            assert!(queue.holds(place));
        }
        assert_eq!(drain(&mut queue, Timestamp::MAX), [0, 3, 2, 1]);
    }

    #[test]
    fn the_whole_range_of_times_is_ordered() {
        let mut queue = DueQueue::new();
        let times = [i64::MAX, i64::MIN, 0, -1, 1, i64::MAX - 1, i64::MIN + 1, 63, 64];
        for (place, time) in (0..).zip(times) {
            queue.insert(place, time);
        }
        assert_eq!(queue.next(), Some(i64::MIN));
        assert_eq!(drain(&mut queue, i64::MAX), [1, 6, 3, 2, 4, 7, 8, 5, 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
        #[test]
        fn it_orders_as_a_sorted_map(
            steps in proptest::collection::vec((0u8..4, 0i64..20_000, any::<prop::sample::Index>()),
                1..300),
        ) {
            let (mut queue, mut map) = (DueQueue::new(), BTreeMap::new());
            let (mut watermark, mut free, mut seq) = (-10_000_i64, Vec::new(), 0u32);
            for (kind, ahead, index) in steps {
                if kind < 2 {
                    let time = watermark + ahead * i64::from(kind * 50 + 1);
                    let place = free.pop().unwrap_or(Place::try_from(map.len()).unwrap());
                    queue.insert(place, time);
                    map.insert((time, seq), place);
                    seq += 1;
                } else if kind == 2 && !map.is_empty() {
                    let key = *map.keys().nth(index.index(map.len())).unwrap();
                    let place = map.remove(&key).unwrap();
                    queue.remove(place);
                    free.push(place);
                } else {
                    watermark += ahead / 10;
                    let next = queue.next();
                    prop_assert!(map.keys().next().is_none_or(|first| next.unwrap() <= first.0));
                    let waits = map.split_off(&(watermark + 1, 0));
                    let due: Vec<_> = core::mem::replace(&mut map, waits).into_values().collect();
                    prop_assert_eq!(&drain(&mut queue, watermark), &due);
                    free.extend(due);
                }
            }
        }
    }
}
