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
    daemon::Daemon,
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
        ensure!(started.elapsed() < Duration::from_secs(5), "not looked at after the lock is gone");
        std::thread::sleep(Duration::from_millis(10));
    }
    // A sync asks for the state now, lock or not; a lock that a crash left keeps nobody waiting.
    fs::write(&lock, "left over")?;
    tree.write("after.py", "def after(): pass\n")?;
    let started = Instant::now();
    client.sync()?;
    ensure!(started.elapsed() < Duration::from_secs(15), "sync waits for a lock that stays");
    oracle::check(&client, &tree.root)?;
    ensure!(fs::read(&lock)? == b"left over", "git's lock was touched");
    daemon.check_alive()?;
    Ok(String::new())
}
