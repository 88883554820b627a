//! What clients ask.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, Response};

/// One message on the socket, either way.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "frame")]
#[expect(clippy::large_enum_variant, reason = "one frame at a time; never stored in numbers")]
pub enum Frame {
    Request(Request),
    Response(Response),
    Event(Event),
}

/// One question.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the client, unique on its connection.
    pub id: u64,
    /// The workspace root the question is about; `None` for the daemon itself.
    pub root: Option<PathBuf>,
    /// The answer is of no use after this many milliseconds; the daemon sends what it has by then.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    #[serde(flatten)]
    pub method: Method,
}

/// Unit of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    Utf8,
    #[default]
    Utf16,
    /// Unicode scalar values, as people count columns on the command line.
    Utf32,
}

/// A cursor: zero-based line and column of a file below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct At {
    /// Relative to the root, `/`-separated.
    pub path: String,
    pub line: u32,
    pub column: u32,
    #[serde(default)]
    pub encoding: Encoding,
}

/// How much context a completion may use; each sets tokens and milliseconds, see the manual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    Lean,
    #[default]
    Balanced,
    Deep,
}

/// Every question there is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "method", content = "params")]
pub enum Method {
    /// Opens (and indexes, if needed) the request's root; answers at once with its status, or when
    /// `wait` is set, after indexing, with [`Event::Progress`] in between.
    Open {
        wait: bool,
    },
    /// State of the daemon, and of the request's root if given.
    Status,
    /// What the daemon does now: queue, workspaces, caches, latencies.
    Top,
    /// Outcome of one path: indexed, pending, or skipped and by which rule.
    Why {
        path: String,
    },
    /// Where secrets were overwritten, and by which rule.
    Secrets,
    /// Answers when everything saved before this request is in the index.
    Sync,
    /// Extracts everything anew, whatever is stored.
    Reindex,
    /// Removes indexes and facts that were not used for long, and what is too much. Without numbers
    /// those of the settings hold.
    Collect {
        dry_run: bool,
        max_bytes: Option<u64>,
        unused_days: Option<u64>,
    },
    /// Everything the index answers from, in canonical order: the files behind `after`, as many as
    /// fit a frame. With `path` every detail of that file alone.
    Dump {
        after: Option<String>,
        path: Option<String>,
    },
    Search {
        query: String,
        limit: usize,
        near: Option<At>,
        /// Best hits to leave out: those of the pages before.
        #[serde(default)]
        offset: usize,
        /// Find code like that at this place; `query` may be empty or narrow by filters.
        #[serde(default)]
        like: Option<At>,
        /// Texts of hits together have at most this many tokens; the last one is cut at a line.
        #[serde(default)]
        budget_tokens: Option<usize>,
    },
    /// Literal or regular-expression search over current texts.
    Grep {
        pattern: String,
        regex: bool,
        ignore_case: bool,
        limit: usize,
        /// Only whole words.
        #[serde(default)]
        word: bool,
        /// Only files whose path contains this text or matches this glob.
        #[serde(default)]
        path: Option<String>,
    },
    Definition {
        at: At,
    },
    References {
        at: At,
        include_definition: bool,
    },
    Implementations {
        at: At,
    },
    /// Where the type of what is at the cursor is defined.
    TypeDefinition {
        at: At,
    },
    /// Where a method is declared first: in a base or trait.
    Declaration {
        at: At,
    },
    /// Bases and derived definitions of a type or method.
    Hierarchy {
        at: At,
    },
    /// The signature of the call whose arguments are being written.
    Signature {
        at: At,
    },
    /// What a rename would change, or why it will not; without a name, whether it can be renamed.
    Rename {
        at: At,
        new_name: Option<String>,
    },
    /// Lines that can be folded.
    Folds {
        path: String,
    },
    /// Ranges of the syntax tree around each cursor, innermost first.
    Around {
        cursors: Vec<At>,
    },
    Callers {
        at: At,
    },
    Callees {
        at: At,
    },
    /// What a change of the symbol at `at` may reach, nearest first.
    Impact {
        at: At,
        limit: usize,
    },
    /// Tests that exercise the symbol at `at`, directly or through what they call, nearest first.
    Tests {
        at: At,
        limit: usize,
    },
    /// Documentation that mentions the symbol at `at`.
    Documents {
        at: At,
    },
    /// What is close to a cursor in the symbol graph: to the symbol there and the item around it.
    Near {
        at: At,
        limit: usize,
    },
    /// How two symbols are connected.
    Path {
        from: At,
        to: At,
    },
    /// Definitions that nothing reaches, in files whose path contains `path` or matches it as a glob.
    Dead {
        path: Option<String>,
        limit: usize,
        /// With definitions that code elsewhere may use.
        with_public: bool,
    },
    /// Members of the type or module at `at`, inherited ones included.
    Members {
        at: At,
        limit: usize,
    },
    /// Symbols of the workspace whose name fits `query`, best first.
    Symbols {
        query: String,
        limit: usize,
    },
    /// Symbols of one file, in document order.
    DocumentSymbols {
        path: String,
    },
    /// Lines `first..last` (zero-based) of an indexed file, as indexed: unsaved text of editors
    /// counts, secrets are overwritten.
    Lines {
        path: String,
        first: u32,
        last: u32,
    },
    /// The repository map in at most `budget_tokens`, drawn around `focus` if given.
    Outline {
        budget_tokens: usize,
        focus: Option<At>,
    },
    /// The attention plan at a cursor.
    Context {
        at: At,
        preset: Preset,
        budget_tokens: Option<usize>,
    },
    /// Names that can stand at a cursor: members, names in scope, imports. No model involved.
    Offers {
        at: At,
        limit: usize,
        /// Offer names that would have to be imported, too.
        with_imports: bool,
    },
    /// What the editor shows as ghost text. A newer `Complete` for the same path on the same
    /// connection supersedes an older one.
    Complete {
        at: At,
        preset: Preset,
        budget_tokens: Option<usize>,
        max_tokens: Option<usize>,
        /// False asks for the completion from the text before the cursor alone (to compare).
        with_context: bool,
        /// True asks for more than the rest of the line when syntax allows.
        multi_line: bool,
        /// False never waits for the model (index only).
        use_model: bool,
    },
    /// The editor's buffer of `path` is now `text`; hides the file on disk until `Closed`.
    Edited {
        path: String,
        version: i64,
        text: String,
    },
    Closed {
        path: String,
    },
    /// A client saw these files change on disk (a second source beside the watcher).
    Touched {
        paths: Vec<String>,
    },
    /// What a completion at `at` would send to the user's remote back end; without a place, what was
    /// sent last.
    Outgoing {
        at: Option<At>,
        preset: Preset,
        budget_tokens: Option<usize>,
    },
    /// The user accepted a suggestion of this request id.
    Accepted {
        suggestion: u64,
    },
    /// Drops the request with this id; it is answered with [`ErrorCode::Cancelled`](crate::ErrorCode).
    Cancel {
        id: u64,
    },
    /// Ends the daemon after answering.
    Shutdown,
}

impl Method {
    /// As it is called on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Status => "status",
            Self::Top => "top",
            Self::Why { .. } => "why",
            Self::Sync => "sync",
            Self::Reindex => "reindex",
            Self::Collect { .. } => "collect",
            Self::Dump { .. } => "dump",
            Self::Search { .. } => "search",
            Self::Grep { .. } => "grep",
            Self::Definition { .. } => "definition",
            Self::References { .. } => "references",
            Self::Implementations { .. } => "implementations",
            Self::TypeDefinition { .. } => "type-definition",
            Self::Declaration { .. } => "declaration",
            Self::Hierarchy { .. } => "hierarchy",
            Self::Signature { .. } => "signature",
            Self::Rename { .. } => "rename",
            Self::Folds { .. } => "folds",
            Self::Around { .. } => "around",
            Self::Callers { .. } => "callers",
            Self::Callees { .. } => "callees",
            Self::Impact { .. } => "impact",
            Self::Tests { .. } => "tests",
            Self::Documents { .. } => "documents",
            Self::Near { .. } => "near",
            Self::Path { .. } => "path",
            Self::Dead { .. } => "dead",
            Self::Members { .. } => "members",
            Self::Symbols { .. } => "symbols",
            Self::DocumentSymbols { .. } => "document-symbols",
            Self::Lines { .. } => "lines",
            Self::Outline { .. } => "outline",
            Self::Context { .. } => "context",
            Self::Offers { .. } => "offers",
            Self::Complete { .. } => "complete",
            Self::Outgoing { .. } => "outgoing",
            Self::Edited { .. } => "edited",
            Self::Closed { .. } => "closed",
            Self::Touched { .. } => "touched",
            Self::Accepted { .. } => "accepted",
            Self::Cancel { .. } => "cancel",
            Self::Shutdown => "shutdown",
            _ => "other",
        }
    }

    /// Documents whose text the answer depends on, as the client had them when it asked.
    #[must_use]
    pub fn documents(&self) -> Vec<&str> {
        match self {
            Self::Definition { at }
            | Self::References { at, .. }
            | Self::Implementations { at }
            | Self::TypeDefinition { at }
            | Self::Declaration { at }
            | Self::Hierarchy { at }
            | Self::Signature { at }
            | Self::Rename { at, .. }
            | Self::Callers { at }
            | Self::Callees { at }
            | Self::Impact { at, .. }
            | Self::Tests { at, .. }
            | Self::Documents { at }
            | Self::Near { at, .. }
            | Self::Members { at, .. }
            | Self::Context { at, .. }
            | Self::Offers { at, .. }
            | Self::Complete { at, .. } => vec![&at.path],
            Self::Folds { path } | Self::DocumentSymbols { path } | Self::Lines { path, .. } => {
                vec![path]
            }
            Self::Outgoing { at, .. } => at.iter().map(|at| at.path.as_str()).collect(),
            Self::Path { from, to } if from.path == to.path => vec![&from.path],
            Self::Path { from, to } => vec![&from.path, &to.path],
            Self::Around { cursors } => {
                let mut paths: Vec<&str> = cursors.iter().map(|at| at.path.as_str()).collect();
                paths.sort_unstable();
                paths.dedup();
                paths
            }
            _ => Vec::new(),
        }
    }

    /// A plain search: the first `limit` hits for `query`.
    #[must_use]
    pub fn search(query: &str, limit: usize) -> Self {
        let query = query.to_owned();
        Self::Search { query, limit, near: None, offset: 0, like: None, budget_tokens: None }
    }
}
