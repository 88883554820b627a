//! Snapshot, cursor and budgets in; attention plan and prompt out.
//!
//! Self-attention has a budget, not a limit. This crate decides what the model sees for one cursor:
//! [`plan()`] collects scored proposals ring by ring and packs the best of them into the token budget,
//! [`render()`] lays the plan out in the model family's own format, [`finish()`] turns what the model
//! wrote into something fit to insert. [`complete_from_index`] answers without any model, and
//! [`outline()`] is the repository map that people, agents and prompts share.
//!
//! The crate is synchronous and pure: text comes from the [`Snapshot`](fovea_indexer::Snapshot) and
//! the request, deadlines come in as a [`Cancel`](fovea_indexer::Cancel), time as a [`Clock`].
//!
//! Modules in reading order: [`request`] what a caller asks · [`plan`](mod@plan) the answer ·
//! [`tokens`] counting · [`tuning`] the numbers chosen by measurement · [`lex`] strings, comments and brackets of unfinished code · [`window`] the
//! text around the cursor · [`gate`] whether other files can help here · `sources` what other files
//! propose · [`ranking`] which name comes next · [`continuation`] how the project went on after the same tokens · [`pack`] proposals into
//! a budget · `reuse` what of the plan before stays · [`format`](mod@format) the model families' prompt formats · [`render`](mod@render) plan
//! to prompt · [`finish`](mod@finish) model output to suggestion · [`index_completion`] completion without a
//! model · [`outline`](mod@outline) the repository map.

pub mod continuation;
pub mod finish;
pub mod format;
pub mod gate;
pub mod index_completion;
pub mod lex;
pub mod outline;
pub mod pack;
pub mod plan;
pub mod ranking;
pub mod render;
pub mod request;
mod reuse;
mod sources;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod tuning;
pub mod window;

pub use continuation::Continuation;
pub use finish::{Repair, StopReason, Suggestion, finish};
pub use format::PromptFormat;
pub use gate::GateDecision;
pub use index_completion::{
    Basis, IndexCompletion, complete_from_index, describe_names, ranked_offers,
};
pub use outline::{Outline, OutlineFocus, outline};
pub use plan::{NameCandidate, Plan, Ring, RingCost, Segment, Source, plan};
pub use render::{Piece, RenderedPrompt, RenderedSegment, render};
pub use request::{Clock, Mode, PlanRequest, Preset, RecentChunk};
pub use tokens::{Estimate, TokenCounter};
pub use tuning::Tuning;
