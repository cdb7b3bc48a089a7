use headwater_engine::limits::Limits;
use headwater_engine::row::{Change, Row};
use headwater_engine::types::{Field, Schema};
use proptest::prelude::*;

use super::*;
use crate::format::changelog_json::ChangelogJsonEncoder;

fn schema(fields: &[(&str, DataType)]) -> Schema {
    Schema::new(
        fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone())).collect(),
    )
}

fn columns(schema: &Schema) -> Vec<Column> {
    let column = |(index, field): (usize, &Field)| Column {
        path: field.name.split('.').map(str::to_owned).collect(),
        data_type: field.data_type.clone(),
        nullable: field.nullable,
        index,
    };
    schema.fields.iter().enumerate().map(column).collect()
}

fn limits() -> Limits {
    Limits {
        symbols_max: 16,
        symbol_bytes_max: 1024,
        arena_bytes_max: 1 << 16,
        ..Limits::default()
    }
}

struct Bench {
    schema: Schema,
    decoder: JsonDecoder,
    encode: JsonEncodeOptions,
    context: Context,
}

impl Bench {
    fn new(fields: &[(&str, DataType)], options: JsonDecodeOptions) -> Self {
        let schema = schema(fields);
        let decoder = JsonDecoder::new(columns(&schema), options);
        Self {
            schema,
            decoder,
            encode: JsonEncodeOptions::default(),
            context: Context::new(&limits()),
        }
    }

    /// Decodes and encodes again; an error as its reason.
    fn echo(&mut self, record: &[u8]) -> String {
        let mut slots = vec![Slot::ZERO; self.schema.len()];
        let mut nulls = u64::MAX >> (64 - self.schema.len());
        self.context.arena.clear();
        match self.decoder.decode(record, &mut slots, &mut nulls, &mut self.context) {
            Ok(Decoded::Row) => {
                // As expressions do: what the row refers to must stay.
                self.context.put_text("what is made of the row");
                let mut out = Vec::new();
                let mut encoder = JsonEncoder::new(&self.schema, self.encode);
                encoder.encode(&Row::insert(&slots, nulls), &self.context, &mut out);
                String::from_utf8(out).unwrap().trim_end().to_owned()
            }
            Ok(Decoded::Skipped) => "skipped".into(),
            Err(error) => error.reason.as_str().into(),
        }
    }
}

fn echo(data_type: DataType, value: &str) -> String {
    let mut bench = Bench::new(&[("v", data_type)], JsonDecodeOptions::default());
    let text = bench.echo(format!("{{\"v\":{value}}}").as_bytes());
    match text.strip_prefix("{\"v\":").and_then(|text| text.strip_suffix('}')) {
        Some(value) => value.to_owned(),
        None => text,
    }
}

#[test]
fn values_are_coerced_as_flink_does() {
    use DataType::*;
    let wrong = "not-coercible";
    for (data_type, value, result) in [
        (Int, "12", "12"),
        (Int, "\"12\"", "12"),
        (Int, "\" 8 \"", "8"),
        (Int, "3.9", "3"),
        (Int, "-3.9", "-3"),
        (Int, "1e3", "1000"),
        (Int, "2147483648", wrong),
        (Int, "true", wrong),
        (Int, "\"\"", wrong),
        (Int, "{}", wrong),
        (TinyInt, "127", "127"),
        (TinyInt, "128", wrong),
        (TinyInt, "1.5", wrong),
        (BigInt, "9223372036854775807", "9223372036854775807"),
        (BigInt, "9223372036854775808", wrong),
        (Double, "7", "7.0"),
        (Double, "\"1e3\"", "1000.0"),
        (Double, "\"NaN\"", "\"NaN\""),
        (Double, "-1e999", "\"-Infinity\""),
        (Double, "12345678.9", "1.23456789E7"),
        (Double, "false", wrong),
        (Float, "0.1", "0.1"),
        (Boolean, "\"TRUE\"", "true"),
        (Boolean, "\"yes\"", "false"),
        (Boolean, "1", "false"),
        (DataType::STRING, "12", "\"12\""),
        (DataType::STRING, "1.50", "\"1.50\""),
        (DataType::STRING, "true", "\"true\""),
        (DataType::STRING, " { \"x\" : [ 1 , 2.50, null ] } ", "\"{\\\"x\\\":[1,2.5,null]}\""),
        (DataType::STRING, "\"a\\u00b5\\n\\\"\\/\"", "\"aµ\\n\\\"/\""),
        (DataType::STRING, "\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\""),
        (Decimal { precision: 5, scale: 1 }, "1.25", "1.3"),
        (Decimal { precision: 5, scale: 1 }, "\" 7 \"", "7.0"),
        (Decimal { precision: 5, scale: 1 }, "99999.9", "null"),
        (Decimal { precision: 38, scale: 2 }, "0.1e1", "1.00"),
        (Date, "\"2022-01-03\"", "\"2022-01-03\""),
        (Date, "\"2022-13-03\"", wrong),
        (Timestamp(3), "\"2022-01-01 00:00:00.2512\"", "\"2022-01-01 00:00:00.251\""),
        (TimestampLtz(3), "\"2022-01-01 00:00:00Z\"", "\"2022-01-01 00:00:00Z\""),
        (TimestampLtz(3), "\"2022-01-01 00:00:00\"", wrong),
        (Timestamp(3), "9223372036854775808", wrong),
        (DataType::STRING, "\"a\\udc00b\"", "\"a?b\""),
        (Time(0), "\"24:00:00\"", "\"00:00:00\""),
        (Time(0), "\"24:00:01\"", wrong),
        (Bytes, "\"TWFu\"", "\"TWFu\""),
        (Bytes, "\"TWE\"", wrong),
        (Bytes, "1234", wrong),
        (Array(Box::new(Double)), "[1.5, null,9 ]", "[1.5,null,9.0]"),
        (Array(Box::new(DataType::STRING)), "[\"a\\n\",null,7]", "[\"a\\n\",null,\"7\"]"),
        (Array(Box::new(Array(Box::new(Int)))), "[[1],[],[2,3]]", "[[1],[],[2,3]]"),
        (Array(Box::new(Int)), "7", wrong),
        (Int, "null", "null"),
    ] {
        assert_eq!(echo(data_type.clone(), value), result, "{data_type} from {value}");
    }
}

#[test]
fn records_may_have_any_order_blanks_escaped_keys_and_unknown_fields() {
    let fields = [("id", DataType::STRING), ("a key longer than a word", DataType::Int)];
    let mut bench = Bench::new(&fields, JsonDecodeOptions::default());
    let both = "{\"id\":\"a\",\"a key longer than a word\":1}";
    for record in [
        both,
        "{\"a key longer than a word\":1,\"id\":\"a\"}",
        "\u{feff}{\"id\":\"a\",\"a key longer than a word\":1}",
        " { \"id\" : \"a\" , \"a key longer than a word\" : 1 } ",
        "{\"\\u0069d\":\"a\",\"x\":{\"y\":[{},[],\"}\"]},\"a key longer than a word\":1}",
        "{\"id\":\"b\",\"a key longer than a word\":2,\"id\":\"a\",\"a key longer than a word\":1}",
        both,
    ] {
        assert_eq!(bench.echo(record.as_bytes()), both, "{record}");
    }
    let none = "{\"id\":null,\"a key longer than a word\":null}";
    assert_eq!(bench.echo(b"{}"), none);
    assert_eq!(bench.echo(b"{\"id\":\"a\",\"id\":null}"), none);
}

#[test]
fn what_is_no_object_is_an_error() {
    let mut bench = Bench::new(&[("id", DataType::STRING)], JsonDecodeOptions::default());
    for record in [
        "",
        " ",
        "null",
        "[1]",
        "7",
        "not json",
        "{",
        "{\"id\"",
        "{\"id\":",
        "{\"id\":1",
        "{\"id\":1,",
        "{\"id\":1,}",
        "{,}",
        "{\"id\" 1}",
        "{\"id\":01}",
        "{\"id\":tru}",
        "{\"id\":\"\\x\"}",
        "{\"id\":\"\\u12\"}",
        "{\"x\":\"\\x\"}",
        "{\"x\":[1,]}",
        "{\"x\":[1}",
        "{\"id\":1}}",
        "{\"id\":1} {\"id\":2}",
        "{\"id\":\"a",
        "{\"id\":\"a\\",
        "{id:1}",
        "{\"id\":NaN}",
    ] {
        assert_eq!(bench.echo(record.as_bytes()), "malformed", "{record}");
    }
    assert_eq!(bench.echo(b"{\"id\":\"\xff\"}"), "invalid-utf8");
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(bench.echo(deep.as_bytes()), "nested-too-deep");
    let deep = format!("{{\"id\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(bench.echo(deep.as_bytes()), "nested-too-deep");
    let large = format!("{{\"id\":\"{}\"}}", "x".repeat(1 << 17));
    assert_eq!(bench.echo(large.as_bytes()), "text-too-large");
    assert_eq!(bench.echo(b"{\"id\":1}"), "{\"id\":\"1\"}", "goes on after errors");
}

#[test]
fn ignored_errors_skip_records_and_make_fields_null() {
    let fields = [("id", DataType::STRING), ("n", DataType::Int)];
    let options = JsonDecodeOptions { ignore_parse_errors: true, ..Default::default() };
    let mut bench = Bench::new(&fields, options);
    assert_eq!(bench.echo(b"not json at all"), "skipped");
    assert_eq!(bench.echo(b"[1,2]"), "skipped");
    assert_eq!(bench.echo(b"{\"n\":\"x\",\"id\":\"b\"}"), "{\"id\":\"b\",\"n\":null}");
    assert_eq!(bench.echo(b"{\"n\":{\"y\":1},\"id\":\"b\"}"), "{\"id\":\"b\",\"n\":null}");
    assert_eq!(bench.echo(b"{\"n\":3}"), "{\"id\":null,\"n\":3}");
}

#[test]
fn missing_fields_fail_when_asked_for() {
    let fields = [("id", DataType::STRING), ("n", DataType::Int)];
    let options = JsonDecodeOptions { fail_on_missing_field: true, ..Default::default() };
    let mut bench = Bench::new(&fields, options);
    assert_eq!(bench.echo(b"{\"id\":\"a\"}"), "missing-field");
    assert_eq!(bench.echo(b"{\"id\":\"a\",\"n\":null}"), "{\"id\":\"a\",\"n\":null}");
    let mut schema = schema(&fields);
    schema.fields[1].nullable = false;
    bench.decoder = JsonDecoder::new(columns(&schema), JsonDecodeOptions::default());
    assert_eq!(bench.echo(b"{\"id\":\"a\"}"), "not-null-violated");
    assert_eq!(bench.echo(b"{\"n\":null}"), "not-null-violated");
}

#[test]
fn nested_fields_are_columns() {
    let fields =
        [("id", DataType::STRING), ("m.temp", DataType::Double), ("m.unit", DataType::STRING)];
    let mut bench = Bench::new(&fields, JsonDecodeOptions::default());
    let mut check = |record: &str, temp: &str, unit: &str| {
        let expected = format!("{{\"id\":\"a\",\"m.temp\":{temp},\"m.unit\":{unit}}}");
        assert_eq!(bench.echo(record.as_bytes()), expected, "{record}");
    };
    check("{\"id\":\"a\",\"m\":{\"temp\":20.5,\"unit\":\"C\"},\"extra\":1}", "20.5", "\"C\"");
    check("{\"id\":\"a\",\"m\":{\"temp\":null}}", "null", "null");
    check("{\"id\":\"a\",\"m\":null}", "null", "null");
    check("{\"id\":\"a\",\"m\":{\"unit\":\"F\",\"x\":{}}}", "null", "\"F\"");
    check("{\"m\":{\"unit\":\"F\"},\"m\":null,\"id\":\"a\"}", "null", "null");
    assert_eq!(bench.echo(b"{\"id\":\"a\",\"m\":7}"), "not-coercible");
}

#[test]
fn changes_are_named() {
    let schema = schema(&[("n", DataType::Int)]);
    let mut encoder = ChangelogJsonEncoder::new(&schema, JsonEncodeOptions::default());
    let context = Context::new(&limits());
    let row = Row { slots: &[Slot::i64(-5)], nulls: 0, change: Change::UpdateBefore };
    let mut out = Vec::new();
    encoder.encode(&row, &context, &mut out);
    assert_eq!(out, b"{\"n\":-5,\"op\":\"-U\"}\n");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map("[a-c\"\\\\é]{0,3}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn fields(of: &[(&str, DataType)]) -> DataType {
    DataType::Row(of.iter().map(|(name, t)| ((*name).to_owned(), t.clone())).collect())
}

#[test]
fn rows_as_values() {
    let inner = fields(&[("x", DataType::Int), ("y", DataType::Boolean)]);
    let row = fields(&[("a", DataType::STRING), ("b", inner)]);
    let mut bench = Bench::new(&[("m", row.clone())], JsonDecodeOptions::default());
    let whole = br#"{"m":{"b":{"y":true,"q":[1,{}],"x":"7"},"a":5}}"#;
    assert_eq!(bench.echo(whole), r#"{"m":{"a":"5","b":{"x":7,"y":true}}}"#);
    assert_eq!(bench.echo(br#"{"m":{}}"#), r#"{"m":{"a":null,"b":null}}"#);
    assert_eq!(bench.echo(br#"{"m":null}"#), r#"{"m":null}"#);
    assert_eq!(bench.echo(br#"{"m":{"a":"x","a":"y"}}"#), r#"{"m":{"a":"y","b":null}}"#);
    assert_eq!(bench.echo(br#"{"m":5}"#), Reason::Coercion.as_str());
    assert_eq!(bench.echo(br#"{"m":{"b":{"x":"z"}}}"#), Reason::Coercion.as_str());
    let lenient = JsonDecodeOptions { ignore_parse_errors: true, ..Default::default() };
    let mut bench = Bench::new(&[("m", row), ("n", DataType::Int)], lenient);
    let broken = br#"{"m":{"a":"k","b":{"x":"z","y":true}},"n":1}"#;
    assert_eq!(bench.echo(broken), r#"{"m":{"a":"k","b":{"x":null,"y":true}},"n":1}"#);
}

#[test]
fn null_fields_of_rows_may_be_left_out() {
    let row = fields(&[("a", DataType::STRING), ("b", fields(&[("x", DataType::Int)]))]);
    let mut bench = Bench::new(&[("m", row)], JsonDecodeOptions::default());
    bench.encode = JsonEncodeOptions { ignore_null_fields: true, ..Default::default() };
    assert_eq!(bench.echo(br#"{"m":{"b":{"y":1}}}"#), r#"{"m":{"b":{}}}"#);
}

#[test]
fn a_row_beside_its_fields() {
    let inner = fields(&[("x", DataType::Int)]);
    let row = fields(&[("a", DataType::STRING), ("b", inner.clone())]);
    let all = [("m.a", DataType::STRING), ("m", row), ("m.b.x", DataType::Int), ("m.b", inner)];
    let mut bench = Bench::new(&all, JsonDecodeOptions::default());
    let expected = r#"{"m.a":"k","m":{"a":"k","b":{"x":1}},"m.b.x":1,"m.b":{"x":1}}"#;
    assert_eq!(bench.echo(br#"{"m":{"b":{"x":1},"c":2,"a":"k"}}"#), expected);
    let null = r#"{"m.a":null,"m":null,"m.b.x":null,"m.b":null}"#;
    assert_eq!(bench.echo(br#"{"m":null}"#), null);
    let part = r#"{"m.a":null,"m":{"a":null,"b":null},"m.b.x":null,"m.b":null}"#;
    assert_eq!(bench.echo(br#"{"m":{"b":null}}"#), part);
}

/// Records as programs write them.
const SHAPES: [&str; 5] = [
    r#"{"a":"d0017","b":-21.125,"c":1700000000123}"#,
    r#"{"a": "d0017", "b": -21.125, "c": 1700000000123}"#,
    r#"{"c":17,"b":0.5,"a":"x"}"#,
    r#"{"a name of more than a word":12,"a":"a text of more than a word","b":1234567.25}"#,
    r#"{"b":1}"#,
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let fields = [("a", DataType::STRING), ("b", DataType::Double)];
        let mut bench = Bench::new(&fields, JsonDecodeOptions::default());
        bench.echo(&bytes);
        bench.echo(&[b"{\"a\":", &bytes[..]].concat());
        bench.echo(&[b"{\"b\":", &bytes[..], b"}"].concat());
    }

    /// The short way through a record, which needs a record before it, and the general one.
    #[test]
    fn a_record_means_the_same_whatever_came_before(
        edits in proptest::collection::vec((0_usize..60, "[ -~\\n\\réß]?"), 0..3),
        length in 1_usize..100,
        is_ignoring in any::<bool>(),
        shape in 0..SHAPES.len(),
    ) {
        let fields = [
            ("a", DataType::STRING),
            ("b", DataType::Double),
            ("c", DataType::BigInt),
            ("a name of more than a word", DataType::Int),
        ];
        let options =
            JsonDecodeOptions { ignore_parse_errors: is_ignoring, ..JsonDecodeOptions::default() };
        let plain = SHAPES[shape];
        let mut record: Vec<char> = plain.chars().collect();
        for (at, text) in edits {
            let at = at.min(record.len() - 1);
            record.splice(at..=at, text.chars());
        }
        record.truncate(length);
        let record: String = record.into_iter().collect();
        let mut learned = Bench::new(&fields, options);
        learned.echo(plain.as_bytes());
        for record in [&record, plain, &record] {
            let echoed = learned.echo(record.as_bytes());
            prop_assert_eq!(echoed, Bench::new(&fields, options).echo(record.as_bytes()));
        }
    }

    #[test]
    fn texts_and_trees_mean_the_same_as_to_a_library(value in json()) {
        let mut bench = Bench::new(&[("s", DataType::STRING)], JsonDecodeOptions::default());
        let text = bench.echo(serde_json::json!({ "x": value, "s": value }).to_string().as_bytes());
        let echoed: serde_json::Value = serde_json::from_str(&text).unwrap();
        match &value {
            serde_json::Value::Null => prop_assert!(echoed["s"].is_null()),
            serde_json::Value::String(_) => prop_assert_eq!(&echoed["s"], &value),
            _ => {
                let inner = echoed["s"].as_str().unwrap();
                let inner: serde_json::Value = serde_json::from_str(inner).unwrap();
                prop_assert_eq!(inner, value);
            }
        }
    }
}
