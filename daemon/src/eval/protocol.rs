//! Requests of the line protocol.

use serde::Deserialize;

/// One line of input.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Request {
    /// Index `root`; answered when it is done.
    Open {
        root: String,
        repo: Option<String>,
    },
    /// These files of an open root changed on disk.
    Changed {
        root: String,
        files: Vec<String>,
    },
    Complete(Box<Point>),
    Close {
        root: String,
    },
}

/// A cursor to complete at.
#[derive(Clone, Debug, Deserialize)]
pub struct Point {
    #[serde(default)]
    pub id: String,
    pub root: String,
    #[serde(default)]
    pub repo: String,
    /// Relative to the root, `/`-separated.
    pub file: String,
    /// 1-based.
    #[serde(default)]
    pub line: u32,
    /// 0-based, in characters.
    #[serde(default)]
    pub col: u32,
    /// Byte offset of the cursor; wins over line and column, which older harnesses send alone.
    pub byte: Option<usize>,
    /// The editor's buffer.
    pub text: String,
    pub budget_tokens: Option<usize>,
}

impl Point {
    /// Byte offset of the cursor in `text`. An offset that does not fit the stated line and column
    /// (a harness that counts bytes of the unmasked file with other line endings) is worked out
    /// from them.
    #[must_use]
    pub fn offset(&self) -> usize {
        let lines = fovea_indexer::text::LineIndex::new(&self.text);
        let by_line = self.line.checked_sub(1).and_then(|line| {
            let at = fovea_indexer::text::LineCol { line, col: self.col };
            lines.offset_of_chars(&self.text, at)
        });
        by_line.map_or_else(|| self.byte.unwrap_or(self.text.len()), |offset| offset as usize)
    }
}
