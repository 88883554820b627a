//! The attention plan: what the model sees for one cursor, why, and at what cost.

use std::fmt;

use fovea_indexer::{
    ContentHash, Generation, Snapshot, SymbolId, graph::Certainty, text::ByteRange,
};
use serde::{Deserialize, Serialize};

use crate::{
    gate::{self, GateDecision},
    pack::{self, Proposal},
    request::PlanRequest,
    tokens::TokenCounter,
    window,
};

/// How far a segment is from the cursor; nearer rings are kept longer when time or tokens are short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ring {
    /// The open buffer around the cursor.
    Fovea,
    /// What the project graph says about the names at the cursor.
    NearField,
    /// Retrieved text: similar code, usage, tests, documentation, recent edits.
    Periphery,
    /// The repository's structure.
    Outline,
}

impl Ring {
    /// All rings, nearest first.
    pub const ALL: [Self; 4] = [Self::Fovea, Self::NearField, Self::Periphery, Self::Outline];

    /// The word shown to people and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fovea => "fovea",
            Self::NearField => "near-field",
            Self::Periphery => "periphery",
            Self::Outline => "outline",
        }
    }
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which source proposed a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Text before the cursor.
    Prefix,
    /// Text behind the cursor.
    Suffix,
    /// Signatures, fields and variants of what the file imports.
    Imports,
    /// Members of the receiver's type.
    Receiver,
    /// Signature of the call that is being written.
    Callee,
    /// The enclosing class or trait, and siblings of the enclosing function.
    Enclosing,
    /// Places that use the symbols at the cursor.
    Usage,
    /// Code that reads like the last lines.
    Similar,
    /// Tests of the symbols at the cursor.
    Tests,
    /// Documentation passages.
    Docs,
    /// Text the user edited or viewed.
    Recent,
    /// The repository outline.
    Outline,
}

impl Source {
    /// The word shown to people and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Suffix => "suffix",
            Self::Imports => "imports",
            Self::Receiver => "receiver",
            Self::Callee => "callee",
            Self::Enclosing => "enclosing",
            Self::Usage => "usage",
            Self::Similar => "similar",
            Self::Tests => "tests",
            Self::Docs => "docs",
            Self::Recent => "recent",
            Self::Outline => "outline",
        }
    }

    /// The ring whose budget and deadline the source shares.
    #[must_use]
    pub fn ring(self) -> Ring {
        match self {
            Self::Prefix | Self::Suffix => Ring::Fovea,
            Self::Imports | Self::Receiver | Self::Callee | Self::Enclosing => Ring::NearField,
            Self::Usage | Self::Similar | Self::Tests | Self::Docs | Self::Recent => {
                Ring::Periphery
            }
            Self::Outline => Ring::Outline,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One piece of text in the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    pub ring: Ring,
    pub source: Source,
    /// Path relative to the workspace root; empty for the outline.
    pub path: String,
    /// Where the text lies in the file; `None` if it was put together (signatures, outline).
    pub range: Option<ByteRange>,
    /// Zero-based first line, and the line behind the last.
    pub lines: (u32, u32),
    /// Why it is here, for people: "calls `Session.send`", "similar to the last 12 lines".
    pub reason: String,
    pub text: String,
    /// Tokens of the text and its header.
    pub n_tokens: usize,
    /// Hash of path and text: KV computed for it can be used again as long as this is the same.
    pub key: ContentHash,
    /// Expected value, the scale shared by all sources.
    pub score: f32,
}

impl Segment {
    /// True for the two segments of the open buffer, which change with every keystroke.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        self.ring == Ring::Fovea
    }
}

/// What one ring cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingCost {
    pub ring: Ring,
    /// Proposals collected, and how many of them were packed.
    pub n_proposed: usize,
    pub n_packed: usize,
    pub n_tokens: usize,
    /// Time to collect the proposals; zero without a clock.
    pub micros: u64,
    /// The deadline ended the ring early, or before it began.
    pub cut: bool,
}

/// A name that can stand at the cursor, to bias decoding with and to rank suggestions by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NameCandidate {
    pub name: String,
    /// The definition's signature, on one line, if the project has it.
    pub signature: Option<String>,
    #[serde(skip)]
    pub symbol: Option<SymbolId>,
    pub certainty: Certainty,
    /// Higher is likelier; relative within one plan, the best is 1.
    pub weight: f32,
}

/// What the model will see, in order: stable segments first, the open buffer last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub segments: Vec<Segment>,
    /// Tokens of all segments together.
    pub n_tokens: usize,
    pub gate: GateDecision,
    /// Names that fit at the cursor, likeliest first.
    pub candidates: Vec<NameCandidate>,
    /// The part of a name that was already typed; every candidate continues it.
    pub partial: String,
    /// True if only members of the receiver fit at the cursor.
    pub is_member: bool,
    pub rings: Vec<RingCost>,
    /// The snapshot the plan was made of.
    pub generation: Generation,
    /// Name of the repository, for formats that show it.
    pub repository: String,
    /// Path of the open file.
    pub path: String,
}

impl Plan {
    /// The segments that came from other places than the open buffer.
    pub fn context(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| !segment.is_volatile())
    }

    /// The text of the segment of `source`, empty if there is none.
    #[must_use]
    pub fn text_of(&self, source: Source) -> &str {
        self.segments.iter().find(|s| s.source == source).map_or("", |s| s.text.as_str())
    }

    /// Identifiers of `suggestion` that a context segment shows, by segment index: the provenance
    /// of a completion.
    #[must_use]
    pub fn shared_identifiers(&self, suggestion: &str) -> Vec<(usize, Vec<String>)> {
        let mut names: Vec<&str> = crate::lex::identifiers(suggestion).collect();
        names.sort_unstable();
        names.dedup();
        let in_buffer = self.text_of(Source::Prefix);
        names.retain(|name| name.len() > 2 && !crate::lex::mentions(in_buffer, name));
        self.segments
            .iter()
            .enumerate()
            .filter(|(_, segment)| !segment.is_volatile())
            .filter_map(|(index, segment)| {
                let shared: Vec<String> = names
                    .iter()
                    .filter(|name| crate::lex::mentions(&segment.text, name))
                    .map(|name| (*name).to_owned())
                    .collect();
                (!shared.is_empty()).then_some((index, shared))
            })
            .collect()
    }
}

/// Makes the plan for one cursor. Never fails and never waits: a file that the index does not know,
/// or a deadline that has passed, leaves a plan of the open buffer.
#[must_use]
pub fn plan(snapshot: &Snapshot, counter: &dyn TokenCounter, request: &PlanRequest) -> Plan {
    let language =
        fovea_indexer::Language::of_path(&request.path).unwrap_or(fovea_indexer::Language::Text);
    let gate = gate::decide(request, language);
    let _ = snapshot;
    let mut rings = Vec::new();
    let started = request.clock.now_us();
    let before = window::prefix(request, None, request.budget_tokens / 2, counter);
    let after = window::suffix(request, request.budget_tokens / 10, counter);
    rings.push(RingCost {
        ring: Ring::Fovea,
        n_proposed: 1 + usize::from(after.is_some()),
        n_packed: 1 + usize::from(after.is_some()),
        n_tokens: before.n_tokens + after.as_ref().map_or(0, |s| s.n_tokens),
        micros: request.clock.now_us().saturating_sub(started),
        cut: false,
    });
    let mut proposals: Vec<Proposal> = Vec::new();
    if gate.periphery {
        proposals.extend(request.recent.iter().map(|chunk| Proposal {
            source: Source::Recent,
            path: chunk.path.clone(),
            range: Some(chunk.range),
            lines: chunk.lines,
            reason: if chunk.edited { "edited lately" } else { "viewed lately" }.to_owned(),
            text: chunk.text.clone(),
            value: if chunk.edited { 0.8 } else { 0.4 },
        }));
    }
    let left = request
        .budget_tokens
        .saturating_sub(before.n_tokens + after.as_ref().map_or(0, |s| s.n_tokens));
    let window_texts: Vec<&str> =
        [Some(&before), after.as_ref()].into_iter().flatten().map(|s| s.text.as_str()).collect();
    let mut segments =
        pack::pack(proposals, &window_texts, &request.previous, left, request.format, counter);
    segments.extend(after);
    segments.push(before);
    Plan {
        n_tokens: segments.iter().map(|s| s.n_tokens).sum(),
        segments,
        gate,
        candidates: Vec::new(),
        partial: crate::lex::trailing_identifier(request.line_prefix()).to_owned(),
        is_member: false,
        rings,
        generation: Generation::default(),
        repository: request.repository.clone(),
        path: request.path.clone(),
    }
}
