//! What people and programs see: text with color on a terminal, or one JSON document.
//!
//! Text that comes from a repository is cleaned on its way to a terminal: control characters and
//! characters that reorder text are shown as escapes, so that a file name or a line of code can
//! neither move the cursor nor pretend to be something else. Only [`Output::text`] lets line feeds
//! inside of its argument through: no name can make a line of its own.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use fovea_api::{Answer, ApiError, Freshness, SCHEMA_VERSION, clean_into, clean_name_into};
pub use fovea_api::{clean, clean_name};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{commands::Local, exit_codes::ExitCode};

/// The document that `--json` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Document {
    /// Version of this format.
    pub schema: u32,
    /// How current the answer is; absent where no workspace was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
    #[serde(flatten)]
    pub body: Body,
}

/// `kind` says which it is, `value` holds it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "one document a process")]
pub enum Body {
    Answer(Answer),
    Local(Local),
    Error { error: ErrorBody },
}

/// Why a command failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// The process's exit code.
    pub exit_code: u8,
    pub message: String,
}

/// Collects what a command prints, and writes it at the end.
pub struct Output {
    text: String,
    color: bool,
    json: bool,
}

/// A style of the terminal.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    Path,
    Name,
    Dim,
    Good,
    Warn,
    Bad,
    Heading,
}

impl Output {
    /// For standard output: color only on a terminal and without `NO_COLOR`.
    #[must_use]
    pub fn stdout(json: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { text: String::new(), color: !no_color && io::stdout().is_terminal(), json }
    }

    /// Plain text, for tests.
    #[must_use]
    pub fn plain() -> Self {
        Self { text: String::new(), color: false, json: false }
    }

    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Adds a cleaned text of one line; line feeds count at its end only.
    pub fn put(&mut self, text: &str) -> &mut Self {
        let line = text.trim_end_matches('\n');
        // Tabs indent code; no line can be made of them.
        for (index, part) in line.trim_end_matches('\r').split('\t').enumerate() {
            if index > 0 {
                self.text.push('\t');
            }
            clean_name_into(&mut self.text, part);
        }
        self.text.push_str(&text[line.len()..]);
        self
    }

    /// Adds a cleaned text of several lines.
    pub fn text(&mut self, text: &str) -> &mut Self {
        clean_into(&mut self.text, text);
        self
    }

    /// Adds a cleaned name or other text of one line in a style.
    pub fn styled(&mut self, style: Style, text: &str) -> &mut Self {
        if self.color {
            let code = match style {
                Style::Path => "35",
                Style::Name | Style::Heading => "1",
                Style::Dim => "2",
                Style::Good => "32",
                Style::Warn => "33",
                Style::Bad => "31",
            };
            let _ = write!(self.text, "\x1b[{code}m");
            clean_name_into(&mut self.text, text);
            self.text.push_str("\x1b[0m");
        } else {
            clean_name_into(&mut self.text, text);
        }
        self
    }

    pub fn line(&mut self) -> &mut Self {
        self.text.push('\n');
        self
    }

    /// Writes what was collected so far; for commands that take long between lines.
    pub fn flush(&mut self) {
        write_out(self.text.as_bytes());
        self.text.clear();
    }

    /// Replaces everything by one JSON document.
    pub fn json(&mut self, freshness: Option<Freshness>, body: Body) {
        let document = Document { schema: SCHEMA_VERSION, freshness, body };
        self.text = serde_json::to_string_pretty(&document).expect("our types are plain data");
        self.text.push('\n');
    }

    /// Adds text of our own as it is: completions, man page, schema.
    pub fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no error.
pub fn write_out(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// A command failed.
#[derive(Debug)]
pub struct Failure {
    pub code: ExitCode,
    pub message: String,
}

impl Failure {
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<ApiError> for Failure {
    fn from(err: ApiError) -> Self {
        use fovea_api::ErrorCode;
        let code = match err.code {
            ErrorCode::BadRequest => ExitCode::Usage,
            ErrorCode::NotFound => ExitCode::NotFound,
            ErrorCode::Refused => ExitCode::Refused,
            ErrorCode::Cancelled | ErrorCode::Modified | ErrorCode::Unavailable => {
                ExitCode::Unavailable
            }
            ErrorCode::Internal => ExitCode::Internal,
        };
        Self::new(code, err.message)
    }
}

/// `1 file`, `2 files`.
#[must_use]
pub fn count(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// Bytes as people read them.
#[must_use]
pub fn bytes(n_bytes: u64) -> String {
    let mut size = n_bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1_000.0 {
            return if unit == "B" { format!("{n_bytes} B") } else { format!("{size:.1} {unit}") };
        }
        size /= 1_000.0;
    }
    format!("{size:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_makes_a_line() {
        let mut out = Output::plain();
        out.styled(Style::Path, "x.py\nsrc/auth.py:1:5: forged\r").put(":1:5\n");
        out.put("  a\nERROR b\rc\td\r\n").text("e\nf\n");
        let shown = out.into_text();
        assert_eq!(shown, "x.py\\nsrc/auth.py:1:5: forged\\r:1:5\n  a\\nERROR b\\rc\td\ne\nf\n");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(98_362_432), "98.4 MB");
    }
}
