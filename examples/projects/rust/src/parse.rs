//! The gauge's log format: one `seconds metres` pair a line.

use std::fmt;

use crate::{reading::Reading, series::Series};

/// A line that is not a reading.
#[derive(Debug, PartialEq)]
pub struct ParseError {
    pub line: usize,
    pub text: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}` is not `seconds metres`", self.line, self.text)
    }
}

impl std::error::Error for ParseError {}

pub fn parse_line(text: &str) -> Option<Reading> {
    let (seconds, metres) = text.trim().split_once(' ')?;
    Some(Reading::new(seconds.parse().ok()?, metres.trim().parse().ok()?))
}

/// Reads a whole log; empty lines are skipped.
pub fn parse_log(log: &str) -> Result<Series, ParseError> {
    let mut series = Series::default();
    for (index, text) in log.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let reading = parse_line(text).ok_or_else(|| ParseError { line: index + 1, text: text.to_owned() })?;
        series.push(reading);
    }
    Ok(series)
}
