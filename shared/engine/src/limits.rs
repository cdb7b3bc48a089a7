//! Every fixed capacity of the engine, by name.

/// Columns of a row: the NULL bitmap is one word.
pub const FIELDS_MAX: usize = 64;
/// Arguments of one function call: as many members of JSON_OBJECT as half a row has columns.
pub const ARGS_MAX: usize = 65;
/// Depth of an expression.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// Steps of a fragment.
pub const STEPS_MAX: usize = 256;
/// Aggregates of one window step.
pub const AGGREGATES_MAX: usize = 32;
/// Different values that one state of an aggregate holds, where it has to hold all of them.
pub const VALUES_PER_PANE_MAX: usize = 4_096;
/// Values that all states of one such aggregate hold together.
pub const VALUES_MAX: usize = 131_072;
/// Bytes of the values of one state, as they are stored and sent.
pub const STATE_BYTES_MAX: usize = 128 << 10;
/// Bytes of all sketches of one aggregate.
pub const SKETCH_BYTES_MAX: usize = 16 << 20;
/// Variables of a row pattern: the answers of their conditions are bits of one word.
pub const PATTERN_VARIABLES_MAX: usize = 64;
/// Repetitions of one variable of a row pattern, where they are counted.
pub const PATTERN_REPEATS_MAX: u32 = 1_000;
/// Slices of one hopping window: size divided by slide.
pub const SLICES_PER_WINDOW_MAX: usize = 10_000;
/// Bytes of text that may be in flight for one source row.
pub const ARENA_BYTES_MAX: usize = 4 << 20;
/// Bytes of one text that enters keyed state.
pub const SYMBOL_BYTES_MAX: usize = 64 << 10;
/// Splits of one scan (files, subscriptions, gateways).
pub const SPLITS_MAX: usize = 4096;

/// Capacities that the configuration or the pipeline sets; allocated for once, never exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Keys that one deduplication remembers.
    pub dedup_entries_max: usize,
    /// Panes (window or slice, key) that one window step holds.
    pub panes_max: usize,
    /// Rows that one side of a join, an OVER window, a ranking or a pattern holds.
    pub rows_max: usize,
    /// Open matches of one row pattern.
    pub matches_max: usize,
    /// Distinct texts in keyed state.
    pub symbols_max: usize,
    /// Bytes of all texts in keyed state.
    pub symbol_bytes_max: usize,
    /// Bytes of text in flight for one source row.
    pub arena_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            dedup_entries_max: 65_536,
            panes_max: 65_536,
            rows_max: 65_536,
            matches_max: 65_536,
            symbols_max: 131_072,
            symbol_bytes_max: 8 << 20,
            arena_bytes_max: ARENA_BYTES_MAX,
        }
    }
}
