//! A setting as it was given: by JavaScript, or as text by a connection string, a file or the environment.

use std::{borrow::Cow, time::Duration};

/// A JavaScript value, free of JavaScript.
#[derive(Clone, PartialEq)]
pub enum OptionValue {
    Text(String),
    Number(f64),
    Boolean(bool),
    Bytes(Vec<u8>),
    List(Vec<OptionValue>),
    Map(Vec<(String, OptionValue)>),
    /// The handle of a JavaScript function.
    Function(u32),
    Null,
    Undefined,
}

/// The members of an options object, in their order.
pub type Options = Vec<(String, OptionValue)>;

/// What is wrong with a value; whoever knows which setting has the value makes an `Error` of it.
#[derive(Debug)]
pub struct Problem {
    /// The path below the setting: `.ca` of `ssl`.
    pub(super) member: String,
    /// Follows the setting's name: "must be ...".
    pub text: Cow<'static, str>,
    /// The value may be shown by its kind: it is the wrong kind, rather than forbidden.
    pub(super) shows_kind: bool,
}

impl Problem {
    pub(super) fn expected(text: impl Into<Cow<'static, str>>) -> Self {
        Self { member: String::new(), text: text.into(), shows_kind: true }
    }

    pub(super) fn refused(text: impl Into<Cow<'static, str>>) -> Self {
        Self { member: String::new(), text: text.into(), shows_kind: false }
    }

    /// The same problem, of the object that has the value for its `member`.
    pub(super) fn of(mut self, member: &str) -> Self {
        self.member = format!(".{member}{}", self.member);
        self.shows_kind = false;
        self
    }
}

/// Longer than any process runs; later moments than this overflow some platforms' clocks.
const FOREVER: f64 = 1e9;

impl OptionValue {
    /// The value stands for "not given".
    pub(super) fn is_left_out(&self) -> bool {
        match self {
            Self::Undefined => true,
            Self::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    /// What it is, for a message; the content of a text is never part of it.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Text(_) => "a string".into(),
            Self::Number(number) => number.to_string(),
            Self::Boolean(boolean) => boolean.to_string(),
            Self::Bytes(_) => "bytes".into(),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "an object".into(),
            Self::Function(_) => "a function".into(),
            Self::Null => "null".into(),
            Self::Undefined => "undefined".into(),
        }
    }

    pub fn text(&self) -> Result<String, Problem> {
        match self {
            Self::Text(text) if text.contains('\0') => Err(Problem::refused("must not contain a NUL character")),
            Self::Text(text) => Ok(text.clone()),
            _ => Err(Problem::expected("must be a string")),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, Problem> {
        let text = match self {
            Self::Boolean(boolean) => return Ok(*boolean),
            Self::Text(text) => text.trim().to_ascii_lowercase(),
            _ => String::new(),
        };
        match text.as_str() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err(Problem::expected("must be true or false")),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number| !number.is_nan())
    }

    pub(super) fn positive(&self) -> Result<usize, Problem> {
        let number = self.number().filter(|number| number.fract() == 0.0 && *number >= 1.0 && *number <= FOREVER);
        number
            .and_then(|number| format!("{number:.0}").parse().ok())
            .ok_or_else(|| Problem::expected("must be a positive integer"))
    }

    pub(super) fn port(&self) -> Result<u16, Problem> {
        let port = self.positive().ok().and_then(|port| u16::try_from(port).ok());
        port.ok_or_else(|| Problem::expected("must be a port between 1 and 65535"))
    }

    /// A time, fractions of a second allowed; `None` for `0`, `null`, `false` and for more than thirty years.
    pub(super) fn seconds(&self) -> Result<Option<Duration>, Problem> {
        match self {
            Self::Null | Self::Boolean(false) => return Ok(None),
            Self::Text(text) if text == "false" || text == "disable" => return Ok(None),
            _ => {}
        }
        match self.number() {
            Some(seconds) if seconds > FOREVER => Ok(None),
            Some(seconds) => Duration::try_from_secs_f64(seconds)
                .map(|time| Some(time).filter(|time| !time.is_zero()))
                .map_err(|_| Problem::expected("must be a number of seconds, 0 or more")),
            None => Err(Problem::expected("must be a number of seconds, 0 or more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_be_fractions_and_nothing_means_none() {
        let seconds = |value: OptionValue| value.seconds().ok();
        assert_eq!(seconds(OptionValue::Number(1.5)), Some(Some(Duration::from_millis(1500))));
        assert_eq!(seconds(OptionValue::Text("0.25".into())), Some(Some(Duration::from_millis(250))));
        for none in [OptionValue::Number(0.0), OptionValue::Null, OptionValue::Boolean(false)] {
            assert_eq!(seconds(none), Some(None));
        }
        for none in ["false", "disable", "0"] {
            assert_eq!(seconds(OptionValue::Text(none.into())), Some(None), "{none}");
        }
        assert_eq!(seconds(OptionValue::Number(1e9)), Some(Some(Duration::from_secs(1_000_000_000))));
        assert_eq!(seconds(OptionValue::Number(f64::INFINITY)), Some(None));
        for wrong in [OptionValue::Number(-1.0), OptionValue::Number(f64::NAN), OptionValue::Text("soon".into())] {
            assert_eq!(seconds(wrong), None);
        }
    }

    #[test]
    fn a_text_has_no_nul_character() {
        assert_eq!(OptionValue::Text("a b".into()).text().ok().as_deref(), Some("a b"));
        assert!(OptionValue::Text("a\0b".into()).text().is_err_and(|problem| problem.text.contains("NUL")));
        assert!(OptionValue::Null.text().is_err());
    }

    #[test]
    fn a_positive_integer_is_one_and_nothing_else() {
        let positive = |value: OptionValue| value.positive().ok();
        assert_eq!(positive(OptionValue::Number(10.0)), Some(10));
        assert_eq!(positive(OptionValue::Text(" 7 ".into())), Some(7));
        for wrong in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY, 1e30] {
            assert_eq!(positive(OptionValue::Number(wrong)), None);
        }
        assert_eq!(positive(OptionValue::Boolean(true)), None);
    }
}
