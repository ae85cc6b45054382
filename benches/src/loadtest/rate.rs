//! Rates as people write them.

use std::fmt;
use std::str::FromStr;

/// A rate in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    /// Frames a second.
    Frames(f64),
    /// A part of what the link carries of such frames.
    OfLine(f64),
}

impl Rate {
    /// Frames a second, where the link carries so many.
    pub(crate) fn frames(self, line: f64) -> f64 {
        match self {
            Self::Frames(frames) => frames,
            Self::OfLine(part) => part * line,
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, factor, of_line) = match text.as_bytes().last() {
            Some(b'%') => (&text[..text.len() - 1], 0.01, true),
            Some(b'k') => (&text[..text.len() - 1], 1e3, false),
            Some(b'M') => (&text[..text.len() - 1], 1e6, false),
            _ => (text, 1.0, false),
        };
        match number.parse::<f64>() {
            Ok(number) if number.is_finite() && number > 0.0 => {
                let number = number * factor;
                Ok(if of_line { Self::OfLine(number) } else { Self::Frames(number) })
            }
            _ => Err("frames a second, like 250000, 250k or 1.5M, or a part of the line rate, \
                      like 50%"
                .to_owned()),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames(frames) => f.write_str(&shown(*frames)),
            Self::OfLine(part) => write!(f, "{}%", part * 100.0),
        }
    }
}

/// Frames a second with as many digits as a person reads.
pub(crate) fn shown(frames: f64) -> String {
    match frames {
        frames if frames >= 1e6 => format!("{:.3} Mpps", frames / 1e6),
        frames if frames >= 1e3 => format!("{:.2} kpps", frames / 1e3),
        frames => format!("{frames:.0} pps"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_rates_in_many_ways() {
        let of = |text: &str| text.parse::<Rate>().unwrap().frames(1e7);
        assert_eq!(["250000", "250k", "0.25M"].map(of), [250_000.0; 3]);
        assert_eq!(of("50%"), 5e6);
        for bad in ["", "k", "-1", "0", "fast", "1e999", "10 Mpps"] {
            assert!(bad.parse::<Rate>().unwrap_err().contains("1.5M"), "{bad}");
        }
        assert_eq!(shown(10_080_645.0), "10.081 Mpps");
        assert_eq!((shown(1234.0), shown(7.0)), ("1.23 kpps".into(), "7 pps".into()));
    }
}
