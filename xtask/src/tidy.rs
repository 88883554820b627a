//! Rules for source files that no other tool checks: module docs, size, stray words.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::gate;

/// Past this many lines a file should be one long table or mostly tests; split it by concept.
const MAX_LINES: usize = 1_200;

/// Folders that hold no source of ours.
const SKIPPED: &[&str] = &["target", ".git", "node_modules", "projects"];

/// Checks the tree.
///
/// # Errors
/// With all complaints, or if a folder or file cannot be read.
pub(crate) fn run(root: &Path) -> Result<()> {
    let complaints = check(root).context("tidy failed")?;
    if complaints.is_empty() { Ok(()) } else { bail!("{}", complaints.join("\n")) }
}

/// Checks every Rust file below `root`; returns one line a complaint, `path: what to do`.
///
/// # Errors
/// If a folder or file cannot be read.
fn check(root: &Path) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for path in rust_files(root)? {
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let shown = path.strip_prefix(root).unwrap_or(&path).display();
        let found = complaints_of(&text, path.ends_with("tests.rs"));
        let relative = shown.to_string().replace('\\', "/");
        let found = found.into_iter().chain(gate::complaints(&relative, &text));
        complaints.extend(found.map(|what| format!("{shown}: {what}")));
    }
    Ok(complaints)
}

/// `is_tests`: fixtures are text, and may hold any word.
fn complaints_of(text: &str, is_tests: bool) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push("begin with `//!`: what the file owns, what goes in and out".to_owned());
    }
    let n_lines = text.lines().count();
    if n_lines > MAX_LINES {
        complaints.push(format!("{n_lines} lines, at most {MAX_LINES}; split it by concept"));
    }
    // Spelled in two parts, so that this file does not complain of itself.
    for (first, second) in
        [("todo!", "("), ("unimplemented!", "("), ("#[ign", "ore"), ("dbg!", "(")]
    {
        let word = format!("{first}{second}");
        if !is_tests && text.contains(&word) {
            complaints.push(format!("`{word}` has no place in the tree"));
        }
    }
    complaints
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?
        {
            let entry = entry?;
            let name = entry.file_name();
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !SKIPPED.iter().any(|skipped| name == *skipped) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_complains() {
        assert_eq!(complaints_of("//! Owns nothing.\nfn a() {}\n", false), Vec::<String>::new());
        assert_eq!(complaints_of("fn a() {}\n", false).len(), 1);
        assert_eq!(
            complaints_of(&format!("//! Long.\n{}", "\n".repeat(MAX_LINES)), false).len(),
            1
        );
        assert_eq!(
            complaints_of(&format!("//! Stub.\nfn a() {{ {}() }}\n", "todo!"), false).len(),
            1
        );
    }

    #[test]
    fn the_tree_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
        let complaints = check(root).expect("the tree can be read");
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}
