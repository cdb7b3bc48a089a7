//! Format `json`, as Flink's: one object a record.
//!
//! The decoder is a scanner of its own that learns the order in which fields come and compares
//! keys as words; whatever comes in another order, escaped or nested takes the general way, of
//! the same scanner. A key that comes twice: the last one counts. Unknown fields are skipped,
//! but their syntax is checked. Text after the object is an error here (Flink ignores it).

mod coerce;
mod encode;
mod quick;
mod scan;
mod shape;
mod short;

use headwater_engine::calendar::text::TimestampStandard;
use headwater_engine::context::Context;
use headwater_engine::slot::Slot;
use headwater_engine::types::DataType;

use crate::format::{Column, DecodeError, Decoded, Reason};
use coerce::coerce;
use quick::Quick;
use scan::{Scanner, Token};
use shape::Shape;
use short::Key;

pub(super) use encode::Keys;
pub use encode::{JsonEncodeOptions, JsonEncoder};

/// Options of the decoder, named as in Flink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonDecodeOptions {
    /// `json.fail-on-missing-field`
    pub fail_on_missing_field: bool,
    /// `json.ignore-parse-errors`: a broken record is skipped, a broken field is NULL.
    pub ignore_parse_errors: bool,
    /// `json.timestamp-format.standard`
    pub timestamps: TimestampStandard,
}

/// Decodes records; see the module's text.
#[derive(Debug)]
pub struct JsonDecoder {
    options: JsonDecodeOptions,
    columns: Vec<Column>,
    /// Columns that are NOT NULL, by position in the row.
    required: u64,
    root: Object,
    /// The shape of the record before.
    shape: Shape,
}

/// The fields of one object that matter.
#[derive(Debug, Default)]
struct Object {
    fields: Vec<Field>,
    /// The column, by its position, that is the object as a whole.
    whole: Option<usize>,
    /// Which field came at which place last time; `UNKNOWN` for one that does not matter.
    order: Vec<usize>,
}

#[derive(Debug)]
struct Field {
    name: String,
    /// The key with its quotation marks, if its text needs no escape.
    key: Key,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// Position in `columns`, and the column's short way.
    Column(usize, Quick),
    Object(Object),
}

impl Object {
    fn add(&mut self, path: &[String], column: usize, quick: Quick) {
        let Some((name, rest)) = path.split_first() else { return };
        let place = self.fields.iter().position(|field| field.name == *name);
        let place = place.unwrap_or_else(|| {
            self.fields.push(Field {
                name: name.clone(),
                key: Key::new(name),
                target: Target::Object(Object::default()),
            });
            self.fields.len() - 1
        });
        let target = &mut self.fields[place].target;
        match (rest.is_empty(), &mut *target) {
            (true, Target::Object(object)) if !object.fields.is_empty() => {
                object.whole = Some(column);
            }
            (true, _) => *target = Target::Column(column, quick),
            (false, Target::Object(object)) => object.add(rest, column, quick),
            (false, Target::Column(whole, _)) => {
                let mut object = Object { whole: Some(*whole), ..Object::default() };
                object.add(rest, column, quick);
                *target = Target::Object(object);
            }
        }
    }

    /// The field that came at this place last time, if its key and colon are next; takes them.
    #[inline]
    fn expected_field(&self, place: usize, scanner: &mut Scanner<'_>) -> Option<usize> {
        let at = *self.order.get(place)?;
        let key = self.fields.get(at)?.key;
        if !key.is_at(scanner.rest()) {
            return None;
        }
        scanner.at += key.length;
        Some(at)
    }

    /// The field whose key is next, after the key and its colon were taken.
    fn any_field(&mut self, place: usize, scanner: &mut Scanner<'_>) -> Result<usize, DecodeError> {
        let key = scanner.text()?;
        scanner.space();
        scanner.expect(b':')?;
        let found = self.fields.iter().position(|field| key.equals(&field.name));
        let found = found.unwrap_or(UNKNOWN);
        if place < FIELDS_LEARNED {
            if self.order.len() <= place {
                self.order.resize(place + 1, UNKNOWN);
            }
            self.order[place] = found;
        }
        Ok(found)
    }
}

/// Where the values of one record go.
struct Sink<'a> {
    columns: &'a [Column],
    options: JsonDecodeOptions,
    slots: &'a mut [Slot],
    nulls: &'a mut u64,
    context: &'a mut Context,
    /// Columns that were there, by position in `columns`.
    seen: u64,
}

impl JsonDecoder {
    /// A decoder of these columns, at most 64.
    pub fn new(columns: Vec<Column>, options: JsonDecodeOptions) -> Self {
        let mut root = Object::default();
        for (position, column) in columns.iter().enumerate() {
            root.add(&column.path, position, Quick::of(&column.data_type));
        }
        let required = columns.iter().filter(|column| !column.nullable);
        let required = required.fold(0, |bits, column| bits | 1 << column.index);
        Self { options, columns, required, root, shape: Shape::default() }
    }

    /// Decodes one record into a row that is all NULL.
    pub fn decode(
        &mut self,
        record: &[u8],
        slots: &mut [Slot],
        nulls: &mut u64,
        context: &mut Context,
    ) -> Result<Decoded, DecodeError> {
        let untouched = *nulls;
        match self.record(record, slots, nulls, context) {
            Ok(()) => Ok(Decoded::Row),
            Err(error) if self.options.ignore_parse_errors && error.reason != Reason::NotNull => {
                *nulls = untouched;
                slots.fill(Slot::ZERO);
                Ok(Decoded::Skipped)
            }
            Err(error) => Err(error),
        }
    }

    fn record(
        &mut self,
        record: &[u8],
        slots: &mut [Slot],
        nulls: &mut u64,
        context: &mut Context,
    ) -> Result<(), DecodeError> {
        let mut sink =
            Sink { columns: &self.columns, options: self.options, slots, nulls, context, seen: 0 };
        let begun = short::begin(&self.root, &mut self.shape, record, &mut sink);
        if !begun.is_whole {
            self.root.rest(record, begun, &mut sink)?;
        }
        let missing = self.options.fail_on_missing_field || *sink.nulls & self.required != 0;
        if missing { sink.complete(record.len()) } else { Ok(()) }
    }
}

impl Object {
    /// Reads a record from where the short way has left it.
    fn rest(
        &mut self,
        record: &[u8],
        begun: short::Begun,
        sink: &mut Sink<'_>,
    ) -> Result<(), DecodeError> {
        let text = std::str::from_utf8(record).map_err(|error| DecodeError {
            reason: Reason::InvalidUtf8,
            at: error.valid_up_to(),
            column: None,
        })?;
        // A byte order mark, as some programs begin their files with.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut scanner = Scanner::new(text);
        scanner.at = begun.at;
        scanner.space();
        match begun.place {
            0 => object(self, &mut scanner, sink, 0)?,
            place => fields(self, &mut scanner, sink, 0, place)?,
        }
        scanner.space();
        if scanner.at == text.len() { Ok(()) } else { Err(scanner.malformed()) }
    }
}

/// Reads an object whose brace is next.
fn object(
    object: &mut Object,
    scanner: &mut Scanner<'_>,
    sink: &mut Sink<'_>,
    depth: usize,
) -> Result<(), DecodeError> {
    scanner.expect(b'{')?;
    scanner.space();
    if scanner.peek() == Some(b'}') {
        scanner.at += 1;
        return Ok(());
    }
    fields(object, scanner, sink, depth, 0)
}

/// Reads the fields of an object from the one at this place on, and its end.
fn fields(
    object: &mut Object,
    scanner: &mut Scanner<'_>,
    sink: &mut Sink<'_>,
    depth: usize,
    mut place: usize,
) -> Result<(), DecodeError> {
    loop {
        let found = match object.expected_field(place, scanner) {
            Some(found) => found,
            None => object.any_field(place, scanner)?,
        };
        place += 1;
        scanner.space();
        match object.fields.get_mut(found).map(|field| &mut field.target) {
            None => scanner.skip(depth + 1)?,
            Some(Target::Column(column, quick)) => {
                if !sink.quick(*column, *quick, scanner) {
                    sink.value(*column, scanner)?;
                }
            }
            Some(Target::Object(nested)) => sink.nested(nested, scanner, depth + 1)?,
        }
        scanner.space();
        match scanner.peek() {
            Some(b',') => scanner.at += 1,
            Some(b'}') => {
                scanner.at += 1;
                return Ok(());
            }
            _ => return Err(scanner.malformed()),
        }
        scanner.space();
    }
}

impl Sink<'_> {
    /// Takes a value the short way; false, with nothing taken, when it has none.
    #[inline]
    fn quick(&mut self, position: usize, quick: Quick, scanner: &mut Scanner<'_>) -> bool {
        let value = quick.value(scanner.bytes(), scanner.at, &mut self.context.arena);
        let Some((slot, after)) = value else { return false };
        scanner.at = after;
        self.put(position, slot);
        true
    }

    #[inline]
    fn put(&mut self, position: usize, slot: Slot) {
        let index = self.columns[position].index;
        self.seen |= 1 << position;
        self.slots[index] = slot;
        *self.nulls &= !(1 << index);
    }

    fn value(&mut self, position: usize, scanner: &mut Scanner<'_>) -> Result<(), DecodeError> {
        let column = &self.columns[position];
        self.seen |= 1 << position;
        let start = scanner.at;
        let token = scanner.value()?;
        let result = match token {
            Token::Null => Ok(None),
            token => coerce(token, &column.data_type, scanner, self.options, self.context),
        };
        let slot = match result {
            Ok(slot) => slot,
            // Flink: the field of a kind that does not fit is NULL, a broken record is skipped.
            Err(Reason::Coercion) if self.options.ignore_parse_errors => None,
            Err(reason) => {
                return Err(DecodeError { reason, at: start, column: Some(column.index) });
            }
        };
        match slot {
            Some(slot) => {
                self.slots[column.index] = slot;
                *self.nulls &= !(1 << column.index);
            }
            None => self.set_null(position),
        }
        Ok(())
    }

    fn set_null(&mut self, position: usize) {
        let index = self.columns[position].index;
        self.slots[index] = Slot::ZERO;
        *self.nulls |= 1 << index;
    }

    fn nested(
        &mut self,
        nested: &mut Object,
        scanner: &mut Scanner<'_>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        if let Some(column) = nested.whole {
            let start = scanner.at;
            self.value(column, scanner)?;
            scanner.at = start;
        }
        match scanner.peek() {
            Some(b'{') if depth < scan::DEPTH_MAX => object(nested, scanner, self, depth),
            Some(b'{') => Err(scanner.error(Reason::TooDeep)),
            Some(b'n') => {
                scanner.skip(depth)?;
                self.clear(nested);
                Ok(())
            }
            _ if self.options.ignore_parse_errors => {
                scanner.skip(depth)?;
                self.clear(nested);
                Ok(())
            }
            _ => Err(scanner.error(Reason::Coercion)),
        }
    }

    /// The whole nested object is NULL: so are its columns, also those of an earlier double.
    fn clear(&mut self, nested: &Object) {
        if let Some(position) = nested.whole {
            self.seen |= 1 << position;
            self.set_null(position);
        }
        for field in &nested.fields {
            match &field.target {
                Target::Column(position, _) => {
                    self.seen |= 1 << position;
                    self.set_null(*position);
                }
                Target::Object(object) => self.clear(object),
            }
        }
    }

    fn complete(&self, at: usize) -> Result<(), DecodeError> {
        if self.options.fail_on_missing_field {
            let missing = self.columns.iter().enumerate().find(|(i, _)| self.seen >> i & 1 == 0);
            if let Some((_, column)) = missing {
                let column = Some(column.index);
                return Err(DecodeError { reason: Reason::MissingField, at, column });
            }
        }
        for column in self.columns {
            if !column.nullable && *self.nulls >> column.index & 1 == 1 {
                let column = Some(column.index);
                return Err(DecodeError { reason: Reason::NotNull, at, column });
            }
        }
        Ok(())
    }
}

/// A type that a field of JSON can become, for the planner's check.
pub fn can_decode(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null | DataType::IntervalDay | DataType::IntervalMonth => false,
        DataType::Array(element) => can_decode(element),
        DataType::Map(key, value) => key.is_text() && can_decode(value),
        DataType::Row(fields) => fields.iter().all(|(_, field)| can_decode(field)),
        _ => true,
    }
}

const UNKNOWN: usize = usize::MAX;
/// Fields of a record whose order is learned.
const FIELDS_LEARNED: usize = 256;

#[cfg(test)]
mod tests;
