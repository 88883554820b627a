//! Section F: many clients, rude clients, other users, other versions, and ends of all kinds.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use fovea_api::{Answer, ErrorCode, Frame, Method, Request, wire};

use crate::{
    client::{self, Client},
    daemon::{Daemon, PATIENCE, wrapped},
    oracle,
    rng::Rng,
    sandbox,
    suite::Suite,
    tree::{self, Tree},
};

pub(crate) fn run(suite: &mut Suite) {
    super::places::run(suite);
    super::versions::run(suite);
    let n_questions = suite.n(30, 500);
    suite.row("F01", "50 clients at once", (1, 5), |_, rng| fifty(n_questions, rng));
    suite.row("F04", "kill -9 under clients that come back", (2, 100), come_back);
    let is_long = suite.n(0, 1) == 1;
    suite.row("F08", "slow and rude clients", (1, 10), |_, rng| rude(is_long, rng));
    suite.row("F09", "clients that vanish mid-question", (1, 20), vanishing);
    suite.row("F10", "an unknown method, and a client of another version", (1, 5), other_version);
    suite.row("F11", "cancelled questions", (1, 10), cancelled);
    suite.row("F19", "two editors on one file, with saves below", (1, 1_000), two_editors);
}

pub(super) fn started(
    n_files: usize,
    rng: &mut Rng,
) -> Result<(tempfile::TempDir, Daemon, Client, Tree)> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(n_files, rng)?);
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    Ok((home, daemon, client, tree))
}

pub(super) fn question(rng: &mut Rng) -> Method {
    match rng.below(4) {
        0 => client::search("parse store".into(), 10),
        1 => Method::Symbols { query: format!("load_{}", rng.below(40)), limit: 20 },
        2 => client::grep("return", false, 20),
        _ => Method::Status,
    }
}

/// The `percent`-th percentile in milliseconds.
fn percentile(times: &mut [Duration], percent: usize) -> f32 {
    times.sort();
    times[(times.len() - 1) * percent / 100].as_secs_f32() * 1e3
}

fn ask_many(client: &Client, n: usize, rng: &mut Rng) -> Result<Vec<Duration>> {
    (0..n)
        .map(|_| {
            let started = Instant::now();
            client.ask(question(rng))?;
            Ok(started.elapsed())
        })
        .collect()
}

fn fifty(n_questions: usize, rng: &mut Rng) -> Result<String> {
    let (_home, mut daemon, client, tree) = started(120, rng)?;
    let mut alone = ask_many(&client, n_questions * 4, rng)?;
    let before = daemon.proc("status", "VmRSS:");
    let seeds: Vec<u64> = (0..50).map(|_| rng.next()).collect();
    let outcomes: Vec<Result<Vec<Duration>>> = thread::scope(|scope| {
        let (daemon, tree) = (&daemon, &tree);
        let ask = |seed: u64| {
            scope.spawn(move || {
                let client = daemon.client(&tree.root)?;
                ask_many(&client, n_questions, &mut Rng::new(seed))
            })
        };
        let threads: Vec<_> = seeds.into_iter().map(ask).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let grown = daemon.proc("status", "VmRSS:").saturating_sub(before) / 50;
    let mut times: Vec<Duration> = Vec::new();
    for outcome in outcomes {
        times.extend(outcome?);
    }
    daemon.check_alive()?;
    ensure!(grown < 2_048, "{grown} KiB a client");
    Ok(format!(
        "{} answers, p50/p99 {:.1}/{:.1} ms alone, {:.1}/{:.1} ms with 50; {grown} KiB a client",
        times.len(),
        percentile(&mut alone, 50),
        percentile(&mut alone, 99),
        percentile(&mut times, 50),
        percentile(&mut times, 99),
    ))
}

/// What a client of the real connection code sees when its daemon dies: the next command works.
fn come_back(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, daemon, client, tree) = started(40, rng)?;
    let clients: Vec<Client> = (0..20).map(|_| daemon.client(&tree.root)).collect::<Result<_>>()?;
    let waiting: Vec<_> = clients
        .iter()
        .map(|client| client.api().send(Some(tree.root.clone()), None, question(rng)))
        .collect::<std::result::Result<_, _>>()?;
    daemon.kill()?;
    let started = Instant::now();
    for pending in waiting {
        // An answer that was on its way, or the end of the connection; never silence.
        let outcome = pending.wait_for(PATIENCE);
        ensure!(!matches!(outcome, Ok(None)), "a client hangs after its daemon is gone");
    }
    drop(client);
    let root = sandbox::text(&tree.root);
    let output = wrapped(&[], home.path(), &["--root", root, "search", "parse"]).output()?;
    let took = started.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wrapped(&[], home.path(), &["daemon", "stop"]).output()?;
    ensure!(took < PATIENCE, "answered again after {took:?}");
    Ok(format!("answered again after {} ms", took.as_millis()))
}

fn rude(is_timed: bool, rng: &mut Rng) -> Result<String> {
    let (_home, mut daemon, client, tree) = started(60, rng)?;
    let mut alone = ask_many(&client, 200, rng)?;
    let n_fds = daemon.n_fds();
    let mut rude = Vec::new();
    for index in 0..20 {
        let mut stream = UnixStream::connect(&daemon.socket)?;
        match index % 5 {
            // Half a frame, then silence.
            0 => stream.write_all(&[200, 0, 0, 0, b'{', b'"'])?,
            // Says nothing at all.
            1 => {}
            // A promise of 60 MB.
            2 => stream.write_all(&(60u32 << 20).to_le_bytes())?,
            // Asks much and reads nothing.
            3 => {
                let method = Method::Symbols { query: "a".into(), limit: 2_000 };
                for id in 0..100 {
                    let root = Some(tree.root.clone());
                    let request = Request { id, root, deadline_ms: None, method: method.clone() };
                    let bytes = wire::encode(&Frame::Request(request))?;
                    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
                    if stream.write_all(&bytes).is_err() {
                        break;
                    }
                }
            }
            // One byte at a time.
            _ => {
                let request =
                    Request { id: 1, root: None, deadline_ms: None, method: Method::Status };
                for byte in wire::encode(&Frame::Request(request))?.into_iter().take(20) {
                    stream.write_all(&[byte])?;
                }
            }
        }
        rude.push(stream);
    }
    // Many that connect and leave at once.
    for _ in 0..500 {
        drop(UnixStream::connect(&daemon.socket)?);
    }
    let mut beside = ask_many(&client, 200, rng)?;
    drop(rude);
    let deadline = Instant::now() + PATIENCE;
    while daemon.n_fds() > n_fds + 3 {
        ensure!(Instant::now() < deadline, "{} handles, {n_fds} before", daemon.n_fds());
        sleep(Duration::from_millis(50));
    }
    daemon.check_alive()?;
    let (a, b) = (percentile(&mut alone, 99), percentile(&mut beside, 99));
    // Both were answered; how soon depends on what else the machine does.
    ensure!(
        !is_timed || b < 20.0 * a.max(20.0),
        "p99 {a:.1} ms alone, {b:.1} ms beside rude clients"
    );
    Ok(format!("p99 {a:.1} ms alone, {b:.1} ms beside 20 rude clients"))
}

fn vanishing(_: usize, rng: &mut Rng) -> Result<String> {
    let (_home, mut daemon, client, tree) = started(60, rng)?;
    let (n_fds, n_threads) = (daemon.n_fds(), daemon.proc("status", "Threads:"));
    for index in 0..200u64 {
        let mut stream = UnixStream::connect(&daemon.socket)?;
        let root = Some(tree.root.clone());
        let method = if index % 3 == 0 { Method::Sync } else { question(rng) };
        let request = Request { id: index, root, deadline_ms: None, method };
        let bytes = wire::encode(&Frame::Request(request))?;
        stream.write_all(&bytes[..bytes.len() - rng.below(2) * rng.below(bytes.len())])?;
        if index % 2 == 0 {
            let mut some = [0; 3];
            stream.set_read_timeout(Some(Duration::from_millis(2)))?;
            let _ = stream.read(&mut some);
        }
    }
    let deadline = Instant::now() + PATIENCE;
    while daemon.n_fds() > n_fds + 2 || daemon.proc("status", "Threads:") > n_threads + 6 {
        ensure!(
            Instant::now() < deadline,
            "{} handles and {} threads, {n_fds} and {n_threads} before",
            daemon.n_fds(),
            daemon.proc("status", "Threads:")
        );
        sleep(Duration::from_millis(50));
    }
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    let Answer::Status { daemon: status, .. } = client.ask(Method::Status)? else {
        anyhow::bail!("a status was expected")
    };
    ensure!(status.n_clients == 1, "{} clients", status.n_clients);
    Ok(String::new())
}

fn raw(stream: &mut UnixStream, body: &str) -> Result<Frame> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&(body.len() as u32).to_le_bytes())?;
    stream.write_all(body.as_bytes())?;
    Ok(wire::read(stream)?)
}

/// Clients find the daemon of their own build by the socket's name; one that comes anyway is told.
fn other_version(_: usize, rng: &mut Rng) -> Result<String> {
    let (_home, mut daemon, client, _tree) = started(10, rng)?;
    let mut stream = UnixStream::connect(&daemon.socket)?;
    let unknown =
        "{\"frame\":\"request\",\"id\":7,\"root\":null,\"method\":\"teleport\",\"params\":{}}";
    match raw(&mut stream, unknown)? {
        Frame::Response(response) => {
            ensure!(response.id == 7, "answered {}", response.id);
            let err = response.result.err().context("an error")?;
            ensure!(err.code == ErrorCode::BadRequest, "{err:?}");
        }
        other => anyhow::bail!("an error was expected: {other:?}"),
    }
    // The same connection goes on.
    let known =
        "{\"frame\":\"request\",\"id\":8,\"root\":null,\"method\":\"status\",\"new-field\":1}";
    match raw(&mut stream, known)? {
        Frame::Response(response) => ensure!(response.id == 8 && response.result.is_ok(), "status"),
        other => anyhow::bail!("a status was expected: {other:?}"),
    }
    client.ask(Method::Status)?;
    daemon.check_alive()?;
    Ok(String::new())
}

fn cancelled(_: usize, rng: &mut Rng) -> Result<String> {
    let (_home, mut daemon, client, tree) = started(150, rng)?;
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let method = client::grep("(a|b)+z", true, 9);
        let pending = client.api().send(Some(tree.root.clone()), None, method)?;
        let started = Instant::now();
        let cancel = client.api().send(None, None, Method::Cancel { id: pending.id })?;
        ensure!(cancel.wait_for(PATIENCE)?.is_some(), "no answer to the cancellation");
        ensure!(pending.wait_for(PATIENCE)?.is_some(), "no answer when cancelled");
        slowest = slowest.max(started.elapsed());
    }
    daemon.check_alive()?;
    Ok(format!("slowest reply {} ms", slowest.as_millis()))
}

fn two_editors(_: usize, rng: &mut Rng) -> Result<String> {
    let (_home, mut daemon, one, tree) = started(15, rng)?;
    let two = daemon.client(&tree.root)?;
    let files = tree.files();
    let path = rng.pick(&files).clone();
    // What each editor has open, newest text last.
    let mut open: Vec<(usize, String)> = Vec::new();
    for _ in 0..12 {
        let editor = rng.below(2);
        let client = [&one, &two][editor];
        match rng.below(4) {
            0 | 1 => {
                let text = tree::text(&path, rng);
                client.edit(&path, &text)?;
                open.retain(|(other, _)| *other != editor);
                open.push((editor, text));
            }
            2 => {
                client.close(&path)?;
                open.retain(|(other, _)| *other != editor);
            }
            _ => tree.write(&path, tree::text(&path, rng))?,
        }
    }
    one.sync()?;
    let live = one.dump()?;
    let fresh = match open.last() {
        Some((_, text)) => oracle::scratch_with(&tree.root, |fresh| fresh.edit(&path, text))?,
        None => oracle::scratch(&tree.root)?,
    };
    oracle::compare(&live, &fresh)?;
    // An editor that dies takes its unsaved text along.
    one.close(&path)?;
    two.edit(&path, &tree::text(&path, rng))?;
    one.sync()?;
    drop(two);
    let deadline = Instant::now() + PATIENCE;
    while oracle::check(&one, &tree.root).is_err() {
        ensure!(Instant::now() < deadline, "unsaved text of a client that is gone");
    }
    daemon.check_alive()?;
    Ok(String::new())
}

pub(super) fn garbage(round: usize, rng: &mut Rng) -> Result<String> {
    thread_local! {
        static DAEMON: std::cell::RefCell<super::freshness::Shared> =
            const { std::cell::RefCell::new(None) };
    }
    DAEMON.with_borrow_mut(|made| {
        let (daemon, client, tree) = super::freshness::shared(made, 10)?;
        let before = daemon.proc("status", "VmRSS:");
        let mut stream = UnixStream::connect(&daemon.socket)?;
        stream.set_write_timeout(Some(Duration::from_secs(2)))?;
        let request = Request {
            id: 3,
            root: Some(tree.root.clone()),
            deadline_ms: None,
            method: Method::Symbols { query: "load".into(), limit: 5 },
        };
        let good = wire::encode(&Frame::Request(request))?;
        let body = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let bytes = match round % 10 {
            0 => u32::MAX.to_le_bytes().to_vec(),
            1 => vec![0; 4],
            2 => body("{}"),
            3 => body(&"[".repeat(200_000)),
            4 => body("{\"frame\":\"request\",\"id\":-1,\"root\":3,\"method\":\"status\"}"),
            5 => body("{\"frame\":\"request\",\"id\":1e400,\"method\":\"status\"}"),
            6 => (0..5_000).map(|_| rng.below(256) as u8).collect(),
            7 => body(
                "\u{feff}{\"frame\":\"response\",\"id\":1,\"result\":{\"Ok\":{\"kind\":\"done\"}}}",
            ),
            _ => {
                let mut mutant = good.clone();
                for _ in 0..1 + rng.below(4) {
                    let at = rng.below(mutant.len());
                    mutant[at] = rng.below(256) as u8;
                }
                mutant
            }
        };
        // The daemon may close while we still write.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("the connection is neither answered nor closed")?;
        client.symbols(&tree.files()[0])?;
        daemon.check_alive()?;
        let grown = daemon.proc("status", "VmRSS:").saturating_sub(before);
        ensure!(grown < 80_000, "{grown} KiB more after garbage");
        Ok(String::new())
    })
}
