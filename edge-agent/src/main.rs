//! The binary `headwater-agent`.

fn main() {}
