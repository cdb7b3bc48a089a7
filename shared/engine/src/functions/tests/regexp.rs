//! Regular expressions.

use super::*;

#[test]
fn extract() {
    let ex = |text, pattern, group| call("REGEXP_EXTRACT", &[txt(text), txt(pattern), int(group)]);
    assert_eq!(ex("Zebra-42", r"([A-Za-z]+)-(\d+)", 2), "42");
    assert_eq!(ex("Alpha", r"([A-Za-z]+)-(\d+)", 2), "NULL");
    assert_eq!(ex("Zebra-42", r"(\w+)", 5), "NULL");
    assert_eq!(ex("Zebra-42", r"(x)?Z", 1), "NULL");
    assert_eq!(ex("Zebra-42", r"(\w+)", -1), "NULL");
    assert_eq!(call("REGEXP_EXTRACT", &[txt("Zebra-42"), txt("[A-Z][a-z]+")]), "Zebra");
    assert_eq!(call("REGEXP_EXTRACT", &[txt("beta"), txt("[A-Z][a-z]+")]), "NULL");
    assert_eq!(call("REGEXP_EXTRACT", &[null(DataType::STRING), txt("a")]), "NULL");
}

#[test]
fn replace() {
    let re = |text, pattern, with| call("REGEXP_REPLACE", &[txt(text), txt(pattern), txt(with)]);
    assert_eq!(re("Alpha", "[aeiou]", "."), "Alph.");
    assert_eq!(re("", "[aeiou]", "."), "");
    assert_eq!(re("a1b22", r"\d+", "$0"), "a$0b$0");
    assert_eq!(re("axb", "x*", "-"), "-a--b-");
    assert_eq!(re("öx", "", "-"), "-ö-x-");
}

#[test]
fn find() {
    let is = |text, pattern| call("REGEXP", &[txt(text), txt(pattern)]);
    assert_eq!(is("Zebra", "eb"), "true");
    assert_eq!(is("Zebra", "^eb"), "false");
    assert_eq!(is("Zebra", ""), "false");
    assert_eq!(is("a.b", r"^a\.b$"), "true");
    assert_eq!(is("axb", r"^\Qa.b\E$"), "false");
    assert_eq!(is("٣", r"\d"), "false");
    assert_eq!(is("é", r"\w"), "false");
    assert_eq!(is("a\rb", "a.b"), "false");
    assert_eq!(is("a\rb", "(?s)a.b"), "true");
    assert_eq!(is("ABC", "(?i)b"), "true");
    assert_eq!(is("a-b", r"[\w-.]-"), "true");
    assert_eq!(is("x-", r"^[\w-.]+$"), "true");
    assert_eq!(is("x/", r"^[\w-.]+$"), "false");
    assert_eq!(is("tab\t", r"\t"), "true");
    assert_eq!(is("A", r"A\x41?"), "true");
    assert_eq!(is("<", r"\<"), "true");
    assert_eq!(is("a b", r"a\sb"), "true");
    assert_eq!(is("foo bar", r"\bbar\b"), "true");
    assert_eq!(is("aaa", "^a{2,3}?$"), "true");
    assert_eq!(is("key=7", "(?<k>[a-z]+)=(?:7|8)"), "true");
}

#[test]
fn what_cannot_be_translated_is_refused() {
    for (pattern, what) in [
        ("(?=a)", "look-ahead"),
        ("(?<!a)", "look-behind"),
        ("(?>a)", "atomic"),
        (r"(a)\1", "back reference"),
        ("a*+", "possessive"),
        (r"\p{L}", "named"),
        ("[a&&b]", "intersection"),
        ("a(?i)b", "flags"),
        ("a{,3}", "repetition"),
        ("(a", "no regular expression"),
        (r"a\", "backslash"),
        ("[]a]", "empty class"),
        ("[a", "not closed"),
    ] {
        let error = refused("REGEXP", &[txt("x"), txt(pattern)]);
        assert!(error.contains(what), "{pattern}: {error}");
    }
    let column = Value { data_type: DataType::STRING, literal: None };
    let args = [Arg::of_type(&DataType::STRING); 2];
    assert!(bind("REGEXP", &args).err().unwrap().contains("constant"), "{column:?}");
}

#[test]
fn searching() {
    let two = |name: &str, text, pattern| call(name, &[txt(text), txt(pattern)]);
    assert_eq!(two("REGEXP_COUNT", "abcabc", "b"), "2");
    assert_eq!(two("REGEXP_COUNT", "aaa", "aa"), "1");
    assert_eq!(two("REGEXP_COUNT", "aaa", ""), "4");
    assert_eq!(two("REGEXP_COUNT", "baac", "a*"), "4");
    assert_eq!(two("REGEXP_INSTR", "abcabc", "c"), "3");
    assert_eq!(two("REGEXP_INSTR", "äb", "b"), "2");
    assert_eq!(two("REGEXP_INSTR", "abc", "x"), "0");
    assert_eq!(two("REGEXP_INSTR", "ab", ""), "1");
    assert_eq!(two("REGEXP_SUBSTR", "abc123", "[0-9]+"), "123");
    assert_eq!(two("REGEXP_SUBSTR", "abc", "[0-9]+"), "NULL");
}
