//! The only types on the wire between the daemon and its clients (LSP server, CLI, MCP), and a
//! blocking client.
//!
//! One frame is a little-endian `u32` byte count followed by that many bytes of JSON. A client sends
//! [`Frame::Request`]s and may send more before the answers come; the daemon answers each with one
//! [`Frame::Response`] carrying the same id, in any order, and sends [`Frame::Event`]s in between.

mod answer;
pub mod client;
mod request;
mod visible;
pub mod wire;

pub use answer::{
    Answer, ApiError, CollectedIndex, CollectedView, CompletionItem, CompletionSource,
    DaemonStatus, DeadView, ErrorCode, Event, FoldView, Freshness, GraphEdgeView, Health,
    HierarchyView, HitRate, HitState, ImportEdit, Location, MemberView, MethodView, ModelState,
    NearView, OutgoingView, OutlineText, PathOutcome, PlanView, ProgressView, ReachedView,
    ReferenceView, RemoteState, RenameView, Response, RingCost, SearchHit, SearchView, SecretView,
    SecretsView, SegmentView, SignatureView, SkippedFile, StepView, Suggestion, SymbolView,
    TextView, Timings, TopView, TopWorkspace, WorkspaceStatus,
};
pub use request::{At, Encoding, Frame, Method, Preset, Request};
pub use visible::{clean, clean_into, clean_name, clean_name_into, is_hidden};

/// Version of these types. A client and a daemon of different builds never talk: the socket's name
/// carries the build id. This number says which JSON the `--json` output follows.
pub const SCHEMA_VERSION: u32 = 1;
