//! JSON paths that lead to many places, as Flink answers them.

use alloc::{format, vec};

use super::*;

const TEXT: &str = r#"{"a":[
    {"b":1,"c":"x","t":true,"q":{"r":5}}, {"c":"y","b":2,"n":null,"t":false},
    {"b":3,"c":"z","n":1}, {"b":"2","c":"w"}, {"c":9}],
  "s":[3,1,2,3.5], "k":2, "nn":null, "o":{"b":7,"c":{"b":5}},
  "p":{"x":{"b":7},"y":{"b":0}}, "w":"word"}"#;

fn query(path: &str) -> String {
    call("JSON_QUERY", &[txt(TEXT), txt(path)])
}

fn exists(path: &str) -> String {
    call("JSON_EXISTS", &[txt(TEXT), txt(path)])
}

#[test]
fn members_at_any_depth() {
    for path in ["$..c", "lax $..c", "strict $..c", "$..['c']"] {
        assert_eq!(query(path), r#"["x","y","z","w",9,{"b":5}]"#, "{path}");
    }
    assert_eq!(query("$.a..c"), r#"["x","y","z","w",9]"#);
    assert_eq!([query("$..zz"), query("lax $..zz")], ["[]", "[]"]);
    assert_eq!([exists("$..c"), exists("$..zz"), exists("lax $..zz")], ["true", "true", "true"]);
    assert_eq!([query("$.zz..c"), query("lax $.zz..c")], ["NULL", "[]"]);
    assert_eq!(exists("$.zz..c"), "false");
    assert_eq!(call("JSON_VALUE", &[txt(TEXT), txt("$..c")]), "NULL");
}

#[test]
fn filters() {
    let c = |filter: &str| query(&format!("$.a[?({filter})].c"));
    let b = |filter: &str| query(&format!("$.a[?({filter})].b"));
    for (filter, found) in [
        ("@.b > 1", r#"["y","z"]"#),
        ("@.b >= 1", r#"["x","y","z"]"#),
        ("@.b < 2", r#"["x"]"#),
        ("@.b <= 2", r#"["x","y"]"#),
        ("@.b == 2", r#"["y","w"]"#),
        ("@['b'] == 2", r#"["y","w"]"#),
        ("@.b != 2", r#"["x","z",9]"#),
        ("@.b > 1.5", r#"["y","z"]"#),
        ("@.b > 1 && @.c == 'y'", r#"["y"]"#),
        ("@.b > 2 || @.c == 'x'", r#"["x","z"]"#),
        ("@.c == 2", "[]"),
        ("@.q.r == 5", r#"["x"]"#),
        ("@.zz == 2", "[]"),
    ] {
        assert_eq!(c(filter), found, "{filter}");
    }
    for (filter, found) in [
        ("@.c == 'x'", "[1]"),
        ("@.c == \"x\"", "[1]"),
        ("@.c != 'x'", r#"[2,3,"2"]"#),
        ("@.c > 'x'", "[2,3]"),
        ("@.n == null", "[2]"),
        ("@.n != null", r#"[1,3,"2"]"#),
        ("@.t == true", "[1]"),
    ] {
        assert_eq!(b(filter), found, "{filter}");
    }
    assert_eq!([query("$.s[?(@ > 2)]"), query("$.s[?(@ == 3)]")], ["[3,3.5]", "[3]"]);
    assert_eq!(query("$.o[?(@.b > 1)]"), r#"[{"b":7,"c":{"b":5}}]"#);
    assert_eq!([query("$.o[?(@.b == 7)].b"), query("$.p[?(@.b > 1)]")], ["[7]", "[]"]);
    assert_eq!([exists("$.a[?(@.zz == 2)]"), exists("lax $.a[?(@.b == 2)]")], ["true", "true"]);
}

#[test]
fn filters_of_what_is_no_list() {
    assert_eq!([query("$.k[?(@.b > 1)]"), query("lax $.k[?(@.b > 1)]")], ["NULL", "NULL"]);
    assert_eq!([query("$.zz[?(@.b > 1)]"), query("lax $.zz[?(@.b > 1)]")], ["NULL", "[]"]);
    for filter in ["@.q == 1", "@.q != 1", "@.q > 1"] {
        let args = [txt(TEXT), txt(&format!("$.a[?({filter})]"))];
        for function in ["JSON_QUERY", "JSON_VALUE", "JSON_EXISTS"] {
            assert_eq!(fault(function, &args), Some(Fault::InvalidArgument), "{filter}");
        }
    }
}

#[test]
fn wrappers_and_arrays() {
    let with = |wrapper: &str| {
        let returning = null(DataType::STRING);
        let words = [txt(wrapper), txt("NULL"), txt("NULL"), returning];
        let args = [&[txt(TEXT), txt("$.a[?(@.b == 2)].c")][..], &words].concat();
        call("JSON_QUERY", &args)
    };
    assert_eq!(with("UNCONDITIONAL"), r#"[["y","w"]]"#);
    assert_eq!(with("CONDITIONAL"), r#"["y","w"]"#);
}

#[test]
fn what_is_refused() {
    for path in [
        "$..a..b",
        "$..*",
        "$..[0]",
        "$..",
        "$.a[?(@.t)]",
        "$.a[?(!@.t)]",
        "$.a[?(@.b in [1, 3])]",
        "$.a[?(@.c =~ /x/)]",
        "$.a[?(2 == @.b)]",
        "$.a[?(@.b == $.k)]",
        "$.a[?(@.b == '2')]",
        "$.a[?(@.b == 007)]",
        "$.a[?(@.b == 1e3)]",
        "$.a[?(@.b == -0.0)]",
        "$.a[?(@.t > true)]",
        "$.a[?(@.c == 'it\\'s')]",
        "$.a[?(@[*] == 1)]",
        "$.a[?(@.b == 1]",
        "$.a[?(@.b == 1",
        "$.a[?()]",
        "$.s.length()",
    ] {
        assert!(refused("JSON_QUERY", &[txt("{}"), txt(path)]).contains("JSON path"), "{path}");
    }
    let long = format!("$.a[?({})]", vec!["@.b == 1"; 17].join(" || "));
    assert!(refused("JSON_QUERY", &[txt("{}"), txt(&long)]).contains("JSON path"));
}

#[test]
fn comparisons_of_all_kinds() {
    let text = r#"{"num":[1.5,1e3,-2,0,-0.0,12345678901234567890,"a","b","c","1.50",true,null,1.50],
        "dup":{"x":{"x":1},"y":[{"x":2}],"x":{"x":3}},"k":2,"nn":null}"#;
    let query = |path: &str| call("JSON_QUERY", &[txt(text), txt(path)]);
    for (filter, found) in [
        ("@ == 1.50", r#"[1.5,"1.50",1.50]"#),
        ("@ < 0", "[-2]"),
        ("@ > 1000", "[12345678901234567890]"),
        ("@ == 'b'", r#"["b"]"#),
        ("@ >= 'b'", r#"["b","c"]"#),
        ("@ != 'b'", r#"[1.5,1E+3,-2,0,0.0,12345678901234567890,"a","c","1.50",true,null,1.50]"#),
        ("@ >= 1.5", "[1.5,1E+3,12345678901234567890,1.50]"),
        ("@ == 0", "[0,0.0]"),
        ("@ == true", "[true]"),
        ("@ == null", "[null]"),
        ("@[0] == 1", "[]"),
        ("@.x < 1 || @ > 1 && @ == 'q'", "[]"),
    ] {
        assert_eq!(query(&format!("$.num[?({filter})]")), found, "{filter}");
    }
    assert_eq!([query("$.dup..x"), query("$..x")], [r#"[{"x":3},3,2]"#; 2]);
    assert_eq!([query("$.k..c"), query("$.nn..c"), query("$[?(@.k == 2)].k")], ["[]", "[]", "[2]"]);
    let words = [txt("WITHOUT"), txt("EMPTY ARRAY"), txt("EMPTY OBJECT"), null(DataType::STRING)];
    for path in ["$.nn[?(@.b > 1)]", "lax $.nn[?(@.b > 1)]", "lax $.k[?(@.b > 1)]"] {
        let args = [&[txt(text), txt(path)][..], &words].concat();
        assert_eq!(call("JSON_QUERY", &args), "{}", "{path}");
    }
}
