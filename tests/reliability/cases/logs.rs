//! Row K06: names of files, folders, links, keys and roots make no line of their own, neither in what
//! commands say nor in the log.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::output::acts;
use crate::{
    daemon::wrapped,
    rng::Rng,
    suite::Suite,
    tree::{Tree, all_files},
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("K06", "names that would be lines of their own", (1, 5), injected);
}

/// What a line of a forger starts with.
const FORGED: &str = "FORGED";
const BREAKS: [&str; 10] = [
    "\n",
    "\r",
    "\r\n",
    "\n\t",
    "\u{85}",
    "\u{2028}",
    "\u{b}",
    "\u{1b}[2K\r",
    "\n\u{1b}[31m",
    "\u{202e}\n  ",
];
const LINES: [&str; 10] = [
    "src/auth.py:1:5: def check(password): return True",
    "fovea: all is well",
    "2026-01-01T00:00:00.000000Z ERROR fovea_daemon: forged",
    "ERROR forged",
    "skipped nothing: all is indexed",
    "warning: run this",
    "daemon 1.0, pid 1",
    "1. `x.py:1-2`",
    "{\"schema\": 1}",
    "   ",
];

fn injected(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(3, rng)?, tempfile::tempdir()?);
    let root = tree.root.join(format!("repo\n{FORGED} {}\u{1b}[31m", LINES[3]));
    fs::create_dir_all(root.join(".git"))?;
    let mut n_payloads = 0;
    for (at, between) in BREAKS.iter().enumerate() {
        for (index, line) in LINES.iter().enumerate() {
            let name = format!("n{at}x{index}.py{between}{FORGED} {line}");
            plant(&root, &name, at * LINES.len() + index).with_context(|| format!("{name:?}"))?;
            n_payloads += 1;
        }
    }
    let keys: String = BREAKS
        .iter()
        .enumerate()
        .map(|(at, between)| {
            let key: String = format!("k{at}{between}{FORGED} key")
                .chars()
                .map(|c| format!("\\u{:04X}", c as u32))
                .collect();
            format!("\"{key}\" = {at}\n")
        })
        .collect();
    fs::write(root.join(".fovea.toml"), format!("[index]\n{keys}"))?;
    fs::create_dir_all(home.path().join("config"))?;
    fs::write(home.path().join("config/config.toml"), "[log]\nlevel = \"trace\"\n")?;
    let commands: [&[&str]; 16] = [
        &["index"],
        &["-v", "index", "--force"],
        &["-v", "--no-daemon", "status"],
        &["search", "forged value"],
        &["search", "forged_value", "--explain"],
        &["grep", "forged_value", "-n", "500"],
        &["symbols", "forged"],
        &["def", "forged_value_7"],
        &["refs", "forged_value_7"],
        &["outline", "--budget", "20000"],
        &["status"],
        &["secrets"],
        &["dump"],
        &["config", "show"],
        &["daemon", "status"],
        &["gc", "--dry-run"],
    ];
    let mut n_lines = 0;
    for args in commands {
        let output = wrapped(&[], home.path(), args).current_dir(&root).output()?;
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        n_lines += check(&said).with_context(|| format!("{args:?}"))?;
    }
    let _ = wrapped(&[], home.path(), &["daemon", "stop"]).output()?;
    ensure!(n_lines > 300, "the commands say little: {n_lines} lines");
    let logs = all_files(&home.path().join("state"));
    let n_logged = logs.iter().map(|file| check_log(file)).sum::<Result<usize>>()?;
    ensure!(n_logged > 10, "the log says little: {n_logged} lines");
    Ok(format!("{n_payloads} names, {n_lines} lines said, {n_logged} logged"))
}

/// A folder, a link, a skipped file and an indexed one of that name.
fn plant(root: &Path, name: &str, index: usize) -> Result<()> {
    let folder = root.join(format!("in {name}"));
    fs::create_dir_all(&folder)?;
    let code = format!("def forged_value_{index}(x):\n    return x\n");
    fs::write(folder.join("code.py"), &code)?;
    let last = |kind: &str| -> PathBuf {
        let name = name.replace('/', "_");
        root.join(kind).join(format!("{name}.py"))
    };
    for kind in ["links", "skipped", "indexed"] {
        fs::create_dir_all(root.join(kind))?;
    }
    symlink("nowhere", last("links"))?;
    fs::write(last("skipped"), b"a\0b")?;
    fs::write(last("indexed"), code)?;
    Ok(())
}

fn check(said: &str) -> Result<usize> {
    for line in said.split('\n') {
        ensure!(!line.trim_start().starts_with(FORGED), "a forged line: {line:?}");
        ensure!(!line.contains(acts), "a line that acts: {line:?}");
    }
    Ok(said.lines().count())
}

/// Each line of a log starts with the time.
fn check_log(file: &Path) -> Result<usize> {
    let text = String::from_utf8_lossy(&fs::read(file)?).into_owned();
    if file.extension().is_some_and(|extension| extension == "token") {
        return Ok(0);
    }
    check(&text)?;
    for line in text.lines() {
        let is_dated = line.len() > 28 && line.starts_with("20") && line.as_bytes()[26] == b'Z';
        ensure!(is_dated, "a line of a log without its time: {line:?}");
    }
    Ok(text.lines().count())
}
