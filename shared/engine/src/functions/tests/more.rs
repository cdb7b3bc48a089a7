//! SIMILAR TO, PARSE_URL and PRINTF: what Flink 2.2.1 answers.

use super::*;

#[test]
fn similar_to() {
    for (value, pattern, out) in [
        ("abc", "abc", true),
        ("abc", "ab", false),
        ("abc", "_b_", true),
        ("abc", "(a|x)%", true),
        ("aab", "a+b", true),
        ("abc", "[a-c]+", true),
        ("ab1", "[[:ALPHA:]]+[[:DIGIT:]]", true),
        ("abc", "[^x]*", true),
        ("a.c", "a.c", true),
        ("abc", "a.c", true),
        ("a+c", r"a\+c", false),
        ("aaa", "a{3}", true),
        ("aaa", "a{2}", false),
        ("aaa", "a{2,}", true),
        ("a^b", "a^b", false),
        ("a$b", "a$b", true),
        ("ac", "ab?c", true),
        ("xa", "a|x", false),
        ("a\nb", "a%b", true),
    ] {
        let found = call("SIMILAR TO", &[txt(value), txt(pattern)]);
        assert_eq!(found, alloc::format!("{out}"), "{value} {pattern}");
    }
    assert_eq!(call("SIMILAR TO", &[txt("a%b"), txt("a!%b"), txt("!")]), "true");
    assert_eq!(call("SIMILAR TO", &[txt("a+b"), txt("a!+b"), txt("!")]), "true");
    assert_eq!(call("SIMILAR TO", &[null(DataType::STRING), txt("a")]), "NULL");
    for bad in ["[", "[]", "]", "[a%]", "[[:NONE:]]", "("] {
        refused("SIMILAR TO", &[txt("a"), txt(bad)]);
    }
    refused("SIMILAR TO", &[txt("a"), txt("a!b"), txt("!")]);
}

#[test]
fn parse_url() {
    let all = "http://user:pw@host.com:8080/path1/p.php?k1=v1&k2=v2#Ref1";
    let of = |url: &str, what: &str| call("PARSE_URL", &[txt(url), txt(what)]);
    for (what, out) in [
        ("HOST", "host.com"),
        ("PATH", "/path1/p.php"),
        ("QUERY", "k1=v1&k2=v2"),
        ("REF", "Ref1"),
        ("PROTOCOL", "http"),
        ("FILE", "/path1/p.php?k1=v1&k2=v2"),
        ("AUTHORITY", "user:pw@host.com:8080"),
        ("USERINFO", "user:pw"),
        ("host", "NULL"),
        ("NONE", "NULL"),
    ] {
        assert_eq!(of(all, what), out, "{what}");
    }
    for (url, what, out) in [
        ("http://host.com", "PATH", ""),
        ("http://host.com", "REF", "NULL"),
        ("http://host.com?x=1", "PATH", ""),
        ("http://host.com?x=1", "FILE", "?x=1"),
        ("http://host.com", "USERINFO", "NULL"),
        ("mqtt://host.com/p", "HOST", "NULL"),
        ("ftp://host.com/p;type=i?k=1", "PATH", "/p;type=i"),
        ("file:///a/b", "PATH", "/a/b"),
        ("file:///a/b", "HOST", ""),
        ("nothing", "HOST", "NULL"),
        ("", "HOST", "NULL"),
        ("https://[::1]:80/x", "HOST", "[::1]"),
        ("https://host:abc/x", "HOST", "NULL"),
        ("https://host/a b/ä?q=a%20b&x=ü", "QUERY", "q=a%20b&x=ü"),
        ("HTTP://Host.COM/x", "PROTOCOL", "http"),
        ("HTTP://Host.COM/x", "HOST", "Host.COM"),
        (" http://h/p ", "HOST", "h"),
        ("http:/p/q", "PATH", "/p/q"),
        ("http:/p/q", "HOST", ""),
        ("http:p/q", "PATH", "p/q"),
        ("http://h/a/../b/./c", "PATH", "/a/../b/./c"),
    ] {
        assert_eq!(of(url, what), out, "{what} of {url}");
    }
    let key = |url: &str, key: &str| call("PARSE_URL", &[txt(url), txt("QUERY"), txt(key)]);
    assert_eq!(key("http://host.com/p?k1=v1&k2=v2&k1=v3", "k1"), "v1");
    assert_eq!(key("http://host.com/p?ak1=v1&k1=v2", "k1"), "v2");
    assert_eq!(key("http://host.com/p?k1=&k2=v2", "k1"), "");
    assert_eq!(key("http://host.com/p?k1&k2=v2", "k1"), "NULL");
    assert_eq!(key("http://h/p?axb=2&a.b=1", "a.b"), "1");
    assert_eq!(call("PARSE_URL", &[txt(all), txt("PATH"), txt("k1")]), "NULL");
    assert_eq!(
        fault("PARSE_URL", &[txt("mailto:a@b.c"), txt("PATH")]),
        Some(Fault::InvalidArgument)
    );
}

#[test]
fn printf() {
    let of = |format: &str, values: &[Value]| call("PRINTF", &[&[txt(format)], values].concat());
    assert_eq!(of("%s-%d", &[txt("te\"xt"), int(5)]), "te\"xt-5");
    let five = [int(5), int(5), int(5), int(1_234_567), int(5), int(255), int(255)];
    assert_eq!(of("%5d|%-5d|%05d|%,d|%+d|%x|%X", &five), "    5|5    |00005|1,234,567|+5|ff|FF");
    assert_eq!(of("%.2f|%8.3f|%f", &[dbl(1.5), dbl(1.5), dbl(1.5)]), "1.50|   1.500|1.500000");
    let boolean = of_bool(true);
    assert_eq!(of("%s %s %s", &[boolean, dbl(1.5), dec(1250, 10, 2)]), "true 1.5 12.50");
    assert_eq!(of("%s|%6d", &[null(DataType::Int), null(DataType::Int)]), "null|  null");
    assert_eq!(of("abc %%", &[]), "abc %");
    assert_eq!(of("%2$s %1$s", &[txt("a"), txt("b")]), "b a");
    assert_eq!(of("%10s|%-10s|%.1s", &[txt("a"), txt("b"), txt("cd")]), "         a|b         |c");
    let doubles = [0.005, -1.005, 0.5, 1e20, 1e-30].map(dbl);
    assert_eq!(
        of("%.2f %.2f %.0f %.1f %.3f", &doubles),
        "0.01 -1.01 1 100000000000000000000.0 0.000"
    );
    assert_eq!(of("%,.1f|%09.1f", &[dbl(-1_234_567.25), dbl(-3.25)]), "-1,234,567.3|-000003.3");
    assert_eq!(of("%6.1f", &[dbl(f64::NAN)]), "   NaN");
    assert_eq!(of("%x", &[int(-1)]), "ffffffff");
    for (format, value) in [
        ("%d", dbl(1.5)),
        ("%.1f", dec(10, 10, 2)),
        ("%f", int(1)),
        ("%q", int(1)),
        ("%s %s", int(1)),
        ("%-05d", int(1)),
        ("%0d", int(1)),
        ("%", int(1)),
    ] {
        refused("PRINTF", &[txt(format), value]);
    }
}

fn of_bool(value: bool) -> Value {
    of(DataType::Boolean, Literal::Bool(value))
}
