//! What a caller asks: a cursor in a buffer, budgets, and what the editor knows besides.

use std::{fmt, sync::Arc};

use fovea_indexer::{Cancel, text::ByteRange};
use serde::{Deserialize, Serialize};

use crate::{format::PromptFormat, plan::Plan, tuning::Tuning};

/// One cursor and the budgets for it.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// Path of the open file, relative to the workspace root, `/`-separated.
    pub path: String,
    /// The buffer as the user sees it now.
    pub text: Arc<str>,
    /// Byte offset of the cursor in `text`; moved back to a character boundary if it splits one.
    pub offset: u32,
    /// Tokens for everything the model sees.
    pub budget_tokens: usize,
    /// How far to look beyond the file.
    pub preset: Preset,
    /// One line or a block.
    pub mode: Mode,
    /// The model family's prompt format.
    pub format: &'static PromptFormat,
    /// Name of the repository, for formats that show it.
    pub repository: String,
    /// What was edited or viewed last, newest first.
    pub recent: Vec<RecentChunk>,
    /// The plan before this one in the same document: while a word is typed its context stays, and
    /// afterwards its segments are preferred, so that their KV is used again.
    pub previous: Option<Arc<Plan>>,
    /// Ends the collection of context: the plan is made of what is there by then.
    pub cancel: Cancel,
    /// The numbers that the plan is made with.
    pub tuning: Tuning,
    /// Time for the costs that the plan reports.
    pub clock: Clock,
}

impl PlanRequest {
    /// A request with the default budget and preset, no history, no deadline and no clock.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<Arc<str>>, offset: usize) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
            offset: offset as u32,
            budget_tokens: 2_048,
            preset: Preset::Balanced,
            mode: Mode::Auto,
            format: PromptFormat::plain(),
            repository: String::new(),
            recent: Vec::new(),
            previous: None,
            cancel: Cancel::never(),
            tuning: Tuning::default(),
            clock: Clock::none(),
        }
    }

    /// The cursor, within the text and on a character boundary.
    #[must_use]
    pub fn cursor(&self) -> usize {
        let mut at = (self.offset as usize).min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// The text before the cursor.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.text[..self.cursor()]
    }

    /// The text behind the cursor.
    #[must_use]
    pub fn suffix(&self) -> &str {
        &self.text[self.cursor()..]
    }

    /// The part of the cursor's line before the cursor.
    #[must_use]
    pub fn line_prefix(&self) -> &str {
        let prefix = self.prefix();
        &prefix[prefix.rfind('\n').map_or(0, |at| at + 1)..]
    }

    /// The part of the cursor's line behind the cursor, without the line ending.
    #[must_use]
    pub fn line_suffix(&self) -> &str {
        let suffix = self.suffix();
        suffix.lines().next().unwrap_or("")
    }
}

/// How far a plan looks, and how its budget is split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The open file alone.
    None,
    /// The open file and the contracts at the cursor.
    Lean,
    /// Graph and retrieved snippets.
    #[default]
    Balanced,
    /// Everything: outline, documentation and tests as well.
    Deep,
}

/// What a suggestion may span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The rest of the cursor's line.
    Line,
    /// Up to the end of the block that the cursor is in.
    Block,
    /// A block where the cursor's line is still empty, else a line.
    #[default]
    Auto,
}

/// A piece of text that the user edited or looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentChunk {
    pub path: String,
    pub range: ByteRange,
    /// Zero-based first line, and the line behind the last.
    pub lines: (u32, u32),
    pub text: String,
    /// Changed by the user, not only seen.
    pub edited: bool,
}

/// Microseconds from any fixed start, or nothing: tests and pure callers have no clock.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<dyn Fn() -> u64 + Send + Sync>>);

impl Clock {
    /// Always answers zero.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Answers what `now_us` says: microseconds, never going back.
    pub fn new(now_us: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now_us)))
    }

    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.0.as_ref().map_or(0, |now| now())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.0.is_some()).finish()
    }
}
