//! Arithmetic of memory ceilings: what a collection of a known largest length comes to hold.

/// Bytes of a vector that grows by doubling up to `len_max` elements, with the old half that is
/// alive while it grows for the last time.
pub(crate) fn vec_bytes<T>(len_max: usize) -> usize {
    let capacity = len_max.next_power_of_two();
    (capacity + capacity / 2) * size_of::<T>()
}

/// Bytes of a hash table of up to `len_max` numbers of 32 bits: at most 7 of 8 buckets are full,
/// each has a control byte, and while it grows the old half is alive too.
pub(crate) fn table_bytes(len_max: usize) -> usize {
    let buckets = (len_max * 8 / 7 + 1).next_power_of_two();
    (buckets + buckets / 2) * (size_of::<u32>() + 1)
}
