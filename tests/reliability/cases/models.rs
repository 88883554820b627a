//! Section J: files that claim to be models, and the process that runs one.

use std::{
    fs,
    os::unix::{fs::symlink, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fovea_api::{Answer, At, Encoding, Method, Preset};
use fovea_model::gguf::writer::{GgufWriter, Value};

use crate::{
    client::Client,
    daemon::{Daemon, is_running, signal, wrapped},
    rng::Rng,
    sandbox::{self, text},
    suite::{NotHere, Suite},
    tree::Tree,
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("J01", "mutants of a model file, at the gate", (120, 5_000), mutant);
    suite.row("J01w", "mutants of a model file, in a daemon", (4, 100), loaded_mutant);
    let made = made_by_hand();
    suite.row("J02", "model files made to lie", (made.len(), made.len()), |round, _| {
        let (name, bytes) = &made[round];
        refused(name, bytes)
    });
    suite.row("J05", "a model file that is not what was added", (5, 5), |round, _| changed(round));
    suite.row("J06", "a model's process that dies or hangs", (4, 40), killed);
    suite.row("J09", "cancelled generations", (1, 10), cancelled);
}

/// One token a byte, as byte-level vocabularies spell them.
fn bytes_as_tokens() -> Vec<String> {
    let mut next = 256;
    let mut spelled = |byte: u32| match byte {
        33..=126 | 161..=172 | 174..=255 => char::from_u32(byte),
        _ => {
            next += 1;
            char::from_u32(next - 1)
        }
    };
    (0..256).filter_map(|byte| spelled(byte).map(String::from)).collect()
}

/// Passes the gate; has no weights that could be run.
fn tiny() -> Vec<u8> {
    let tokens = bytes_as_tokens();
    let n = tokens.len();
    GgufWriter::new("llama")
        .meta("llama.block_count", Value::U32(1))
        .meta("llama.context_length", Value::U32(64))
        .meta("llama.embedding_length", Value::U32(32))
        .meta("llama.feed_forward_length", Value::U32(32))
        .meta("llama.attention.head_count", Value::U32(2))
        .meta("llama.rope.freq_base", Value::F32(10_000.0))
        .meta("tokenizer.ggml.model", Value::Str("gpt2".into()))
        .meta("tokenizer.ggml.tokens", Value::Strings(tokens))
        .meta("tokenizer.ggml.merges", Value::Strings(Vec::new()))
        .tensor_f32("token_embd.weight", &[32, n], &vec![0.5; 32 * n])
        .tensor_f32("output_norm.weight", &[32], &[1.0; 32])
        .finish()
}

/// `fovea model add`, with at most so much memory as any honest small file needs.
fn add(home: &Path, file: &Path) -> Result<Output> {
    let limited = ["prlimit", "--as=1000000000", "--cpu=20"];
    let before: &[&str] = if sandbox::need("prlimit").is_ok() { &limited } else { &[] };
    Ok(wrapped(before, home, &["model", "add", text(file), "--name", "odd"]).output()?)
}

/// Refused or taken, in time, and not by a signal or a panic.
fn ended(output: &Output) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.signal().is_none(), "ended by a signal: {said}");
    ensure!(output.status.code() != Some(101) && !said.contains("panicked"), "a panic: {said}");
    Ok(said)
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..1 + rng.below(3) {
        let at = rng.below(bytes.len());
        match rng.below(6) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            2 => bytes.truncate(at.max(8)),
            3 => {
                let number = *rng.pick(&[0, u64::MAX, 1 << 31, 1 << 59, 0x8000_0000_0000_0000]);
                for (to, from) in bytes[at..].iter_mut().zip(number.to_le_bytes()) {
                    *to = from;
                }
            }
            4 => {
                let (from, n) = (rng.below(bytes.len()), rng.below(64));
                let part: Vec<u8> = bytes[from..].iter().take(n).copied().collect();
                bytes.splice(at..at, part);
            }
            _ => {
                let end = (at + rng.below(32)).min(bytes.len());
                bytes.drain(at..end);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

fn mutant(_: usize, rng: &mut Rng) -> Result<String> {
    let home = tempfile::tempdir()?;
    let mut bytes = tiny();
    mutate(&mut bytes, rng);
    let file = home.path().join("mutant.gguf");
    fs::write(&file, bytes)?;
    let started = Instant::now();
    let output = add(home.path(), &file)?;
    ended(&output)?;
    ensure!(started.elapsed() < Duration::from_secs(10), "took {:?}", started.elapsed());
    Ok(String::new())
}

/// Settings name the mutant; the daemon answers from the index and goes on.
fn loaded_mutant(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(25, rng)?, tempfile::tempdir()?);
    let mut bytes = tiny();
    mutate(&mut bytes, rng);
    let file = home.path().join("mutant.gguf");
    fs::write(&file, bytes)?;
    set_model(home.path(), &file)?;
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    for _ in 0..2 {
        complete(&client, &tree)?;
        daemon.check_alive()?;
    }
    Ok(String::new())
}

fn set_model(home: &Path, file: &Path) -> Result<()> {
    fs::create_dir_all(home.join("config"))?;
    let settings = format!("[model]\npath = \"{}\"\nthreads = 2\n", text(file));
    Ok(fs::write(home.join("config/config.toml"), settings)?)
}

fn complete(client: &Client, tree: &Tree) -> Result<Option<fovea_api::Suggestion>> {
    match client.ask(completion(tree, 24)?)? {
        Answer::Suggestion(suggestion) => Ok(suggestion),
        answer => bail!("a suggestion was expected: {answer:?}"),
    }
}

fn completion(tree: &Tree, max_tokens: usize) -> Result<Method> {
    let path = tree.files().into_iter().find(|path| path.ends_with(".py")).context("a file")?;
    let lines = fs::read_to_string(tree.root.join(&path))?;
    let line = lines.lines().count() as u32 / 2;
    Ok(Method::Complete {
        at: At { path, line, column: 0, encoding: Encoding::Utf32 },
        preset: Preset::Lean,
        budget_tokens: None,
        max_tokens: Some(max_tokens),
        with_context: true,
        multi_line: true,
        use_model: true,
    })
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [string(name), kind.to_le_bytes().to_vec(), value.to_vec()].concat()
}

fn tensor(name: &str, dims: &[u64], dtype: u32, offset: u64) -> Vec<u8> {
    let mut out = string(name);
    out.extend((dims.len() as u32).to_le_bytes());
    dims.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
    out.extend(dtype.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out
}

/// A header, then raw parts.
fn raw(n_tensors: u64, n_keys: u64, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(n_tensors.to_le_bytes());
    out.extend(n_keys.to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

fn made_by_hand() -> Vec<(String, Vec<u8>)> {
    let architecture = key("general.architecture", 8, &string("llama"));
    let data = [0; 4096];
    let with_key = |value: Vec<u8>| raw(0, 2, &[&architecture, &value]);
    let one = |dims: &[u64], dtype, offset| {
        raw(1, 1, &[&architecture, &tensor("w", dims, dtype, offset), &data])
    };
    let array = |kind: u32, n: u64| [&kind.to_le_bytes()[..], &n.to_le_bytes()].concat();
    let alignment = |n: u32| with_key(key("general.alignment", 4, &n.to_le_bytes()));
    let two = |second: &str, offset| {
        let (a, b) = (tensor("w", &[32], 0, 0), tensor(second, &[32], 0, offset));
        raw(2, 1, &[&architecture, &a, &b, &data])
    };
    let nested = (0..65).fold(Vec::new(), |inner: Vec<u8>, _| [array(9, 1), inner].concat());
    let valid = tiny();
    let mut all = vec![
        ("alignment 0", alignment(0)),
        ("alignment 3", alignment(3)),
        ("alignment 2^31", alignment(1 << 31)),
        ("a dimension of 0", one(&[0, 32], 0, 0)),
        ("dimensions whose product wraps", one(&[(1 << 59) + 1, 32], 0, 0)),
        ("dimensions whose product is 0 when it wraps", one(&[1 << 32, 1 << 32], 0, 0)),
        ("a tensor of the file's size", one(&[1 << 20], 0, 0)),
        ("five dimensions", one(&[2, 2, 2, 2, 2], 0, 0)),
        ("no dimension, many claimed", raw(1, 1, &[&architecture, &string("w"), &[0xff; 4]])),
        ("2^64-1 tensors", raw(u64::MAX, 0, &[])),
        ("2^64-1 keys", raw(0, u64::MAX, &[])),
        ("a string of 2^30", with_key(key("k", 8, &(1u64 << 30).to_le_bytes()))),
        ("a string of 2^64-1", with_key(key("k", 8, &u64::MAX.to_le_bytes()))),
        ("arrays in arrays", with_key(key("k", 9, &nested))),
        ("an array of 2^64-1", with_key(key("k", 9, &array(0, u64::MAX)))),
        ("an array of 2^40 strings", with_key(key("k", 9, &array(8, 1 << 40)))),
        ("a key twice", with_key(architecture.clone())),
        ("a tensor twice", two("w", 128)),
        ("tensors that overlap", two("v", 64)),
        ("a tensor behind the end", one(&[32], 0, 1 << 20)),
        ("an offset of 2^64-1", one(&[32], 0, u64::MAX)),
        ("an unknown tensor type", one(&[32], 999, 0)),
        ("an unknown value type", with_key(key("k", 99, &[]))),
        ("no architecture", raw(0, 0, &[])),
        ("a number for the architecture", raw(0, 1, &[&key("general.architecture", 4, &[1; 4])])),
        (
            "an architecture nobody knows",
            raw(0, 1, &[&key("general.architecture", 8, &string("nope"))]),
        ),
        ("another magic", b"GGML\x03\0\0\0".to_vec()),
        ("version 1", [b"GGUF\x01\0\0\0", &valid[8..]].concat()),
        ("an empty file", Vec::new()),
        ("control characters in a key", with_key(key("a\x1b[2J", 4, &[0; 4]))),
    ]
    .into_iter()
    .map(|(name, bytes): (&str, Vec<u8>)| (name.to_owned(), bytes))
    .collect::<Vec<_>>();
    all.extend((0..valid.len()).step_by(512).map(|n| (format!("cut at {n}"), valid[..n].to_vec())));
    all
}

/// With a reason, and with no more memory than the gate is meant to take.
fn refused(name: &str, bytes: &[u8]) -> Result<String> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("made.gguf");
    fs::write(&file, bytes)?;
    let output = add(home.path(), &file)?;
    let said = ended(&output)?;
    ensure!(!output.status.success(), "{name}: taken");
    ensure!(said.lines().count() <= 2 && said.len() > 30, "{name}: little is said: {said}");
    ensure!(!said.contains('\x1b'), "{name}: {said:?}");
    Ok(String::new())
}

/// The record is that of another file: not used, and named.
fn changed(round: usize) -> Result<String> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("good.gguf");
    fs::write(&file, tiny())?;
    let output = add(home.path(), &file)?;
    ensure!(output.status.success(), "{}", ended(&output)?);
    let path = wrapped(&[], home.path(), &["model", "path"]).output()?;
    let stored = PathBuf::from(String::from_utf8_lossy(&path.stdout).trim());
    let mut bytes = fs::read(&stored)?;
    match round {
        0 => bytes.push(0),
        1 => bytes.truncate(bytes.len() - 1),
        2 => bytes.clear(),
        _ => {}
    }
    fs::remove_file(&stored)?;
    match round {
        0..=2 => fs::write(&stored, bytes)?,
        3 => symlink("/etc/passwd", &stored)?,
        _ => fs::create_dir(&stored)?,
    }
    let path = wrapped(&[], home.path(), &["model", "path"]).output()?;
    let said = String::from_utf8_lossy(&path.stderr).into_owned();
    ensure!(!path.status.success(), "it is used all the same");
    ensure!(said.contains("odd"), "not named: {said}");
    Ok(String::new())
}

fn real_model() -> Result<PathBuf> {
    let path = std::env::var_os("FOVEA_TEST_MODEL").map(PathBuf::from).filter(|it| it.is_file());
    path.ok_or_else(|| NotHere("FOVEA_TEST_MODEL names no model".into()).into())
}

fn worker(client: &Client) -> Result<Option<u32>> {
    match client.ask(Method::Status)? {
        Answer::Status { daemon, .. } => Ok(daemon.model.worker_pid),
        answer => bail!("a status was expected: {answer:?}"),
    }
}

/// A daemon whose model has written something.
struct Writer {
    tree: Tree,
    home: tempfile::TempDir,
    daemon: Daemon,
    client: Client,
    /// Of the model's process.
    pid: u32,
}

impl Writer {
    fn start(rng: &mut Rng) -> Result<Self> {
        let model = real_model()?;
        let (tree, home) = (Tree::generate(25, rng)?, tempfile::tempdir()?);
        set_model(home.path(), &model)?;
        let daemon = Daemon::start(home.path())?;
        let client = daemon.client(&tree.root)?;
        client.open()?;
        complete(&client, &tree)?;
        let pid = worker(&client)?.context("a worker")?;
        Ok(Self { tree, home, daemon, client, pid })
    }
}

/// Killed while loading or while it writes, or stopped for good: the daemon answers from the index, and
/// the next process works.
fn killed(round: usize, rng: &mut Rng) -> Result<String> {
    let Writer { tree, home: _home, mut daemon, client, pid } = Writer::start(rng)?;
    let pending = client.api().send(Some(tree.root.clone()), None, completion(&tree, 400)?)?;
    std::thread::sleep(Duration::from_millis(rng.below(300) as u64));
    signal(pid, if round.is_multiple_of(2) { "KILL" } else { "ABRT" })?;
    let answer = pending.wait_for(Duration::from_secs(30))?.context("no answer")?;
    ensure!(answer.result.is_ok(), "{:?}", answer.result);
    daemon.check_alive()?;
    ensure!(!client.search("parse").map(|n| n == 0)?, "search suffers");
    // After its pause there is another one.
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        complete(&client, &tree)?;
        match worker(&client)? {
            Some(new) if new != pid => break,
            _ => ensure!(Instant::now() < deadline, "no other process"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    ensure!(!is_running(pid), "the old one is still there");
    daemon.check_alive()?;
    Ok(String::new())
}

/// Each is over soon, and none leaves anything behind.
fn cancelled(_: usize, rng: &mut Rng) -> Result<String> {
    let Writer { tree, home: _home, mut daemon, client, pid } = Writer::start(rng)?;
    let (n, mut slowest) = (60, Duration::ZERO);
    let fds = daemon.n_fds();
    for _ in 0..n {
        let root = Some(tree.root.clone());
        let pending = client.api().send(root.clone(), None, completion(&tree, 400)?)?;
        std::thread::sleep(Duration::from_millis(rng.below(40) as u64));
        let started = Instant::now();
        client.api().call(root, None, Method::Cancel { id: pending.id })?;
        pending.wait_for(Duration::from_secs(10))?.context("no answer")?;
        slowest = slowest.max(started.elapsed());
    }
    ensure!(slowest < Duration::from_secs(2), "the slowest took {slowest:?}");
    ensure!(worker(&client)? == Some(pid), "another process");
    ensure!(daemon.n_fds() <= fds + 3, "{} handles, were {fds}", daemon.n_fds());
    complete(&client, &tree)?;
    daemon.check_alive()?;
    Ok(format!("{n} cancelled, the slowest over after {} ms", slowest.as_millis()))
}
