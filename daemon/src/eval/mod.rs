//! Evaluation: how much project context improves completions, measured on points with known
//! answers.
//!
//! [`serve`] speaks a line protocol, so that anyone's harness can drive the same code that the editor
//! uses; [`points`] runs a file of points over checkouts in several ways at once; [`repository`]
//! samples points from the user's own repository and compares. Modules: [`protocol`] requests and
//! answers of a line · [`workspace`] a root indexed in memory · [`completer`] from plan to suggestion ·
//! [`typing`] a cursor reached by typing · [`windows`] the plain builder to compare with · [`model`] the on-device model · [`names`] which name comes next,
//! and the weights that decide it · [`metrics`] exact
//! match and its relatives.

pub mod completer;
pub mod metrics;
pub mod model;
pub mod names;
pub mod points;
pub mod protocol;
pub mod repository;
pub mod typing;
pub mod windows;
pub mod workspace;

use std::{
    collections::BTreeMap,
    io::{BufRead, Write},
};

use anyhow::{Context as _, Result};
use fovea_context::{Preset, PromptFormat, Tuning};
use serde::{Deserialize, Serialize};

use self::{
    completer::{Answer, Completer},
    protocol::Request,
    workspace::Workspace,
};
use crate::complete::Decoding;

/// How an evaluation completes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Options {
    /// Which rings are collected; [`Preset::None`] is the text before the cursor alone.
    pub preset: Preset,
    /// Used when a request names no budget.
    pub budget_tokens: usize,
    /// Time to collect context; `None` leaves the rings all the time they want.
    pub deadline_ms: Option<u64>,
    /// The numbers that plans are made with.
    pub tuning: Tuning,
    /// How plans act on decoding.
    pub decoding: Decoding,
    /// Type the lines that lead to the cursor, each plan building upon the one before, as an editor
    /// does; else plans are made from nothing.
    pub typed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            preset: Preset::Balanced,
            budget_tokens: 2_048,
            deadline_ms: None,
            tuning: Tuning::default(),
            decoding: Decoding { join_segments: false, ..Decoding::default() },
            typed: false,
        }
    }
}

impl Options {
    /// Layout of the prompt when no model is loaded.
    fn format(&self) -> &'static PromptFormat {
        PromptFormat::named("smollm2").expect("the default model's family is known")
    }
}

/// Answers one JSON object a line until `input` ends. A request that fails is answered with
/// `{"error": ..}`; the next one works.
///
/// # Errors
/// Only if `input` or `output` fail.
pub fn serve(
    input: impl BufRead,
    mut output: impl Write,
    options: &Options,
    completer: &dyn Completer,
) -> Result<()> {
    let mut open: BTreeMap<String, Workspace> = BTreeMap::new();
    for line in input.lines() {
        let line = line.context("cannot read the next request")?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = answer(&line, &mut open, options, completer)
            .unwrap_or_else(|err| serde_json::json!({ "error": format!("{err:#}") }));
        writeln!(output, "{answer}").context("cannot write the answer")?;
        output.flush().context("cannot write the answer")?;
    }
    Ok(())
}

fn answer(
    line: &str,
    open: &mut BTreeMap<String, Workspace>,
    options: &Options,
    completer: &dyn Completer,
) -> Result<serde_json::Value> {
    let request: Request = serde_json::from_str(line)
        .context("the request is not one of open, changed, complete, close")?;
    match request {
        Request::Open { root, repo } => {
            let workspace = Workspace::open(root.as_ref(), repo.unwrap_or_default())?;
            let stats = workspace.snapshot().stats();
            open.insert(root, workspace);
            Ok(
                serde_json::json!({ "ok": true, "n_files": stats.n_files, "n_symbols": stats.n_symbols }),
            )
        }
        Request::Changed { root, files } => {
            let workspace = open.get_mut(&root).with_context(|| not_open(&root))?;
            workspace.changed(&files)?;
            Ok(serde_json::json!({ "ok": true }))
        }
        Request::Complete(point) => {
            let workspace = open.get_mut(&point.root).with_context(|| not_open(&point.root))?;
            let answer: Answer = completer::complete(workspace, &point, options, completer)?;
            Ok(serde_json::to_value(answer)?)
        }
        Request::Close { root } => {
            open.remove(&root);
            Ok(serde_json::json!({ "ok": true }))
        }
    }
}

fn not_open(root: &str) -> String {
    format!("`{root}` is not open; send {{\"op\":\"open\",\"root\":\"{root}\"}} first")
}
