//! TRIM, LTRIM, RTRIM: every character that is in a set goes from the sides.

use alloc::{format, vec};

use super::super::Arg;
use super::super::sig::{Bound, constant_text, count, strict, text};
use super::trimmed;
use crate::{slot::Datum, types::DataType};

/// Which sides are trimmed: leading, trailing.
pub(super) type Sides = (bool, bool);

/// TRIM(text), TRIM('BOTH' | 'LEADING' | 'TRAILING', text[, set]).
pub(super) fn trim(args: &[Arg<'_>]) -> Bound {
    count("TRIM", args, 1, 3)?;
    if args.len() == 1 {
        return bound("TRIM", &[], args, (true, true));
    }
    let sides = match constant_text("TRIM", "its side", &args[0])? {
        "BOTH" => (true, true),
        "LEADING" => (true, false),
        "TRAILING" => (false, true),
        other => return Err(format!("TRIM knows no side {other}")),
    };
    bound("TRIM", &args[..1], &args[1..], sides)
}

/// LTRIM(text[, set]), RTRIM(text[, set]), BTRIM(text[, set]).
pub(super) fn one_side(name: &str, args: &[Arg<'_>], sides: Sides) -> Bound {
    count(name, args, 1, 2)?;
    bound(name, &[], args, sides)
}

/// The arguments before the text are skipped when it is computed.
fn bound(name: &str, before: &[Arg<'_>], args: &[Arg<'_>], sides: Sides) -> Bound {
    let mut types = vec![DataType::STRING; before.len()];
    for arg in args {
        types.push(text(name, arg)?);
    }
    let skipped = before.len();
    strict(types, DataType::STRING, move |v, cx| {
        let v = &v[skipped..];
        let whole = cx.text(v[0].slot);
        let set = v.get(1).map_or(" ", |v| cx.text(v.slot));
        // As in Flink, a set that begins with a blank is a blank.
        let set = if set.starts_with(' ') { " " } else { set };
        let is_in = |c: char| set.contains(c);
        let rest = if sides.0 { whole.trim_start_matches(is_in) } else { whole };
        let from = whole.len() - rest.len();
        let rest = if sides.1 { rest.trim_end_matches(is_in) } else { rest };
        let range = from..from + rest.len();
        let value: Datum = trimmed(v[0].slot, range, cx);
        value
    })
}
