//! The attention plan: what the model sees for one cursor, why, and at what cost.

use std::fmt;

use fovea_indexer::{
    ContentHash, FileId, Generation, Language, Snapshot, SymbolId,
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
    reuse::{self, Anchor, Sources},
    sources::{
        Scene,
        candidates::{self, Likeliest},
        contracts, nearby, passages, similar, usage,
    },
    tokens::TokenCounter,
    tuning::Tuning,
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
    /// How likely it is that this name comes next, by the index alone: 0 to 1.
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
    /// How likely it is that none of the known names comes next: a keyword, a literal, a new name.
    pub rest: f32,
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
    /// What the next keystroke must have in common for the context to stay.
    #[serde(skip)]
    pub(crate) anchor: Anchor,
    /// Files that the context was made of, and those in which continuations are looked for.
    #[serde(skip)]
    pub(crate) sources: Sources,
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
/// Tokens left free, so that a context can stay while the line grows.
const ROOM_TO_TYPE: usize = 24;

/// Makes the plan for one cursor. Never fails and never waits: a file that the index does not know,
/// or a deadline that has passed, leaves a plan of the open buffer.
#[must_use]
pub fn plan(snapshot: &Snapshot, counter: &dyn TokenCounter, request: &PlanRequest) -> Plan {
    let language = Language::of_path(&request.path).unwrap_or(Language::Text);
    let tuning = request.tuning;
    let mut gate = gate::decide(request, language);
    gate.near_field &= tuning.near_field;
    gate.periphery &= tuning.periphery;
    let anchor = Anchor::of(request, language);
    let kept = reuse::kept(snapshot, request, &gate, anchor);
    // The window must not grow into the room of a context that stays.
    let shares = Shares::of(request, kept.map_or(&gate, |plan| &plan.gate));

    let mut rings = vec![Meter::start(Ring::Fovea, request)];
    let facts = buffer_facts(snapshot, request, language);
    let before = window::prefix(request, Some(&facts), shares.prefix, counter);
    let after = window::suffix(request, shares.suffix, counter);
    let n_window = before.n_tokens + after.as_ref().map_or(0, |segment| segment.n_tokens);
    rings[0].stop(request, 1 + usize::from(after.is_some()));
    let left = request.budget_tokens.saturating_sub(n_window + shares.header);
    let left = left.min(tuning.max_context);
    let kept = kept.filter(|plan| plan.context().map(|s| s.n_tokens).sum::<usize>() <= left);

    let shown = ByteRange::new(
        before.range.map_or(0, |range| range.start),
        after.as_ref().and_then(|s| s.range).map_or(request.cursor() as u32, |range| range.end),
    );
    let scene = || match kept {
        Some(_) => Scene::without_focus(snapshot, request, language, facts, shown),
        None => Scene::new(snapshot, request, language, facts, shown),
    };
    let mut collected = match gate.near_field || gate.periphery {
        true => collect(&scene(), &gate, kept, shares.outline, counter),
        false => Collected::default(),
    };
    rings.append(&mut collected.rings);
    let mut segments = match kept {
        Some(plan) => plan.context().cloned().collect(),
        None => {
            let window_texts: Vec<&str> = [Some(&before), after.as_ref()]
                .into_iter()
                .flatten()
                .map(|segment| segment.text.as_str())
                .collect();
            let left = left.saturating_sub(ROOM_TO_TYPE.min(left / 8));
            pack::pack(collected.proposals, &window_texts, request, left, counter)
        }
    };
    let sources = match kept {
        Some(plan) => plan.sources.clone(),
        None => {
            let of_segments = segments.iter().filter_map(|segment| snapshot.file(&segment.path));
            collected.files.extend(of_segments);
            dedup(&mut collected.files);
            Sources::of(snapshot, request, &collected.files)
        }
    };
    match tuning.suffix_first {
        true => segments.splice(..0, after).for_each(drop),
        false => segments.extend(after),
    }
    segments.push(before);
    let rings = rings.into_iter().map(|meter| meter.cost(&segments)).collect();
    Plan {
        n_tokens: segments.iter().map(|segment| segment.n_tokens).sum(),
        segments,
        gate: kept.map_or(gate, |plan| plan.gate.clone()),
        candidates: collected.likeliest.names,
        rest: collected.likeliest.rest,
        partial: lex::trailing_identifier(request.line_prefix()).to_owned(),
        is_member: collected.is_member,
        rings,
        generation: snapshot.generation(),
        repository: request.repository.clone(),
        path: request.path.clone(),
        anchor,
        sources,
    }
}

/// What was found for one cursor.
#[derive(Default)]
struct Collected {
    proposals: Vec<Proposal>,
    likeliest: Likeliest,
    is_member: bool,
    /// Files in which the names at the cursor are used.
    files: Vec<FileId>,
    rings: Vec<Meter>,
}

/// Asks the sources that `gate` lets through; with a plan to keep, for names alone.
fn collect(
    scene: &Scene<'_>,
    gate: &GateDecision,
    kept: Option<&Plan>,
    outline_budget: usize,
    counter: &dyn TokenCounter,
) -> Collected {
    let (snapshot, request) = (scene.snapshot, scene.request);
    let mut found = Collected { is_member: scene.offers.is_member, ..Collected::default() };
    let mut meter = Meter::start(Ring::NearField, request);
    if gate.near_field && kept.is_none() {
        for source in
            [contracts::callee, contracts::receiver, contracts::enclosing, contracts::imports]
        {
            found.proposals.extend(meter.run(scene, source));
        }
    }
    meter.stop(request, found.proposals.len());
    found.rings.push(meter);

    let mut meter = Meter::start(Ring::Periphery, request);
    let n_before = found.proposals.len();
    if let Some(plan) = kept {
        found.files.extend(plan.sources.files());
        found.files.extend(scene.file);
    } else if gate.periphery {
        found.proposals.extend(nearby::propose(scene));
        if !request.cancel.is_cancelled() {
            let used = usage::propose(scene);
            found.proposals.extend(used.proposals);
            found.files = used.files;
        }
        let similar = meter.run(scene, |scene| similar::propose(scene, &found.files));
        found.files.extend(similar.iter().filter_map(|proposal| snapshot.file(&proposal.path)));
        dedup(&mut found.files);
        found.proposals.extend(similar);
        if request.preset == Preset::Deep {
            found.proposals.extend(meter.run(scene, passages::tests));
            found.proposals.extend(meter.run(scene, passages::docs));
        }
    }
    if gate.near_field {
        let continuations = match meter.is_late(request) {
            true => Vec::new(),
            false => continuation::find(scene, &found.files, N_CONTINUATIONS),
        };
        found.likeliest = candidates::collect(scene, &continuations, N_CANDIDATES);
    }
    meter.stop(request, found.proposals.len() - n_before);
    found.rings.push(meter);

    if request.preset == Preset::Deep && gate.periphery && kept.is_none() {
        let mut meter = Meter::start(Ring::Outline, request);
        let map = meter.run(scene, |scene| outline_proposal(scene, outline_budget, counter));
        meter.stop(request, map.len());
        found.proposals.extend(map);
        found.rings.push(meter);
    }
    weigh(&mut found.proposals, &request.tuning);
    found
}

/// Multiplies values with the sources' factors; what is worth nothing goes.
fn weigh(proposals: &mut Vec<Proposal>, tuning: &Tuning) {
    for proposal in &mut *proposals {
        proposal.value *= match proposal.source {
            Source::Imports => tuning.imports,
            Source::Receiver => tuning.receiver,
            Source::Callee => tuning.callee,
            Source::Enclosing => tuning.enclosing,
            Source::Usage => tuning.usage,
            Source::Similar => tuning.similar,
            _ => 1.0,
        };
    }
    proposals.retain(|proposal| proposal.value > 0.0);
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
        let share = |part: f32| (budget as f32 * part.clamp(0.0, 1.0)) as usize;
        let tuning = &request.tuning;
        Self {
            prefix: share(tuning.prefix_share).min(budget.saturating_sub(header)),
            suffix: share(tuning.suffix_share),
            outline: budget / 8,
            header,
        }
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

#[cfg(test)]
impl Plan {
    /// A plan of which only the segments matter.
    pub(crate) fn with_segments(segments: Vec<Segment>) -> Self {
        Self {
            n_tokens: segments.iter().map(|segment| segment.n_tokens).sum(),
            segments,
            gate: GateDecision::default(),
            candidates: Vec::new(),
            rest: 1.0,
            partial: String::new(),
            is_member: false,
            rings: Vec::new(),
            generation: Generation(1),
            repository: String::new(),
            path: String::new(),
            anchor: Anchor::default(),
            sources: Sources::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        testing::load,
        tokens::Estimate,
        {Mode, RecentChunk},
    };

    const SHOP: &str = r#"
//- /shop/cart.py
"""Carts and their totals."""


class Cart:
    """What a customer is about to buy."""

    def __init__(self, owner: str) -> None:
        self.owner = owner

    def add_article(self, article: str, amount: int = 1) -> None:
        """Puts an article in."""

    def total_price(self, currency: str) -> int:
        """Sum of all articles."""
        return 0
//- /shop/report.py
from shop.cart import Cart


def report(owner):
    cart = Cart(owner)
    cart.add_article("tea", amount=2)
    return cart.total_price("EUR")
//- /shop/checkout.py
from shop.cart import Cart


def checkout(owner):
    cart = Cart(owner)
    cart.$0
"#;

    #[test]
    fn the_plan_shows_what_the_cursor_needs_from_other_files() {
        let (snapshot, request) = load(SHOP);
        let plan = plan(&snapshot, &Estimate, &request);
        let context: String = plan.context().map(|segment| segment.text.as_str()).collect();
        assert!(context.contains("total_price"), "no member of Cart in {context}");
        assert!(plan.n_tokens <= request.budget_tokens);
        assert!(plan.context().all(|s| s.path != request.path), "the window shows this file");
        let sources: Vec<_> = plan.segments.iter().map(|s| s.source).collect();
        assert_eq!(sources.last(), Some(&Source::Prefix));
        let ranges = plan.context().filter_map(|s| Some((s.path.as_str(), s.range?)));
        for (path, range) in ranges {
            let file = snapshot.file(path).expect("segments are of indexed files");
            let text = snapshot.text(file).expect("fixture text");
            let segment = plan.segments.iter().find(|s| s.range == Some(range)).expect("itself");
            assert!(range.slice(&text).contains(segment.text.trim()), "{path} {range:?}");
        }
    }

    #[test]
    fn budgets_hold_at_any_size() {
        let (snapshot, mut request) = load(SHOP);
        for budget in [0, 1, 16, 64, 200, 400, 2_048] {
            for preset in [Preset::None, Preset::Lean, Preset::Balanced, Preset::Deep] {
                (request.budget_tokens, request.preset) = (budget, preset);
                let plan = plan(&snapshot, &Estimate, &request);
                assert!(plan.n_tokens <= budget, "{} tokens for {budget}", plan.n_tokens);
            }
        }
    }

    #[test]
    fn a_passed_deadline_leaves_the_open_file() {
        let (snapshot, mut request) = load(SHOP);
        request.cancel = fovea_indexer::Cancel::when(|| true);
        let plan = plan(&snapshot, &Estimate, &request);
        assert!(plan.segments.iter().any(|s| s.source == Source::Prefix));
        assert!(plan.rings.iter().any(|ring| ring.cut), "the cut is reported");
    }

    #[test]
    fn typing_in_an_item_keeps_the_context() {
        let (snapshot, request) = load(SHOP);
        let first = plan(&snapshot, &Estimate, &request);
        let keys = |plan: &Plan| plan.context().map(|s| s.key).collect::<Vec<_>>();
        let mut text = request.text.to_string();
        text.insert_str(request.cursor(), "to");
        let typed = PlanRequest {
            previous: Some(first.clone().into()),
            ..PlanRequest::new(request.path.as_str(), text, request.cursor() + 2)
        };
        let second = plan(&snapshot, &Estimate, &typed);
        assert!(!keys(&first).is_empty());
        assert_eq!(keys(&second), keys(&first));
        let names: Vec<_> = second.candidates.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["total_price"], "the names are those of this keystroke");
        // In a comment nothing is collected; what was read before stays.
        let mut text = request.text.to_string();
        text.insert_str(request.cursor(), "owner\n    # about ");
        let cursor = request.cursor() + "owner\n    # about ".len();
        let comment = PlanRequest {
            previous: Some(first.clone().into()),
            ..PlanRequest::new(request.path.as_str(), text, cursor)
        };
        assert_eq!(keys(&plan(&snapshot, &Estimate, &comment)), keys(&first));
    }

    #[test]
    fn the_context_ends_with_the_place_and_with_its_files() {
        let (snapshot, request) = load(SHOP);
        let first = Arc::new(plan(&snapshot, &Estimate, &request));
        let is_kept = |snapshot: &Snapshot, request: &PlanRequest| {
            let request = PlanRequest { previous: Some(Arc::clone(&first)), ..request.clone() };
            let language = Language::Python;
            let gate = gate::decide(&request, language);
            let anchor = Anchor::of(&request, language);
            reuse::kept(snapshot, &request, &gate, anchor).is_some()
        };
        assert!(is_kept(&snapshot, &request));
        let (other, _) = load(&SHOP.replace("return 0", "return 1"));
        assert!(!is_kept(&other, &request), "a file of the context changed");
        let text = format!("{}owner\n    cart.", request.prefix());
        let cursor = text.len();
        let next_line = PlanRequest::new(request.path.as_str(), text, cursor);
        assert!(!is_kept(&snapshot, &next_line));
        let text = format!("{}owner.", request.prefix());
        let cursor = text.len();
        let receiver = PlanRequest::new(request.path.as_str(), text, cursor);
        assert!(!is_kept(&snapshot, &receiver));
        assert!(!is_kept(&snapshot, &PlanRequest { budget_tokens: 512, ..request.clone() }));
    }

    #[test]
    fn recent_edits_are_context_and_comments_are_not_worth_any() {
        let (snapshot, mut request) = load(SHOP);
        request.recent = vec![RecentChunk {
            path: "shop/discount.py".to_owned(),
            range: ByteRange::new(0, 40),
            lines: (0, 2),
            text: "cart.apply_discount(owner, percent=10)".to_owned(),
            edited: true,
        }];
        let with = plan(&snapshot, &Estimate, &request);
        assert!(with.context().any(|s| s.source == Source::Recent));
        let in_comment = format!("{}# about ", request.prefix());
        let cursor = in_comment.len();
        let comment = PlanRequest {
            mode: Mode::Line,
            ..PlanRequest::new("shop/checkout.py", in_comment, cursor)
        };
        let plan = plan(&snapshot, &Estimate, &comment);
        assert!(!plan.gate.periphery && plan.context().count() == 0, "{}", plan.gate.reason);
    }

    #[test]
    fn a_file_that_is_not_indexed_still_gets_a_plan() {
        let (snapshot, _) = load(SHOP);
        let request = PlanRequest::new("new/file.py", "from shop.cart import Cart\ncart = Ca", 36);
        let plan = plan(&snapshot, &Estimate, &request);
        assert!(plan.text_of(Source::Prefix).ends_with("cart = Ca"));
    }

    #[test]
    fn without_a_model_the_index_answers_and_says_how_it_knows() {
        let (snapshot, request) = load(SHOP);
        let items = crate::complete_from_index(&snapshot, &request);
        let names: Vec<_> = items.iter().take(4).map(|item| item.name.as_str()).collect();
        assert!(names.contains(&"add_article") && names.contains(&"total_price"), "{names:?}");
        assert!(items.iter().all(|item| !item.reason.is_empty() && !item.text.is_empty()));
    }

    #[test]
    fn the_outline_keeps_its_budget_and_starts_at_the_focus() {
        let (snapshot, _) = load(SHOP);
        let map = outline::outline(&snapshot, 200, &OutlineFocus::Workspace, &Estimate);
        assert!(map.n_tokens <= 200 && map.n_files == 3, "{map:?}");
        assert!(map.text.contains("class Cart"), "{}", map.text);
        let tiny = outline::outline(&snapshot, 10, &OutlineFocus::Workspace, &Estimate);
        assert!(tiny.n_tokens <= 10);
    }
}
