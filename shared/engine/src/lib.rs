//! headwater-engine
