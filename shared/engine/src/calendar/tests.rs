//! Flink's documented answers, and identities.

use alloc::string::String;

use proptest::prelude::*;

use super::text::TimestampStandard::{Iso8601, Sql};
use super::*;

fn at(text: &str) -> Moment {
    parse::timestamp(text, 9).expect("a timestamp")
}

fn shown(moment: Moment) -> String {
    let mut out = String::new();
    text::write_json_timestamp(&mut out, moment, false, Sql).unwrap();
    out
}

fn written(write: impl FnOnce(&mut String) -> core::fmt::Result) -> String {
    let mut out = String::new();
    write(&mut out).unwrap();
    out
}

#[test]
fn timestamps_as_text() {
    let moment = at("2022-01-01 00:00:00.25");
    assert_eq!(moment, Moment::of_ms(1_640_995_200_250));
    assert_eq!(shown(moment), "2022-01-01 00:00:00.25");
    let json = |m, zone, standard| written(|o| text::write_json_timestamp(o, m, zone, standard));
    assert_eq!(json(moment, true, Sql), "2022-01-01 00:00:00.25Z");
    assert_eq!(json(moment, true, Iso8601), "2022-01-01T00:00:00.25Z");
    assert_eq!(json(Moment::of_ms(-1), true, Sql), "1969-12-31 23:59:59.999Z");
    let cast = |m, precision| written(|o| text::write_timestamp(o, m, precision));
    assert_eq!(cast(Moment::of_ms(0), 3), "1970-01-01 00:00:00.000");
    assert_eq!(cast(Moment::of_ms(0), 0), "1970-01-01 00:00:00");
    assert_eq!(cast(moment, 0), "2022-01-01 00:00:00.25");
    assert_eq!(cast(Moment { ms: 1, nanos: 1 }, 6), "1970-01-01 00:00:00.001000001");
    let time = |ms, precision| written(|o| text::write_time(o, ms, precision));
    assert_eq!(time(45_296_789, 3), "12:34:56.789");
    assert_eq!(time(45_296_000, 3), "12:34:56.0");
    assert_eq!(time(45_296_780, 2), "12:34:56.78");
    assert_eq!(time(45_296_789, 0), "12:34:56");
    assert_eq!(written(|o| text::write_json_time(o, 45_296_500)), "12:34:56.5");
    assert_eq!(written(|o| text::write_date(o, 19_000)), "2022-01-08");
    assert_eq!(written(|o| text::write_json_date(o, days_of(12_345, 1, 2))), "+12345-01-02");
    assert_eq!(written(|o| text::write_json_date(o, days_of(-5, 1, 2))), "-0005-01-02");
}

#[test]
fn text_to_timestamps() {
    for (input, out) in [
        ("2022-01-03 04:05:06", Some("2022-01-03 04:05:06")),
        ("2022-01-03 04:05:06.789", Some("2022-01-03 04:05:06.789")),
        ("2022-1-3 4:5:6.7", Some("2022-01-03 04:05:06.7")),
        ("2022-01-03 04:05:06.123456789", Some("2022-01-03 04:05:06.123456789")),
        ("2022-01-03 04:05:06.", Some("2022-01-03 04:05:06")),
        ("2022-01-03", Some("2022-01-03 00:00:00")),
        ("2022-02-31", Some("2022-02-28 00:00:00")),
        ("2022-01-03 24:00:00", Some("2022-01-04 00:00:00")),
        ("2022-01-03 24:00:01", None),
        ("2022-01-03 04:05", None),
        ("2022-13-03", None),
        ("2022-01-03T04:05:06", None),
        ("2022-01-03 04:05:06 ", None),
        ("2022-01-03 04:05:06.1234567890", None),
        ("22-01-03", None),
        ("garbage", None),
        ("", None),
    ] {
        assert_eq!(parse::timestamp(input, 9).map(shown).as_deref(), out, "{input}");
    }
    assert_eq!(
        parse::timestamp("2022-01-03 04:05:06.78999", 3),
        Some(at("2022-01-03 04:05:06.789"))
    );
    assert_eq!(parse::timestamp("1969-12-31 23:59:59.999", 0), Some(at("1969-12-31 23:59:59")));
}

#[test]
fn text_to_dates_and_times() {
    let day = |text| parse::date(text).map(|d| written(|o| text::write_date(o, d)));
    assert_eq!(day("2017-12-12 09:30:00.0").as_deref(), Some("2017-12-12"));
    assert_eq!(day("2017-2").as_deref(), Some("2017-02-01"));
    assert_eq!(day("2017").as_deref(), Some("2017-01-01"));
    assert_eq!(day(" 2017-2-3").as_deref(), Some("2017-02-03"));
    assert_eq!(day("2017-02-29"), None);
    assert_eq!(day("2017-00-01"), None);
    assert_eq!(day("x"), None);
    assert_eq!(parse::time("12:34:56.7895"), Some(45_296_790));
    assert_eq!(parse::time("12:34"), Some(45_240_000));
    assert_eq!(parse::time("12"), Some(43_200_000));
    assert_eq!(parse::time("12:34:56+01:00"), Some(48_896_000));
    assert_eq!(parse::time("25:00"), None);
    assert_eq!(parse::time("a:b"), None);
    assert_eq!(parse::json_date("2022-01-08"), Some(19_000));
    assert_eq!(parse::json_date("2022-1-8"), None);
    assert_eq!(parse::json_date("2022-02-31"), None);
    assert_eq!(parse::json_time("12:34:56.7"), Some(45_296_000));
    let json = |text, zone, standard| parse::json_timestamp(text, zone, standard).map(|m| m.ms);
    assert_eq!(json("1970-01-01 00:00:01.5", false, Sql), Some(1500));
    assert_eq!(json("1970-01-01 00:00:01.5Z", true, Sql), Some(1500));
    assert_eq!(json("1970-01-01 00:00:01.5Z", false, Sql), None);
    assert_eq!(json("1970-01-01 00:00:01.5", true, Sql), None);
    assert_eq!(json("1970-01-01T00:00:01.5Z", true, Iso8601), Some(1500));
    assert_eq!(json("1970-01-01T00:01", false, Iso8601), Some(60_000));
    assert_eq!(json("1970-01-01T00:00:01.5Z", true, Sql), None);
}

#[test]
fn extraction() {
    let moment = at("2021-12-31 23:59:59.999123");
    for (name, value) in [
        ("YEAR", 2021),
        ("QUARTER", 4),
        ("MONTH", 12),
        ("WEEK", 52),
        ("DAY", 31),
        ("DOY", 365),
        ("DOW", 6),
        ("ISODOW", 5),
        ("HOUR", 23),
        ("minute", 59),
        ("SECOND", 59),
        ("MILLISECOND", 999),
        ("MICROSECOND", 999_123),
        ("NANOSECOND", 999_123_000),
        ("EPOCH", 1_640_995_199),
        ("DECADE", 202),
        ("CENTURY", 21),
        ("MILLENNIUM", 3),
    ] {
        assert_eq!(TimeUnit::of_name(name).unwrap().extract(moment), value, "{name}");
    }
    // Flink's quirk: the millisecond before 1970 is in 1970.
    let before = Moment::of_ms(-1);
    assert_eq!(TimeUnit::Year.extract(before), 1970);
    assert_eq!(TimeUnit::Hour.extract(before), 0);
    assert_eq!(TimeUnit::DayOfWeek.extract_from_date(before.days()), 4);
    assert_eq!(TimeUnit::of_name("SQL_TSI_DAY"), Some(TimeUnit::Day));
    assert_eq!(TimeUnit::of_name("FORTNIGHT"), None);
    assert_eq!(
        (iso_week(days_of(2021, 1, 3)), iso_week(days_of(2020, 12, 31))),
        ((2020, 53), (2020, 53))
    );
    assert_eq!(iso_week(days_of(2019, 12, 30)), (2020, 1));
}

#[test]
fn rounding_to_units() {
    let floor = |unit: TimeUnit, text| unit.floor(at(text)).map(shown).unwrap();
    let ceil = |unit: TimeUnit, text| unit.ceil(at(text)).map(shown).unwrap();
    let text = "2022-05-17 07:05:15.25";
    assert_eq!(floor(TimeUnit::Minute, text), "2022-05-17 07:05:00");
    assert_eq!(ceil(TimeUnit::Minute, text), "2022-05-17 07:06:00");
    assert_eq!(floor(TimeUnit::Week, text), "2022-05-15 00:00:00");
    assert_eq!(ceil(TimeUnit::Week, text), "2022-05-22 00:00:00");
    assert_eq!(floor(TimeUnit::Quarter, text), "2022-04-01 00:00:00");
    assert_eq!(ceil(TimeUnit::Month, text), "2022-06-01 00:00:00");
    assert_eq!(ceil(TimeUnit::Month, "2022-06-01 05:00:00"), "2022-06-01 00:00:00");
    assert_eq!(ceil(TimeUnit::Day, text), "2022-05-18 00:00:00");
    assert_eq!(floor(TimeUnit::Day, "1969-12-31 23:59:59"), "1969-12-31 00:00:00");
    assert_eq!(floor(TimeUnit::Decade, text), "2020-01-01 00:00:00");
    assert_eq!(TimeUnit::Epoch.floor(at(text)), None);
}

#[test]
fn arithmetic() {
    let plus = |text, months| shown(at(text).plus_months(months));
    assert_eq!(plus("2022-01-31 00:00:00", 1), "2022-02-28 00:00:00");
    assert_eq!(plus("2024-01-31 01:02:03.5", 1), "2024-02-29 01:02:03.5");
    assert_eq!(plus("2022-01-31 00:00:00", -2), "2021-11-30 00:00:00");
    let diff = |unit: TimeUnit, a, b| unit.between(at(a), at(b)).unwrap();
    assert_eq!(diff(TimeUnit::Second, "2022-01-01", "2022-01-01 00:01:05.5"), 65);
    assert_eq!(diff(TimeUnit::Minute, "2022-01-01 00:01:05.5", "2022-01-01"), -1);
    assert_eq!(diff(TimeUnit::Month, "2022-01-31", "2022-02-28"), 1);
    assert_eq!(diff(TimeUnit::Month, "2022-01-15 12:00:00", "2022-02-15 11:00:00"), 0);
    assert_eq!(diff(TimeUnit::Month, "2022-02-15 11:00:00", "2022-01-15 12:00:00"), 0);
    assert_eq!(diff(TimeUnit::Year, "2020-02-29", "2022-02-28"), 2);
    assert_eq!(diff(TimeUnit::Quarter, "2022-01-01", "2022-12-31"), 3);
    assert_eq!(diff(TimeUnit::Week, "2022-01-01", "2022-01-14"), 1);
    assert_eq!(TimeUnit::Hour.add(2, at("2022-01-01")).map(shown).unwrap(), "2022-01-01 02:00:00");
    assert_eq!(TimeUnit::Week.add_to_date(2, 0), Some(14));
    assert_eq!(TimeUnit::Hour.add_to_date(2, 0), None);
}

#[test]
fn patterns_write() {
    let show = |pattern, dialect, text| {
        let pattern = Pattern::compile(pattern, dialect).unwrap();
        written(|o| pattern.write(o, at(text)))
    };
    let new = |pattern, text| show(pattern, Dialect::DateTimeFormatter, text);
    let old = |pattern, text| show(pattern, Dialect::SimpleDateFormat, text);
    let moment = "2022-01-03 04:05:06.789";
    assert_eq!(new("yyyy-MM-dd'T'HH:mm:ss", moment), "2022-01-03T04:05:06");
    assert_eq!(new("yy/M/d h:m:s.S a", moment), "22/1/3 4:5:6.7 AM");
    assert_eq!(new("HH:mm:ss.SSSSSS", moment), "04:05:06.789000");
    assert_eq!(
        new("EEE, dd MMM yyyy 'at' hh 'o''clock' a", "2022-01-03 13:00:00"),
        "Mon, 03 Jan 2022 at 01 o'clock PM"
    );
    assert_eq!(new("EEEE d. MMMM y D", moment), "Monday 3. January 2022 3");
    assert_eq!(new("K k h H", "2022-01-03 00:05:06"), "0 24 12 0");
    assert_eq!(old("yyyy-MM-dd HH:mm:ss.S", moment), "2022-01-03 04:05:06.789");
    assert_eq!(old("HH.SSSSSS", moment), "04.000789");
    assert_eq!(
        Pattern::compile("yyyy zzz", Dialect::DateTimeFormatter),
        Err(PatternError::Letter { letter: 'z', count: 3, position: 5 })
    );
    assert_eq!(Pattern::compile("'x", Dialect::SimpleDateFormat), Err(PatternError::Quote));
}

#[test]
fn patterns_read() {
    let read =
        |pattern, dialect, text| Pattern::compile(pattern, dialect).unwrap().parse(text).map(shown);
    let new = |pattern, text| read(pattern, Dialect::DateTimeFormatter, text);
    let old = |pattern, text| read(pattern, Dialect::SimpleDateFormat, text);
    let some = |text: &str| Some(String::from(text));
    assert_eq!(new("dd.MM.yyyy HH:mm", "03.01.2022 04:05"), some("2022-01-03 04:05:00"));
    assert_eq!(new("dd.MM.yyyy HH:mm", "3.1.2022"), None);
    assert_eq!(new("yyyyMMddHHmmssSSS", "20220103040506789"), some("2022-01-03 04:05:06.789"));
    assert_eq!(new("yyyyMMdd", "2022010"), None);
    assert_eq!(new("yyMMdd", "220103"), some("2022-01-03 00:00:00"));
    assert_eq!(new("d MMM yyyy h:mm a", "3 Jan 2022 1:05 PM"), some("2022-01-03 13:05:00"));
    assert_eq!(new("d MMM yyyy h:mm a", "3 Jan 2022 13:05 PM"), None);
    assert_eq!(new("EEE d MMM yyyy", "Mon 3 Jan 2022"), some("2022-01-03 00:00:00"));
    assert_eq!(new("EEE d MMM yyyy", "Tue 3 Jan 2022"), None);
    assert_eq!(new("yyyy-DDD", "2022-032"), some("2022-02-01 00:00:00"));
    assert_eq!(new("HH:mm", "04:05"), some("1970-01-01 04:05:00"));
    assert_eq!(new("HH:mm", "25:05"), None);
    assert_eq!(new("yyyy-MM-dd", "2022-01-03 "), None);
    assert_eq!(new("yyyy-MM-dd", "2022-02-31"), some("2022-02-28 00:00:00"));
    assert_eq!(old("yyyy-MM-dd HH:mm:ss", "2022-1-3 4:5:6 and more"), some("2022-01-03 04:05:06"));
    assert_eq!(old("yyyy-MM-dd", "2022-14-03"), some("2023-02-03 00:00:00"));
    assert_eq!(old("yyyyMMdd", "20220103"), some("2022-01-03 00:00:00"));
    assert_eq!(old("yyyy-MM-dd HH:mm:ss", "2022-01-03"), None);
    assert_eq!(old("MMM d, yy", "january 3, 22"), some("2022-01-03 00:00:00"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn days_come_back(days in -200_000_000_i64..200_000_000) {
        let civil = civil_of(days);
        prop_assert_eq!(days_of(civil.year, i64::from(civil.month), i64::from(civil.day)), days);
        let next = civil_of(days + 1);
        let same_month = (next.year, next.month) == (civil.year, civil.month);
        prop_assert!(same_month && next.day == civil.day + 1
            || next.day == 1 && civil.day == last_day(civil.year, civil.month));
    }

    #[test]
    fn text_comes_back(ms in MS_MIN + 366 * MS_PER_DAY..MS_MAX, nanos in 0_u32..1_000_000) {
        let moment = Moment { ms, nanos };
        prop_assert_eq!(parse::timestamp(&shown(moment), 9), Some(moment));
        prop_assert_eq!(parse::json_timestamp(&shown(moment), false, Sql), Some(moment));
    }

    #[test]
    fn months_between_inverts_adding(ms in 0..MS_MAX / 2, months in -2000_i64..2000) {
        let from = Moment::of_ms(ms);
        let to = from.plus_months(months);
        let back = months_between(to, from);
        prop_assert!(back == months);
    }

    #[test]
    fn nothing_panics(ms in any::<i64>(), n in any::<i64>(), text in "\\PC{0,20}") {
        let moment = Moment::of_ms(ms);
        let _ = (shown(moment), moment.plus_months(n), moment.plus_ms(n));
        let _ = (TimeUnit::Week.floor(moment), TimeUnit::Week.ceil(moment));
        let _ = (TimeUnit::Quarter.floor(moment), TimeUnit::Year.ceil(moment));
        let _ = (parse::date(&text), parse::time(&text), parse::timestamp(&text, 3));
        let _ = parse::json_timestamp(&text, true, Iso8601);
        for dialect in [Dialect::DateTimeFormatter, Dialect::SimpleDateFormat] {
            let pattern = Pattern::compile("yyyyMMdd EEE HH:mm:ss.SSS a", dialect).unwrap();
            let _ = pattern.parse(&text);
            let _ = written(|o| pattern.write(o, moment));
        }
    }

    #[test]
    fn digits_never_panic(text in "[-+:. 0-9]{0,24}") {
        let _ = (parse::date(&text), parse::time(&text), parse::timestamp(&text, 3));
        let _ = (parse::json_timestamp(&text, true, Sql), parse::json_time(&text));
        for pattern in ["yyyyMMddHHmmssSSS", "yyyy-M-d H:m:s.SSS", "yy-D"] {
            for dialect in [Dialect::DateTimeFormatter, Dialect::SimpleDateFormat] {
                let _ = Pattern::compile(pattern, dialect).unwrap().parse(&text);
            }
        }
    }
}
