//! A check of the checks: `cargo run -p xtask -- planted` builds the daemon with every bug of
//! [`bugs::BUGS`] in a copy of the sources, each behind a switch, and runs the rows of the reliability
//! harness that should notice. Prints which row noticed which bug.
//!
//! The sources themselves know nothing of it: the switch is written into the copy.

mod bugs;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use self::bugs::{BUGS, Bug};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Bugs to plant; all, if none is named.
    names: Vec<String>,
    /// Where the copy and its build are kept between runs.
    #[arg(long, default_value = "target/planted")]
    folder: PathBuf,
    /// Prints the bugs.
    #[arg(long)]
    list: bool,
}

/// Read by the switch: the bug that a process has.
const VARIABLE: &str = "FOVEA_PLANTED";

/// Seeds with which a row is run before a bug counts as not noticed.
const SEEDS: [&str; 3] = ["1", "2", "3"];

/// Plants, runs and prints.
///
/// # Errors
/// If the copy does not build, a row fails without any bug, or a bug is not noticed.
pub(crate) fn run(args: &Args, root: &Path) -> Result<()> {
    let wanted = |bug: &&Bug| args.names.is_empty() || args.names.iter().any(|n| n == bug.name);
    let bugs: Vec<&Bug> = BUGS.iter().filter(wanted).collect();
    if args.list {
        bugs.iter().for_each(|bug| println!("{:24} {}", bug.name, bug.what));
        return Ok(());
    }
    ensure!(!bugs.is_empty(), "no bug has this name; `--list` prints them");
    let folder = root.join(&args.folder);
    let binary = build(root, &folder)?;
    let harness = Harness { program: harness(root)?, binary };
    // Rows that fail anyway would notice every bug.
    let mut rows: Vec<&str> = bugs.iter().flat_map(|bug| bug.rows).copied().collect();
    rows.sort_unstable();
    rows.dedup();
    if let Some(line) = harness.failure("none", &rows, SEEDS[0])? {
        bail!("a row fails although no bug is planted: {line}");
    }
    println!("no bug: {} rows pass", rows.len());
    let mut n_noticed = 0;
    for bug in &bugs {
        let noticed =
            SEEDS.iter().find_map(|seed| harness.failure(bug.name, bug.rows, seed).transpose());
        match noticed.transpose()? {
            Some(line) => {
                n_noticed += 1;
                println!("{:24} noticed by {line:.140}", bug.name);
            }
            None => println!("{:24} NOT NOTICED by {:?}: {}", bug.name, bug.rows, bug.what),
        }
    }
    println!("planted bugs noticed / planted: {n_noticed}/{}", bugs.len());
    ensure!(n_noticed == bugs.len(), "write a row that notices the others");
    Ok(())
}

/// The daemon with every bug, none of them switched on.
fn build(root: &Path, folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("source");
    for path in tracked(root)? {
        let text = fs::read(root.join(&path)).with_context(|| format!("reading {path}"))?;
        let text = match String::from_utf8(text) {
            Ok(text) => planted(&path, text)?.into_bytes(),
            Err(binary) => binary.into_bytes(),
        };
        let target = copy.join(&path);
        // Only what differs is written: the next build compiles no more than it has to.
        if fs::read(&target).ok().as_ref() != Some(&text) {
            fs::create_dir_all(target.parent().context("a file has a folder")?)?;
            fs::write(&target, text).with_context(|| format!("writing {}", target.display()))?;
        }
    }
    let target = folder.join("build");
    let output = cargo()
        .args(["build", "--quiet", "--workspace", "--bin", "fovea"])
        .current_dir(&copy)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .context("starting cargo")?;
    // Edits leave things unused; warnings about that are of no interest.
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the copy with planted bugs does not build: {said}");
    Ok(target.join("debug/fovea"))
}

/// Without what `cargo run` sets for this program: build scripts look at it, and would build anew.
fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output()?;
    ensure!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    let paths = String::from_utf8(output.stdout).context("paths are UTF-8")?;
    let is_there = |path: &&str| !path.is_empty() && root.join(path).is_file();
    Ok(paths.split('\0').filter(is_there).map(str::to_owned).collect())
}

/// The text of a file of the copy.
fn planted(path: &str, mut text: String) -> Result<String> {
    for bug in BUGS {
        for edit in bug.edits.iter().filter(|edit| edit.file == path) {
            let n = text.matches(edit.from).count();
            ensure!(n == 1, "{}: its place is found {n} times in {path}, not once", bug.name);
            text = text.replace(edit.from, &edit.to.replace("PLANTED", &switch(path, bug.name)));
        }
    }
    if path == "indexer/src/lib.rs" {
        text.push_str(&format!(
            "\n/// True in a process that is to have this bug.\n#[must_use]\n\
             pub fn planted(name: &str) -> bool {{\n    \
             static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();\n    \
             let read = || std::env::var(\"{VARIABLE}\").ok();\n    \
             NAME.get_or_init(read).as_deref() == Some(name)\n}}\n"
        ));
    }
    Ok(text)
}

/// The condition that stands for `PLANTED` in an edit.
fn switch(path: &str, name: &str) -> String {
    let of = if path.starts_with("indexer/") { "crate" } else { "fovea_indexer" };
    format!("{of}::planted(\"{name}\")")
}

struct Harness {
    program: PathBuf,
    /// The daemon that it runs.
    binary: PathBuf,
}

/// Builds the harness from the sources as they are; no bug is in its own engine.
fn harness(root: &Path) -> Result<PathBuf> {
    let output = cargo()
        .args(["test", "--workspace", "--test", "reliability", "--no-run"])
        .args(["--message-format", "json"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the reliability harness does not build");
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        (message["target"]["name"] == "reliability").then_some(())?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    executables.next_back().context("cargo names no executable of the harness")
}

impl Harness {
    /// The first failure of these rows with `bug`, if there is one.
    fn failure(&self, bug: &str, rows: &[&str], seed: &str) -> Result<Option<String>> {
        let output = Command::new(&self.program)
            .args(rows)
            .args(["--quick", "--seed", seed])
            .env(VARIABLE, bug)
            .env("FOVEA_TEST_BINARY", &self.binary)
            .stderr(Stdio::null())
            .output()
            .context("starting the harness")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let failure = said.lines().find(|line| line.contains(" FAILED"));
        ensure!(
            failure.is_some() != output.status.success(),
            "the harness ended with {} and said: {said}",
            output.status
        );
        Ok(failure.map(|line| line.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sources change; a bug whose place is gone has to be planted anew.
    #[test]
    fn every_bug_still_has_its_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let mut files: Vec<&str> =
            BUGS.iter().flat_map(|bug| bug.edits).map(|edit| edit.file).collect();
        files.sort_unstable();
        files.dedup();
        for file in files {
            let text = fs::read_to_string(root.join(file)).expect(file);
            planted(file, text).unwrap_or_else(|err| panic!("{err:#}"));
        }
    }

    #[test]
    fn names_are_told_apart_and_every_bug_has_edits_and_rows() {
        let mut names: Vec<&str> = BUGS.iter().map(|bug| bug.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BUGS.len());
        assert!(BUGS.len() >= 20);
        assert!(BUGS.iter().all(|bug| !bug.edits.is_empty() && !bug.rows.is_empty()));
    }
}
