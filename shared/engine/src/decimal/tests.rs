//! Flink's documented results, and identities.

use alloc::string::{String, ToString};

use proptest::prelude::*;

use super::*;

const fn ty(precision: u8, scale: u8) -> DecimalType {
    DecimalType::new(precision, scale)
}

fn text(unscaled: Option<i128>, scale: u8) -> Option<String> {
    unscaled.map(|x| write(x, scale, &mut [0; TEXT_BYTES_MAX]).to_string())
}

#[test]
fn result_types_are_flinks() {
    assert_eq!(ty(10, 0).of_product(ty(2, 1)), ty(13, 1));
    assert_eq!(ty(10, 2).of_sum(ty(10, 4)), ty(13, 4));
    assert_eq!(ty(5, 2).of_quotient(ty(5, 2)), ty(13, 8));
    assert_eq!(ty(10, 0).of_quotient(ty(2, 1)), ty(17, 6));
    assert_eq!(ty(10, 2).of_remainder(ty(5, 3)), ty(5, 3));
    assert_eq!(ty(38, 8).of_sum(ty(32, 8)), ty(38, 7));
    assert_eq!(ty(38, 18).of_product(ty(38, 18)), ty(38, 6));
    assert_eq!(ty(10, 2).of_total(), ty(38, 2));
    assert_eq!(ty(10, 2).of_average(), ty(38, 6));
    assert_eq!(ty(30, 12).of_average(), ty(38, 12));
    assert_eq!(ty(10, 3).of_round(1), ty(9, 1));
    assert_eq!(ty(10, 3).of_round(-2), ty(8, 0));
    assert_eq!(ty(10, 3).of_round(3), ty(10, 3));
    assert_eq!(ty(10, 3).of_round(1000), ty(10, 3));
    assert_eq!(ty(10, 3).of_common(ty(12, 1)), ty(14, 3));
}

#[test]
fn reads_and_writes() {
    for (input, to, out) in [
        ("1.5", ty(5, 1), Some("1.5")),
        ("-0.25", ty(5, 1), Some("-0.3")),
        ("0.05", ty(5, 1), Some("0.1")),
        ("0.049999", ty(5, 1), Some("0.0")),
        ("-0.04", ty(5, 1), Some("0.0")),
        (" 12 ", ty(5, 2), Some("12.00")),
        ("+.5", ty(5, 2), Some("0.50")),
        ("5.", ty(5, 0), Some("5")),
        ("12e-3", ty(5, 3), Some("0.012")),
        ("1E3", ty(5, 0), Some("1000")),
        ("99999.5", ty(5, 0), None),
        ("1e99999999999", ty(38, 0), None),
        ("1e-99999999999", ty(38, 38), Some("0.00000000000000000000000000000000000000")),
        (
            "99999999999999999999999999999999999999",
            ty(38, 0),
            Some("99999999999999999999999999999999999999"),
        ),
        ("100000000000000000000000000000000000000", ty(38, 0), None),
        ("", ty(5, 1), None),
        (".", ty(5, 1), None),
        ("1e", ty(5, 1), None),
        ("1 2", ty(5, 1), None),
        ("abc", ty(5, 1), None),
        ("1.2.3", ty(5, 1), None),
        ("NaN", ty(5, 1), None),
    ] {
        assert_eq!(text(parse(input, to), to.scale).as_deref(), out, "{input}");
    }
}

#[test]
fn arithmetic_rounds_half_up() {
    let q = |a, sa, b, sb, to: DecimalType| text(div(a, sa, b, sb, to), to.scale);
    assert_eq!(q(100, 2, 300, 2, ty(13, 8)).as_deref(), Some("0.33333333"));
    assert_eq!(q(200, 2, 300, 2, ty(13, 8)).as_deref(), Some("0.66666667"));
    assert_eq!(q(-200, 2, 300, 2, ty(13, 8)).as_deref(), Some("-0.66666667"));
    assert_eq!(q(200, 2, -300, 2, ty(13, 8)).as_deref(), Some("-0.66666667"));
    assert_eq!(q(1, 0, 0, 0, ty(13, 8)), None);
    assert_eq!(q(0, 0, 7, 0, ty(13, 8)).as_deref(), Some("0.00000000"));
    assert_eq!(q(power_of_ten(38) - 1, 0, 1, 38, ty(38, 6)), None);
    assert_eq!(q(1, 38, power_of_ten(38) - 1, 0, ty(38, 6)).as_deref(), Some("0.000000"));
    assert_eq!(mul(15, 1, 25, 1, ty(5, 2)), Some(375));
    assert_eq!(mul(15, 1, -25, 1, ty(5, 1)), Some(-38));
    assert_eq!(mul(power_of_ten(30), 10, power_of_ten(30), 30, ty(38, 6)), Some(power_of_ten(26)));
    assert_eq!(mul(power_of_ten(37), 0, 100, 0, ty(38, 0)), None);
    assert_eq!(add(15, 1, 25, 2, ty(5, 2)), Some(175));
    assert_eq!(sub(15, 1, 25, 2, ty(5, 2)), Some(125));
    assert_eq!(sub(15, 1, 150, 2, ty(5, 2)), Some(0));
    assert_eq!(rem(75, 1, 2, 0, ty(3, 1)), Some(15));
    assert_eq!(rem(-75, 1, 2, 0, ty(3, 1)), Some(-15));
    assert_eq!(rem(-75, 1, 25, 1, ty(3, 1)), Some(0));
    assert_eq!(rem(5, 38, power_of_ten(38) - 1, 0, ty(38, 38)), Some(5));
}

#[test]
fn rounding_functions() {
    assert_eq!(round(1255, ty(6, 3), 2), Some(126));
    assert_eq!(round(-1255, ty(6, 3), 2), Some(-126));
    assert_eq!(round(1255, ty(6, 3), 0), Some(1));
    assert_eq!(round(1_255_000, ty(8, 3), -2), Some(1300));
    assert_eq!(round(1255, ty(6, 3), -40), Some(0));
    assert_eq!(truncate(1259, ty(6, 3), 2), Some(125));
    assert_eq!(truncate(-1259, ty(6, 3), 2), Some(-125));
    assert_eq!((floor(-15, 1), ceil(-15, 1), floor(15, 1), ceil(15, 1)), (-2, -1, 1, 2));
    assert_eq!((to_i64(-159, 1), to_i64(159, 1)), (-15, 15));
}

#[test]
fn doubles() {
    assert_eq!(from_f64(0.25, ty(5, 1)), Some(3));
    assert_eq!(from_f64(-0.25, ty(5, 1)), Some(-3));
    assert_eq!(from_f64(1e300, ty(38, 0)), None);
    assert_eq!(from_f64(f64::NAN, ty(38, 0)), None);
    assert_eq!(from_f64(1.005, ty(5, 2)), Some(101));
    assert_eq!(to_f64(15, ty(3, 1)), 1.5);
    assert_eq!(to_f64(12_345_678_901_234_567_890_123, ty(38, 5)), 123_456_789_012_345_678.901_23);
    assert_eq!(from_i64(12, ty(4, 2)), Some(1200));
    assert_eq!(from_i64(123, ty(4, 2)), None);
}

#[test]
fn comparison() {
    assert_eq!(compare(15, 1, 150, 2), Ordering::Equal);
    assert_eq!(compare(-15, 1, 150, 2), Ordering::Less);
    assert_eq!(compare(-15, 1, -151, 2), Ordering::Greater);
    assert_eq!(compare(power_of_ten(38) - 1, 0, 1, 38), Ordering::Greater);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_comes_back(x in -power_of_ten(38) + 1..power_of_ten(38), scale in 0_u8..=38) {
        let mut buffer = [0; TEXT_BYTES_MAX];
        let written = write(x, scale, &mut buffer);
        prop_assert_eq!(parse(written, ty(38, scale)), Some(x));
    }

    #[test]
    fn small_arithmetic_agrees_with_integers(
        a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000, more in 0_u8..6,
    ) {
        let (a, b) = (i128::from(a), i128::from(b));
        let up = power_of_ten(more);
        let wide = ty(38, 10);
        prop_assert_eq!(add(a * up, more, b, 0, wide), Some((a + b) * power_of_ten(10)));
        prop_assert_eq!(mul(a * up, more, b, 0, wide), Some(a * b * power_of_ten(10)));
        prop_assert_eq!(compare(a * up, more, b, 0), a.cmp(&b));
        if b != 0 {
            prop_assert_eq!(rem(a, 0, b * up, more, wide), Some(a % b * power_of_ten(10)));
            let ten = power_of_ten(11) * a / b;
            let half_up = (ten.abs() + 5) / 10 * ten.signum();
            prop_assert_eq!(div(a, 0, b * up, more, wide), Some(half_up));
        }
    }

    #[test]
    fn any_text_is_safe(input in "[-+0-9.eE]{0,12}") {
        if let Some(number) = parse_number(&input) {
            let _ = (number.into_type(ty(38, 6)), number.into_type(ty(38, 38)));
        }
    }
}
