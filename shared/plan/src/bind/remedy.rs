//! What to do about arguments that a function does not take.
//!
//! The engine says what is wrong; a remedy of its own stands here by a part of that sentence.

/// Parts of the engine's sentences, each with its remedy.
const OWN: &[(&str, &str)] = &[
    ("the index of an array starts at 1", "write array[1] for the first element"),
    ("SHA2 makes 224", "write SHA2(text, 256)"),
    ("knows UTC and zones", "name the region: 'Europe/Lisbon' rather than 'WET'"),
    ("a field of ROW is NULL", "write CAST(NULL AS type)"),
    ("cannot be compared with IS", "compare with = beside IS NULL, or field by field"),
    ("has no order for", "compare one of its fields or elements"),
];

/// The remedy of an error in binding a function.
pub(super) fn of(message: &str) -> &'static str {
    let own = OWN.iter().find(|(part, _)| message.contains(part));
    own.map_or("check the types of the arguments, or cast them", |(_, remedy)| remedy)
}
