//! The numbers that describe a name at a cursor. All are about 0 to 3, so that one step of the fit
//! moves all of them.

use fovea_indexer::{
    SymbolId,
    facts::{SymbolFacts, SymbolKind},
    graph::Certainty,
};

use super::buffer::{BufferNames, Place, PlaceKind};
use crate::{
    lex,
    sources::{Scene, contracts::is_type, last_lines, words::Query},
};

/// Groups of kinds that prefer the same places.
const GROUPS: [&str; 5] = ["type", "function", "variable", "other symbol", "unknown"];
const N_OWN: usize = 27;
/// Features of a name.
pub const N_FEATURES: usize = N_OWN + PlaceKind::N * GROUPS.len();
/// Features of "none of these".
pub const REST: usize = 6;

/// Names of the features in order; behind them come group and place, a feature for each pair.
const OWN: [&str; N_OWN] = [
    "exact",
    "inferred",
    "name only",
    "distance",
    "dunder",
    "private",
    "test",
    "macro or module",
    "uses before",
    "nearness of the last use",
    "uses behind",
    "used on this line",
    "used once before",
    "after the same receiver",
    "after the same token",
    "continuation",
    "words of this line",
    "words of the last lines",
    "words of the enclosing function",
    "parameters named nearby",
    "has no parameters",
    "defined in this file",
    "files that mention it",
    "length",
    "is the enclosing function",
    "imported, not used yet",
    "local, not used yet",
];

/// Names of the features of "none of these".
pub const REST_FEATURES: [&str; REST] =
    ["always", "part typed", "receiver known", "candidates", "line start", "no candidates"];

/// What the feature at `index` says, for the table of weights.
#[must_use]
pub fn feature_name(index: usize) -> String {
    if let Some(own) = OWN.get(index) {
        return (*own).to_owned();
    }
    let pair = index - N_OWN;
    format!("{} {}", GROUPS[pair / PlaceKind::N], PlaceKind::NAMES[pair % PlaceKind::N])
}

/// What is known of a name before its features are worked out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) symbol: Option<SymbolId>,
    /// `None` if the graph does not offer the name.
    pub(crate) offered: Option<(Certainty, u32)>,
    /// Strength of continuations that begin with it.
    pub(crate) continuation: f32,
}

/// Works out features at one cursor.
pub(crate) struct Observer<'a, 's> {
    scene: &'a Scene<'s>,
    place: Place<'a>,
    buffer: BufferNames<'a>,
    line_words: Query,
    function: Option<&'a SymbolFacts>,
    function_words: Query,
    nearby: Query,
}

impl<'a, 's> Observer<'a, 's> {
    pub(crate) fn new(scene: &'a Scene<'s>) -> Self {
        let request = scene.request;
        let line = request.line_prefix();
        let partial = lex::trailing_identifier(line);
        let place = Place::of(line, partial);
        let buffer = BufferNames::of(request, &place);
        let cursor = request.cursor() as u32;
        let function = scene.facts.symbols.iter().rfind(|symbol| {
            matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method)
                && symbol.enclosing_range.start < cursor
                && cursor <= symbol.enclosing_range.end
        });
        let words = |symbol: &SymbolFacts| {
            Query::of(&format!("{} {}", symbol.name, symbol.doc.as_deref().unwrap_or("")))
        };
        Self {
            scene,
            place,
            buffer,
            line_words: Query::of(&line[..line.len() - partial.len()]),
            function,
            function_words: function.map(words).unwrap_or_default(),
            nearby: Query::of(&last_lines(request, 12).join("\n")),
        }
    }

    /// Features of `name`.
    pub(crate) fn observe(&self, name: &str, evidence: &Evidence) -> [f32; N_FEATURES] {
        let uses = self.buffer.get(name).unwrap_or_default();
        let symbol = evidence.symbol.and_then(|id| self.scene.snapshot.graph().symbol(id));
        let kind = symbol.map(|symbol| symbol.kind);
        let flag = |is: bool| f32::from(u8::from(is));
        let is = |certainty| flag(evidence.offered.is_some_and(|(c, _)| c == certainty));
        let is_call = matches!(kind, Some(SymbolKind::Function | SymbolKind::Method));
        let is_local = matches!(kind, Some(SymbolKind::Parameter | SymbolKind::Variable));
        let is_here = evidence.symbol.is_some_and(|id| Some(id.file) == self.scene.file);
        let parameters = evidence.symbol.filter(|_| is_call).map(|id| self.parameters(id));
        let mut out = [0.0; N_FEATURES];
        let own: [f32; N_OWN] = [
            is(Certainty::Exact),
            is(Certainty::Inferred),
            is(Certainty::NameOnly),
            log(evidence.offered.map_or(0, |(_, distance)| distance)),
            flag(name.starts_with("__")),
            flag(name.starts_with('_') && !name.starts_with("__")),
            flag(symbol.is_some_and(|s| s.is_test) && is_call),
            flag(matches!(kind, Some(SymbolKind::Macro | SymbolKind::Module | SymbolKind::Impl))),
            log(uses.n_before),
            if uses.n_before > 0 { 2.0 / (1.0 + uses.n_lines_back as f32 / 6.0) } else { 0.0 },
            log(uses.n_behind),
            flag(uses.n_on_line > 0),
            flag(uses.n_before == 1),
            log(uses.n_same_receiver),
            log(uses.n_same_token),
            evidence.continuation,
            2.0 * self.line_words.share_of(name),
            self.scene.query.share_of(name),
            self.function_words.share_of(name),
            parameters.map_or(0.0, |(_, share)| share),
            flag(parameters.is_some_and(|(n, _)| n == 0)),
            flag(is_here),
            log(self.scene.snapshot.graph().n_files_mentioning(name) as u32) * 0.5,
            log(name.len() as u32),
            flag(self.function.is_some_and(|function| function.name == name)),
            flag(evidence.symbol.is_some() && !is_here && !is_local && uses.n_before == 1),
            flag(is_local && is_here && uses.n_before == 1),
        ];
        out[..N_OWN].copy_from_slice(&own);
        let group = match kind {
            Some(kind) if is_type(kind) || kind == SymbolKind::TypeAlias => 0,
            Some(SymbolKind::Function | SymbolKind::Method) => 1,
            Some(SymbolKind::Parameter | SymbolKind::Variable) => 2,
            Some(_) => 3,
            None => 4,
        };
        out[N_OWN + group * PlaceKind::N + self.place.kind as usize] = 1.0;
        out
    }

    /// Features of "none of these `n` names".
    pub(crate) fn rest(&self, n: usize) -> [f32; REST] {
        let flag = |is: bool| f32::from(u8::from(is));
        [
            1.0,
            flag(!self.place.partial.is_empty()),
            flag(!self.scene.offers.receiver.is_empty()),
            log(n as u32),
            flag(self.place.kind == PlaceKind::LineStart),
            flag(n == 0),
        ]
    }

    /// How many parameters a function takes beside `self`, and which share of them is named nearby.
    fn parameters(&self, id: SymbolId) -> (usize, f32) {
        let Some(facts) = self.scene.facts_of(id.file) else { return (1, 0.0) };
        let Some(function) = facts.symbols.get(id.index as usize) else { return (1, 0.0) };
        let (mut n, mut n_named) = (0_usize, 0_usize);
        for symbol in facts.symbols[id.index as usize + 1..].iter().take(24) {
            if !function.enclosing_range.covers(symbol.name_range) {
                break;
            }
            let is_own = symbol.parent == Some(id.index) && symbol.kind == SymbolKind::Parameter;
            if is_own && symbol.name != "self" && symbol.name != "cls" {
                n += 1;
                n_named += usize::from(self.nearby.has(&symbol.name));
            }
        }
        (n, if n == 0 { 0.0 } else { n_named as f32 / n as f32 })
    }
}

fn log(n: u32) -> f32 {
    (1.0 + n as f32).ln()
}
