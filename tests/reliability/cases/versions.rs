//! Section F: answers belong to the text the client had when it asked; and a model process that hangs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fovea_api::{Answer, ApiError, At, Encoding, ErrorCode, Method, Preset, client::Pending};
use fovea_indexer::{Language, parse::ranges};

use super::clients::started;
use crate::{
    client::Client,
    daemon::{self, Daemon, PATIENCE},
    rng::Rng,
    suite::{NotHere, Suite},
    tree::Tree,
};

pub(crate) fn run(suite: &mut Suite) {
    let n_steps = suite.n(1_500, 10_000);
    suite.row("F22", "answers about the text that was asked about", (1, 10), |_, rng| {
        interleaved(n_steps, rng)
    });
    suite.row("F23", "a model process that hangs is replaced", (1, 5), hanging_model);
}

/// Questions under way at once; the daemon allows 256.
const N_OPEN: usize = 60;

/// A document as one version of the test has it.
#[derive(Clone)]
struct Version {
    path: String,
    text: String,
    /// Names of its functions in order, and the line each begins on.
    names: Vec<(String, u32)>,
    /// Where the last function calls the `called`-th one.
    call: (u32, u32),
    called: usize,
}

impl Version {
    fn new(path: &str, number: usize, rng: &mut Rng) -> Self {
        let (mut text, mut names) = (format!("//! Version {number}.\n"), Vec::new());
        for index in 0..2 + rng.below(4) {
            text.push_str(&"\n".repeat(rng.below(4)));
            let name = format!("part_{number}_{index}");
            names.push((name.clone(), text.lines().count() as u32));
            text.push_str(&format!("pub fn {name}() -> usize {{\n    {number}\n}}\n"));
        }
        let called = rng.below(names.len());
        let line = text.lines().count() as u32;
        let before = format!("pub fn caller_{number}() -> usize {{ ");
        text.push_str(&format!("{before}{}() }}\n", names[called].0));
        names.push((format!("caller_{number}"), line));
        let call = (line, before.len() as u32 + 2);
        Self { path: path.to_owned(), text, names, call, called }
    }

    fn at(&self) -> At {
        let (line, column) = self.call;
        At { path: self.path.clone(), line, column, encoding: Encoding::Utf8 }
    }

    fn offset(&self) -> u32 {
        let before: usize = self.text.lines().take(self.call.0 as usize).map(|l| l.len() + 1).sum();
        before as u32 + self.call.1
    }

    fn question(&self, rng: &mut Rng) -> Method {
        let path = self.path.clone();
        match rng.below(6) {
            0 => Method::DocumentSymbols { path },
            1 => Method::Folds { path },
            2 => Method::Around { cursors: vec![self.at()] },
            3 => Method::Lines { path, first: 0, last: 3 },
            4 => Method::References { at: self.at(), include_definition: true },
            _ => Method::Definition { at: self.at() },
        }
    }

    /// Fails if the answer is not one about this text.
    fn check(&self, answer: &Answer) -> Result<()> {
        let (called, line) = &self.names[self.called];
        match answer {
            Answer::Symbols(symbols) => {
                let found: Vec<(String, u32)> = symbols
                    .iter()
                    .map(|symbol| (symbol.name.clone(), symbol.enclosing.start_line))
                    .collect();
                ensure!(found == self.names, "symbols {found:?}, not {:?}", self.names);
            }
            Answer::Folds(folds) => {
                let found: Vec<_> =
                    folds.iter().map(|fold| (fold.start_line, fold.end_line)).collect();
                let expected: Vec<_> = ranges::folds(Language::Rust, &self.text)
                    .iter()
                    .map(|fold| fold.lines)
                    .collect();
                ensure!(found == expected, "folds {found:?}, not {expected:?}");
            }
            Answer::Around(around) => {
                let found: Vec<_> =
                    around.concat().iter().map(|at| (at.start_byte, at.end_byte)).collect();
                let expected = ranges::around(Language::Rust, &self.text, self.offset());
                let expected: Vec<_> = expected.iter().map(|r| (r.start, r.end)).collect();
                ensure!(found == expected, "ranges {found:?}, not {expected:?}");
            }
            Answer::Lines(view) => {
                let first = self.text.lines().next().unwrap_or_default();
                ensure!(view.text.starts_with(first), "lines {:?}, not {first:?}", view.text);
            }
            Answer::References { references, .. } => {
                let found: Vec<u32> = references.iter().map(|r| r.location.start_line).collect();
                let expected = [*line, self.call.0];
                ensure!(found == expected, "references on lines {found:?}, not {expected:?}");
            }
            Answer::Definitions { symbols, .. } => {
                let found = symbols.first().context("no definition")?;
                ensure!(
                    (&found.name, &found.enclosing.start_line) == (called, line),
                    "`{}` in line {}, not `{called}` in line {line}",
                    found.name,
                    found.enclosing.start_line
                );
            }
            other => bail!("another kind of answer: {other:?}"),
        }
        Ok(())
    }
}

fn interleaved(n_steps: usize, rng: &mut Rng) -> Result<String> {
    let (_home, mut daemon, client, tree) = started(10, rng)?;
    let send = |method: Method| client.api().send(Some(tree.root.clone()), None, method);
    let mut documents: Vec<Version> = ["one.rs", "src/two.rs", "three.rs"]
        .iter()
        .map(|path| Version::new(path, 0, rng))
        .collect();
    let edited = |document: &Version, version: usize| Method::Edited {
        path: document.path.clone(),
        version: version as i64,
        text: document.text.clone(),
    };
    for document in &documents {
        drop(send(edited(document, 0))?);
    }
    let mut open: Vec<(Pending, Version)> = Vec::new();
    let (mut n_right, mut n_modified, mut n_cancelled) = (0, 0, 0);
    for step in 1..=n_steps {
        let index = rng.below(documents.len());
        match rng.below(20) {
            0..8 => {
                documents[index] = Version::new(&documents[index].path.clone(), step, rng);
                drop(send(edited(&documents[index], step))?);
            }
            8 => {
                // Closed and opened again with another text, at once.
                documents[index] = Version::new(&documents[index].path.clone(), step, rng);
                drop(send(Method::Closed { path: documents[index].path.clone() })?);
                drop(send(edited(&documents[index], step))?);
            }
            9 if !open.is_empty() => {
                let id = open[rng.below(open.len())].0.id;
                drop(send(Method::Cancel { id })?);
            }
            _ => {
                let document = &documents[index];
                open.push((send(document.question(rng))?, document.clone()));
            }
        }
        if open.len() < N_OPEN && step < n_steps && rng.below(40) > 0 {
            continue;
        }
        for (pending, version) in open.drain(..) {
            let response = pending.wait_for(PATIENCE)?.context("no answer")?;
            match response.result {
                Ok(answer) => {
                    version.check(&answer).with_context(|| format!("stale, step {step}"))?;
                    n_right += 1;
                }
                Err(ApiError { code: ErrorCode::Modified, .. }) => n_modified += 1,
                Err(ApiError { code: ErrorCode::Cancelled, .. }) => n_cancelled += 1,
                Err(err) => bail!("step {step}: {:?} {}", err.code, err.message),
            }
        }
    }
    daemon.check_alive()?;
    ensure!(n_right > n_steps / 10, "{n_right} answers, {n_modified} refused as modified");
    Ok(format!(
        "{n_steps} steps: {n_right} right, 0 stale, {n_modified} modified, {n_cancelled} cancelled"
    ))
}

fn hanging_model(_: usize, rng: &mut Rng) -> Result<String> {
    let model = std::env::var_os("FOVEA_TEST_MODEL");
    let model = model.ok_or_else(|| NotHere("FOVEA_TEST_MODEL names no model".into()))?;
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(10, rng)?);
    let mut command = daemon::wrapped(&[], home.path(), &["daemon", "run"]);
    command.env("FOVEA_MODEL_PATH", model).env("FOVEA_MODEL_HANG_S", "2");
    command.env("FOVEA_MODEL_IDLE_UNLOAD_S", "3");
    let mut daemon = Daemon::spawn(command, home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    complete(&client, &tree, 60_000)?;
    let worker = worker(&client)?.context("the model is not loaded")?;
    daemon::signal(worker, "STOP")?;

    let started = Instant::now();
    complete(&client, &tree, 1_000)?;
    let answered = started.elapsed();
    ensure!(answered < Duration::from_secs(3), "answered after {answered:?}");
    let deadline = Instant::now() + PATIENCE;
    let replaced = loop {
        complete(&client, &tree, 1_000)?;
        match self::worker(&client)? {
            Some(other) if other != worker => break started.elapsed(),
            _ => ensure!(Instant::now() < deadline, "the process that hangs is still there"),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    ensure!(!daemon::is_running(worker), "the process that hung was left behind");
    // Not used any more, the process goes.
    let deadline = Instant::now() + PATIENCE;
    while self::worker(&client)?.is_some() {
        ensure!(Instant::now() < deadline, "the model is not unloaded after 3 s without use");
        std::thread::sleep(Duration::from_millis(100));
    }
    daemon.check_alive()?;
    let (answered, replaced) = (answered.as_millis(), replaced.as_millis());
    Ok(format!("answered after {answered} ms of 1,000, replaced after {replaced} ms"))
}

fn complete(client: &Client, tree: &Tree, deadline_ms: u64) -> Result<()> {
    let path =
        tree.files().into_iter().find(|path| path.ends_with(".rs")).context("no Rust file")?;
    let method = Method::Complete {
        at: At { path, line: 0, column: 0, encoding: Encoding::Utf8 },
        preset: Preset::Lean,
        budget_tokens: Some(200),
        max_tokens: Some(8),
        with_context: true,
        multi_line: false,
        use_model: true,
    };
    let pending = client.api().send(Some(tree.root.clone()), Some(deadline_ms), method)?;
    let response = pending.wait_for(Duration::from_secs(90))?.context("no answer in 90 s")?;
    match response.result {
        Ok(Answer::Suggestion(_)) => Ok(()),
        other => bail!("a suggestion was expected: {other:?}"),
    }
}

fn worker(client: &Client) -> Result<Option<u32>> {
    match client.ask(Method::Status)? {
        Answer::Status { daemon, .. } => Ok(daemon.model.worker_pid),
        other => bail!("a status was expected: {other:?}"),
    }
}
