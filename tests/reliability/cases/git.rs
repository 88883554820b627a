//! Section B, git at work: switches, rebases, stashes, worktrees. The index takes no lock of git's and
//! runs none of its programs.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    client::Client,
    daemon::{Daemon, PATIENCE},
    oracle,
    rng::Rng,
    sandbox,
    suite::Suite,
    tree::{self, Tree},
};

pub(crate) fn run(suite: &mut Suite) {
    let n_files = suite.n(250, 5_000);
    suite.row("B04", "branch switches, back and forth", (4, 20), |_, rng| switch(n_files, rng));
    suite.row("B16", "rebase, conflict, stash, gc, sparse checkout", (1, 5), at_work);
    suite.row("B23", "a repository in a repository, each a root", (1, 10), nested);
    suite.row("B16w", "two worktrees of one repository", (1, 10), worktrees);
    suite.row(
        "B16l",
        "while git holds its lock nothing is looked at, and it is never taken",
        (1, 3),
        lock,
    );
}

fn git(root: &Path, args: &[&str]) -> Result<()> {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
        .args(["-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false"])
        .args(args)
        .current_dir(root)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_EDITOR", "true")
        .output()?;
    ensure!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A repository with the branches `main` and `other`, which differ in most files.
fn repository(n_files: usize, rng: &mut Rng) -> Result<Tree> {
    sandbox::need("git")?;
    let tree = Tree::empty()?;
    fs::remove_dir_all(tree.root.join(".git"))?;
    git(&tree.root, &["init", "-q"])?;
    for index in 0..n_files {
        let path = tree::new_path(index, rng);
        tree.write(&path, tree::text(&path, rng))?;
    }
    git(&tree.root, &["add", "-A"])?;
    git(&tree.root, &["commit", "-qm", "one"])?;
    git(&tree.root, &["switch", "-qc", "other"])?;
    for file in tree.files() {
        if rng.below(10) > 0 {
            tree.write(&file, tree::text(&file, rng))?;
        }
    }
    for _ in 0..20 {
        tree.change(rng)?;
    }
    git(&tree.root, &["add", "-A"])?;
    git(&tree.root, &["commit", "-qm", "two"])?;
    git(&tree.root, &["switch", "-q", "main"])?;
    Ok(tree)
}

fn open(home: &Path, tree: &Tree) -> Result<(Daemon, Client)> {
    let daemon = Daemon::start(home)?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    Ok((daemon, client))
}

fn switch(n_files: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, repository(n_files, rng)?);
    let (mut daemon, client) = open(home.path(), &tree)?;
    let mut fresh_after = Duration::ZERO;
    for branch in ["other", "main", "other", "main"] {
        git(&tree.root, &["switch", "-q", branch])?;
        let started = Instant::now();
        client.sync()?;
        fresh_after = started.elapsed();
        oracle::check(&client, &tree.root).with_context(|| format!("switched to {branch}"))?;
    }
    daemon.check_alive()?;
    Ok(format!("{n_files} files, contents seen before: fresh after {} ms", fresh_after.as_millis()))
}

fn at_work(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, repository(80, rng)?);
    let (mut daemon, client) = open(home.path(), &tree)?;
    let check = |what: &str| oracle::check(&client, &tree.root).with_context(|| what.to_owned());
    tree.write("extra.py", "def extra(): pass\n")?;
    git(&tree.root, &["add", "-A"])?;
    git(&tree.root, &["commit", "-qm", "extra"])?;
    git(&tree.root, &["switch", "-qc", "topic", "other"])?;
    for index in 0..4 {
        tree.write(&format!("topic_{index}.py"), format!("def topic_{index}(): pass\n"))?;
        git(&tree.root, &["add", "-A"])?;
        git(&tree.root, &["commit", "-qm", "topic"])?;
    }
    check("commits")?;
    git(&tree.root, &["rebase", "-q", "--onto", "main", "other"])?;
    check("rebase")?;
    tree.write("extra.py", "def stashed(): pass\n")?;
    git(&tree.root, &["stash", "-q"])?;
    check("stash")?;
    git(&tree.root, &["stash", "pop", "-q"])?;
    check("stash pop")?;
    git(&tree.root, &["checkout", "-q", "."])?;
    // A merge that stops with conflict markers in the files.
    let _ = git(&tree.root, &["merge", "-q", "other"]);
    check("conflict")?;
    git(&tree.root, &["merge", "--abort"])
        .or_else(|_| git(&tree.root, &["reset", "-q", "--hard"]))?;
    check("merge --abort")?;
    git(&tree.root, &["gc", "-q"])?;
    git(&tree.root, &["sparse-checkout", "set", "src", "lib"])?;
    check("sparse checkout")?;
    git(&tree.root, &["sparse-checkout", "disable"])?;
    check("sparse checkout disabled")?;
    daemon.check_alive()?;
    Ok(String::new())
}

/// The outer root has the inner one's files too, under a rule of its own; each stays equal to one from
/// scratch, whichever of them is changed.
fn nested(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, outer) = (tempfile::tempdir()?, repository(40, rng)?);
    let inner = outer.root.join("vendor/inner");
    outer.write("vendor/inner/one.py", "def inner_one(): pass\n")?;
    outer.write("vendor/inner/build/made.py", "def made(): pass\n")?;
    outer.write("vendor/inner/.gitignore", "build/\n")?;
    git(&inner, &["init", "-q"])?;
    let (mut daemon, of_outer) = open(home.path(), &outer)?;
    let of_inner = daemon.client(&inner)?;
    of_inner.open()?;
    let check = |what: &str| -> Result<()> {
        oracle::check(&of_outer, &outer.root).with_context(|| format!("outer, {what}"))?;
        oracle::check(&of_inner, &inner).with_context(|| format!("inner, {what}"))
    };
    check("at first")?;
    ensure!(of_outer.symbols("vendor/inner/one.py")? == ["inner_one"]);
    ensure!(of_outer.symbols("vendor/inner/build/made.py").is_err(), "inner rules count");
    outer.write("vendor/inner/two.py", "def inner_two(): pass\n")?;
    outer.change(rng)?;
    check("both changed")?;
    ensure!(of_inner.symbols("two.py")? == ["inner_two"]);
    fs::remove_dir_all(inner.join(".git"))?;
    outer.write("vendor/inner/.gitignore", "two.py\n")?;
    check("the inner one is a plain folder")?;
    daemon.check_alive()?;
    Ok(String::new())
}

fn worktrees(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, repository(100, rng)?);
    let (mut daemon, client) = open(home.path(), &tree)?;
    let second = tree.root.with_file_name("second");
    git(&tree.root, &["worktree", "add", "-q", sandbox::text(&second), "other"])?;
    let of_second = daemon.client(&second)?;
    of_second.open()?;
    oracle::check(&of_second, &second).context("the new worktree")?;
    oracle::check(&client, &tree.root).context("the first one")?;
    fs::write(second.join("only_here.py"), "def only_here(): pass\n")?;
    oracle::check(&of_second, &second)?;
    ensure!(client.symbols("only_here.py").is_err(), "a file of the other worktree");
    git(&second, &["switch", "-q", "--detach", "main"])?;
    oracle::check(&of_second, &second).context("the same commit in both")?;
    daemon.check_alive()?;
    Ok(String::new())
}

fn lock(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, repository(20, rng)?);
    let (mut daemon, client) = open(home.path(), &tree)?;
    let lock = tree.root.join(".git/index.lock");
    fs::write(&lock, "held")?;
    tree.write("during.py", "def during(): pass\n")?;
    std::thread::sleep(Duration::from_millis(400));
    ensure!(client.symbols("during.py").is_err(), "looked at while git changes the tree");
    ensure!(fs::read(&lock)? == b"held", "git's lock was touched");
    fs::remove_file(&lock)?;
    let started = Instant::now();
    while client.symbols("during.py").is_err() {
        ensure!(started.elapsed() < PATIENCE, "not looked at after the lock is gone");
        std::thread::sleep(Duration::from_millis(10));
    }
    // A sync asks for the state now, lock or not; a lock that a crash left keeps nobody waiting.
    fs::write(&lock, "left over")?;
    tree.write("after.py", "def after(): pass\n")?;
    let started = Instant::now();
    client.sync()?;
    ensure!(started.elapsed() < PATIENCE, "sync waits for a lock that stays");
    oracle::check(&client, &tree.root)?;
    ensure!(fs::read(&lock)? == b"left over", "git's lock was touched");
    daemon.check_alive()?;
    Ok(String::new())
}
