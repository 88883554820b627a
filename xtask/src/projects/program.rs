//! The program under question, with a home and a daemon of its own.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub(super) struct Program {
    path: PathBuf,
    home: PathBuf,
}

pub(super) struct Indexed {
    pub(super) n_files: u64,
    pub(super) source_bytes: u64,
    pub(super) seconds: f64,
}

pub(super) struct Hit {
    pub(super) symbol: String,
    path: String,
    /// Lines from 1, both included.
    lines: (usize, usize),
}

impl Hit {
    pub(super) fn covers(&self, path: &str, line: usize) -> bool {
        self.path == path && (self.lines.0..=self.lines.1).contains(&line)
    }
}

impl Program {
    /// Keeps indexes and the socket below `scratch`, and uses the model that the user has, if any.
    pub(super) fn new(path: &Path, scratch: &Path) -> Result<Self> {
        let path = path.canonicalize().with_context(|| {
            format!("{} is not there: `cargo build --release` makes it", path.display())
        })?;
        let model = Command::new(&path).args(["model", "path"]).output()?;
        let program = Self { path, home: scratch.join("home") };
        let model = String::from_utf8_lossy(&model.stdout).trim().to_owned();
        if !model.is_empty() {
            program.output(&program.home, &["model", "add", &model], None)?;
        }
        Ok(program)
    }

    pub(super) fn index(&self, folder: &Path) -> Result<Indexed> {
        let started = Instant::now();
        let value = self.ask(folder, &["index"], None)?;
        let seconds = started.elapsed().as_secs_f64();
        let count =
            |name: &str| value[name].as_u64().with_context(|| format!("no {name}: {value}"));
        Ok(Indexed { n_files: count("n_files")?, source_bytes: count("source_bytes")?, seconds })
    }

    /// `file:line` of every definition, best first.
    pub(super) fn definition(&self, folder: &Path, at: &str) -> Result<Vec<String>> {
        let value = self.ask(folder, &["def", at], None)?;
        Ok(list(&value["symbols"])
            .map(|symbol| {
                let location = &symbol["location"];
                format!("{}:{}", text(&location["path"]), number(&location["start_line"]) + 1)
            })
            .collect())
    }

    /// `file:line:column` of every reference.
    pub(super) fn references(&self, folder: &Path, at: &str) -> Result<Vec<String>> {
        let value = self.ask(folder, &["refs", at], None)?;
        Ok(list(&value["references"])
            .map(|reference| {
                let location = &reference["location"];
                let (line, column) =
                    (number(&location["start_line"]), number(&location["start_column"]));
                format!("{}:{}:{}", text(&location["path"]), line + 1, column + 1)
            })
            .collect())
    }

    pub(super) fn search(&self, folder: &Path, words: &str) -> Result<Vec<Hit>> {
        let value = self.ask(folder, &["search", words], None)?;
        Ok(list(&value["hits"])
            .map(|hit| Hit {
                symbol: text(&hit["symbol"]).to_owned(),
                path: text(&hit["location"]["path"]).to_owned(),
                lines: (
                    number(&hit["location"]["start_line"]) + 1,
                    number(&hit["location"]["end_line"]) + 1,
                ),
            })
            .collect())
    }

    pub(super) fn complete(&self, folder: &Path, at: &str, buffer: &str) -> Result<String> {
        let value =
            self.ask(folder, &["complete", at, "--stdin", "--single-line"], Some(buffer))?;
        Ok(text(&value["text"]).to_owned())
    }

    fn ask(&self, folder: &Path, args: &[&str], input: Option<&str>) -> Result<Value> {
        let folder_name = folder.to_str().context("a folder's path in UTF-8")?;
        let mut all = args.to_vec();
        all.extend(["--json", "--root", folder_name]);
        let printed = self.output(folder, &all, input)?;
        let mut answer: Value = serde_json::from_str(&printed)
            .with_context(|| format!("{args:?} printed no JSON: {printed}"))?;
        Ok(answer["value"].take())
    }

    fn output(&self, folder: &Path, args: &[&str], input: Option<&str>) -> Result<String> {
        std::fs::create_dir_all(folder)?;
        let mut child = Command::new(&self.path)
            .args(args)
            .current_dir(folder)
            .env("FOVEA_HOME", &self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        stdin.write_all(input.unwrap_or_default().as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        // 1: it worked, and there is nothing to show.
        if !matches!(output.status.code(), Some(0 | 1)) {
            bail!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its home goes away with it.
        let _ = self.output(&self.home, &["daemon", "stop"], None);
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or_default()
}
