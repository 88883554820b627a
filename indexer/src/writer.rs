//! The only type that mutates: applies batches of changes and publishes snapshots.

use std::sync::Arc;

/// One change of one file. Paths are relative to the workspace root and `/`-separated.
#[derive(Clone, Debug)]
pub enum FileChange {
    /// The file exists with this text (secrets already redacted).
    Saved { path: String, text: Arc<str> },
    /// The file is gone, or excluded from now on.
    Removed { path: String },
    /// An editor holds this unsaved text; it hides the saved one until closed.
    Edited { path: String, text: Arc<str> },
    /// The editor closed the file; the saved text counts again.
    Closed { path: String },
}

/// Applies changes; one a workspace.
pub struct IndexWriter {}
