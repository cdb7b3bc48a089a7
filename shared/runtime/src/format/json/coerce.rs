//! JSON values to slots, as Flink's `json` format coerces them.

use headwater_engine::calendar::Moment;
use headwater_engine::calendar::parse::{json_date, json_time, json_timestamp};
use headwater_engine::codec::put_element;
use headwater_engine::context::Context;
use headwater_engine::decimal::{DecimalType, parse_number};
use headwater_engine::functions::put_map;
use headwater_engine::java_double::JavaText;
use headwater_engine::slot::{Datum, Slot};
use headwater_engine::types::DataType;

use super::JsonDecodeOptions;
use super::encode::escape_into;
use super::scan::{DEPTH_MAX, Piece, Scanner, Text, Token};
use crate::format::Reason;
use crate::format::number::{Number, parse_f32, parse_f64, parse_whole};
use crate::format::text::{java_bool, java_trim, read_base64};

/// The slot of a value that is not null; `None` when Flink makes it NULL.
#[inline]
pub(super) fn coerce(
    token: Token<'_>,
    data_type: &DataType,
    scanner: &mut Scanner<'_>,
    options: JsonDecodeOptions,
    context: &mut Context,
) -> Result<Option<Slot>, Reason> {
    let slot = match (data_type, token) {
        (DataType::Double, Token::Number(number)) => Slot::f64(number.to_f64()),
        (DataType::BigInt, Token::Number(number)) => long(number, i64::MIN, i64::MAX)?,
        (DataType::Int, Token::Number(number)) => long(number, i32::MIN.into(), i32::MAX.into())?,
        (DataType::Char(_) | DataType::Varchar(_), Token::Text(text)) => {
            let (offset, length) = text.store(&mut context.arena)?;
            Slot::arena(offset, length)
        }
        (DataType::Boolean, Token::Bool(value)) => Slot::bool(value),
        _ => return unusual(token, data_type, scanner, options, context),
    };
    Ok(Some(slot))
}

fn long(number: Number<'_>, min: i64, max: i64) -> Result<Slot, Reason> {
    number.to_i64(min, max).map(Slot::i64).ok_or(Reason::Coercion)
}

fn unusual(
    token: Token<'_>,
    data_type: &DataType,
    scanner: &mut Scanner<'_>,
    options: JsonDecodeOptions,
    context: &mut Context,
) -> Result<Option<Slot>, Reason> {
    match (data_type, token) {
        (DataType::Array(element), Token::Array) => {
            return array(element, scanner, options, context).map(Some);
        }
        (DataType::Map(key, value), Token::Object) => {
            return map(&(key, value), scanner, options, context);
        }
        (DataType::Row(fields), Token::Object) => {
            return row(fields, scanner, options, context).map(Some);
        }
        (DataType::Char(_) | DataType::Varchar(_), Token::Object | Token::Array) => {
            return tree(scanner, context).map(Some);
        }
        (_, Token::Object | Token::Array) => {
            // The value is stepped over, so that with ignored errors the record goes on.
            scanner.skip(0).map_err(|error| error.reason)?;
            return Err(Reason::Coercion);
        }
        (DataType::Decimal { precision, scale }, Token::Number(number)) => {
            let parsed = parse_number(number.text).ok_or(Reason::Coercion)?;
            return Ok(parsed.into_type(DecimalType::new(*precision, *scale)).map(Slot::i128));
        }
        // Jackson makes bytes of a text only.
        (DataType::Bytes, Token::Number(_) | Token::Bool(_)) => return Err(Reason::Coercion),
        (DataType::Float, Token::Number(number)) => {
            let value = number.text.parse::<f32>().map_err(|_| Reason::Coercion)?;
            return Ok(Some(Slot::f64(f64::from(value))));
        }
        _ => {}
    }
    with_text(token, context, |text, context| of_text(text, data_type, options, context))
}

/// Gives the text of a scalar, as Jackson's `getText` does, to `then`. An escaped text is
/// unescaped at the top of the arena, and stays there while the row is processed.
fn with_text(
    token: Token<'_>,
    context: &mut Context,
    then: impl FnOnce(&str, &mut Context) -> Result<Option<Slot>, Reason>,
) -> Result<Option<Slot>, Reason> {
    match token {
        Token::Bool(true) => then("true", context),
        Token::Bool(false) => then("false", context),
        Token::Number(number) => then(number.text, context),
        Token::Text(Text { raw, escaped: false }) => then(raw, context),
        Token::Text(text) => {
            let mut plain = String::new();
            text.unescape(|piece| {
                plain.push_str(std::str::from_utf8(piece).unwrap_or_default());
                true
            })?;
            then(&plain, context)
        }
        Token::Null | Token::Object | Token::Array => Err(Reason::Coercion),
    }
}

/// The slot of a text, for types other than text and for numbers and truth values as text.
fn of_text(
    text: &str,
    data_type: &DataType,
    options: JsonDecodeOptions,
    context: &mut Context,
) -> Result<Option<Slot>, Reason> {
    let trimmed = java_trim(text);
    let whole = |min, max| parse_whole(trimmed, min, max).map(Slot::i64);
    let moment = |moment: Moment, precision: u8| {
        let moment = moment.truncated(precision);
        Slot::timestamp(moment.ms, moment.nanos)
    };
    let standard = options.timestamps;
    let slot = match data_type {
        DataType::Boolean => Some(Slot::bool(java_bool(text))),
        DataType::TinyInt => whole(i8::MIN.into(), i8::MAX.into()),
        DataType::SmallInt => whole(i16::MIN.into(), i16::MAX.into()),
        DataType::Int => whole(i32::MIN.into(), i32::MAX.into()),
        DataType::BigInt => whole(i64::MIN, i64::MAX),
        DataType::Double => parse_f64(trimmed).map(Slot::f64),
        DataType::Float => parse_f32(trimmed).map(|value| Slot::f64(f64::from(value))),
        DataType::Decimal { precision, scale } => {
            let parsed = parse_number(trimmed).ok_or(Reason::Coercion)?;
            return Ok(parsed.into_type(DecimalType::new(*precision, *scale)).map(Slot::i128));
        }
        DataType::Char(_) | DataType::Varchar(_) => {
            let stored = context.arena.push(text.as_bytes()).ok_or(Reason::TextTooLarge)?;
            Some(Slot::arena(stored.0, stored.1))
        }
        DataType::Bytes => return bytes(text, context).map(Some),
        DataType::Date => json_date(text).map(Slot::i64),
        DataType::Time(_) => json_time(text).map(Slot::i64),
        DataType::Timestamp(precision) => {
            json_timestamp(text, false, standard).map(|value| moment(value, *precision))
        }
        DataType::TimestampLtz(precision) => {
            json_timestamp(text, true, standard).map(|value| moment(value, *precision))
        }
        DataType::Null
        | DataType::IntervalDay
        | DataType::IntervalMonth
        | DataType::Array(_)
        | DataType::Map(..)
        | DataType::Row(_) => None,
    };
    slot.map(Some).ok_or(Reason::Coercion)
}

/// Base64, which Jackson takes with its padding only.
fn bytes(text: &str, context: &mut Context) -> Result<Slot, Reason> {
    if !text.len().is_multiple_of(4) {
        return Err(Reason::Coercion);
    }
    let start = context.arena.begin();
    let mut full = false;
    let read = read_base64(text, |piece| {
        full = !context.arena.append(piece);
        !full
    });
    if full {
        return Err(Reason::TextTooLarge);
    }
    read.ok_or(Reason::Coercion)?;
    let (offset, length) = context.arena.finish(start).ok_or(Reason::TextTooLarge)?;
    Ok(Slot::arena(offset, length))
}

/// An array, encoded as the engine keeps it.
fn array(
    element: &DataType,
    scanner: &mut Scanner<'_>,
    options: JsonDecodeOptions,
    context: &mut Context,
) -> Result<Slot, Reason> {
    let mut encoded = Vec::new();
    let result = elements(element, scanner, options, context, &mut encoded);
    result?;
    let (offset, length) = context.arena.push(&encoded).ok_or(Reason::TextTooLarge)?;
    Ok(Slot::arena(offset, length))
}

/// A row of an object's members, encoded as the engine keeps it: unknown members are skipped, of
/// equal names the last one counts, a missing one is NULL.
fn row(
    fields: &[(String, DataType)],
    scanner: &mut Scanner<'_>,
    options: JsonDecodeOptions,
    context: &mut Context,
) -> Result<Slot, Reason> {
    let mut values = vec![None; fields.len()];
    scanner.expect(b'{').map_err(|_| Reason::Malformed)?;
    scanner.space();
    let mut goes_on = scanner.peek() != Some(b'}');
    scanner.at += usize::from(!goes_on);
    while goes_on {
        scanner.space();
        let name = scanner.text().map_err(|error| error.reason)?;
        let place = fields.iter().position(|(field, _)| name.equals(field));
        scanner.space();
        scanner.expect(b':').map_err(|error| error.reason)?;
        scanner.space();
        match place {
            None => scanner.skip(0).map_err(|error| error.reason)?,
            Some(place) => values[place] = member(&fields[place].1, scanner, options, context)?,
        }
        scanner.space();
        goes_on = scanner.peek() == Some(b',');
        if !goes_on && scanner.peek() != Some(b'}') {
            return Err(Reason::Malformed);
        }
        scanner.at += 1;
    }
    if options.fail_on_missing_field && values.iter().any(Option::is_none) {
        return Err(Reason::MissingField);
    }
    let mut encoded = Vec::new();
    for ((_, data_type), value) in fields.iter().zip(values) {
        put_element(&mut encoded, value.unwrap_or(Datum::NULL), data_type, context);
    }
    let (offset, length) = context.arena.push(&encoded).ok_or(Reason::TextTooLarge)?;
    Ok(Slot::arena(offset, length))
}

/// The value of a field that is there.
fn member(
    data_type: &DataType,
    scanner: &mut Scanner<'_>,
    options: JsonDecodeOptions,
    context: &mut Context,
) -> Result<Option<Datum>, Reason> {
    let slot = match scanner.value().map_err(|error| error.reason)? {
        Token::Null => None,
        token => match coerce(token, data_type, scanner, options, context) {
            Err(Reason::Coercion) if options.ignore_parse_errors => None,
            other => other?,
        },
    };
    Ok(Some(slot.map_or(Datum::NULL, Datum::of)))
}

/// A map of an object's members, encoded as the engine keeps it. With errors ignored, one whose
/// value does not fit is NULL.
fn map(
    (key, value): &(&DataType, &DataType),
    scanner: &mut Scanner<'_>,
    options: JsonDecodeOptions,
    context: &mut Context,
) -> Result<Option<Slot>, Reason> {
    let mut entries = Vec::new();
    scanner.expect(b'{').map_err(|_| Reason::Malformed)?;
    scanner.space();
    let mut goes_on = scanner.peek() != Some(b'}');
    scanner.at += usize::from(!goes_on);
    while goes_on {
        scanner.space();
        let name = scanner.text().map_err(|error| error.reason)?;
        let (offset, length) = name.store(&mut context.arena)?;
        scanner.space();
        scanner.expect(b':').map_err(|error| error.reason)?;
        scanner.space();
        let slot = match scanner.value().map_err(|error| error.reason)? {
            Token::Null => None,
            token => match coerce(token, value, scanner, options, context) {
                Err(Reason::Coercion) if options.ignore_parse_errors => None,
                other => other?,
            },
        };
        entries.push((Slot::arena(offset, length), slot.map_or(Datum::NULL, Datum::of)));
        scanner.space();
        goes_on = scanner.peek() == Some(b',');
        if !goes_on && scanner.peek() != Some(b'}') {
            return Err(Reason::Malformed);
        }
        scanner.at += 1;
    }
    let entries = entries.into_iter().map(|(key, value)| (Datum::of(key), value)).collect();
    let made = put_map(entries, &((*key).clone(), (*value).clone()), context);
    if made.is_null() { Err(Reason::TextTooLarge) } else { Ok(Some(made.slot)) }
}

fn elements(
    element: &DataType,
    scanner: &mut Scanner<'_>,
    options: JsonDecodeOptions,
    context: &mut Context,
    encoded: &mut Vec<u8>,
) -> Result<(), Reason> {
    let malformed = |_| Reason::Malformed;
    scanner.expect(b'[').map_err(malformed)?;
    scanner.space();
    if scanner.peek() == Some(b']') {
        scanner.at += 1;
        return Ok(());
    }
    loop {
        let token = scanner.value().map_err(|error| error.reason)?;
        let slot = match token {
            Token::Null => None,
            token => match coerce(token, element, scanner, options, context) {
                Err(Reason::Coercion) if options.ignore_parse_errors => None,
                other => other?,
            },
        };
        put_element(encoded, slot.map_or(Datum::NULL, Datum::of), element, context);
        scanner.space();
        match scanner.peek() {
            Some(b',') => scanner.at += 1,
            Some(b']') => {
                scanner.at += 1;
                return Ok(());
            }
            _ => return Err(Reason::Malformed),
        }
        scanner.space();
    }
}

/// An object or array as the text that Jackson's tree writes: no blanks, doubles as Java's.
fn tree(scanner: &mut Scanner<'_>, context: &mut Context) -> Result<Slot, Reason> {
    let mut text = Vec::new();
    let mut wrong = None;
    let walked = scanner.walk(0, &mut |piece| {
        match piece {
            Piece::Mark(mark) => text.push(mark),
            Piece::Value(Token::Null) => text.extend_from_slice(b"null"),
            Piece::Value(Token::Bool(true)) => text.extend_from_slice(b"true"),
            Piece::Value(Token::Bool(false)) => text.extend_from_slice(b"false"),
            Piece::Value(Token::Number(number)) if number.is_float => {
                text.extend_from_slice(JavaText::of_f64(number.to_f64()).as_str().as_bytes());
            }
            Piece::Value(Token::Number(number)) => text.extend_from_slice(number.text.as_bytes()),
            Piece::Value(Token::Text(part)) => {
                text.push(b'"');
                let done = part.unescape(|piece| {
                    escape_into(std::str::from_utf8(piece).unwrap_or_default(), false, &mut text);
                    true
                });
                text.push(b'"');
                wrong = wrong.or(done.err());
            }
            Piece::Value(Token::Object | Token::Array) => {}
        }
        true
    });
    walked.map_err(|error| error.reason)?;
    if let Some(reason) = wrong {
        return Err(reason);
    }
    let (offset, length) = context.arena.push(&text).ok_or(Reason::TextTooLarge)?;
    Ok(Slot::arena(offset, length))
}

const _: () = assert!(DEPTH_MAX <= 256, "the walk is recursive and must fit small stacks");
