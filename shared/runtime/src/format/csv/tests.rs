use headwater_engine::limits::Limits;
use headwater_engine::row::Row;
use headwater_engine::types::{Field, Schema};
use proptest::prelude::*;

use super::*;

fn echo_with(types: &[DataType], options: CsvOptions, record: &[u8]) -> String {
    let fields = types.iter().map(|t| Field::new("c", t.clone())).collect();
    let schema = Schema::new(fields);
    let column = |(index, data_type): (usize, &DataType)| Column {
        path: vec![String::new()],
        data_type: data_type.clone(),
        nullable: true,
        index,
    };
    let columns = types.iter().enumerate().map(column).collect();
    let mut decoder = CsvDecoder::new(columns, options.clone());
    let limits = Limits { symbols_max: 16, symbol_bytes_max: 1024, ..Limits::default() };
    let mut context = Context::new(&limits);
    let mut slots = vec![Slot::ZERO; types.len()];
    let mut nulls = u64::MAX >> (64 - types.len());
    match decoder.decode(record, &mut slots, &mut nulls, &mut context) {
        Ok(Decoded::Row) => {
            let mut out = Vec::new();
            let row = Row::insert(&slots, nulls);
            CsvEncoder::new(&schema, options).encode(&row, &context, &mut out);
            String::from_utf8(out).unwrap().trim_end_matches('\n').to_owned()
        }
        Ok(Decoded::Skipped) => "skipped".into(),
        Err(error) => error.reason.as_str().into(),
    }
}

fn echo(types: &[DataType], record: &str) -> String {
    echo_with(types, CsvOptions::default(), record.as_bytes())
}

#[test]
fn fields_become_values() {
    use DataType::*;
    let text = DataType::STRING;
    let types = [text.clone(), Int, Double, Boolean, Timestamp(3)];
    let record = "a,-5, 1.5,TRUE,2022-01-01 00:00:00.25";
    assert_eq!(echo(&types, record), "a,-5,1.5,true,2022-01-01 00:00:00.25");
    assert_eq!(echo(&[text.clone(), Int], "\"a,\"\"b\"\"\",7"), "\"a,\"\"b\"\"\",7");
    assert_eq!(echo(&[text.clone(), Int], "a"), "field-count");
    assert_eq!(echo(&[text.clone(), Int], "a,1,2"), "field-count");
    assert_eq!(echo(&[text.clone(), Int], "a,1,2,3"), "field-count");
    assert_eq!(echo(&[text.clone(), Int], "a,"), "not-coercible");
    assert_eq!(echo(&[Int], "x"), "not-coercible");
    assert_eq!(echo(&[Array(Box::new(Int)), Int], "1;2;3,4"), "1;2;3,4");
    assert_eq!(echo(&[Array(Box::new(text.clone())), Int], ",4"), ",4");
    assert_eq!(
        echo_with(std::slice::from_ref(&text), CsvOptions::default(), b"\xff"),
        "invalid-utf8"
    );
    assert_eq!(echo(&[text], "#x"), "\"#x\"");
}

#[test]
fn options_are_heard() {
    let text = DataType::STRING;
    let options = CsvOptions {
        delimiter: b';',
        quote: Some(b'\''),
        comments: true,
        null_literal: Some("-".into()),
        ignore_parse_errors: true,
        ..CsvOptions::default()
    };
    let types = [text, DataType::Int];
    let run = |record: &str| echo_with(&types, options.clone(), record.as_bytes());
    assert_eq!(run("'a;b';-"), "'a;b';-");
    assert_eq!(run("# comment"), "skipped");
    assert_eq!(run("a;x"), "a;-");
    assert_eq!(run("a"), "skipped");
    assert_eq!(option_byte("\\t"), Ok(b'\t'));
    assert!(option_byte(";;").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        echo_with(&[DataType::STRING, DataType::Double], CsvOptions::default(), &bytes);
    }

    #[test]
    fn texts_come_back(a in "[^\r\n\u{feff}]*", b in "[^\r\n]*") {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let line = format!("{},{}", quoted(&a), quoted(&b));
        let types = [DataType::STRING, DataType::STRING];
        let once = echo(&types, &line);
        prop_assert_eq!(echo(&types, &once), once);
    }
}
