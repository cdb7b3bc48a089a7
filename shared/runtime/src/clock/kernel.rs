//! What only the kernel can say of the clocks: the clock that goes on while the machine sleeps,
//! and whether a time daemon keeps the wall clock right.
//!
//! Guarantees: reads only, changes nothing; an answer that the kernel refuses is `None`. The
//! standard library has neither call, and no well-kept crate wraps the second without `unsafe`: so
//! the two calls stand here, and this is the only module of the project that has any.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Milliseconds since the machine's start, the time in which it slept included.
pub(super) fn boot_ms() -> Option<i64> {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the kernel writes one timespec to a pointer that is valid for it; it is made of
    // integers, of which all-zero is a value too.
    let time = unsafe {
        if libc::clock_gettime(libc::CLOCK_BOOTTIME, time.as_mut_ptr()) != 0 {
            return None;
        }
        time.assume_init()
    };
    // The width of both fields differs between targets.
    #[allow(clippy::useless_conversion)]
    let (seconds, nanos) = (i64::from(time.tv_sec), i64::from(time.tv_nsec));
    Some(seconds * 1000 + nanos / 1_000_000)
}

/// Whether a time daemon (NTP, PTP, GPS) has set the wall clock lately, as the kernel sees it.
/// `None` where the question is refused, as in some sandboxes.
pub(super) fn is_synchronised() -> Option<bool> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: as above. No mode is set, so this only reads; that needs no privilege.
    let (answer, status) = unsafe {
        let answer = libc::adjtimex(state.as_mut_ptr());
        (answer, state.assume_init().status)
    };
    (answer >= 0).then_some(answer != libc::TIME_ERROR && status & libc::STA_UNSYNC == 0)
}
