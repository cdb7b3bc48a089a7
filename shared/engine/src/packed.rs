//! Short texts in one slot each: what a text says, where a value would be. Two of them are equal if
//! their slots are, and none is equal to a symbol.

use crate::{hash::WORDS, slot::Slot};

/// Where the length plus one is: in the last byte, where a symbol has nothing.
const LEN_SHIFT: u32 = 56;

/// For each length of a text that can be packed the bits that belong to it, and what its length
/// says.
pub(crate) const PACKS: [(u128, u128); WORDS] = {
    let mut packs = [(0, 0); WORDS];
    let (mut len, mut mask, mut tag) = (0, 0, 1 << (64 + LEN_SHIFT));
    while len < WORDS {
        packs[len] = (mask, tag);
        (len, mask, tag) = (len + 1, mask << 8 | 0xff, tag + (1 << (64 + LEN_SHIFT)));
    }
    packs
};

/// A text that is at hand as words; `None` for one that does not leave the last byte free.
pub(crate) fn pack([first, second]: [u64; 2], len: u8) -> Option<Slot> {
    (usize::from(len) < WORDS).then(|| Slot(first, second | (u64::from(len) + 1) << LEN_SHIFT))
}

/// The words and the length of a packed text; `None` for a symbol.
pub(crate) fn unpack(slot: Slot) -> Option<([u64; 2], usize)> {
    let len = usize::try_from(slot.1 >> LEN_SHIFT).ok()?.checked_sub(1)?;
    Some(([slot.0, slot.1 & ((1 << LEN_SHIFT) - 1)], len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arena::Arena, hash::words};

    #[test]
    fn a_packed_text_is_the_same_wherever_it_comes_from() {
        let text = *b"0123456789abcdef";
        for len in 0..WORDS {
            let mut arena = Arena::new(40);
            assert!(arena.append(b"xyz"));
            let (offset, found) = arena.push(&text[..len]).unwrap();
            assert!(arena.append(b"behind"));
            let packed = pack(words(&text[..len]), len.try_into().unwrap()).unwrap();
            assert_eq!(arena.packed(offset, found), Some(packed), "{len}");
            assert_eq!(unpack(packed), Some((words(&text[..len]), len)));
        }
        assert_eq!(pack(words(&text), 16), None);
        assert_eq!(Arena::new(40).packed(0, 16), None);
        assert_eq!(unpack(Slot::symbol(crate::symbols::SymbolId(u32::MAX))), None);
    }
}
