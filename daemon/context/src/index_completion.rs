//! Completion without any model: what the index alone knows of the cursor.

use std::sync::Arc;

use fovea_indexer::{
    ContentHash, FileFacts, Language, Snapshot,
    graph::{Certainty, Offers},
    text::ByteRange,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{
    continuation::{self, Continuation},
    finish,
    plan::NameCandidate,
    ranking::Names,
    request::PlanRequest,
    sources::{Scene, candidates, similar, usage},
};

/// Names considered.
const N_NAMES: usize = 60;
/// Continuations considered.
const N_CONTINUATIONS: usize = 12;

/// How the index came to a suggestion; shown with it, so that nobody takes it for a model's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The project goes on like this after the same tokens.
    Continuation,
    /// A member of the receiver's type.
    Member,
    /// A name that is in scope.
    Scope,
}

/// One suggestion from the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexCompletion {
    /// Inserted at the cursor: what was typed of a name is not repeated.
    pub text: String,
    /// The name that it puts at the cursor, in full; empty if it begins with none.
    pub name: String,
    pub basis: Basis,
    pub certainty: Certainty,
    /// The definition's signature, if the project has it.
    pub signature: Option<String>,
    /// Relative; the best of one list is about 1.
    pub score: f32,
    /// "seen 3 times after `self.mw.`, first in tests/a.py:12".
    pub reason: String,
}

/// What can stand at the cursor by the index alone, best first. Needs no model and no plan.
#[must_use]
pub fn complete_from_index(snapshot: &Snapshot, request: &PlanRequest) -> Vec<IndexCompletion> {
    let scene = scene(snapshot, request);
    let continuations = continuations(&scene);
    let names = candidates::collect(&scene, &continuations, N_NAMES).names;
    let partial = scene.offers.partial.slice(&request.text);
    // Probabilities are small where much is possible; a list wants to know which is likelier.
    let most = names.first().map_or(1.0, |name| name.weight.max(f32::MIN_POSITIVE));
    let relative: FxHashMap<String, f32> =
        names.iter().map(|name| (name.name.clone(), name.weight / most)).collect();

    let mut out: Vec<IndexCompletion> = Vec::new();
    for found in &continuations {
        let finished = finish::finish_text(&found.text, request);
        let strong = (found.n_tokens as f32 / 4.0).min(1.0) * found.weight;
        if finished.is_empty() || found.n_tokens < 2 {
            continue;
        }
        let typed = format!("{partial}{}", finished.text);
        let name = crate::lex::identifiers(&typed).next().unwrap_or("").to_owned();
        // How likely its name is says more than how often the line was seen.
        let score = match relative.get(&name) {
            Some(relative) => 0.9 * relative + 0.1 * strong,
            None => 0.2 * strong,
        };
        out.push(IndexCompletion {
            name,
            text: finished.text,
            basis: Basis::Continuation,
            certainty: Certainty::NameOnly,
            signature: None,
            score,
            reason: format!(
                "seen {} after the same {} tokens, first in {}:{}",
                times(found.n_seen),
                found.n_tokens,
                found.path,
                found.line + 1
            ),
        });
    }
    for NameCandidate { name, signature, certainty, weight, .. } in names {
        if !name.starts_with(partial) {
            continue;
        }
        let basis = if scene.offers.is_member { Basis::Member } else { Basis::Scope };
        out.push(IndexCompletion {
            text: name[partial.len()..].to_owned(),
            reason: match basis {
                Basis::Member => format!("member of {}", receiver(&scene)),
                _ => "in scope".to_owned(),
            },
            name,
            basis,
            certainty,
            signature,
            score: 0.95 * weight / most,
        });
    }
    out.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut seen = rustc_hash::FxHashSet::default();
    out.retain(|item| seen.insert(item.text.clone()));
    out
}

/// Every name that can stand at the cursor, with the features that rank it.
#[must_use]
pub fn describe_names(snapshot: &Snapshot, request: &PlanRequest) -> Names {
    let scene = scene(snapshot, request);
    candidates::describe(&scene, &continuations(&scene))
}

/// What the graph offers at the cursor, likeliest first by what the buffer and the graph say at
/// once; retrieved code has no part in it. What was typed is not filtered by.
#[must_use]
pub fn ranked_offers(snapshot: &Snapshot, request: &PlanRequest) -> Offers {
    let (language, facts) = buffer(snapshot, request);
    let scene = Scene::without_focus(snapshot, request, language, facts, ByteRange::default());
    let ranked = candidates::rank(&scene, &[], usize::MAX).names;
    let place: FxHashMap<&str, usize> =
        ranked.iter().enumerate().map(|(place, found)| (found.name.as_str(), place)).collect();
    let mut offers = scene.offers;
    // Names that differ from what was typed are not ranked, and come behind.
    let place = |name: &str| place.get(name).copied().unwrap_or(usize::MAX);
    offers.items.sort_by(|a, b| {
        (place(&a.name), a.distance, &a.name).cmp(&(place(&b.name), b.distance, &b.name))
    });
    offers
}

fn scene<'a>(snapshot: &'a Snapshot, request: &'a PlanRequest) -> Scene<'a> {
    let (language, facts) = buffer(snapshot, request);
    Scene::new(snapshot, request, language, facts, ByteRange::default())
}

fn buffer(snapshot: &Snapshot, request: &PlanRequest) -> (Language, Arc<FileFacts>) {
    let language = Language::of_path(&request.path).unwrap_or(Language::Text);
    (language, buffer_facts(snapshot, request, language))
}

fn continuations(scene: &Scene<'_>) -> Vec<Continuation> {
    let mut files = usage::propose(scene).files;
    files.extend(similar::best_windows(scene, &[]).into_iter().map(|window| window.file));
    dedup(&mut files);
    continuation::find(scene, &files, N_CONTINUATIONS)
}

/// The facts of the buffer: the snapshot's if it has this very text, else parsed now.
pub(crate) fn buffer_facts(
    snapshot: &Snapshot,
    request: &PlanRequest,
    language: Language,
) -> Arc<FileFacts> {
    let hash = ContentHash::of(request.text.as_bytes());
    snapshot
        .file(&request.path)
        .filter(|file| snapshot.hash(*file) == Some(hash))
        .and_then(|file| snapshot.facts(file).cloned())
        .unwrap_or_else(|| Arc::new(fovea_indexer::parse::parse(language, &request.text)))
}

fn receiver(scene: &Scene<'_>) -> String {
    let name = scene.offers.receiver.first().and_then(|candidate| {
        let symbol = scene.snapshot.graph().symbol(candidate.symbol)?;
        Some(format!("`{}`", symbol.name))
    });
    name.unwrap_or_else(|| "the receiver".to_owned())
}

fn times(n: u32) -> String {
    match n {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        n => format!("{n} times"),
    }
}

pub(crate) fn dedup(files: &mut Vec<fovea_indexer::FileId>) {
    let mut seen = rustc_hash::FxHashSet::default();
    files.retain(|file| seen.insert(*file));
}
