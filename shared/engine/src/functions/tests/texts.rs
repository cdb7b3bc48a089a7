//! Functions of text.

use super::*;

fn t1(name: &str, text: &str) -> String {
    call(name, &[txt(text)])
}

#[test]
fn case_and_length() {
    assert_eq!(t1("UPPER", "Zebra-42"), "ZEBRA-42");
    assert_eq!(t1("UPPER", "Größe µ °C"), "GRÖSSE Μ °C");
    assert_eq!(t1("UPPER", "\u{1f600} ok"), "\u{1f600} OK");
    assert_eq!(t1("LOWER", "ÄB"), "äb");
    let long = "aB".repeat(100);
    assert_eq!(t1("UPPER", &long), "AB".repeat(100));
    assert_eq!(t1("INITCAP", "hello wORLD x2y-zÄ"), "Hello World X2y-ZÄ");
    assert_eq!(t1("CHAR_LENGTH", "\u{1f600} ok"), "4");
    assert_eq!(t1("CHAR_LENGTH", "Größe µ °C"), "10");
    assert_eq!(t1("CHAR_LENGTH", ""), "0");
    assert_eq!(t1("REVERSE", "Größe"), "eßörG");
    assert_eq!(t1("ASCII", "ab"), "97");
    assert_eq!(t1("ASCII", ""), "0");
    assert_eq!(call("CHR", &[int(97)]), "a");
    assert_eq!(call("CHR", &[int(353)]), "a");
    assert_eq!(call("CHR", &[int(-1)]), "");
    assert_eq!(refused("UPPER", &[int(1)]), "UPPER needs text here, not INT");
}

#[test]
fn parts() {
    let sub = |text, start, len| call("SUBSTRING", &[txt(text), int(start), int(len)]);
    assert_eq!(sub("Alpha", 2, 3), "lph");
    assert_eq!(sub("  pad  ", 2, 3), " pa");
    assert_eq!(sub("Größe", 3, 2), "öß");
    assert_eq!(sub("Alpha", 0, 2), "Al");
    assert_eq!(sub("Alpha", -3, 2), "ph");
    assert_eq!(sub("Alpha", -9, 2), "");
    assert_eq!(sub("Alpha", 9, 2), "");
    assert_eq!(sub("Alpha", 2, -1), "NULL");
    assert_eq!(call("SUBSTR", &[txt("Alpha"), int(3)]), "pha");
    assert_eq!(call("LEFT", &[txt("Größe"), int(3)]), "Grö");
    assert_eq!(call("LEFT", &[txt("Größe"), int(-3)]), "");
    assert_eq!(call("RIGHT", &[txt("Größe"), int(3)]), "öße");
    assert_eq!(call("RIGHT", &[txt("Größe"), int(30)]), "Größe");
    assert_eq!(call("RIGHT", &[txt("Größe"), int(0)]), "");
    let split = |text, by, index| call("SPLIT_INDEX", &[txt(text), txt(by), int(index)]);
    assert_eq!(split("a/b//c", "/", 1), "b");
    assert_eq!(split("a/b//c", "/", 2), "");
    assert_eq!(split("a/b//c", "/", 4), "NULL");
    assert_eq!(split("a/b", "/", -1), "NULL");
    assert_eq!(split("", "/", 0), "NULL");
    assert_eq!(split("a b", "", 1), "b");
    assert_eq!(call("SPLIT_INDEX", &[txt("a;b"), int(59), int(1)]), "b");
    assert_eq!(call("SPLIT_INDEX", &[txt("a;b"), int(300), int(1)]), "NULL");
}

#[test]
fn joining_and_filling() {
    assert_eq!(call("CONCAT", &[txt("r1"), txt(":"), txt("Alpha")]), "r1:Alpha");
    assert_eq!(call("||", &[txt("r1"), null(DataType::STRING)]), "NULL");
    let null = || null(DataType::STRING);
    assert_eq!(call("CONCAT_WS", &[txt("~"), txt("AA"), null(), txt(""), txt("BB")]), "AA~~BB");
    assert_eq!(call("CONCAT_WS", &[null(), txt("AA")]), "NULL");
    assert_eq!(call("LPAD", &[txt("hi"), int(5), txt("?!")]), "?!?hi");
    assert_eq!(call("LPAD", &[txt("hi"), int(1), txt("??")]), "h");
    assert_eq!(call("RPAD", &[txt("hi"), int(5), txt("?!")]), "hi?!?");
    assert_eq!(call("RPAD", &[txt("hi"), int(-5), txt("?!")]), "NULL");
    assert_eq!(call("RPAD", &[txt("hi"), int(5), txt("")]), "NULL");
    assert_eq!(call("REPEAT", &[txt("ab"), int(3)]), "ababab");
    assert_eq!(call("REPEAT", &[txt("ab"), int(-3)]), "");
    assert_eq!(fault("REPEAT", &[txt("ab"), int(2_000_000_000)]), Some(Fault::TextTooLarge));
    assert_eq!(
        fault("LPAD", &[txt("ab"), int(2_000_000_000), txt("x")]),
        Some(Fault::TextTooLarge)
    );
    assert_eq!(call("REPLACE", &[txt("  pad  "), txt("a"), txt("A")]), "  pAd  ");
    assert_eq!(call("REPLACE", &[txt("aaa"), txt("aa"), txt("b")]), "ba");
    assert_eq!(call("REPLACE", &[txt("öx"), txt(""), txt("-")]), "-ö-x-");
}

#[test]
fn trimming() {
    assert_eq!(t1("TRIM", "  pad  "), "pad");
    assert_eq!(t1("LTRIM", "  pad  "), "pad  ");
    assert_eq!(t1("RTRIM", "  pad  "), "  pad");
    let trim = |side, text, what| call("TRIM", &[txt(side), txt(text), txt(what)]);
    assert_eq!(trim("BOTH", "xyaxbyx", "xy"), "axb");
    assert_eq!(trim("LEADING", "xyaxbyx", "xy"), "axbyx");
    assert_eq!(trim("TRAILING", "xyaxbyx", "xy"), "xyaxb");
    assert_eq!(trim("BOTH", "  a ", " "), "a");
    assert_eq!(trim("BOTH", "   ", " "), "");
    assert_eq!(call("LTRIM", &[txt("xxa"), txt("x")]), "a");
}

#[test]
fn searching() {
    assert_eq!(call("POSITION", &[txt("a"), txt("Alpha")]), "5");
    assert_eq!(call("POSITION", &[txt("x"), txt("Alpha")]), "0");
    assert_eq!(call("POSITION", &[txt("ß"), txt("Größe")]), "4");
    assert_eq!(call("POSITION", &[txt(""), txt("Größe")]), "1");
    assert_eq!(call("LOCATE", &[txt("a"), txt("banana"), int(3)]), "4");
    assert_eq!(call("INSTR", &[txt("banana"), txt("an")]), "2");
    assert_eq!(call("INSTR", &[txt("banana"), txt("an"), int(1), int(2)]), "4");
    assert_eq!(call("INSTR", &[txt("banana"), txt("an"), int(-1), int(1)]), "4");
    assert_eq!(call("INSTR", &[txt("banana"), txt("ana"), int(-1), int(2)]), "2");
    assert_eq!(call("INSTR", &[txt("banana"), txt("an"), int(1), int(3)]), "0");
    assert_eq!(call("STARTSWITH", &[txt("Alpha"), txt("Al")]), "true");
    assert_eq!(call("ENDSWITH", &[txt("Alpha"), txt("Al")]), "false");
}

#[test]
fn like() {
    for (text, pattern, out) in [
        ("Alpha", "A%", "true"),
        ("Alpha", "%a", "true"),
        ("beta", "_eta", "true"),
        ("beta", "__eta", "false"),
        ("", "", "true"),
        ("x", "", "false"),
        ("", "%", "true"),
        ("abcabd", "%ab_", "true"),
        ("aXbXc", "a%b%c", "true"),
        ("mississippi", "m%iss%p_i", "true"),
        ("mississippi", "m%isz%", "false"),
        ("a\nb", "a%b", "true"),
        ("a\nb", "a_b", "false"),
        ("\u{1f600}", "_", "true"),
        ("a%", "a\\%", "false"),
    ] {
        assert_eq!(call("LIKE", &[txt(text), txt(pattern)]), out, "{text} LIKE {pattern}");
    }
    assert_eq!(call("LIKE", &[txt("a%c"), txt("a!%_"), txt("!")]), "true");
    assert_eq!(call("LIKE", &[txt("abc"), txt("a!%_"), txt("!")]), "false");
    assert!(refused("LIKE", &[txt("abc"), txt("a!b"), txt("!")]).contains("escape"));
    assert!(refused("LIKE", &[txt("abc"), txt("a"), txt("")]).contains("escape"));
}
