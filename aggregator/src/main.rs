//! The binary `headwater-aggregator`.

fn main() {}
