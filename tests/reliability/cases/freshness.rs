//! Section B: what is on disk (and unsaved in editors) is what is answered.

use std::{
    collections::BTreeMap,
    fs,
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};

use super::git;
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
    let mut changed = None;
    suite.row("B00", "random changes", (30, 3_000), |_, rng| {
        let (daemon, client, tree) = shared(&mut changed, 80)?;
        let n = 1 + rng.below(6);
        let done: Vec<String> = (0..n).map(|_| tree.change(rng)).collect::<Result<_>>()?;
        // Seen by the watcher while some are still made, or all at once.
        sleep(Duration::from_millis(rng.below(60) as u64));
        oracle::check(client, &tree.root).with_context(|| done.join("; "))?;
        daemon.check_alive()?;
        Ok(String::new())
    });
    suite.row("B01", "more events than the queue holds", (1, 20), overflow);
    let mut frozen = None;
    suite.row("B02", "changes while the daemon is frozen", (8, 1_000), |_, rng| {
        let (daemon, client, tree) = shared(&mut frozen, 60)?;
        daemon.signal("STOP")?;
        let done: Vec<String> = (0..12).map(|_| tree.change(rng)).collect::<Result<_>>()?;
        daemon.signal("CONT")?;
        oracle::check(client, &tree.root).with_context(|| done.join("; "))?;
        Ok(String::new())
    });
    suite.row("B05", "fewer watches than folders", (1, 10), |_, rng| few_watches("watches", rng));
    suite.row("B06", "no instance of the watcher left", (1, 10), |_, rng| {
        few_watches("instances", rng)
    });
    let mut racing = None;
    suite.row("B07", "a file in a folder made a moment ago", (20, 1_000), |round, rng| {
        let (_, client, tree) = shared(&mut racing, 20)?;
        let path = format!("new{round}/b{}/c/file.py", rng.below(9));
        tree.write(&path, format!("def made_{round}(): pass\n"))?;
        client.sync()?;
        let symbols = client.symbols(&path)?;
        ensure!(symbols == [format!("made_{round}")], "{path} has {symbols:?}");
        Ok(String::new())
    });
    let mut again = None;
    suite.row("B08", "a folder removed and made again, then changed", (8, 400), |round, rng| {
        let (_, client, tree) = shared(&mut again, 20)?;
        made_again(client, tree, round, rng)
    });
    suite.row("B09", "root removed and made again", (1, 10), root_made_again);
    suite.row("B10", "read what was written", (1, 5), read_your_writes);
    suite.row("B11", "sync without a watcher", (3, 100), without_watcher);
    let mut same = None;
    suite.row("B13", "same size, same time", (60, 1_000), |_, rng| {
        let (_, client, tree) = shared(&mut same, 20)?;
        let file = rng.pick(&tree.files()).clone();
        tree::same_size_and_time(&tree.root.join(&file), rng)?;
        client.sync()?;
        let text = fs::read(tree.root.join(&file))?;
        let hash = fovea_indexer::ContentHash::of(&text);
        let dump = client.dump()?;
        ensure!(dump.contains(&format!("file {file} {hash}")), "{file} is not {hash}");
        Ok(String::new())
    });
    suite.row("B13w", "same size, same time, and nobody watches", (2, 40), unwatched_same);
    suite.row("B14", "an ignore rule for an indexed file", (4, 40), ignored_later);
    let mut saved = None;
    suite.row("B15", "the ways editors save", (12, 400), |round, rng| {
        let (_, client, tree) = shared(&mut saved, 30)?;
        save(tree, round, rng)?;
        oracle::check(client, &tree.root)?;
        Ok(String::new())
    });
    let mut unsaved = None;
    suite.row("B19", "unsaved text over saved text", (15, 1_000), |_, rng| {
        let (_, client, tree) = shared(&mut unsaved, 30)?;
        overlays(client, tree, rng)
    });
    let mut grepped = None;
    suite.row("B20", "lines found are the lines on disk", (15, 1_000), |_, rng| {
        let (_, client, tree) = shared(&mut grepped, 60)?;
        for _ in 0..3 {
            tree.change(rng)?;
        }
        client.sync()?;
        let pattern = *rng.pick(&["load_1", "return store", "def ", "parse_7(", "visit"]);
        let found = client.grep(pattern, 100_000)?;
        let there = lines_on_disk(client, tree, pattern)?;
        ensure!(found == there, "{} lines found, {} on disk", found.len(), there.len());
        Ok(format!("last: {} lines", found.len()))
    });
    git::run(suite);
}

/// What several rounds of a row share.
pub(super) type Shared = Option<(tempfile::TempDir, Daemon, Client, Tree)>;

pub(super) fn shared(made: &mut Shared, n_files: usize) -> Result<(&mut Daemon, &Client, &Tree)> {
    if made.is_none() {
        let (home, tree) = (tempfile::tempdir()?, Tree::generate(n_files, &mut Rng::new(5))?);
        let daemon = Daemon::start(home.path())?;
        let client = daemon.client(&tree.root)?;
        client.open()?;
        *made = Some((home, daemon, client, tree));
    }
    let (_, daemon, client, tree) = made.as_mut().expect("made above");
    Ok((daemon, client, tree))
}

fn overflow(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(60, rng)?);
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    daemon.signal("STOP")?;
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap_or_default();
    let limit: usize = limit.trim().parse().unwrap_or(16_384);
    let files = tree.files();
    // Equal events in a row count once, so the files alternate; new times cost the disk nothing.
    let open = |file: &String| fs::File::options().write(true).open(tree.root.join(file));
    let touched = [open(&files[0])?, open(&files[1])?];
    for index in 0..limit + 1_000 {
        touched[index % 2].set_modified(SystemTime::now())?;
    }
    for _ in 0..20 {
        tree.change(rng)?;
    }
    let started = Instant::now();
    daemon.signal("CONT")?;
    oracle::check(&client, &tree.root)?;
    let took = started.elapsed();
    daemon.check_alive()?;
    drop(client);
    let log = daemon.log();
    daemon.stop()?;
    let n_walks = log.matches("events were lost").count();
    ensure!(n_walks > 0, "the queue of {limit} events did not overflow");
    ensure!(n_walks < 4, "{n_walks} walks for one burst");
    Ok(format!("{n_walks} walk, fresh after {} ms", took.as_millis()))
}

fn few_watches(what: &str, rng: &mut Rng) -> Result<String> {
    sandbox::need("unshare")?;
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(40, rng)?);
    for index in 0..60 {
        tree.write(&format!("folder{index}/a.py"), format!("a_{index} = 1\n"))?;
    }
    fs::create_dir_all(home.path().join("config"))?;
    fs::write(home.path().join("config/config.toml"), "[daemon]\npoll-interval-s = 1\n")?;
    let n = if what == "watches" { 20 } else { 0 };
    let script = format!("echo {n} > /proc/sys/user/max_inotify_{what} && exec \"$0\" \"$@\"");
    let Ok(mut daemon) = Daemon::start_in(&["unshare", "-Ur", "sh", "-c", &script], home.path())
    else {
        return Err(crate::suite::NotHere("user namespaces are not allowed".into()).into());
    };
    let client = daemon.client(&tree.root)?;
    let status = client.open()?;
    ensure!(status.watching == "polling", "watching: {}", status.watching);
    ensure!(!status.warnings.is_empty(), "no warning says why");
    tree.write("folder7/a.py", "def polled(): pass\n")?;
    let deadline = Instant::now() + PATIENCE;
    while client.symbols("folder7/a.py")? != ["polled"] {
        ensure!(Instant::now() < deadline, "the change is not seen");
        sleep(Duration::from_millis(100));
    }
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    Ok(String::new())
}

/// As when a branch is switched: the folder that is there now is not the one that was watched.
fn made_again(client: &Client, tree: &Tree, round: usize, rng: &mut Rng) -> Result<String> {
    let folder = tree.root.join("again");
    tree.write("again/deep/one.py", format!("def one_{round}(): pass\n"))?;
    if round % 2 == 1 {
        client.sync()?;
    }
    fs::remove_dir_all(&folder)?;
    tree.write("again/deep/two.py", format!("def two_{round}(): pass\n"))?;
    sleep(Duration::from_millis(rng.below(80) as u64));
    client.sync()?;
    for (path, name) in [("again/deep/three.py", "three"), ("again/four.py", "four")] {
        let name = format!("{name}_{round}");
        tree.write(path, format!("def {name}(): pass\n"))?;
        client.sync()?;
        let symbols = client.symbols(path).with_context(|| format!("round {round}, {path}"))?;
        ensure!(symbols == [name], "{path} has {symbols:?}");
    }
    Ok(String::new())
}

fn root_made_again(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(30, rng)?);
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let aside = tree.root.with_extension("aside");
    fs::rename(&tree.root, &aside)?;
    let status = client.sync()?;
    ensure!(status.n_files == 0, "{} files of a root that is gone", status.n_files);
    daemon.check_alive()?;
    fs::create_dir_all(tree.root.join(".git"))?;
    tree.write("new.py", "def new(): pass\n")?;
    // Nothing tells that a root is back but a question.
    oracle::check(&client, &tree.root).context("a new root")?;
    fs::remove_dir_all(&tree.root)?;
    fs::rename(&aside, &tree.root)?;
    oracle::check(&client, &tree.root).context("the old root again")?;
    // And it is watched again.
    tree.write("later.py", "def later(): pass\n")?;
    let deadline = Instant::now() + PATIENCE;
    while client.symbols("later.py").ok() != Some(vec!["later".to_owned()]) {
        ensure!(Instant::now() < deadline, "the new root is not watched");
        sleep(Duration::from_millis(20));
    }
    daemon.check_alive()?;
    Ok(String::new())
}

fn read_your_writes(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(60, rng)?);
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let mut times = Vec::new();
    for round in 0..300 {
        let name = format!("written_{round}");
        tree.write("probe.py", format!("def {name}(): pass\n"))?;
        let started = Instant::now();
        client.sync()?;
        let symbols = client.symbols("probe.py")?;
        times.push(started.elapsed());
        ensure!(symbols == [name.clone()], "round {round}: {symbols:?}");
    }
    times.sort();
    let (p50, p99) = (times[150].as_secs_f32() * 1e3, times[297].as_secs_f32() * 1e3);
    Ok(format!("300 writes, p50 {p50:.1} ms, p99 {p99:.1} ms"))
}

fn without_watcher(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(30, rng)?);
    fs::create_dir_all(home.path().join("config"))?;
    fs::write(home.path().join("config/config.toml"), "[daemon]\nwatch = false\n")?;
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    for _ in 0..4 {
        tree.change(rng)?;
        oracle::check(&client, &tree.root)?;
    }
    Ok(String::new())
}

/// Only what `stat` says tells of these changes: first to a daemon that does not watch, then to one that
/// was not there.
fn unwatched_same(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(30, rng)?);
    fs::create_dir_all(home.path().join("config"))?;
    fs::write(home.path().join("config/config.toml"), "[daemon]\nwatch = false\n")?;
    let change = |rng: &mut Rng| -> Result<()> {
        for file in tree.files().iter().step_by(3) {
            tree::same_size_and_time(&tree.root.join(file), rng)?;
        }
        Ok(())
    };
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    change(rng)?;
    oracle::check(&client, &tree.root).context("without a watcher")?;
    drop(client);
    daemon.stop()?;
    change(rng)?;
    oracle::check_home(home.path(), &tree.root).context("without a daemon")?;
    Ok(String::new())
}

fn ignored_later(round: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(20, rng)?);
    let canary = format!("canary_{:x}", rng.next());
    let path = "hidden/place.py";
    tree.write(path, format!("def {canary}():\n    return \"{canary}\"\n"))?;
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    ensure!(!client.grep(&canary, 9)?.is_empty(), "the file is not indexed at first");
    let (file, rule) = [
        (".gitignore", "hidden/\n"),
        (".foveaignore", "place.py\n"),
        ("hidden/.ignore", "*.py\n"),
        (".git/info/exclude", "hidden/place.py\n"),
    ][round % 4];
    tree.write(file, rule)?;
    client.sync()?;
    let (outcome, reason) = client.why(path)?;
    ensure!(outcome == "skipped", "the file is {outcome} ({reason}) under {file}");
    ensure!(reason.contains(file.rsplit('/').next().unwrap_or(file)), "{reason} names no {file}");
    ensure!(client.grep(&canary, 9)?.is_empty(), "grep finds it");
    ensure!(client.symbols(path).is_err(), "its symbols are answered");
    ensure!(client.edit(path, "x = 1\n").is_err(), "an editor's text of it is taken");
    ensure!(!client.dump()?.contains(&canary), "the index names it");
    oracle::check(&client, &tree.root)?;
    Ok(String::new())
}

fn save(tree: &Tree, round: usize, rng: &mut Rng) -> Result<()> {
    let file = rng.pick(&tree.files()).clone();
    let (path, new) = (tree.root.join(&file), tree::text(&file, rng));
    let aside = |name: &str| path.with_file_name(name);
    match round % 6 {
        // In place.
        0 => fs::write(&path, new)?,
        // Temporary file beside it, then rename.
        1 => {
            fs::write(aside(".#save"), new)?;
            fs::rename(aside(".#save"), &path)?;
        }
        // The old one becomes the backup.
        2 => {
            let backup = aside("backup~");
            let _ = fs::remove_file(&backup);
            fs::rename(&path, &backup)?;
            fs::write(&path, new)?;
            fs::remove_file(backup)?;
        }
        // Truncate, a pause, write.
        3 => {
            fs::File::create(&path)?;
            sleep(Duration::from_millis(rng.below(80) as u64));
            fs::write(&path, new)?;
        }
        // A lock file beside it, and a hard link kept as backup.
        4 => {
            fs::write(aside("lock.tmp"), "")?;
            let link = aside("kept.orig");
            let _ = fs::remove_file(&link);
            fs::hard_link(&path, &link)?;
            fs::remove_file(&path)?;
            fs::write(&path, new)?;
            fs::remove_file(aside("lock.tmp"))?;
            fs::remove_file(link)?;
        }
        // Written to another folder and moved in.
        _ => {
            let staged = tree.root.join(".git/staged");
            fs::write(&staged, new)?;
            fs::rename(staged, &path)?;
        }
    }
    Ok(())
}

fn overlays(client: &Client, tree: &Tree, rng: &mut Rng) -> Result<String> {
    let mut open: BTreeMap<String, String> = BTreeMap::new();
    for _ in 0..10 {
        let file = rng.pick(&tree.files()).clone();
        match rng.below(5) {
            0 | 1 => {
                let text = tree::text(&file, rng);
                if client.edit(&file, &text).is_ok() {
                    open.insert(file, text);
                }
            }
            2 => {
                if let Some(path) = open.keys().next().cloned() {
                    client.close(&path)?;
                    open.remove(&path);
                }
            }
            3 => tree.write(&file, tree::text(&file, rng))?,
            _ => {
                let new = format!("unsaved_{}.py", rng.below(20));
                let text = tree::text(&new, rng);
                client.edit(&new, &text)?;
                open.insert(new, text);
            }
        }
    }
    client.sync()?;
    let live = client.dump()?;
    let fresh = oracle::scratch_with(&tree.root, |fresh| {
        open.iter().try_for_each(|(path, text)| fresh.edit(path, text))
    })?;
    oracle::compare(&live, &fresh)?;
    for path in open.keys() {
        client.close(path)?;
    }
    oracle::check(client, &tree.root)?;
    Ok(format!("last: {} open", open.len()))
}

/// `path:line` of each line with `pattern` in the files that are indexed.
fn lines_on_disk(client: &Client, tree: &Tree, pattern: &str) -> Result<Vec<String>> {
    let mut places = Vec::new();
    for file in tree.files() {
        let (outcome, _) = client.why(&file)?;
        if outcome == "skipped" {
            continue;
        }
        let text = fs::read_to_string(tree.root.join(&file))?;
        for (index, line) in text.lines().enumerate() {
            if line.contains(pattern) {
                places.push(format!("{file}:{}", index + 1));
            }
        }
    }
    places.sort_unstable();
    Ok(places)
}
