//! The attention plan: what the model sees for one cursor, why, and at what cost.

use std::fmt;

use fovea_indexer::{
    ContentHash, Generation, Language, Snapshot, SymbolId,
    graph::{Certainty, FilePosition},
    text::ByteRange,
};
use serde::{Deserialize, Serialize};

use crate::{
    continuation,
    gate::{self, GateDecision},
    index_completion::{buffer_facts, dedup},
    lex,
    outline::{self, OutlineFocus},
    pack::{self, Proposal},
    request::{PlanRequest, Preset},
    sources::{Scene, candidates, contracts, nearby, passages, similar, usage},
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
    /// Higher is likelier; at most 1, and well below it where nothing is sure.
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
        let mut names: Vec<&str> = lex::identifiers(suggestion).collect();
        names.sort_unstable();
        names.dedup();
        let in_buffer = self.text_of(Source::Prefix);
        names.retain(|name| name.len() > 2 && !lex::mentions(in_buffer, name));
        self.segments
            .iter()
            .enumerate()
            .filter(|(_, segment)| !segment.is_volatile())
            .filter_map(|(index, segment)| {
                let shared: Vec<String> = names
                    .iter()
                    .filter(|name| lex::mentions(&segment.text, name))
                    .map(|name| (*name).to_owned())
                    .collect();
                (!shared.is_empty()).then_some((index, shared))
            })
            .collect()
    }
}

/// Names offered to decoding.
const N_CANDIDATES: usize = 64;
/// Continuations that weigh the names.
const N_CONTINUATIONS: usize = 24;

/// Makes the plan for one cursor. Never fails and never waits: a file that the index does not know,
/// or a deadline that has passed, leaves a plan of the open buffer.
#[must_use]
pub fn plan(snapshot: &Snapshot, counter: &dyn TokenCounter, request: &PlanRequest) -> Plan {
    let language = Language::of_path(&request.path).unwrap_or(Language::Text);
    let gate = gate::decide(request, language);
    let shares = Shares::of(request, &gate);

    let mut rings = vec![Meter::start(Ring::Fovea, request)];
    let facts = buffer_facts(snapshot, request, language);
    let before = window::prefix(request, Some(&facts), shares.prefix, counter);
    let after = window::suffix(request, shares.suffix, counter);
    let n_window = before.n_tokens + after.as_ref().map_or(0, |segment| segment.n_tokens);
    rings[0].stop(request, 1 + usize::from(after.is_some()));

    let shown = ByteRange::new(
        before.range.map_or(0, |range| range.start),
        after.as_ref().and_then(|s| s.range).map_or(request.cursor() as u32, |range| range.end),
    );
    let mut proposals: Vec<Proposal> = Vec::new();
    let mut candidates = Vec::new();
    let mut is_member = false;
    if gate.near_field || gate.periphery {
        let mut meter = Meter::start(Ring::NearField, request);
        let scene = Scene::new(snapshot, request, language, facts, shown);
        is_member = scene.offers.is_member;
        if gate.near_field {
            for source in
                [contracts::callee, contracts::receiver, contracts::enclosing, contracts::imports]
            {
                proposals.extend(meter.run(&scene, source));
            }
        }
        meter.stop(request, proposals.len());
        rings.push(meter);

        let mut meter = Meter::start(Ring::Periphery, request);
        let n_before = proposals.len();
        let mut files = Vec::new();
        if gate.periphery {
            proposals.extend(nearby::propose(&scene));
            if !request.cancel.is_cancelled() {
                let found = usage::propose(&scene);
                proposals.extend(found.proposals);
                files = found.files;
            }
            let similar = meter.run(&scene, |scene| similar::propose(scene, &files));
            files.extend(similar.iter().filter_map(|proposal| snapshot.file(&proposal.path)));
            dedup(&mut files);
            proposals.extend(similar);
            if request.preset == Preset::Deep {
                proposals.extend(meter.run(&scene, passages::tests));
                proposals.extend(meter.run(&scene, passages::docs));
            }
        }
        if gate.near_field {
            let continuations = match meter.is_late(request) {
                true => Vec::new(),
                false => continuation::find(&scene, &files, N_CONTINUATIONS),
            };
            candidates = candidates::collect(&scene, &continuations, N_CANDIDATES);
        }
        meter.stop(request, proposals.len() - n_before);
        rings.push(meter);

        if request.preset == Preset::Deep && gate.periphery {
            let mut meter = Meter::start(Ring::Outline, request);
            let map = meter.run(&scene, |scene| outline_proposal(scene, shares.outline, counter));
            meter.stop(request, map.len());
            proposals.extend(map);
            rings.push(meter);
        }
    }

    let left = request.budget_tokens.saturating_sub(n_window + shares.header);
    let window_texts: Vec<&str> =
        [Some(&before), after.as_ref()].into_iter().flatten().map(|s| s.text.as_str()).collect();
    let mut segments =
        pack::pack(proposals, &window_texts, &request.previous, left, request.format, counter);
    segments.extend(after);
    segments.push(before);
    let rings = rings.into_iter().map(|meter| meter.cost(&segments)).collect();
    Plan {
        n_tokens: segments.iter().map(|segment| segment.n_tokens).sum(),
        segments,
        gate,
        candidates,
        partial: lex::trailing_identifier(request.line_prefix()).to_owned(),
        is_member,
        rings,
        generation: snapshot.generation(),
        repository: request.repository.clone(),
        path: request.path.clone(),
    }
}

/// How the budget is split before anything is known of the other files.
struct Shares {
    prefix: usize,
    suffix: usize,
    outline: usize,
    /// Repository name and the open file's two headers, paths included.
    header: usize,
}

impl Shares {
    fn of(request: &PlanRequest, gate: &GateDecision) -> Self {
        let budget = request.budget_tokens;
        let header = 64.min(budget / 8);
        if !gate.near_field && !gate.periphery {
            let suffix = if request.preset == Preset::None { 0 } else { budget / 10 };
            return Self { prefix: budget - suffix - header, suffix, outline: 0, header };
        }
        Self { prefix: budget * 45 / 100, suffix: budget / 10, outline: budget / 8, header }
    }
}

/// The repository outline, drawn around the cursor, as one proposal.
fn outline_proposal(scene: &Scene<'_>, budget: usize, counter: &dyn TokenCounter) -> Vec<Proposal> {
    let focus = scene.file.map_or(OutlineFocus::Workspace, |file| {
        OutlineFocus::At(FilePosition { file, offset: scene.request.cursor() as u32 })
    });
    let map = outline::outline(scene.snapshot, budget, &focus, counter);
    if map.text.is_empty() {
        return Vec::new();
    }
    vec![Proposal {
        source: Source::Outline,
        path: String::new(),
        range: None,
        lines: (0, 0),
        reason: format!("{} of {} files", map.n_files_shown, map.n_files),
        text: map.text,
        value: 0.5,
    }]
}

/// Measures one ring.
struct Meter {
    ring: Ring,
    started_us: u64,
    micros: u64,
    n_proposed: usize,
    cut: bool,
}

impl Meter {
    fn start(ring: Ring, request: &PlanRequest) -> Self {
        Self { ring, started_us: request.clock.now_us(), micros: 0, n_proposed: 0, cut: false }
    }

    /// Runs a source unless the deadline has passed.
    fn run(
        &mut self,
        scene: &Scene<'_>,
        source: impl FnOnce(&Scene<'_>) -> Vec<Proposal>,
    ) -> Vec<Proposal> {
        if self.is_late(scene.request) { Vec::new() } else { source(scene) }
    }

    fn is_late(&mut self, request: &PlanRequest) -> bool {
        self.cut |= request.cancel.is_cancelled();
        self.cut
    }

    fn stop(&mut self, request: &PlanRequest, n_proposed: usize) {
        self.micros = request.clock.now_us().saturating_sub(self.started_us);
        self.n_proposed = n_proposed;
        self.is_late(request);
    }

    fn cost(self, segments: &[Segment]) -> RingCost {
        let packed = || segments.iter().filter(|segment| segment.ring == self.ring);
        RingCost {
            ring: self.ring,
            n_proposed: self.n_proposed,
            n_packed: packed().count(),
            n_tokens: packed().map(|segment| segment.n_tokens).sum(),
            micros: self.micros,
            cut: self.cut,
        }
    }
}
