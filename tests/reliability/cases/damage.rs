//! Section A, part two: damaged, mixed and foreign index files.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use fovea_api::{Answer, Method};

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
    let mut damaged = None;
    suite.row(
        "A08",
        "damaged bytes, cut, emptied, deleted and swapped files",
        (40, 3_000),
        |_, rng| {
            let (home, tree) = template(&mut damaged)?;
            damage(home.path(), tree, rng)
        },
    );
    let mut flipped = None;
    suite.row("A08b", "flipped bits in stored facts and terms", (8, 400), |round, rng| {
        let (home, tree) = template(&mut flipped)?;
        flip(home.path(), tree, round, rng)
    });
    let mut generations = None;
    suite.row("A09", "files of other generations", (20, 81), |round, _| {
        mixed(&mut generations, round)
    });
    let mut formats = None;
    suite.row("A11", "other format versions", (4, 8), |round, _| {
        let (home, tree) = template(&mut formats)?;
        other_format(home.path(), tree, round)
    });
    suite.row("A15", "two builds of the daemon on one index", (1, 10), two_builds);
    suite.row("A16", "collection under a daemon that indexes", (1, 10), collected);
}

type Template = Option<(tempfile::TempDir, Tree)>;

fn template(made: &mut Template) -> Result<&(tempfile::TempDir, Tree)> {
    if made.is_none() {
        let (home, tree) = (tempfile::tempdir()?, Tree::generate(40, &mut Rng::new(8))?);
        let client = Client::in_process(home.path(), &tree.root)?;
        client.open()?;
        drop(client);
        *made = Some((home, tree));
    }
    Ok(made.as_ref().expect("made above"))
}

fn copy_of(home: &Path) -> Result<tempfile::TempDir> {
    let copy = tempfile::tempdir()?;
    tree::copy(&home.join("data"), &copy.path().join("data"))?;
    Ok(copy)
}

fn damage(home: &Path, tree: &Tree, rng: &mut Rng) -> Result<String> {
    let copy = copy_of(home)?;
    let files = tree::all_files(&copy.path().join("data"));
    let file = rng.pick(&files);
    let mut bytes = fs::read(file)?;
    let what = match rng.below(6) {
        0 | 1 if !bytes.is_empty() => {
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
            fs::write(file, bytes)?;
            format!("a flipped bit at {at}")
        }
        2 if !bytes.is_empty() => {
            bytes.truncate(rng.below(bytes.len()));
            fs::write(file, &bytes)?;
            format!("cut to {} bytes", bytes.len())
        }
        3 => {
            fs::write(file, "")?;
            "emptied".to_owned()
        }
        4 => {
            fs::remove_file(file)?;
            "deleted".to_owned()
        }
        _ => {
            let other = rng.pick(&files);
            fs::copy(other, file)?;
            format!("replaced by {}", other.display())
        }
    };
    let what = format!("{} {what}", file.strip_prefix(copy.path())?.display());
    oracle::check_home(copy.path(), &tree.root).with_context(|| what.clone())?;
    // What was repaired stays repaired.
    oracle::check_home(copy.path(), &tree.root).with_context(|| format!("{what}, second start"))?;
    Ok(format!("last: {what}"))
}

/// Bits of values and postings, which only a checksum can know to be wrong.
fn flip(home: &Path, tree: &Tree, round: usize, rng: &mut Rng) -> Result<String> {
    let copy = copy_of(home)?;
    let data = copy.path().join("data");
    let what = if round.is_multiple_of(2) {
        sandbox::need("python3")?;
        // Within the values, so that the database itself is whole.
        let script = "import random, sqlite3, sys\n\
                      numbers = random.Random(int(sys.argv[2]))\n\
                      facts = sqlite3.connect(sys.argv[1])\n\
                      for id, value in facts.execute('SELECT id, value FROM facts').fetchall():\n\
                      \x20   value = bytearray(value)\n\
                      \x20   at = numbers.randrange(len(value) // 2, len(value))\n\
                      \x20   value[at] ^= 1 << numbers.randrange(5)\n\
                      \x20   facts.execute('UPDATE facts SET value = ? WHERE id = ?', (bytes(value), id))\n\
                      facts.commit()\n";
        let facts = data.join("facts.sqlite");
        let seed = rng.next().to_string();
        crate::daemon::run("python3", &["-c", script, sandbox::text(&facts), &seed])?;
        "every stored value"
    } else {
        let segments = tree::all_files(&data).into_iter().filter(|file| {
            let extension = file.extension().unwrap_or_default();
            extension == "idx" || extension == "term"
        });
        for file in segments {
            let mut bytes = fs::read(&file)?;
            // The footer is another row's business.
            for _ in 0..1 + bytes.len() / 2_000 {
                let at = rng.below(bytes.len().saturating_sub(300).max(1));
                bytes[at] ^= 1 << rng.below(8);
            }
            fs::write(file, bytes)?;
        }
        "terms and postings"
    };
    oracle::check_home(copy.path(), &tree.root).context(what)?;
    Ok(format!("last: {what}"))
}

/// Homes at three commits, and the tree at the last of them.
type Generations = Option<(Vec<tempfile::TempDir>, Tree)>;

/// The four things that a commit consists of.
const PARTS: [&str; 4] = ["manifest", "lexical", "files", "facts"];

fn mixed(made: &mut Generations, round: usize) -> Result<String> {
    if made.is_none() {
        let mut rng = Rng::new(9);
        let (home, tree) = (tempfile::tempdir()?, Tree::generate(40, &mut rng)?);
        let mut homes = Vec::new();
        for _ in 0..3 {
            let client = Client::in_process(home.path(), &tree.root)?;
            client.open()?;
            drop(client);
            homes.push(copy_of(home.path())?);
            if homes.len() == 2 {
                // Only contents differ: as many files, chunks and bytes as before.
                for file in tree.files() {
                    tree::same_size_and_time(&tree.root.join(file), &mut rng)?;
                }
            } else if homes.len() == 1 {
                for _ in 0..6 {
                    tree.change(&mut rng)?;
                }
            }
        }
        *made = Some((homes, tree));
    }
    let (homes, tree) = made.as_ref().expect("made above");
    // The number of the round in base three chooses each part's generation.
    let copy = copy_of(homes[round % 3].path())?;
    // The first one is all of the last commit but for the terms.
    let mut digits = (round * 31 + 77) % 81;
    let mut chosen = Vec::new();
    for part in PARTS {
        let from = homes[digits % 3].path();
        chosen.push(format!("{part} {}", digits % 3));
        digits /= 3;
        let is_part = |path: &Path| {
            path.components().any(|c| c.as_os_str().to_string_lossy().starts_with(part))
        };
        for old in tree::all_files(copy.path()) {
            if is_part(old.strip_prefix(copy.path())?) {
                fs::remove_file(old)?;
            }
        }
        for new in tree::all_files(from) {
            let relative = new.strip_prefix(from)?;
            if is_part(relative) {
                fs::copy(&new, copy.path().join(relative))?;
            }
        }
    }
    oracle::check_home(copy.path(), &tree.root).with_context(|| chosen.join(", "))?;
    Ok(String::new())
}

fn other_format(home: &Path, tree: &Tree, round: usize) -> Result<String> {
    let copy = copy_of(home)?;
    let files = tree::all_files(copy.path());
    let named = |name: &str| {
        files.iter().find(|file| file.ends_with(name)).context("a file of the index is missing")
    };
    match round % 4 {
        0 => {
            // Behind the magic of eight bytes.
            let mut bytes = fs::read(named("manifest")?)?;
            bytes[8] = bytes[8].wrapping_add(1 + round as u8);
            fs::write(named("manifest")?, bytes)?;
        }
        1 => {
            // The user version of a SQLite file.
            let mut bytes = fs::read(named("facts.sqlite")?)?;
            bytes[63] = bytes[63].wrapping_add(1 + round as u8);
            fs::write(named("facts.sqlite")?, bytes)?;
        }
        2 => {
            let meta = named("meta.json")?;
            fs::write(meta, fs::read_to_string(meta)?.replace("\"body\"", "\"other\""))?;
        }
        _ => {
            let mut bytes = fs::read(named("files")?)?;
            bytes.truncate(31);
            fs::write(named("files")?, bytes)?;
        }
    }
    oracle::check_home(copy.path(), &tree.root)?;
    Ok(String::new())
}

/// After an upgrade an editor may still talk to the old daemon, while commands start a new one.
fn two_builds(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(60, rng)?);
    let old = Daemon::start(home.path())?;
    let of_old = old.client(&tree.root)?;
    of_old.open()?;
    let upgraded = home.path().join("fovea-new");
    fs::copy(crate::daemon::binary(), &upgraded)?;
    let new_home = home.path().join("new");
    let mut command = crate::daemon::command(&upgraded, &new_home);
    // The same data, another folder for the socket: only the index is shared.
    command.env("FOVEA_DATA_DIR", home.path().join("data")).args(["daemon", "run"]);
    let new = Daemon::spawn(command, &new_home)?;
    let of_new = new.client(&tree.root)?;
    of_new.open()?;
    for _ in 0..4 {
        tree.change(rng)?;
        oracle::check(&of_old, &tree.root).context("the old daemon")?;
        oracle::check(&of_new, &tree.root).context("the new daemon")?;
    }
    let warnings = of_new.status()?.warnings;
    ensure!(
        warnings.iter().any(|warning| warning.contains("another process")),
        "the new daemon does not say who has the index: {warnings:?}"
    );
    drop((of_old, of_new));
    old.stop()?;
    new.stop()?;
    oracle::check_home(home.path(), &tree.root)?;
    Ok(String::new())
}

/// Two open indexes must stay however little space is allowed, the closed one must go.
fn collected(_: usize, rng: &mut Rng) -> Result<String> {
    let home = tempfile::tempdir()?;
    let (closed, open) = (Tree::generate(20, rng)?, Tree::generate(60, rng)?);
    drop(Client::in_process(home.path(), &closed.root)?.open()?);
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&open.root)?;
    client.open()?;
    for round in 0..4 {
        open.change(rng)?;
        let collect = Method::Collect { dry_run: false, max_bytes: Some(1), unused_days: None };
        let Answer::Collected(view) = client.ask(collect)? else { bail!("another answer") };
        let n_wanted = usize::from(round == 0);
        ensure!(view.indexes.len() == n_wanted, "round {round} removed {:?}", view.indexes);
        ensure!(view.indexes.iter().all(|index| index.root.as_ref() == Some(&closed.root)));
        oracle::check(&client, &open.root)?;
    }
    daemon.check_alive()?;
    daemon.stop()?;
    oracle::check_home(home.path(), &open.root)?;
    oracle::check_home(home.path(), &closed.root)?;
    Ok(String::new())
}
