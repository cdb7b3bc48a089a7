//! headwater-runtime
