//! What the model is asked to read: segments of pieces, text kept apart from special tokens.

use serde::{Deserialize, Serialize};

/// A prompt as the context builder renders it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// In the order the model reads them; stable segments come first.
    pub segments: Vec<PromptSegment>,
}

/// A run of pieces that is cached as one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptSegment {
    /// Content hash of a stable segment. Its keys and values are computed once, independently of
    /// what stands before it, and placed wherever the segment appears. `None` for volatile text.
    pub key: Option<[u8; 32]>,
    pub pieces: Vec<Piece>,
}

/// Part of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// A special token by name. Comes from the family table only, never from repository text.
    Special(String),
    /// Ordinary text. Whatever it spells, it never becomes a special token.
    Text(String),
}

impl Prompt {
    /// A prompt of one volatile text.
    pub fn text(text: impl Into<String>) -> Self {
        Prompt { segments: vec![PromptSegment::volatile(vec![Piece::Text(text.into())])] }
    }
}

impl PromptSegment {
    /// A segment that may change with each keystroke.
    pub fn volatile(pieces: Vec<Piece>) -> Self {
        PromptSegment { key: None, pieces }
    }

    /// A segment whose content is named by `key`.
    pub fn stable(key: [u8; 32], pieces: Vec<Piece>) -> Self {
        PromptSegment { key: Some(key), pieces }
    }
}
