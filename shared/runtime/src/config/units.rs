//! Times and sizes as text with a unit: `"10s"`, `"64MiB"`. A bare number is an error.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// From seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In milliseconds.
    pub fn ms(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Text { what: "a time with its unit, such as \"10s\"" })
            .and_then(|text| parse_duration(&text).map(Span).map_err(de::Error::custom))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Text { what: "a size with its unit, such as \"64MiB\"" })
            .and_then(|text| parse_bytes(&text).map(Bytes).map_err(de::Error::custom))
    }
}

/// Bytes that may be written to a medium in a day; `None` for no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashBudget(Option<u64>);

/// A budget below this would not hold one checkpoint in the longest interval.
const FLASH_BUDGET_MIN: u64 = 16 << 20;

impl FlashBudget {
    /// Bytes in 24 h.
    #[must_use]
    pub const fn bytes_per_day(self) -> Option<u64> {
        self.0
    }
}

impl Default for FlashBudget {
    fn default() -> Self {
        Self(Some(2 << 30))
    }
}

impl<'de> Deserialize<'de> for FlashBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let what = "a size a day, such as \"2GiB/day\", or \"none\"";
        let text = deserializer.deserialize_any(Text { what })?;
        if text == "none" {
            return Ok(Self(None));
        }
        let size = text.trim().strip_suffix("/day");
        let size = size.ok_or_else(|| de::Error::custom(format!("'{text}' is not {what}")))?;
        let bytes = parse_bytes(size).map_err(de::Error::custom)?;
        if bytes < FLASH_BUDGET_MIN {
            return Err(de::Error::custom("a flash budget must be at least 16MiB/day"));
        }
        Ok(Self(Some(bytes)))
    }
}

struct Text {
    what: &'static str,
}

impl de::Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.into())
    }
}

/// Splits `"10 s"` into number and unit.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim_start()))
}

/// Reads a time: `ms`, `s`, `min`, `h` or `d`, also written as words (`10 seconds`).
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is no time; write a number and ms, s, min, h or d: \"10s\"");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let ms = match unit.to_ascii_lowercase().as_str() {
        "ms" | "millis" | "millisecond" | "milliseconds" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e3,
        "m" | "min" | "mins" | "minute" | "minutes" => 60e3,
        "h" | "hour" | "hours" => 3_600e3,
        "d" | "day" | "days" => 86_400e3,
        _ => return Err(wrong()),
    };
    let micros = number * ms * 1e3;
    if micros.is_finite() && micros <= 1e18 {
        #[expect(clippy::cast_possible_truncation, reason = "checked against 1e18 above")]
        #[expect(clippy::cast_sign_loss, reason = "split() accepts no sign")]
        Ok(Duration::from_micros(micros as u64))
    } else {
        Err(format!("'{text}' is too long"))
    }
}

/// Reads a size: `B`, `KiB`, `MiB`, `GiB` (powers of 1024) or `kB`, `MB`, `GB` (of 1000).
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no size; write a number and B, KiB, MiB or GiB: \"64MiB\"");
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "b" | "bytes" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        _ => return Err(wrong()),
    };
    let bytes = number * factor;
    if bytes <= 1e15 {
        #[expect(clippy::cast_possible_truncation, reason = "checked against 1e15 above")]
        #[expect(clippy::cast_sign_loss, reason = "split() accepts no sign")]
        Ok(bytes as u64)
    } else {
        Err(format!("'{text}' is too large"))
    }
}
