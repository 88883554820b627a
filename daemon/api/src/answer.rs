//! What the daemon answers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The answer to the request with this id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Response {
    pub id: u64,
    /// `None` only for answers about no workspace.
    pub freshness: Option<Freshness>,
    pub result: Result<Answer, ApiError>,
}

/// How current an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Freshness {
    /// Generation of the snapshot that answered.
    pub generation: u64,
    /// Files known to have changed and not yet in that snapshot.
    pub n_pending: usize,
    /// True if nothing was pending, the watcher lost no events, and the first scan is complete.
    pub fresh: bool,
    /// The deadline passed on the way: the answer is what was found by then.
    #[serde(default)]
    pub cut: bool,
}

/// Messages the daemon sends unasked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    Progress(ProgressView),
    /// Part of a completion whose final answer is still to come.
    Partial {
        id: u64,
        text: String,
    },
}

/// How far long work is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressView {
    pub root: PathBuf,
    /// `scan`, `parse`, `commit` ...
    pub stage: String,
    pub n_done: usize,
    pub n_total: usize,
}

/// Every kind of answer; which one belongs to which method is stated at each variant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum Answer {
    /// Edited, Closed, Touched, Accepted, Cancel, Shutdown.
    Done,
    /// Open, Sync, Reindex.
    Workspace(WorkspaceStatus),
    /// Status.
    Status { daemon: DaemonStatus, workspace: Option<WorkspaceStatus> },
    /// Top.
    Top(Box<TopView>),
    /// Why.
    Path(PathOutcome),
    /// Secrets.
    Secrets(SecretsView),
    /// Collect.
    Collected(CollectedView),
    /// Dump; `next` goes into the following question's `after`, `None` at the end.
    Dump { text: String, next: Option<String> },
    /// Search, Grep.
    Search(SearchView),
    /// Definition, Declaration, TypeDefinition, Implementations: best first; several are an ambiguity.
    Definitions { symbols: Vec<SymbolView>, external: Option<String> },
    /// References.
    References { of: Option<SymbolView>, references: Vec<ReferenceView> },
    /// Callers, Callees, Documents.
    Edges { of: Option<SymbolView>, edges: Vec<GraphEdgeView> },
    /// Hierarchy; `None` where no symbol is.
    Hierarchy(Option<HierarchyView>),
    /// Signature; `None` where no known function is called.
    Signature(Option<SignatureView>),
    /// Rename; `None` where no symbol is.
    Rename(Option<RenameView>),
    /// Folds.
    Folds(Vec<FoldView>),
    /// Around: for each cursor its ranges.
    Around(Vec<Vec<Location>>),
    /// Impact, Tests.
    Impact { of: Option<SymbolView>, reached: Vec<ReachedView>, has_more: bool },
    /// Near: best first.
    Near { of: Vec<SymbolView>, symbols: Vec<NearView> },
    /// Path; no steps where no connection is found.
    Connection { from: Option<SymbolView>, to: Option<SymbolView>, steps: Vec<StepView> },
    /// Dead: by path and place.
    Dead { symbols: Vec<DeadView>, has_more: bool },
    /// Members: own ones first, then those of bases.
    Members { of: Option<SymbolView>, members: Vec<MemberView>, has_more: bool },
    /// Symbols, DocumentSymbols.
    Symbols(Vec<SymbolView>),
    /// Lines.
    Lines(TextView),
    /// Outline.
    Outline(OutlineText),
    /// Context.
    Plan(PlanView),
    /// Offers.
    Offers(Vec<CompletionItem>),
    /// Complete; `None` when there is nothing worth showing.
    Suggestion(Option<Suggestion>),
    /// Outgoing; `None` if nothing was sent, or no remote back end is named.
    Outgoing(Option<OutgoingView>),
}

/// A range of a file: zero-based lines and UTF-16 columns, and byte offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Location {
    /// Relative to the root, `/`-separated.
    pub path: String,
    pub start_line: u32,
    pub start_column: u32,
    pub end_line: u32,
    pub end_column: u32,
    pub start_byte: u32,
    pub end_byte: u32,
}

/// A definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SymbolView {
    pub name: String,
    /// As `SymbolKind` writes it: `function`, `method`, `class` ...
    pub kind: String,
    /// Names of the enclosing symbols, outermost first, joined by `.` or `::`; empty at top level.
    pub container: String,
    /// The name.
    pub location: Location,
    /// The whole item.
    pub enclosing: Location,
    pub signature: String,
    pub doc: Option<String>,
    /// `exact`, `inferred` or `name-only`: how sure the way to this symbol is; `exact` when listed.
    pub certainty: String,
    /// Depth in the file's tree of symbols, for outlines; 0 at top level.
    pub depth: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceView {
    pub location: Location,
    /// `definition`, `reference`, `call`, `import`, `type`, `write`.
    pub role: String,
    pub certainty: String,
    /// Name of the symbol the occurrence lies in.
    pub enclosing: Option<String>,
    /// The line, without its ending.
    pub line_text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GraphEdgeView {
    pub symbol: SymbolView,
    /// `calls`, `references`, `implements` ...
    pub kind: String,
    pub certainty: String,
    pub at: Option<Location>,
}

/// Relatives of a type or method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HierarchyView {
    pub of: SymbolView,
    /// Bases, traits, overridden definitions; nearest first.
    pub supers: Vec<SymbolView>,
    /// Subclasses, implementors, overriding definitions.
    pub subs: Vec<SymbolView>,
}

/// A call that is being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignatureView {
    pub symbol: SymbolView,
    /// Each as the signature writes it; without the receiver.
    pub parameters: Vec<String>,
    /// Index of the argument at the cursor; may be past the last parameter.
    pub active: u32,
}

/// What a rename would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenameView {
    /// The name at the cursor.
    pub at: Location,
    pub of: SymbolView,
    /// Every place to change, by path and position.
    pub edits: Vec<Location>,
    /// Why nothing may be changed, in one sentence.
    pub refused: Option<String>,
}

/// Lines that can be folded, zero-based, both included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoldView {
    pub start_line: u32,
    pub end_line: u32,
    /// `code`, `comment`, `imports`.
    pub kind: String,
}

/// A symbol that a change may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReachedView {
    pub symbol: SymbolView,
    /// 1 for a symbol that mentions the changed one itself.
    pub n_steps: u32,
    pub is_test: bool,
}

/// A symbol close to a cursor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NearView {
    pub symbol: SymbolView,
    /// Share of a random walk from the cursor that ends there; all together at most 1.
    pub rank: f32,
}

/// One step of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// The symbol that the step leads to.
    pub symbol: SymbolView,
    /// `calls`, `references`, `type-of`, `contains` ...
    pub kind: String,
    pub certainty: String,
    /// The step goes against the edge: `symbol` uses (or contains) the one before it.
    pub is_reverse: bool,
    /// Where the one mentions the other.
    pub at: Option<Location>,
}

/// A definition that nothing reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadView {
    pub symbol: SymbolView,
    /// Visible outside its file or crate: code that is not here may use it.
    pub is_public: bool,
}

/// A member of a type or module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    pub name: String,
    /// Its definition, when the workspace has it.
    pub symbol: Option<SymbolView>,
    pub certainty: String,
    /// 0 for a member of its own, 1 for one of the first base, and so on.
    pub distance: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchView {
    /// What the query was taken for: `symbol`, `path`, `prose`, `error-message`, `code`.
    pub query_kind: String,
    pub hits: Vec<SearchHit>,
    /// There are further hits: ask with a larger offset or limit.
    pub has_more: bool,
    /// Tokens of the hits' texts together, by estimate.
    pub n_tokens: usize,
    pub took_us: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchHit {
    /// The text that was found.
    pub location: Location,
    /// Where to go: the name of `symbol`, else the start of `location`.
    pub at: Location,
    pub symbol: Option<String>,
    pub symbol_kind: Option<String>,
    pub score: f32,
    /// Name of each part of the score and its value; they sum to the score.
    pub parts: Vec<(String, f32)>,
    /// Query terms found.
    pub matched: Vec<String>,
    /// Why it is an answer, in one line for people.
    pub why: String,
    pub state: HitState,
    pub text: String,
    /// The text ends early because of the budget.
    pub is_cut: bool,
}

/// What the text of a hit is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HitState {
    /// As saved on disk.
    #[default]
    Saved,
    /// As an editor has it, not saved yet.
    Unsaved,
    /// The file changed since it was indexed; lines and text are missing.
    Stale,
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextView {
    pub location: Location,
    pub state: HitState,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutlineText {
    pub text: String,
    pub n_tokens: usize,
    pub n_files_shown: usize,
    pub n_files: usize,
}

/// An attention plan as people and tools see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    pub segments: Vec<SegmentView>,
    pub n_tokens: usize,
    pub budget_tokens: usize,
    /// What the gate decided and why, in one sentence.
    pub gate: String,
    pub rings: Vec<RingCost>,
    /// Names offered to decoding, best first.
    pub candidates: Vec<String>,
    /// Prompt format the plan is rendered in.
    pub format: String,
    /// The prompt as the model would see it, special tokens spelled out.
    pub prompt: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentView {
    /// `fovea`, `near`, `periphery`, `outline`.
    pub ring: String,
    /// `similar-code`, `usage`, `signature`, `window` ...
    pub source: String,
    pub path: String,
    /// Zero-based first line, and the line behind the last.
    pub lines: (u32, u32),
    pub reason: String,
    pub n_tokens: usize,
    pub score: f32,
    pub text: String,
    /// Identifiers it shares with the suggestion, when there is one.
    #[serde(default)]
    pub shared: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RingCost {
    pub ring: String,
    pub n_tokens: usize,
    pub ms: f32,
    /// Tokens whose KV was cached; known after a completion.
    pub n_cached: Option<usize>,
}

/// A name that can stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompletionItem {
    pub label: String,
    pub kind: String,
    /// Signature or type.
    pub detail: String,
    pub doc: Option<String>,
    pub certainty: String,
    /// File that defines it.
    pub path: Option<String>,
    /// What to replace, in the buffer of the request.
    pub replace: Location,
    /// What has to be inserted elsewhere in the buffer, for a name that is not imported yet.
    pub import: Option<ImportEdit>,
}

/// A line that imports a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportEdit {
    /// Inserted at the start of this zero-based line.
    pub line: u32,
    /// With its line ending.
    pub text: String,
}

/// Where a suggestion came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CompletionSource {
    /// The on-device model, with the plan.
    Model,
    /// The index alone: names in scope, members, continuations seen in the repository.
    Index,
    /// The server that the user named, with the plan.
    Remote,
}

/// A request to the user's remote back end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutgoingView {
    pub url: String,
    /// `openai`, `llama-infill`, `llama`, `ollama`.
    pub api: String,
    /// Without the key.
    pub headers: Vec<(String, String)>,
    /// Byte for byte.
    pub body: String,
    pub n_body_bytes: usize,
    /// The workspace and the file that it was for.
    pub root: PathBuf,
    pub path: String,
    /// `None` if it was not sent.
    pub sent_ago_ms: Option<u64>,
    /// `None` while it is under way, or was not sent.
    pub outcome: Option<String>,
    /// Of the connection, encryption included.
    pub n_bytes_sent: u64,
    pub n_bytes_received: u64,
}

/// The server that the user named, and what it was sent since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoteState {
    /// Scheme, host and port; empty if the address cannot be used.
    pub origin: String,
    pub api: String,
    pub model: String,
    /// Why it is not asked.
    pub problem: Option<String>,
    pub n_requests: u64,
    pub n_failed: u64,
    pub n_bytes_sent: u64,
    pub n_bytes_received: u64,
}

/// Ghost text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suggestion {
    /// Id to send with `Accepted`.
    pub id: u64,
    /// Inserted at the cursor (after `replace` is taken out).
    pub text: String,
    /// Text around the cursor that the suggestion replaces; empty at the cursor as a rule.
    pub replace: Location,
    pub source: CompletionSource,
    /// One line for people when something is missing: no model, model still loading ...
    pub notice: Option<String>,
    /// Mean log-probability per token; `None` from the index.
    pub logprob: Option<f32>,
    /// What it was conditioned on.
    pub plan: PlanView,
    pub timings: Timings,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timings {
    pub context_ms: f32,
    pub prefill_ms: f32,
    pub first_token_ms: f32,
    pub total_ms: f32,
    pub n_prompt_tokens: usize,
    /// Prompt tokens whose KV was reused.
    pub n_reused_tokens: usize,
    pub n_generated_tokens: usize,
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    #[default]
    Ok,
    Warning,
    Error,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DaemonStatus {
    pub build: String,
    pub pid: u32,
    pub uptime_s: u64,
    pub rss_bytes: u64,
    pub socket: Option<PathBuf>,
    pub model: ModelState,
    pub n_clients: usize,
    pub n_requests: u64,
    pub roots: Vec<PathBuf>,
    /// What the daemon may take, without the model's process, and why that much.
    #[serde(default)]
    pub memory_limit_bytes: u64,
    #[serde(default)]
    pub memory_limit_source: String,
    /// What was given up to keep within it, in one sentence.
    #[serde(default)]
    pub degraded: Option<String>,
}

/// What the daemon does, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopView {
    pub daemon: DaemonStatus,
    /// Requests being answered, and those that wait for a thread.
    pub n_running: usize,
    pub n_queued: usize,
    pub n_threads: usize,
    pub n_handles: usize,
    /// Processor time of the daemon so far, without the model's process.
    pub cpu_ms: u64,
    /// Values derived from files: asked of the store, and there.
    pub facts: HitRate,
    /// Texts of files: asked by queries, and kept from earlier ones.
    pub texts: HitRate,
    /// Tokens of prompts: all, and those whose state the model still had.
    pub tokens: HitRate,
    pub workspaces: Vec<TopWorkspace>,
    /// Most frequent first.
    pub methods: Vec<MethodView>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HitRate {
    pub n_asked: u64,
    pub n_found: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopWorkspace {
    pub root: PathBuf,
    /// One sentence.
    pub summary: String,
    pub generation: u64,
    pub n_pending: usize,
    pub n_files: usize,
    /// Documents open in editors.
    pub n_overlays: usize,
    /// Seconds since the last request about it.
    pub unused_s: u64,
}

/// Requests of one method since the start; latencies of the last 512.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MethodView {
    pub method: String,
    pub n: u64,
    pub n_failed: u64,
    pub p50_us: u32,
    pub p99_us: u32,
    pub max_us: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelState {
    /// `None` if no model is installed.
    pub name: Option<String>,
    /// `absent`, `idle` (not loaded), `loading`, `ready`, `failed`.
    pub state: String,
    pub worker_pid: Option<u32>,
    pub worker_rss_bytes: Option<u64>,
    /// What confines its process, and what could not; while it runs.
    #[serde(default)]
    pub sandbox: Option<String>,
    /// What to do, when absent or failed.
    pub hint: Option<String>,
    /// The user's remote back end, if one is named.
    #[serde(default)]
    pub remote: Option<RemoteState>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceStatus {
    pub root: PathBuf,
    pub health: Health,
    /// One sentence.
    pub summary: String,
    pub generation: u64,
    pub n_pending: usize,
    pub n_files: usize,
    pub n_symbols: usize,
    pub n_occurrences: usize,
    pub n_chunks: usize,
    pub n_overlays: usize,
    pub source_bytes: u64,
    pub index_bytes: u64,
    /// Milliseconds of the last full index or reopen, and which it was.
    pub last_index_ms: Option<u64>,
    /// Chunks that have a vector of the stronger embedder; `None` if only the embedded one is used.
    pub n_embedded: Option<usize>,
    pub reopened: bool,
    /// `events`, `polling`, `off`.
    pub watching: String,
    /// Where the index outlives the daemon: `disk`; `read-only` (the stored index is served, changes
    /// are in memory), `memory`.
    #[serde(default)]
    pub kept: String,
    pub skipped: Vec<SkippedFile>,
    /// All skipped files, `skipped` lists the first ones only.
    pub n_skipped: usize,
    pub languages: Vec<(String, usize)>,
    /// Secrets that were overwritten, and files in which; `fovea secrets` lists them.
    #[serde(default)]
    pub n_secrets: usize,
    #[serde(default)]
    pub n_files_with_secrets: usize,
    pub warnings: Vec<String>,
}

/// What was overwritten before anything was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretsView {
    /// By path and position; the first ones, if there are very many.
    pub secrets: Vec<SecretView>,
    pub n_secrets: usize,
    pub n_files: usize,
}

/// Where a secret stands; the secret itself is known to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretView {
    pub path: String,
    /// Zero-based; the column in UTF-16 units.
    pub line: u32,
    pub column: u32,
    /// Name of the rule that found it.
    pub rule: String,
    /// It stands in a document that an editor has open.
    pub is_unsaved: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedFile {
    pub path: String,
    pub reason: String,
}

/// What was removed because nobody used it, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectedView {
    /// Nothing was removed, this is what would be.
    pub is_dry_run: bool,
    /// Indexes of workspaces.
    pub indexes: Vec<CollectedIndex>,
    /// Values derived from contents of files (symbols, vectors).
    pub n_facts: u64,
    pub facts_bytes: u64,
    /// Sockets and locks of daemons that ended, unfinished removals.
    pub n_leftovers: usize,
    /// All indexes and facts before, and how many indexes there were.
    pub n_bytes_before: u64,
    pub n_indexes_before: usize,
    pub n_bytes_after: u64,
}

/// An index that was removed, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectedIndex {
    /// `None` if it was made by a version that did not note it.
    pub root: Option<PathBuf>,
    pub folder: PathBuf,
    pub n_bytes: u64,
    pub unused_days: u64,
    /// `unused`, `gone` (the workspace's folder is), `space`.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathOutcome {
    pub path: String,
    /// `indexed`, `cut`, `pending`, `skipped`, `unknown`.
    pub outcome: String,
    pub reason: Option<String>,
    pub is_overlay: bool,
    pub n_symbols: usize,
    pub n_chunks: usize,
}

/// Why a request failed; the client can act on the code, a person on the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub code: ErrorCode,
    /// What failed, on which path or value, and what to do next.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The request does not make sense (position outside the file, unknown filter ...).
    BadRequest,
    /// The path is not in the workspace, or not indexed.
    NotFound,
    /// The path is excluded or outside the root.
    Refused,
    /// The document was changed since the question, or its newest text is not indexed yet.
    Modified,
    Cancelled,
    /// The daemon cannot do it now (disk full, index locked ...).
    Unavailable,
    /// A bug; the log has the details.
    Internal,
}

impl Location {
    /// The empty range at its start.
    #[must_use]
    pub fn start(&self) -> Self {
        Self {
            end_line: self.start_line,
            end_column: self.start_column,
            end_byte: self.start_byte,
            ..self.clone()
        }
    }

    /// The empty range at the start of `path`.
    #[must_use]
    pub fn at_start_of(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            start_line: 0,
            start_column: 0,
            end_line: 0,
            end_column: 0,
            start_byte: 0,
            end_byte: 0,
        }
    }
}
