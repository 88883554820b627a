//! The numbers a plan is made with, chosen by measurement and kept in one place, so that an evaluation
//! can vary them without another build.

use serde::{Deserialize, Serialize};

/// What a plan collects and how it weighs what it found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tuning {
    /// Share of the budget for the text before the cursor.
    pub prefix_share: f32,
    /// Share of the budget for the text behind the cursor.
    pub suffix_share: f32,
    /// Show the text behind the cursor in front of everything else, not next to the open file.
    pub suffix_first: bool,
    /// Order segments by source, those that rarely change first; else by value alone.
    pub stable_first: bool,
    /// The likeliest segment stands next to the open file; else right behind the beginning.
    pub best_last: bool,
    /// Collect contracts of the names at the cursor.
    pub near_field: bool,
    /// Collect retrieved text.
    pub periphery: bool,
    /// Factors on the value that a source states.
    pub imports: f32,
    pub receiver: f32,
    pub callee: f32,
    pub enclosing: f32,
    pub usage: f32,
    pub similar: f32,
    /// Lines of one window of similar code, and from one window to the next.
    pub window_lines: usize,
    pub step_lines: usize,
    /// Lines before the cursor that similar code is sought for.
    pub query_lines: usize,
    /// Tokens of context, whatever is left of the budget.
    pub max_context: usize,
    /// How much of a value is divided by a proposal's length: 0 not at all, 1 in proportion.
    pub density: f32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            prefix_share: 0.45,
            suffix_share: 0.10,
            suffix_first: false,
            stable_first: true,
            best_last: true,
            near_field: true,
            periphery: true,
            imports: 1.0,
            receiver: 1.0,
            callee: 1.0,
            enclosing: 1.0,
            usage: 1.0,
            similar: 1.0,
            window_lines: 20,
            step_lines: 10,
            query_lines: 15,
            max_context: usize::MAX,
            density: 0.35,
        }
    }
}
