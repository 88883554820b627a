//! Section A, part one: kills, power cuts, full disks, failing system calls.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use fovea_api::Method;

use super::damage;
use crate::{
    client::Client,
    daemon::{Daemon, PATIENCE, wrapped},
    oracle,
    rng::Rng,
    sandbox::{self, Mount, ReadOnly},
    suite::Suite,
    tree::{self, Tree},
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("A01", "kill -9 while a first index is built", (5, 200), kill_while_indexing);
    suite.row(
        "A01b",
        "kill -9 while edits are applied and committed",
        (5, 200),
        kill_while_editing,
    );
    suite.row("A02", "kill at a chosen system call of a commit", (10, 400), kill_at_syscall);
    suite.row("A03", "power cut on ext4", (3, 200), power_cut);
    suite.row("A04", "copy of the index at any moment", (4, 300), copy_at_any_moment);
    suite.row("A05", "a chosen system call of a commit fails", (1, 120), failing_syscall);
    suite.row("A06", "disk full while indexing, then space again", (1, 20), full_disk);
    damage::run(suite);
    suite.row("A10", "kill -9 during the recovery from a kill -9", (2, 100), kill_twice);
    suite.row("A12", "index folder read-only", (1, 5), read_only);
    suite.row("A13", "index folder removed while running", (2, 20), removed_index);
    suite.row("A14", "garbage after ten kills", (1, 20), garbage);
}

fn home() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("fovea-home").tempdir()?)
}

/// Starts again after a fault, without any manual step.
fn recovers(home: &Path, tree: &Tree) -> Result<String> {
    let started = Instant::now();
    let mut daemon = Daemon::start(home).context("starting after the fault")?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let ready = started.elapsed();
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    daemon.stop()?;
    Ok(format!("ready in {} ms", ready.as_millis()))
}

fn kill_while_indexing(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (home()?, Tree::generate(300, rng)?);
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.api().send(Some(tree.root.clone()), None, Method::Open { wait: false })?;
    sleep(Duration::from_millis(rng.below(900) as u64));
    daemon.kill()?;
    recovers(home.path(), &tree)
}

fn kill_while_editing(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (home()?, Tree::generate(80, rng)?);
    let daemon = Daemon::start(home.path())?;
    edit_for_a_while(&daemon, &tree, rng)?;
    daemon.kill()?;
    recovers(home.path(), &tree)
}

/// Edits with pauses around the times of debounce and commit.
fn edit_for_a_while(daemon: &Daemon, tree: &Tree, rng: &mut Rng) -> Result<()> {
    daemon.client(&tree.root)?.open()?;
    for _ in 0..1 + rng.below(4) {
        for _ in 0..1 + rng.below(6) {
            tree.change(rng)?;
        }
        sleep(Duration::from_millis(rng.below(700) as u64));
    }
    Ok(())
}

fn kill_twice(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (home()?, Tree::generate(150, rng)?);
    let daemon = Daemon::start(home.path())?;
    edit_for_a_while(&daemon, &tree, rng)?;
    daemon.kill()?;
    for _ in 0..2 {
        let daemon = Daemon::start(home.path())?;
        let client = daemon.client(&tree.root)?;
        client.api().send(Some(tree.root.clone()), None, Method::Open { wait: false })?;
        sleep(Duration::from_millis(rng.below(250) as u64));
        daemon.kill()?;
    }
    recovers(home.path(), &tree)
}

/// Those that change files; each thread counts its own calls.
const SYSCALLS: [&str; 9] =
    ["write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate", "openat", "mmap"];

/// Indexes a change of `tree` in a traced process.
fn traced(home: &Path, tree: &Tree, inject: &str) -> Result<std::process::ExitStatus> {
    let before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
    let root = sandbox::text(&tree.root);
    let mut command = wrapped(&before, home, &["--no-daemon", "--root", root, "index"]);
    Ok(command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status()?)
}

fn kill_at_syscall(round: usize, rng: &mut Rng) -> Result<String> {
    sandbox::need_strace()?;
    let (home, tree) = (home()?, Tree::generate(40, rng)?);
    {
        let client = Client::in_process(home.path(), &tree.root)?;
        client.open()?;
    }
    for _ in 0..5 {
        tree.change(rng)?;
    }
    let syscall = SYSCALLS[round % SYSCALLS.len()];
    let n = 1 + rng.below(if syscall == "openat" || syscall == "mmap" { 300 } else { 25 });
    let status = traced(home.path(), &tree, &format!("inject={syscall}:signal=SIGKILL:when={n}"))?;
    recovers(home.path(), &tree).with_context(|| format!("killed at {syscall} number {n}"))?;
    Ok(format!("last: {syscall} number {n}, {status}"))
}

fn failing_syscall(round: usize, rng: &mut Rng) -> Result<String> {
    sandbox::need_strace()?;
    let (home, tree) = (home()?, Tree::generate(40, rng)?);
    let (syscall, error) = (
        ["write", "pwrite64", "fsync", "fdatasync", "rename", "openat"][round % 6],
        ["EIO", "ENOSPC", "EROFS", "EMFILE", "EDQUOT", "EINTR"][rng.below(6)],
    );
    {
        let client = Client::in_process(home.path(), &tree.root)?;
        client.open()?;
    }
    // From the n-th call on, and for as long as the process lives, or just once.
    let n = if syscall == "openat" { 150 + rng.below(200) } else { 1 + rng.below(25) };
    let once = rng.below(2) == 0;
    let inject =
        format!("inject={syscall}:error={error}:when={n}{}", if once { "" } else { "..400" });
    let before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
    let fault = format!("{inject} once: {once}");
    let mut daemon = match Daemon::start_in(&before, home.path()) {
        Ok(daemon) => daemon,
        // The fault hit the start itself; it has to work without the fault.
        Err(_) => return recovers(home.path(), &tree).context(fault),
    };
    let client = daemon.client(&tree.root);
    for _ in 0..5 {
        tree.change(rng)?;
        if let Ok(client) = &client {
            // An answer or an error, but soon.
            let _ = client.try_ask(Method::Sync);
        }
    }
    daemon.check_alive().with_context(|| fault.clone())?;
    drop(daemon);
    recovers(home.path(), &tree).context(fault)
}

fn power_cut(_: usize, rng: &mut Rng) -> Result<String> {
    let mount = Mount::ext4(96)?;
    let (home, tree) = (mount.at.join("home"), Tree::generate(120, rng)?);
    let daemon = Daemon::start(&home)?;
    let client = daemon.client(&tree.root)?;
    client.api().send(Some(tree.root.clone()), None, Method::Open { wait: false })?;
    sleep(Duration::from_millis(rng.below(1_500) as u64));
    for _ in 0..rng.below(4) {
        tree.change(rng)?;
        sleep(Duration::from_millis(rng.below(700) as u64));
    }
    mount.cut_power()?;
    drop(client);
    daemon.kill()?;
    mount.restore_power()?;
    recovers(&home, &tree)
}

fn copy_at_any_moment(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (home()?, Tree::generate(100, rng)?);
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.api().send(Some(tree.root.clone()), None, Method::Open { wait: false })?;
    sleep(Duration::from_millis(rng.below(800) as u64));
    let mut copies = Vec::new();
    for _ in 0..3 {
        tree.change(rng)?;
        sleep(Duration::from_millis(rng.below(600) as u64));
        let copy = self::home()?;
        tree::copy(&home.path().join("data"), &copy.path().join("data"))?;
        copies.push(copy);
    }
    for copy in &copies {
        oracle::check_home(copy.path(), &tree.root)?;
    }
    daemon.stop()?;
    Ok(format!("{} copies a round", copies.len()))
}

fn full_disk(round: usize, rng: &mut Rng) -> Result<String> {
    let options = ["size=3m", "size=8m,nr_inodes=60", "size=1m", "size=16m,nr_inodes=40"];
    let mount = Mount::tmpfs(options[round % options.len()])?;
    let (home, tree) = (mount.at.join("home"), Tree::generate(50, rng)?);
    // Enough source that the index does not fit.
    for index in 0..150 {
        let path = format!("big/file_{index}.py");
        let texts: Vec<String> = (0..25).map(|_| tree::text(&path, rng)).collect();
        tree.write(&path, texts.concat())?;
    }
    let mut daemon = Daemon::start(&home)?;
    let client = daemon.client(&tree.root)?;
    let status = client.open()?;
    ensure!(status.n_files > 0, "nothing is indexed: {}", status.summary);
    oracle::check(&client, &tree.root).context("served from memory while the disk is full")?;
    client.search("parse")?;
    let warned = daemon_warned(&client)?;
    ensure!(warned, "the status does not name the full disk: {:?}", client.status()?.warnings);
    mount.remount("size=64m,nr_inodes=10000")?;
    let deadline = Instant::now() + PATIENCE;
    while daemon_warned(&client)? {
        ensure!(
            Instant::now() < deadline,
            "still warned after space returned: {:?}",
            client.status()?.warnings
        );
        sleep(Duration::from_millis(200));
    }
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    daemon.stop()?;
    oracle::check_home(&home, &tree.root)?;
    Ok(String::new())
}

fn daemon_warned(client: &Client) -> Result<bool> {
    let said = client.status()?.warnings.join("\n").to_lowercase();
    Ok(["space", "full", "cannot be written", "memory only"].iter().any(|word| said.contains(word)))
}

fn read_only(_: usize, rng: &mut Rng) -> Result<String> {
    sandbox::need_root()?;
    let (home, tree) = (home()?, Tree::generate(40, rng)?);
    {
        let client = Client::in_process(home.path(), &tree.root)?;
        client.open()?;
    }
    let data = home.path().join("data");
    let read_only = ReadOnly::new(&data)?;
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    let status = client.open()?;
    ensure!(status.kept == "read-only" && status.reopened, "the stored index is not served");
    ensure!(
        status.warnings.iter().any(|warning| warning.starts_with("read-only: ")),
        "nothing says that the index is not kept: {:?}",
        status.warnings
    );
    oracle::check(&client, &tree.root)?;
    tree.change(rng)?;
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    drop(client);
    daemon.stop()?;
    drop(read_only);
    recovers(home.path(), &tree)
}

fn removed_index(round: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (home()?, Tree::generate(60, rng)?);
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let data = home.path().join("data");
    if round.is_multiple_of(2) {
        fs::remove_dir_all(&data)?;
    } else {
        fs::rename(&data, home.path().join("moved"))?;
    }
    for _ in 0..3 {
        tree.change(rng)?;
        oracle::check(&client, &tree.root)?;
        client.search("load store")?;
    }
    daemon.check_alive()?;
    daemon.stop()?;
    recovers(home.path(), &tree)
}

fn garbage(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (home()?, Tree::generate(150, rng)?);
    for _ in 0..10 {
        let daemon = Daemon::start(home.path())?;
        edit_for_a_while(&daemon, &tree, rng)?;
        daemon.kill()?;
    }
    recovers(home.path(), &tree)?;
    let clean = self::home()?;
    {
        let client = Client::in_process(clean.path(), &tree.root)?;
        client.open()?;
    }
    let index = |home: &Path| tree::n_bytes(&home.join("data/workspaces"));
    let (used, wanted) = (index(home.path()), index(clean.path()));
    // Small indexes have a fixed part; a merge is due only now and then.
    ensure!(used < wanted * 2 + 500_000, "{used} bytes after kills, {wanted} when clean");
    Ok(format!("{:.2} x a clean index", used as f64 / wanted as f64))
}
