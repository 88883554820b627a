//! Row E14: marks and settings that other users put into shared folders.

use std::{fs, os::unix::fs::PermissionsExt};

use anyhow::{Result, ensure};

use crate::{
    daemon::{run as run_program, wrapped},
    rng::Rng,
    sandbox::{self, text},
    suite::Suite,
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("E14", "marks and settings of another user above and in a root", (3, 3), planted);
}

const NOBODY: &str = "65534:65534";
const MARKS: [&str; 3] = [".fovea.toml", ".git", "package.json"];

/// As in the temporary folder: anybody may write, nobody may remove what is another's.
fn planted(round: usize, _: &mut Rng) -> Result<String> {
    sandbox::need_root()?;
    let (shared, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777))?;
    let place = shared.path().canonicalize()?;
    let work = place.join("work");
    fs::create_dir(&work)?;
    fs::write(work.join("mine.py"), "def mine_alone(x):\n    return x\n")?;
    let mark = place.join(MARKS[round]);
    match MARKS[round] {
        ".git" => fs::create_dir(&mark)?,
        ".fovea.toml" => fs::write(&mark, "[index]\nexclude = [\"**\"]\n")?,
        _ => fs::write(&mark, "{}")?,
    }
    run_program("chown", &["-R", NOBODY, text(&mark)])?;
    let said = |args: &[&str]| -> Result<String> {
        let all = [&["--no-daemon"], args].concat();
        let output = wrapped(&[], home.path(), &all).current_dir(&work).output()?;
        Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
    };
    let found = said(&["grep", "mine_alone"])?;
    ensure!(found.contains("mine.py:1:5:"), "the root is another: {found}");
    ensure!(!found.contains("work/mine.py"), "the folder of the mark is the root: {found}");
    ensure!(found.contains("belongs to another user (uid 65534)"), "no reason: {found}");
    // Asked for by name: the folder is taken, its settings are not.
    let root = text(&place);
    let found = said(&["--root", root, "grep", "mine_alone"])?;
    ensure!(found.contains("work/mine.py:1:5:"), "settings of others count: {found}");
    if MARKS[round] == ".fovea.toml" {
        let status = said(&["--root", root, "status"])?;
        ensure!(status.contains("the file belongs to another user"), "no reason: {status}");
    }
    Ok(String::new())
}
