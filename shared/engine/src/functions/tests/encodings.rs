//! Hashes, other alphabets, and what a text consists of: answers of Flink 2.2.1.

use super::*;

fn t1(name: &str, text: &str) -> String {
    call(name, &[txt(text)])
}

#[test]
fn hashes() {
    assert_eq!(t1("MD5", "abc"), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(t1("SHA1", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    let sha224 = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7";
    assert_eq!(t1("SHA224", "abc"), sha224);
    assert_eq!(
        t1("SHA256", "Größe"),
        "aedc3f80989a6546962705852b2f4a481dbd1e490760693525c3724bacab3f50"
    );
    let sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                  8086072ba1e7cc2358baeca134c825a7";
    assert_eq!(t1("SHA384", "abc"), sha384);
    let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                  2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    assert_eq!(t1("SHA512", "abc"), sha512);
    let sha2 = |bits| call("SHA2", &[txt("abc"), int(bits)]);
    assert_eq!([sha2(224), sha2(384), sha2(512)], [sha224, sha384, sha512]);
    assert!(refused("SHA2", &[txt("abc"), int(1)]).contains("224, 256, 384 or 512"));
    assert_eq!(call("MD5", &[null(DataType::STRING)]), "NULL");
    assert_eq!(typed("MD5", &[txt("abc")]).1, "CHAR(32)");
}

#[test]
fn digits() {
    assert_eq!(call("HEX", &[int(255)]), "FF");
    assert_eq!(call("HEX", &[int(-1)]), "FFFFFFFFFFFFFFFF");
    assert_eq!(t1("HEX", "Größe"), "4772C3B6C39F65");
    assert_eq!(t1("HEX", ""), "");
    assert_eq!(call("BIN", &[int(10)]), "1010");
    assert_eq!(call("BIN", &[int(-1)]), "1".repeat(64));
    let unhex = |text| call("UNHEX", &[txt(text)]);
    assert_eq!(unhex("zz"), "NULL");
    let back = |text: &str| {
        let bytes = try_bytes("UNHEX", text);
        bytes.iter().map(|b| alloc::format!("{b:02x}")).collect::<String>()
    };
    assert_eq!([back("ab"), back(""), back("F"), back("12345")], ["ab", "", "00", "002345"]);
}

/// The bytes that a function makes of a text.
fn try_bytes(name: &str, text: &str) -> Vec<u8> {
    let bound = bind(name, &[Arg::of_type(&DataType::STRING)]).unwrap();
    let cx = &mut Context::new(&Limits::default());
    let value = cx.put_text(text);
    let result = (bound.eval)(&[value], cx);
    cx.bytes(result.slot).to_vec()
}

#[test]
fn base64_and_urls() {
    assert_eq!(t1("TO_BASE64", "Größe"), "R3LDtsOfZQ==");
    assert_eq!([t1("TO_BASE64", ""), t1("TO_BASE64", "abc")], ["", "YWJj"]);
    assert_eq!(t1("FROM_BASE64", "R3LDtsOfZQ=="), "Größe");
    assert_eq!([t1("FROM_BASE64", "YQ"), t1("FROM_BASE64", "YR==")], ["a", "a"]);
    for wrong in ["@@", "YQ=", "Y", "YW Jj", "/w=="] {
        assert_eq!(fault("FROM_BASE64", &[txt(wrong)]), Some(Fault::InvalidArgument), "{wrong}");
    }
    assert_eq!(t1("URL_ENCODE", "a b&c=ä/~*"), "a+b%26c%3D%C3%A4%2F%7E*");
    assert_eq!(t1("URL_DECODE", "a+b%26c%3D%C3%A4"), "a b&c=ä");
    assert_eq!([t1("URL_DECODE", "%zz"), t1("URL_DECODE", "a%")], ["NULL", "NULL"]);
    assert_eq!(t1("URL_DECODE", "%ff"), "\u{fffd}");
    assert!(refused("ENCODE", &[txt("a"), txt("UTF-16")]).contains("UTF-16"));
}

#[test]
fn consists_of() {
    let all = |name: &str, texts: &[&str]| texts.iter().all(|t| t1(name, t) == "true");
    let none = |name: &str, texts: &[&str]| texts.iter().all(|t| t1(name, t) == "false");
    assert!(all("IS_ALPHA", &["abc", "abcä"]));
    assert!(none("IS_ALPHA", &["", "a1", "Ⅷ", "\u{1f600}", "\u{20000}"]));
    assert!(all("IS_DIGIT", &["123", "٣"]));
    assert!(none("IS_DIGIT", &["", "1.5", "²", "12\n"]));
    let numbers = ["1.5", "-1.5", "+1", "1e5", ".5", "5.", " 5", "NaN", "1f", "0x1p3", "-Infinity"];
    assert!(all("IS_DECIMAL", &numbers));
    assert!(all("IS_DECIMAL", &["٣"]));
    for name in ["IS_ALPHA", "IS_DIGIT", "IS_DECIMAL"] {
        assert_eq!(call(name, &[null(DataType::STRING)]), "false");
    }
    assert!(none("IS_DECIMAL", &["", "infinity", "1e", ".", "1_000", "x"]));
}

#[test]
fn changed_texts() {
    let translate = |a, b, c| call("TRANSLATE", &[txt(a), txt(b), txt(c)]);
    assert_eq!(translate("www.apache.org", "wapcheorg", " APCHEcom"), "   .APACHE.com");
    assert_eq!(translate("aabc", "aab", "xyz"), "xxzc");
    assert_eq!([translate("abc", "", "x"), translate("abc", "b", "")], ["abc", "ac"]);
    let over = |text: &str, part: &str, start| call("OVERLAY", &[txt(text), txt(part), int(start)]);
    assert_eq!(over("xxxxxtest", "xxxx", 6), "xxxxxxxxx");
    assert_eq!([over("abc", "xy", 0), over("abc", "xy", 9)], ["abc", "abc"]);
    assert_eq!([over("abcdef", "xy", 4), over("Größe", "xx", 3)], ["abcxyf", "Grxxe"]);
    let for_length =
        |start, length| call("OVERLAY", &[txt("abc"), txt("xy"), int(start), int(length)]);
    assert_eq!([for_length(2, 0), for_length(2, -1), for_length(3, 9)], ["axy", "axy", "abxy"]);
    let elt = |index| call("ELT", &[int(index), txt("a"), txt("b")]);
    assert_eq!([elt(2), elt(3), elt(0), elt(-1)], ["b", "NULL", "NULL", "NULL"]);
}

#[test]
fn time_zones() {
    let convert = |text, from, to| call("CONVERT_TZ", &[txt(text), txt(from), txt(to)]);
    let epoch = "1970-01-01 00:00:00";
    assert_eq!(convert(epoch, "UTC", "GMT+05:30"), "1970-01-01 05:30:00");
    assert_eq!(convert("2022-01-01 10:00:00", "GMT-03:00", "UTC"), "2022-01-01 13:00:00");
    assert_eq!(convert("2022-01-01 10:00:00.5", "UTC", "GMT+01:00"), "2022-01-01 11:00:00");
    assert_eq!(convert("2022-01-01", "UTC", "GMT+01:00"), "NULL");
    let zone = refused("CONVERT_TZ", &[txt(epoch), txt("UTC"), txt("Europe/Berlin")]);
    assert!(zone.contains("Europe/Berlin"), "{zone}");
    let pattern = "yyyy-MM-dd HH:mm:ss";
    let instant = |text, zone| call("TO_TIMESTAMP_LTZ", &[txt(text), txt(pattern), txt(zone)]);
    assert_eq!(instant("2023-01-01 00:00:00", "GMT+05:30"), "2022-12-31 18:30:00");
    assert_eq!([instant("x", "UTC"), instant(epoch, "UTC")], ["NULL", epoch]);
}
