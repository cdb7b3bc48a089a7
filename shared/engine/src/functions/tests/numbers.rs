//! Comparison, arithmetic, mathematics.

use super::*;

#[test]
fn integers_wrap_and_truncate() {
    for (name, a, b, out) in [
        ("+", 7, 2, "9"),
        ("-", -7, 2, "-9"),
        ("*", -7, 2, "-14"),
        ("/", -7, 2, "-3"),
        ("/", 7, -2, "-3"),
        ("%", -7, 2, "-1"),
        ("MOD", 7, -2, "1"),
        ("+", 2_147_483_647, 1, "-2147483648"),
        ("*", 2_147_483_647, 2, "-2"),
        ("/", -2_147_483_648, -1, "-2147483648"),
    ] {
        assert_eq!(typed(name, &[int(a), int(b)]), (out.into(), "INT".into()), "{a} {name} {b}");
    }
    assert_eq!(typed("+", &[int(1), big(2)]), ("3".into(), "BIGINT".into()));
    assert_eq!(call("+", &[big(i64::MAX), big(1)]), "-9223372036854775808");
    assert_eq!(typed("%", &[big(1_641_182_706_789), int(60)]), ("9".into(), "INT".into()));
    assert_eq!(call("NEGATE", &[int(-2_147_483_648)]), "-2147483648");
    assert_eq!(call("+", &[int(1), null(DataType::Int)]), "NULL");
    assert_eq!(fault("/", &[int(1), int(0)]), Some(Fault::DivisionByZero));
    assert_eq!(fault("%", &[int(1), int(0)]), Some(Fault::DivisionByZero));
    assert_eq!(refused("+", &[int(1), txt("x")]), "+ does not take INT and STRING");
}

#[test]
fn decimals_have_flinks_types() {
    let t = |a: &str, b: &str| (String::from(a), String::from(b));
    assert_eq!(typed("*", &[int(7), dec(5, 2, 1)]), t("3.5", "DECIMAL(13, 1)"));
    assert_eq!(typed("+", &[dec(150, 5, 2), dec(25, 3, 1)]), t("4.00", "DECIMAL(6, 2)"));
    assert_eq!(typed("/", &[dec(100, 5, 2), dec(300, 5, 2)]), t("0.33333333", "DECIMAL(13, 8)"));
    assert_eq!(typed("%", &[int(7), dec(25, 2, 1)]), t("2.0", "DECIMAL(2, 1)"));
    assert_eq!(typed("*", &[dec(5, 2, 1), dbl(2.0)]), t("1.0", "DOUBLE"));
    assert_eq!(fault("/", &[dec(1, 2, 1), dec(0, 2, 1)]), Some(Fault::DivisionByZero));
    let nines = decimal::power_of_ten(38) - 1;
    assert_eq!(call("*", &[dec(nines, 38, 0), int(10)]), "NULL");
}

#[test]
fn doubles_follow_ieee() {
    assert_eq!(call("*", &[dbl(1.5), dbl(0.5)]), "0.75");
    assert_eq!(call("/", &[dbl(5.0), int(0)]), "Infinity");
    assert_eq!(call("/", &[dbl(-5.0), int(0)]), "-Infinity");
    assert_eq!(call("/", &[dbl(0.0), int(0)]), "NaN");
    assert_eq!(call("/", &[int(7), dbl(0.5)]), "14.0");
    let float = |v| of(DataType::Float, Literal::Double(v));
    assert_eq!(typed("+", &[float(0.5), int(1)]), ("1.5".into(), "FLOAT".into()));
    // Of the two the first one's type.
    assert_eq!(typed("+", &[float(0.5), dbl(0.25)]), ("0.75".into(), "FLOAT".into()));
    assert_eq!(typed("+", &[dbl(0.25), float(0.5)]), ("0.75".into(), "DOUBLE".into()));
    assert_eq!(typed("GREATEST", &[float(0.5), dbl(0.1)]), ("0.5".into(), "DOUBLE".into()));
    assert_eq!(typed("GREATEST", &[dec(15, 2, 1), float(0.5)]), ("1.5".into(), "FLOAT".into()));
}

#[test]
fn comparison_uses_the_common_type() {
    assert_eq!(call("=", &[int(1), dbl(1.0)]), "true");
    assert_eq!(call("<", &[int(1), dec(15, 2, 1)]), "true");
    assert_eq!(call(">=", &[big(2), int(2)]), "true");
    assert_eq!(call("<>", &[txt("a"), txt("b")]), "true");
    assert_eq!(call("<", &[txt("Z"), txt("a")]), "true");
    assert_eq!(call("=", &[dbl(f64::NAN), dbl(f64::NAN)]), "false");
    assert_eq!(call("<>", &[dbl(f64::NAN), dbl(f64::NAN)]), "true");
    assert_eq!(call(">", &[dbl(f64::NAN), dbl(1.0)]), "false");
    assert_eq!(call("> OR NAN", &[dbl(f64::NAN), dbl(1.0)]), "true");
    assert_eq!(call(">= OR NAN", &[dbl(0.5), dbl(1.0)]), "false");
    assert_eq!(call("< OR NAN", &[dbl(1.0), dbl(f64::NAN)]), "true");
    assert_eq!(call("<= OR NAN", &[dbl(1.0), dbl(0.5)]), "false");
    assert_eq!(call("=", &[int(1), null(DataType::Int)]), "NULL");
    assert_eq!(call(">", &[ts("2022-01-01 00:00:01"), ts("2022-01-01")]), "true");
    assert_eq!(call("=", &[date("2022-01-01"), txt("2022-01-01")]), "true");
    assert_eq!(call("IS DISTINCT FROM", &[null(DataType::Int), int(1)]), "true");
    assert_eq!(call("IS NOT DISTINCT FROM", &[null(DataType::Int), null(DataType::Int)]), "true");
    assert_eq!(call("GREATEST", &[int(1), dbl(2.5), int(2)]), "2.5");
    assert_eq!(call("LEAST", &[txt("b"), txt("a")]), "a");
    assert_eq!(call("GREATEST", &[int(1), null(DataType::Int)]), "NULL");
    assert_eq!(refused("=", &[int(1), txt("1")]), "INT and STRING cannot be compared with =");
}

#[test]
fn rounding() {
    for (x, places, out) in [
        (1.5, 0, "2.0"),
        (-1.5, 0, "-2.0"),
        (2.5, 0, "3.0"),
        (-1.4, 0, "-1.0"),
        (1.005, 2, "1.01"),
        (1234.5, -2, "1200.0"),
        (0.4, 0, "0.0"),
        (1e300, 2, "1.0E300"),
        (5e-324, 3, "0.0"),
        (150.0, -2, "200.0"),
    ] {
        assert_eq!(call("ROUND", &[dbl(x), int(places)]), out, "{x} {places}");
    }
    assert_eq!(call("ROUND", &[int(155), int(-1)]), "160");
    let rounded = typed("ROUND", &[dec(12_345, 5, 3), int(1)]);
    assert_eq!(rounded, ("12.3".into(), "DECIMAL(4, 1)".into()));
    assert_eq!(fault("ROUND", &[dbl(f64::NAN)]), Some(Fault::InvalidArgument));
    assert_eq!(call("TRUNCATE", &[dbl(-1.57), int(1)]), "-1.5");
    assert_eq!(call("TRUNCATE", &[dbl(2.5), int(0)]), "2.0");
    assert_eq!(call("TRUNCATE", &[dec(42_324, 5, 3), int(2)]), "42.32");
    assert_eq!(call("TRUNCATE", &[dbl(1e30)]), "1.0E30");
    assert_eq!(call("FLOOR", &[dbl(-1.5)]), "-2.0");
    assert_eq!(call("CEIL", &[dbl(-1.5)]), "-1.0");
    assert_eq!(typed("FLOOR", &[dec(-15, 2, 1)]), ("-2".into(), "DECIMAL(2, 0)".into()));
    assert_eq!(call("CEILING", &[int(7)]), "7");
}

#[test]
fn mathematics() {
    assert_eq!(call("ABS", &[dbl(-1.5)]), "1.5");
    assert_eq!(call("ABS", &[dec(-15, 2, 1)]), "1.5");
    assert_eq!(call("SIGN", &[int(-7)]), "-1");
    assert_eq!(call("SIGN", &[dec(-15, 2, 1)]), "-1.0");
    assert_eq!(call("SIGN", &[dbl(0.0)]), "0.0");
    assert_eq!(call("POWER", &[dbl(0.5), int(2)]), "0.25");
    assert_eq!(call("POWER", &[int(1), dbl(f64::NAN)]), "NaN");
    assert_eq!(call("SQRT", &[dbl(0.5)]), "0.7071067811865476");
    assert_eq!(call("SQRT", &[dbl(-5.0)]), "NaN");
    assert_eq!(call("SQRT", &[dbl(f64::NEG_INFINITY)]), "Infinity");
    assert_eq!(call("EXP", &[dbl(0.0)]), "1.0");
    assert_eq!(call("LN", &[dbl(0.0)]), "-Infinity");
    assert_eq!(call("LN", &[dbl(0.5)]), "-0.6931471805599453");
    assert_eq!(call("LOG10", &[dbl(0.25)]), "-0.6020599913279624");
    assert_eq!(call("LOG", &[int(2), int(8)]), "3.0");
    assert_eq!(call("LOG2", &[int(8)]), "3.0");
    assert_eq!(call("DEGREES", &[dbl(core::f64::consts::PI)]), "180.0");
    assert_eq!(call("RADIANS", &[int(180)]), "3.141592653589793");
    assert_eq!(call("ATAN2", &[int(0), int(1)]), "0.0");
    assert_eq!(call("PI", &[]), "3.141592653589793");
    assert_eq!(refused("SIN", &[txt("1")]), "SIN needs a number here, not STRING");
    assert_eq!(refused("SIN", &[]), "SIN takes 1 argument, not 0");
}
