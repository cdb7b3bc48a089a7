//! JSON functions.

use proptest::prelude::*;

use super::*;

fn value(text: &str, path: &str) -> String {
    call("JSON_VALUE", &[txt(text), txt(path)])
}

#[test]
fn conformance_case() {
    let a = r#"{"temp": 21.5, "meta": {"fw": "1.2"}, "n": 3}"#;
    let b = r#"{"temp": "22.25", "n": 4}"#;
    let c = r#"{"meta": {}}"#;
    assert_eq!(
        [value(a, "$.temp"), value(b, "$.temp"), value(c, "$.temp")],
        ["21.5", "22.25", "NULL"]
    );
    assert_eq!([value(a, "$.meta.fw"), value(c, "$.meta.fw")], ["1.2", "NULL"]);
    let n = |text| {
        let nulls = || null(DataType::Int);
        call("JSON_VALUE", &[txt(text), txt("$.n"), nulls(), int(0), nulls()])
    };
    assert_eq!([n(a), n(b), n(c)], ["3", "4", "NULL"]);
    let has = |text| call("JSON_EXISTS", &[txt(text), txt("$.meta")]);
    assert_eq!([has(a), has(b), has(c)], ["true", "false", "true"]);
    assert_eq!(call("JSON_EXISTS", &[null(DataType::STRING), txt("$.meta")]), "NULL");
}

#[test]
fn paths() {
    let text =
        r#"{"a": [1, {"b": ["x", true, null]}, [2]], "a b": -0.5, "\u0061x": 1, "k": 1, "k": 2}"#;
    assert_eq!(value(text, "$.a[0]"), "1");
    assert_eq!(value(text, "$.a[1].b[0]"), "x");
    assert_eq!(value(text, "$.a[1].b[1]"), "true");
    assert_eq!(value(text, "$.a[2][0]"), "2");
    assert_eq!(value(text, "$['a b']"), "-0.5");
    assert_eq!(value(text, "$.ax"), "1");
    assert_eq!(value(text, "$.k"), "2");
    assert_eq!(value(text, "$.a[9]"), "NULL");
    assert_eq!(value(text, "$.a.b"), "NULL");
    assert_eq!(value("7", "$"), "7");
    assert_eq!([value(text, "$.a[-1]"), value(text, "$.a[-3]")], ["NULL", "1"]);
    for path in ["a", "$..", "$.", "$.a[]", "$.a[-2:-1]", "$.a[:]", "$.a.size()"] {
        assert!(refused("JSON_VALUE", &[txt("{}"), txt(path)]).contains("JSON path"), "{path}");
    }
}

#[test]
fn empty_and_error() {
    let with = |text: &str, path: &str| {
        let nulls = null(DataType::STRING);
        call("JSON_VALUE", &[txt(text), txt(path), nulls, txt("empty"), txt("error")])
    };
    assert_eq!(with(r#"{"a": null}"#, "$.a"), "error");
    assert_eq!(with(r#"{"a": null}"#, "lax $.a"), "empty");
    assert_eq!(with("null", "lax $"), "error");
    assert_eq!(with("null", "lax $.a"), "error");
    assert_eq!(with("", "lax $"), "empty");
    assert_eq!(with(r#"{"a": null}"#, "$.b"), "error");
    assert_eq!(with(r#"{"a": null}"#, "lax $.b"), "empty");
    assert_eq!(with(r#"{"a": {}}"#, "$.a"), "error");
    assert_eq!(with(r#"{"a": {}}"#, "lax $.a"), "empty");
    assert_eq!(with(r#"{"a": 1"#, "$.a"), "error");
    assert_eq!(with(r#"{"a": 1"#, "lax $.a"), "empty");
    assert_eq!(with(r#"{"a": 1} trailing"#, "strict $.a"), "1");
    assert_eq!(call("JSON_EXISTS", &[txt(r#"{"a": null}"#), txt("$.a")]), "false");
    let int_of = |text: &str| {
        let nulls = || null(DataType::Int);
        try_call("JSON_VALUE", &[txt(text), txt("$"), nulls(), nulls(), nulls()]).unwrap()
    };
    assert_eq!(int_of("7").0, "7");
    assert_eq!(int_of("7.5").2, Some(Fault::InvalidArgument));
    assert_eq!(int_of("\"7\"").2, Some(Fault::InvalidArgument));
}

/// JSON_QUERY with its words: wrapper, ON EMPTY, ON ERROR.
fn query(text: &str, path: &str, words: [&str; 3]) -> String {
    let [wrapper, empty, error] = words;
    let returning = null(DataType::STRING);
    let args = [txt(text), txt(path), txt(wrapper), txt(empty), txt(error), returning];
    call("JSON_QUERY", &args)
}

#[test]
fn query_as_flink_answers() {
    let plain = |text, path| call("JSON_QUERY", &[txt(text), txt(path)]);
    assert_eq!(plain(r#"{"a":{"b":1}}"#, "$.a"), r#"{"b":1}"#);
    assert_eq!(plain(r#"{"a":[1, 2]}"#, "$.a"), "[1,2]");
    for nothing in [r#"{"a":1}"#, r#"{"a":"x"}"#, "{}", r#"{"a":null}"#, "nojson"] {
        assert_eq!(plain(nothing, "$.a"), "NULL", "{nothing}");
        assert_eq!(plain(nothing, "lax $.a"), "NULL", "{nothing}");
    }
    assert_eq!(plain(r#"{"a":1} x"#, "strict $"), r#"{"a":1}"#);
    let strange = r#"{"a" : {"b" : 1.50, "c":"\u00e4\/" , "d":1e3}}"#;
    assert_eq!(plain(strange, "$.a"), r#"{"b":1.50,"c":"ä/","d":1E+3}"#);
    let names = r#"{"z":{"a":1,"a":2,"b":{"y":1,"x":2,"y":3}}}"#;
    assert_eq!(plain(names, "$.z"), r#"{"a":2,"b":{"x":2,"y":3}}"#);
    let order = r#"{"B":1,"a":2,"ä":3,"Z":{"b":1,"a":[{"y":1,"x":2}]}}"#;
    assert_eq!(plain(order, "$"), r#"{"B":1,"Z":{"a":[{"x":2,"y":1}],"b":1},"a":2,"ä":3}"#);
    let numbers = r#"{"a":-0, "b":-0.0, "c":1E400, "e":0.1e-2, "f": 100e-2, "g":12e0}"#;
    assert_eq!(plain(numbers, "$"), r#"{"a":0,"b":0.0,"c":1E+400,"e":0.001,"f":1.00,"g":12}"#);
    let escapes = r#"{"a":"\u0001<>&' \t \n \" \\ \/"}"#;
    assert_eq!(plain(escapes, "$"), r#"{"a":"\u0001<>&' \t \n \" \\ /"}"#);
    assert_eq!(plain("[ [ [ ] ] ]", "$[0]"), "[[]]");
    let deep = ["[".repeat(1000), "]".repeat(1000)].concat();
    assert_eq!(plain(&deep, "$"), deep);
}

#[test]
fn query_wraps_and_replaces() {
    let wrapped = |text, wrapper| query(text, "$.a", [wrapper, "NULL", "NULL"]);
    assert_eq!(wrapped(r#"{"a":1}"#, "UNCONDITIONAL"), "[1]");
    assert_eq!(wrapped(r#"{"a":"x"}"#, "UNCONDITIONAL"), r#"["x"]"#);
    assert_eq!(wrapped(r#"{"a":[1]}"#, "UNCONDITIONAL"), "[[1]]");
    assert_eq!(wrapped(r#"{"a":[1]}"#, "CONDITIONAL"), "[1]");
    assert_eq!(wrapped(r#"{"a":1}"#, "CONDITIONAL"), "[1]");
    assert_eq!(wrapped(r#"{"a":{"x":1}}"#, "CONDITIONAL"), r#"[{"x":1}]"#);
    assert_eq!(wrapped(r#"{"a":null}"#, "UNCONDITIONAL"), "NULL");
    let instead = |text, path| query(text, path, ["WITHOUT", "EMPTY ARRAY", "EMPTY OBJECT"]);
    assert_eq!(instead("{}", "lax $.a"), "[]");
    assert_eq!(instead("{}", "strict $.a"), "{}");
    assert_eq!(instead("nojson", "lax $.a"), "[]");
    assert_eq!(instead("null", "lax $"), "{}");
    assert_eq!(instead(r#"{"a":null}"#, "lax $.a"), "[]");
    assert_eq!(instead(r#"{"a":null}"#, "strict $.a"), "{}");
    assert_eq!(instead(r#"{"a":1}"#, "lax $.a"), "[]");
    assert_eq!(instead(r#"{"a":1}"#, "strict $.a"), "{}");
    let fails = [txt("{}"), txt("lax $.a"), txt("WITHOUT"), txt("ERROR"), txt("NULL")];
    let fails = [&fails[..], &[null(DataType::STRING)]].concat();
    assert_eq!(fault("JSON_QUERY", &fails), Some(Fault::InvalidArgument));
    assert_eq!(call("JSON_QUERY", &[null(DataType::STRING), txt("$.a")]), "NULL");
}

#[test]
fn exists_and_errors() {
    let exists = |text: &str, path: &str, word: &str| {
        call("JSON_EXISTS", &[txt(text), txt(path), txt(word)])
    };
    let one = r#"{"a":1}"#;
    assert_eq!(exists(one, "$.b", "TRUE"), "true");
    assert_eq!(exists(one, "lax $.b", "TRUE"), "false");
    assert_eq!(exists(one, "strict $.b", "UNKNOWN"), "NULL");
    assert_eq!(exists(one, "strict $.b", "FALSE"), "false");
    assert_eq!(exists("nojson", "lax $.b", "TRUE"), "false");
    assert_eq!(exists("nojson", "strict $.b", "TRUE"), "true");
    assert_eq!(exists(r#"{"a":null}"#, "$.a", "TRUE"), "true");
    assert_eq!(exists(r#"{"a":null}"#, "lax $.a", "TRUE"), "false");
    assert_eq!(exists("null", "lax $", "TRUE"), "true");
    let error = [txt(one), txt("strict $.b"), txt("ERROR")];
    assert_eq!(fault("JSON_EXISTS", &error), Some(Fault::InvalidArgument));
    let value = |path: &str| {
        let nulls = || null(DataType::STRING);
        let words = [txt("ERROR"), txt("NULL")];
        let args = [&[txt(one), txt(path), nulls(), nulls(), nulls()][..], &words].concat();
        try_call("JSON_VALUE", &args).unwrap().2
    };
    assert_eq!(value("$.b"), None, "an error, no empty value");
    assert_eq!(value("lax $.b"), Some(Fault::InvalidArgument));
    let unquoted = |text| call("JSON_UNQUOTE", &[txt(text)]);
    assert_eq!(unquoted(r#""a\u00e4""#), "aä");
    for same in ["abc", "\"a", r#""a\qb""#, r#"{"a":1}"#] {
        assert_eq!(unquoted(same), same);
    }
}

#[test]
fn values_as_text() {
    for (json, out) in [
        (r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#, "a\"\\/\u{8}\u{c}\n\r\té\u{1f600}"),
        (r#""\ud83d""#, "?"),
        ("1.50", "1.50"),
        ("1e3", "1E+3"),
        ("-1.5E-10", "-1.5E-10"),
        ("0.000001", "0.000001"),
        ("0.0000001", "1E-7"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("0.0", "0.0"),
        ("-0", "0"),
        ("false", "false"),
    ] {
        assert_eq!(value(json, "$"), out, "{json}");
    }
}

#[test]
fn is_json() {
    let is = |kind: &str, text| call(kind, &[txt(text)]);
    assert_eq!(is("IS JSON OBJECT", r#" {"a": [1, 2, {}], "b": {"c": []}} "#), "true");
    assert_eq!(is("IS JSON ARRAY", "[1, [2, [3]]]"), "true");
    assert_eq!(is("IS JSON SCALAR", "[]"), "false");
    for bad in ["", "{", "[1,]", "{\"a\" 1}", "01", "1.", "tru", "nul", "\"a", "[1 2]", "-", "+1"] {
        assert_eq!(is("IS JSON VALUE", bad), "false", "{bad}");
    }
    let deep = |n: usize| call("IS JSON", &[txt(&["[".repeat(n), "]".repeat(n)].concat())]);
    assert_eq!(deep(1000), "true");
    assert_eq!(deep(100_000), "false");
    assert_eq!(call("IS JSON", &[null(DataType::STRING)]), "false");
}

fn without_files() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(without_files())]

    #[test]
    fn takes_what_another_parser_takes(text in r#"[-{}\[\]",:0-9eE.+ atrue\\nul]{0,24}"#) {
        // Ours stops after the first value, but not within a word or a number.
        let ends = |n: usize| text[n..].is_empty() || text[n..].starts_with([',', ']', '}', ' ']);
        let is_value = |n: usize| serde_json::from_str::<serde_json::Value>(&text[..n]).is_ok();
        let closed = |n: usize| text[..n].ends_with(['"', ']', '}']);
        let theirs = (0..=text.len()).any(|n| is_value(n) && (ends(n) || closed(n)));
        let ours = call("IS JSON", &[txt(&text)]) == "true";
        // Numbers beyond the range of a double are JSON too.
        prop_assert!(ours == theirs || text.contains(['e', 'E']), "{}", text);
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,40}", path in "[$.a\\[\\]0-9'\"]{0,8}") {
        let _ = try_call("JSON_VALUE", &[txt(&text), txt(&path)]);
        let quoted = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(value(&quoted, "$"), text);
    }
}

/// What Flink 2.2.1 answers.
#[test]
fn paths_to_many() {
    let doc = r#"{"a":[{"b":7,"n":null},{"c":1,"q":[1]},{"b":"x","n":{"z":1,"y":2}}],"s":5,
        "o":{"y":1,"x":[2]},"e":[],"nul":null,"nest":[[1,2],[3],5]}"#;
    let of = |text, path| query(text, path, ["WITHOUT", "EMPTY OBJECT", "NULL"]);
    for (path, out) in [
        ("lax $.a[*].b", r#"[7,"x"]"#),
        ("$.a[*].b", r#"[7,"x"]"#),
        ("$.a[*].n", r#"[null,{"y":2,"z":1}]"#),
        ("$.a[*].*", r#"[7,null,1,[1],"x",{"y":2,"z":1}]"#),
        ("$.o[*]", "[1,[2]]"),
        ("$.o.*", "[1,[2]]"),
        ("$.zz[*]", "NULL"),
        ("lax $.zz[*].b", "[]"),
        ("$.s[*]", "[]"),
        ("$.nul[*]", "[]"),
        ("$.e[*]", "[]"),
        ("$.a[*].b.c", "[]"),
        ("$.a[-1]", r#"{"b":"x","n":{"y":2,"z":1}}"#),
        ("$.a[-9]", "NULL"),
        ("$.a[1,0,7].b", "[7]"),
        ("$.a[0:2].b", "[7]"),
        ("$.a[1:].c", "[1]"),
        ("$.a[:1].b", "[7]"),
        ("$.a[-1:].b", r#"["x"]"#),
        ("$.a[5:]", "[]"),
        ("$.nest[*][*]", "[1,2,3]"),
        ("$.nest[*][0]", "[1,3]"),
        ("$.nest[*][9]", "[]"),
        ("$.nest[*][-1]", "[2,3]"),
    ] {
        assert_eq!(of(doc, path), out, "{path}");
    }
    assert_eq!(of("no", "lax $.a[*]"), "{}");
    assert_eq!(of("no", "$.a[*]"), "NULL");
    assert_eq!(of("null", "lax $.a[*]"), "NULL");
    let wrapped = |wrapper| query(doc, "$.a[*].b", [wrapper, "NULL", "NULL"]);
    assert_eq!(wrapped("UNCONDITIONAL"), r#"[[7,"x"]]"#);
    assert_eq!(wrapped("CONDITIONAL"), r#"[7,"x"]"#);
    for (path, out) in [
        ("$.a[*].zz", "true"),
        ("lax $.zz[*].zz", "true"),
        ("$.zz[*].zz", "false"),
        ("$.e[*]", "true"),
        ("$.s[*]", "true"),
    ] {
        assert_eq!(call("JSON_EXISTS", &[txt(doc), txt(path)]), out, "{path}");
    }
    let value = |path: &str| {
        let nulls = null(DataType::STRING);
        call("JSON_VALUE", &[txt(doc), txt(path), nulls, txt("empty"), txt("error")])
    };
    let paths = ["$.a[*].b", "lax $.a[*].b", "lax $.zz[*].b", "$.a[-1].b"];
    assert_eq!(paths.map(value), ["error", "empty", "empty", "x"]);
}

/// What Flink 2.2.1 answers.
#[test]
fn made() {
    let object = |args: &[Value]| call("JSON_OBJECT", &[&[txt("NULL")], args].concat());
    let array = |args: &[Value]| call("JSON_ARRAY", &[&[txt("ABSENT")], args].concat());
    assert_eq!([object(&[]), array(&[])], ["{}", "[]"]);
    let twice = [txt("b"), int(1), txt("a"), int(2), txt("b"), int(3)];
    assert_eq!(object(&twice), r#"{"a":2,"b":3}"#);
    let order = [txt("ä"), int(1), txt("z"), int(2), txt("B"), int(3), txt("a\"b"), int(4)];
    assert_eq!(object(&order), r#"{"B":3,"a\"b":4,"z":2,"ä":1}"#);
    let nothing = null(DataType::Int);
    assert_eq!(object(&[txt("a"), nothing.clone()]), r#"{"a":null}"#);
    let absent = [txt("ABSENT"), txt("a"), int(1), txt("a"), nothing.clone()];
    assert_eq!(call("JSON_OBJECT", &absent), r#"{"a":1}"#);
    assert_eq!(array(&[int(1), txt("x"), nothing.clone()]), r#"[1,"x"]"#);
    assert_eq!(call("JSON_ARRAY", &[txt("NULL"), nothing]), "[null]");
    let numbers = [1e-5, 1e7, 123_456_789.0, 12_345_678.5, 1e300, 0.0, -2.5e-10, f64::NAN];
    assert_eq!(
        array(&numbers.map(dbl)),
        r#"[0.000010,1.0E+7,123456789,12345678.5,1.0E+300,0.0,-2.5E-10,"NaN"]"#
    );
    let decimals = [dec(0, 10, 3), dec(100, 20, 10), dec(100, 5, 0), dec(1250, 10, 2)];
    assert_eq!(array(&decimals), "[0.000,1.00E-8,100,12.50]");
    let times = [ts("2022-01-02 03:04:00"), ts("2022-01-02 03:00:00.5"), ltz(60_000)];
    assert_eq!(
        array(&times),
        r#"["2022-01-02T03:04:00","2022-01-02T03:00:00.5","1970-01-01T00:01:00Z"]"#
    );
    assert_eq!(call("JSON_STRING", &[txt("q\" b\\ /\u{1} ü")]), r#""q\" b\\ /\u0001 ü""#);
    assert_eq!(
        call("JSON_STRING", &[of(DataType::Float, Literal::Double(1.1f32.into()))]),
        "1.100000023841858"
    );
    assert_eq!(call("JSON_STRING", &[null(DataType::Int)]), "NULL");
    assert!(refused("JSON_STRING", &[date("2022-01-01")]).contains("DATE"));
    assert!(
        refused("JSON_OBJECT", &[txt("NULL"), null(DataType::STRING), int(1)]).contains("name")
    );
}

#[test]
fn json_in_json() {
    let raw = |text: &str| call("JSON", &[txt(text)]);
    let written = r#"{"a":{"c":"ä","d":1},"b":1}"#;
    assert_eq!(raw(r#"{"b": 1e0, "a": {"d":1, "c":"\u00e4"}} x"#), written);
    assert_eq!(fault("JSON", &[txt("{")]), Some(Fault::InvalidArgument));
    let quoted = |text: &str| call("JSON_QUOTE", &[txt(text)]);
    assert_eq!(quoted("a\"b/ä\n~\u{1}"), "\"a\\\"b\\/\\u00e4\\n~\u{1}\"");
    assert_eq!(quoted("😀"), r#""\u1f600\ude00""#);
}
