//! Dates and timestamps.

use super::*;

fn interval_day(ms: i64) -> Value {
    of(DataType::IntervalDay, Literal::Int(ms))
}

fn interval_month(months: i64) -> Value {
    of(DataType::IntervalMonth, Literal::Int(months))
}

#[test]
fn moving_points_in_time() {
    let t = || ts("2022-01-31 00:00:00");
    assert_eq!(call("+", &[t(), interval_day(90_000)]), "2022-01-31 00:01:30");
    assert_eq!(call("-", &[t(), interval_day(86_400_000)]), "2022-01-30 00:00:00");
    assert_eq!(call("+", &[t(), interval_month(1)]), "2022-02-28 00:00:00");
    assert_eq!(call("+", &[interval_month(1), t()]), "2022-02-28 00:00:00");
    assert_eq!(call("-", &[ltz(1000), interval_day(5000)]), "1969-12-31 23:59:56");
    assert_eq!(call("+", &[date("2022-01-31"), interval_month(13)]), "2023-02-28");
    assert_eq!(call("-", &[date("2022-03-01"), interval_day(86_400_000)]), "2022-02-28");
    assert_eq!(call("+", &[date("2022-01-01"), interval_day(1000)]), "2022-01-01");
    assert!(
        refused("TIMESTAMPADD", &[txt("MILLISECOND"), int(1), date("2022-01-01")])
            .contains("TIMESTAMP(3)")
    );
    assert_eq!(call("+", &[interval_day(1), interval_day(2)]), "3");
    assert_eq!(call("TIMESTAMPADD", &[txt("HOUR"), int(2), t()]), "2022-01-31 02:00:00");
    assert_eq!(call("TIMESTAMPADD", &[txt("WEEK"), int(1), date("2022-01-31")]), "2022-02-07");
    assert_eq!(
        typed("TIMESTAMPADD", &[txt("MINUTE"), int(1), date("2022-01-31")]),
        ("2022-01-31 00:01:00".into(), "TIMESTAMP(6)".into())
    );
}

#[test]
fn differences() {
    let diff = |unit, a, b| call("TIMESTAMPDIFF", &[txt(unit), ts(a), ts(b)]);
    assert_eq!(diff("SECOND", "2022-01-01", "2022-01-01 00:01:05.5"), "65");
    assert_eq!(diff("MINUTE", "2022-01-01 00:01:05.5", "2022-01-01"), "-1");
    assert_eq!(diff("MILLISECOND", "1970-01-01 00:00:12", "1970-01-01 00:00:10"), "-2000");
    assert_eq!(diff("MILLISECOND", "1970-01-01 00:00:02.5", "1970-01-01 00:00:10"), "7000");
    assert_eq!(diff("MONTH", "2022-01-31", "2022-02-28"), "1");
    assert_eq!(diff("DAY", "2022-01-31", "2022-03-01"), "29");
    assert!(refused("TIMESTAMPDIFF", &[txt("DAY"), ts("2022-01-01"), ltz(0)]).contains("cast"));
    assert!(refused("TIMESTAMPDIFF", &[txt("DOY"), ltz(0), ltz(0)]).contains("DOY"));
    assert!(refused("EXTRACT", &[txt("FORTNIGHT"), ltz(0)]).contains("FORTNIGHT"));
}

#[test]
fn parts() {
    let get = |unit, v| call("EXTRACT", &[txt(unit), v]);
    assert_eq!(get("YEAR", ltz(1_640_995_199_999)), "2021");
    assert_eq!(get("SECOND", ltz(1_640_995_199_999)), "59");
    assert_eq!(get("EPOCH", ltz(12_000)), "12");
    assert_eq!(get("YEAR", ltz(-1)), "1970");
    assert_eq!(call("DAYOFWEEK", &[date("1969-12-31")]), "4");
    assert_eq!(call("YEAR", &[date("2022-05-17")]), "2022");
    assert_eq!(call("QUARTER", &[date("2022-05-17")]), "2");
    assert_eq!(call("DAYOFYEAR", &[date("2022-02-01")]), "32");
    assert_eq!(call("HOUR", &[ts("2022-02-01 07:05:15")]), "7");
    let time = of(DataType::Time(0), Literal::Int(45_296_000));
    assert_eq!(call("MINUTE", core::slice::from_ref(&time)), "34");
    assert_eq!(refused("YEAR", &[time]), "a TIME has no YEAR");
    assert_eq!(
        call("FLOOR", &[ts("2022-01-01 07:05:15.25"), txt("MINUTE")]),
        "2022-01-01 07:05:00"
    );
    assert_eq!(call("CEIL", &[ts("2022-01-01 07:05:15.25"), txt("HOUR")]), "2022-01-01 08:00:00");
    assert_eq!(call("FLOOR", &[date("2022-05-17"), txt("MONTH")]), "2022-05-01");
    assert!(refused("FLOOR", &[ltz(0), txt("DOY")]).contains("DOY"));
}

#[test]
fn texts_and_timestamps() {
    let to = |args: &[Value]| call("TO_TIMESTAMP", args);
    assert_eq!(to(&[txt("2022-01-03 04:05:06.789")]), "2022-01-03 04:05:06.789");
    assert_eq!(to(&[txt("garbage")]), "NULL");
    let eu = |text| to(&[txt(text), txt("dd.MM.yyyy HH:mm")]);
    assert_eq!(eu("03.01.2022 04:05"), "2022-01-03 04:05:00");
    assert_eq!(eu("3.1.2022"), "NULL");
    assert_eq!(eu("1999-9-10 5:20:10"), "1999-09-10 05:20:10");
    assert_eq!(eu("1999-9-10"), "1999-09-10 00:00:00");
    assert_eq!(
        call("TO_TIMESTAMP_LTZ", &[big(1_641_182_706_789), int(3)]),
        "2022-01-03 04:05:06.789"
    );
    assert_eq!(call("TO_TIMESTAMP_LTZ", &[big(100), int(0)]), "1970-01-01 00:01:40");
    assert_eq!(call("TO_TIMESTAMP_LTZ", &[dbl(1.5), int(0)]), "1970-01-01 00:00:01.5");
    assert_eq!(call("TO_TIMESTAMP_LTZ", &[big(i64::MAX), int(3)]), "NULL");
    assert_eq!(call("TO_TIMESTAMP_LTZ", &[big(i64::MAX), int(0)]), "NULL");
    assert!(refused("TO_TIMESTAMP_LTZ", &[big(1), int(6)]).contains("precision"));
    assert_eq!(call("TO_DATE", &[txt("2022-01-03")]), "2022-01-03");
    assert_eq!(call("TO_DATE", &[txt("03/01/2022"), txt("dd/MM/yyyy")]), "2022-01-03");
    let show = |v, pattern| call("DATE_FORMAT", &[v, txt(pattern)]);
    assert_eq!(show(ltz(1_641_182_706_789), "yyyy-MM-dd'T'HH:mm:ss"), "2022-01-03T04:05:06");
    assert_eq!(show(txt("2022-01-03 04:05:06"), "HH:mm"), "04:05");
    assert_eq!(show(txt("x"), "HH:mm"), "NULL");
    assert!(refused("DATE_FORMAT", &[ltz(0), txt("yyyy VV")]).contains('V'));
    assert_eq!(call("UNIX_TIMESTAMP", &[txt("1970-01-01 00:01:00")]), "60");
    assert_eq!(call("UNIX_TIMESTAMP", &[txt("x")]), "-9223372036854775808");
    assert_eq!(call("FROM_UNIXTIME", &[big(44)]), "1970-01-01 00:00:44");
    assert_eq!(call("FROM_UNIXTIME", &[big(44), txt("ss")]), "44");
}

/// What Flink 2.2.1 answers for Europe/Berlin: CONVERT_TZ takes the second of two equal local
/// times, TO_TIMESTAMP_LTZ the first.
#[test]
fn named_zones() {
    let berlin = txt("Europe/Berlin;3208;323830800:7200;CET-1CEST,M3.5.0,M10.5.0/3");
    let to_utc = |text: &str| call("CONVERT_TZ", &[txt(text), berlin.clone(), txt("UTC")]);
    for (local, utc) in [
        ("2022-03-27 01:59:59", "2022-03-27 00:59:59"),
        ("2022-03-27 02:30:00", "2022-03-27 01:30:00"),
        ("2022-03-27 03:00:00", "2022-03-27 01:00:00"),
        ("2022-10-30 01:59:59", "2022-10-29 23:59:59"),
        ("2022-10-30 02:30:00", "2022-10-30 01:30:00"),
        ("2022-10-30 03:00:00", "2022-10-30 02:00:00"),
    ] {
        assert_eq!(to_utc(local), utc, "{local}");
    }
    let from_utc = |text: &str| call("CONVERT_TZ", &[txt(text), txt("UTC"), berlin.clone()]);
    assert_eq!(from_utc("2022-10-30 00:30:00"), "2022-10-30 02:30:00");
    assert_eq!(from_utc("2022-10-30 01:30:00"), "2022-10-30 02:30:00");
    assert_eq!(from_utc("2050-07-01 12:00:00"), "2050-07-01 14:00:00");
    let instant = |text: &str| {
        let pattern = txt("yyyy-MM-dd HH:mm:ss");
        call("TO_TIMESTAMP_LTZ", &[txt(text), pattern, berlin.clone()])
    };
    assert_eq!(instant("2022-03-27 02:30:00"), "2022-03-27 01:30:00");
    assert_eq!(instant("2022-10-30 02:30:00"), "2022-10-30 00:30:00");
    assert_eq!(instant("2050-07-01 12:00:00"), "2050-07-01 10:00:00");
}
