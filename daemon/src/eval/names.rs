//! Which name comes at a cursor: how often the index ranks the right one first, and the weights it
//! ranks with, learnt by maximum likelihood.
//!
//! The model is a conditional logit: the probability of a name is the softmax of its score over all
//! names that can stand at the cursor and "none of these" (McFadden 1974, "Conditional logit analysis
//! of qualitative choice behavior").

use std::{fmt, path::Path, sync::Arc, time::Instant};

use anyhow::{Result, bail};
use fovea_context::{
    describe_names, lex,
    ranking::{Described, N_FEATURES, REST, REST_FEATURES, Weights, feature_name},
};
use fovea_indexer::Language;
use fovea_model::{GenerateRequest, NamePrior};
use serde::Serialize;

use super::{
    Options,
    completer::{self, Completer},
    points, protocol,
    repository::{self, Cut},
    workspace::Workspace,
};

/// Names of one cursor that the fit looks at: the right one and the likeliest others.
const MAX_NAMES: usize = 150;
/// Steps of the fit, and their size.
const N_STEPS: usize = 400;
const STEP: f32 = 0.05;
/// Pull of every weight towards zero, for each example.
const DECAY: f32 = 2e-4;

/// One cursor with what came there.
#[derive(Clone, Debug)]
pub struct Example {
    pub is_member: bool,
    names: Vec<Described>,
    rest: [f32; REST],
    /// Index of the name that came; `None` for something else.
    truth: Option<usize>,
}

/// How well names are ranked.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Ranked {
    pub n: usize,
    /// The name that came is among the candidates, in percent.
    pub known: f64,
    /// It is the first, or one of the first three.
    pub first: f64,
    pub first_three: f64,
    /// Mean logarithm of the probability of what came.
    pub log_probability: f64,
}

/// Ranking behind a receiver, and of names in scope.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub member: Ranked,
    pub scope: Ranked,
    #[serde(skip)]
    pub fitted: Option<(Weights, Weights)>,
}

/// Draws `n_lines` lines from each of `roots` and notes what came at a place in each of them.
///
/// # Errors
/// If a root cannot be indexed.
pub fn collect(roots: &[impl AsRef<Path>], n_lines: usize, seed: u64) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for root in roots {
        let root = root.as_ref();
        let name = root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
        let mut workspace = Workspace::open(root, name)?;
        for (point, truth) in repository::sample(&workspace, n_lines, seed, Cut::Any) {
            workspace.edited(&point.file, Arc::from(point.text.as_str()))?;
            let options = Options::default();
            let request =
                completer::request(&point, &options, options.format(), "", Instant::now());
            let found = describe_names(workspace.snapshot(), &request);
            let language = Language::of_path(&point.file).unwrap_or(Language::Text);
            let came = lex::identifiers(&truth)
                .next()
                .filter(|name| truth.starts_with(name) && !lex::is_keyword(language, name));
            let truth = came.and_then(|came| found.names.iter().position(|n| n.name == came));
            examples.push(Example {
                is_member: found.is_member,
                names: found.names,
                rest: found.rest,
                truth,
            });
            workspace.closed(&point.file)?;
        }
    }
    if examples.is_empty() {
        bail!("there are no Rust or Python lines to learn from");
    }
    Ok(examples)
}

/// One cursor where the model was asked about every name.
struct Asked {
    is_member: bool,
    /// For each candidate the logarithm of its probability by the model, and of how much likelier
    /// than "none of these" the index thinks it.
    names: Vec<(f32, f32)>,
    /// The model's own choice: its log-probability, its place among the names, whether it is right.
    own: (f32, Option<usize>, bool),
    truth: Option<usize>,
}

/// How the index's weight beside the model decides what is chosen.
#[derive(Clone, Debug, Serialize)]
pub struct Balance {
    pub n_member: usize,
    pub n_scope: usize,
    /// For each weight and offset the share of right names, in percent, behind a receiver and in
    /// scope.
    pub rows: Vec<(f32, f32, f64, f64)>,
}

/// Asks the model about every candidate at `n_lines` lines of each of `roots`.
///
/// # Errors
/// If a root cannot be indexed or the model fails.
pub fn balance(
    roots: &[impl AsRef<Path>],
    n_lines: usize,
    seed: u64,
    completer: &dyn Completer,
) -> Result<Balance> {
    let mut asked = Vec::new();
    for root in roots {
        let root = root.as_ref();
        let name = root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
        let mut workspace = Workspace::open(root, name)?;
        for (point, truth) in repository::sample(&workspace, n_lines, seed, Cut::Any) {
            asked.extend(Asked::ask(&mut workspace, &point, &truth, completer)?);
        }
    }
    Ok(Balance::of(&asked))
}

/// The same at points with known answers over the checkouts below `root`.
///
/// # Errors
/// As [`points::each`], or if the model fails.
pub fn balance_points(
    points: &[points::Point],
    root: &Path,
    completer: &dyn Completer,
) -> Result<Balance> {
    let mut asked = Vec::new();
    points::each(points, root, &mut |workspace, asked_at, point| {
        asked.extend(Asked::ask(workspace, asked_at, &point.truth, completer)?);
        Ok(())
    })?;
    Ok(Balance::of(&asked))
}

impl Balance {
    fn of(asked: &[Asked]) -> Self {
        let of = |is_member| asked.iter().filter(move |a| a.is_member == is_member);
        let mut rows = Vec::new();
        for weight in [0.0, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0] {
            for offset in [-20.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0] {
                let share = |is_member| {
                    let right = of(is_member).filter(|a| a.is_right(weight, offset)).count();
                    100.0 * right as f64 / of(is_member).count().max(1) as f64
                };
                rows.push((weight, offset, share(true), share(false)));
            }
        }
        Self { n_member: of(true).count(), n_scope: of(false).count(), rows }
    }
}

/// The task with every name scored and none favored: the text stays the model's own.
fn own_text_and_scores(task: GenerateRequest) -> GenerateRequest {
    let names = task.names.into_iter().map(|name| NamePrior { prior: -1e3, ..name }).collect();
    GenerateRequest { score_names: true, max_tokens: 8, names, ..task }
}

impl Asked {
    fn ask(
        workspace: &mut Workspace,
        point: &protocol::Point,
        truth: &str,
        completer: &dyn Completer,
    ) -> Result<Option<Self>> {
        workspace.edited(&point.file, Arc::from(point.text.as_str()))?;
        let options = Options { budget_tokens: 1_024, ..Options::default() };
        let (plan, generated) =
            completer::ask(workspace, point, &options, completer, own_text_and_scores)?;
        workspace.closed(&point.file)?;
        let language = Language::of_path(&point.file).unwrap_or(Language::Text);
        let name_of = |text: &str| {
            let name = lex::identifiers(text).next()?;
            let is_name = text.starts_with(name) && !lex::is_keyword(language, name);
            is_name.then(|| name.to_owned())
        };
        let Some((own, scores)) = generated.name_logprobs.split_last() else { return Ok(None) };
        let came = name_of(truth);
        let truth = came
            .as_ref()
            .and_then(|came| plan.candidates.iter().position(|c| c.name == *came))
            .filter(|place| *place < scores.len());
        let own_place = scores.iter().position(|score| score == own);
        let own_is_right = match own_place {
            Some(own) => truth == Some(own),
            None => name_of(&generated.text) == came,
        };
        let log = |p: f32| p.max(f32::MIN_POSITIVE).ln();
        let names = scores.iter().zip(&plan.candidates);
        Ok(Some(Self {
            is_member: plan.is_member,
            names: names.map(|(score, c)| (*score, log(c.weight) - log(plan.rest))).collect(),
            own: (*own, own_place, own_is_right),
            truth,
        }))
    }

    fn is_right(&self, weight: f32, offset: f32) -> bool {
        let prior = |(_, index): &(f32, f32)| weight * index + offset;
        let own = self.own.0 + self.own.1.map_or(0.0, |place| prior(&self.names[place]));
        let best = self
            .names
            .iter()
            .map(|name| name.0 + prior(name))
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1));
        match best {
            Some((place, score)) if score > own => self.truth == Some(place),
            _ => self.own.2,
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} members, {} names in scope", self.n_member, self.n_scope)?;
        writeln!(f, "{:>6} {:>7} {:>8} {:>8}", "weight", "offset", "member", "scope")?;
        for (weight, offset, member, scope) in &self.rows {
            writeln!(f, "{weight:>6} {offset:>7} {member:>7.1}% {scope:>7.1}%")?;
        }
        Ok(())
    }
}

/// How the shipped weights rank `examples`; with `fit` also weights learnt on them.
#[must_use]
pub fn report(examples: &[Example], fit: bool) -> Report {
    let of = |is_member| examples.iter().filter(move |e| e.is_member == is_member);
    let fitted = fit.then(|| (learn(of(true)), learn(of(false))));
    let rank = |is_member: bool| {
        let weights = match &fitted {
            Some((member, scope)) => *if is_member { member } else { scope },
            None => *Weights::shipped(is_member),
        };
        rank(of(is_member), &weights)
    };
    Report { member: rank(true), scope: rank(false), fitted }
}

fn rank<'a>(examples: impl Iterator<Item = &'a Example>, weights: &Weights) -> Ranked {
    let mut ranked = Ranked::default();
    for example in examples {
        let scores: Vec<f32> = example.names.iter().map(|n| weights.score(&n.features)).collect();
        let rest = weights.score_rest(&example.rest);
        ranked.n += 1;
        let right = example.truth.map_or(rest, |truth| scores[truth]);
        ranked.log_probability += f64::from(right - log_sum(&scores, rest));
        if let Some(truth) = example.truth {
            let place = scores.iter().filter(|score| **score > scores[truth]).count();
            ranked.known += 1.0;
            ranked.first += f64::from(u8::from(place == 0));
            ranked.first_three += f64::from(u8::from(place < 3));
        }
    }
    let n = ranked.n.max(1) as f64;
    for share in [&mut ranked.known, &mut ranked.first, &mut ranked.first_three] {
        *share *= 100.0 / n;
    }
    ranked.log_probability /= n;
    ranked
}

/// The weights that make what came most probable, by Adam on the whole set.
fn learn<'a>(examples: impl Iterator<Item = &'a Example>) -> Weights {
    let examples: Vec<Example> = examples.map(cut_to_likeliest).collect();
    let n = examples.len().max(1) as f32;
    let mut weights = Weights { name: [0.0; N_FEATURES], rest: [0.0; REST] };
    let mut moments = vec![(0.0_f32, 0.0_f32); N_FEATURES + REST];
    for step in 1..=N_STEPS {
        let (mut name, mut rest) = ([0.0_f32; N_FEATURES], [0.0_f32; REST]);
        for example in &examples {
            let scores: Vec<f32> =
                example.names.iter().map(|n| weights.score(&n.features)).collect();
            let rest_score = weights.score_rest(&example.rest);
            let sum = log_sum(&scores, rest_score);
            for (index, (described, score)) in example.names.iter().zip(&scores).enumerate() {
                let hit = f32::from(u8::from(example.truth == Some(index)));
                add(&mut name, &described.features, (score - sum).exp() - hit);
            }
            let hit = f32::from(u8::from(example.truth.is_none()));
            add(&mut rest, &example.rest, (rest_score - sum).exp() - hit);
        }
        let values = weights.name.iter_mut().chain(&mut weights.rest);
        for ((value, slope), (mean, square)) in
            values.zip(name.iter().chain(&rest)).zip(&mut moments)
        {
            let slope = slope / n + DECAY * *value;
            *mean = 0.9 * *mean + 0.1 * slope;
            *square = 0.999 * *square + 0.001 * slope * slope;
            let mean = *mean / (1.0 - 0.9_f32.powi(step as i32));
            let square = *square / (1.0 - 0.999_f32.powi(step as i32));
            *value -= STEP * mean / (square.sqrt() + 1e-8);
        }
    }
    weights
}

/// The example with its likeliest names by the shipped weights; the right one always stays.
fn cut_to_likeliest(example: &Example) -> Example {
    let mut example = example.clone();
    if example.names.len() <= MAX_NAMES {
        return example;
    }
    let right = example.truth.map(|truth| example.names[truth].name.clone());
    let weights = Weights::shipped(example.is_member);
    example.names.sort_by(|a, b| weights.score(&b.features).total_cmp(&weights.score(&a.features)));
    let mut index = 0;
    example.names.retain(|described| {
        index += 1;
        index <= MAX_NAMES || Some(&described.name) == right.as_ref()
    });
    example.truth = right.and_then(|right| example.names.iter().position(|n| n.name == right));
    example
}

fn log_sum(scores: &[f32], rest: f32) -> f32 {
    let most = scores.iter().copied().fold(rest, f32::max);
    let sum: f32 = scores.iter().map(|score| (score - most).exp()).sum();
    most + (sum + (rest - most).exp()).ln()
}

fn add(into: &mut [f32], values: &[f32], factor: f32) {
    for (into, value) in into.iter_mut().zip(values) {
        *into += factor * value;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:8} {:>6} {:>7} {:>7} {:>9} {:>8}",
            "", "lines", "known", "first", "top three", "log p"
        )?;
        for (name, of) in [("member", self.member), ("scope", self.scope)] {
            writeln!(
                f,
                "{name:8} {:>6} {:>6.1}% {:>6.1}% {:>8.1}% {:>8.3}",
                of.n, of.known, of.first, of.first_three, of.log_probability
            )?;
        }
        let Some((member, scope)) = &self.fitted else { return Ok(()) };
        for (name, weights) in [("MEMBER", member), ("SCOPE", scope)] {
            writeln!(f, "\nconst {name}: Weights = Weights {{\n    name: [")?;
            for (index, weight) in weights.name.iter().enumerate() {
                writeln!(f, "        {weight:.3}, // {}", feature_name(index))?;
            }
            writeln!(f, "    ],\n    rest: [")?;
            for (label, weight) in REST_FEATURES.iter().zip(&weights.rest) {
                writeln!(f, "        {weight:.3}, // {label}")?;
            }
            writeln!(f, "    ],\n}};")?;
        }
        Ok(())
    }
}
