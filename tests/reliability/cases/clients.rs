//! Section F: many clients, rude clients, other users, other versions, and ends of all kinds.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::Stdio,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use fovea_api::{Answer, ErrorCode, Frame, Method, Request, wire};

use crate::{
    client::{self, Client},
    daemon::{Daemon, command, wrapped},
    oracle,
    rng::Rng,
    sandbox,
    suite::Suite,
    tree::{self, Tree},
};

pub(crate) fn run(suite: &mut Suite) {
    let n_questions = suite.n(30, 500);
    suite.row("F01", "50 clients at once", (1, 5), |_, rng| fifty(n_questions, rng));
    suite.row("F02", "daemons started together for one home", (3, 100), start_together);
    suite.row("F03", "stale socket, lock of a dead or foreign process", (4, 40), stale);
    suite.row("F04", "kill -9 under clients that come back", (2, 100), come_back);
    suite.row("F05", "modes under any umask", (3, 3), modes);
    suite.row("F06", "another user connects", (1, 20), other_user);
    suite.row("F07", "something else at the runtime folder's place", (5, 25), squatters);
    suite.row("F08", "slow and rude clients", (1, 10), rude);
    suite.row("F09", "clients that vanish mid-question", (1, 20), vanishing);
    suite.row("F10", "an unknown method, and a client of another version", (1, 5), other_version);
    suite.row("F11", "cancelled questions", (1, 10), cancelled);
    suite.row("F15", "ends by signal and by request under load", (4, 40), ends);
    suite.row("F16", "cold start to the first answer", (1, 5), cold_start);
    suite.row("F17", "a home with a long or odd path", (3, 9), odd_homes);
    suite.row("F19", "two editors on one file, with saves below", (1, 1_000), two_editors);
    suite.row("F21", "a client's environment does not reach the daemon", (1, 3), environment);
    suite.row("G01", "garbage, lying and giant frames", (60, 5_000), garbage);
}

fn started(n_files: usize, rng: &mut Rng) -> Result<(tempfile::TempDir, Daemon, Client, Tree)> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(n_files, rng)?);
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    Ok((home, daemon, client, tree))
}

fn question(rng: &mut Rng) -> Method {
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

fn start_together(_: usize, _: &mut Rng) -> Result<String> {
    let home = tempfile::tempdir()?;
    let n = 10;
    let mut children = Vec::new();
    for _ in 0..n {
        let mut command = wrapped(&[], home.path(), &["daemon", "start"]);
        children.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?);
    }
    let mut said = Vec::new();
    for child in children {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        said.push(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    said.sort();
    said.dedup();
    let stopped = wrapped(&[], home.path(), &["daemon", "stop"]).output()?;
    ensure!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    ensure!(said.len() == 1, "{n} clients met different daemons: {said:?}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while sockets(home.path()) > 0 {
        ensure!(Instant::now() < deadline, "a socket is left");
        sleep(Duration::from_millis(10));
    }
    Ok(String::new())
}

fn sockets(home: &Path) -> usize {
    let is_socket = |path: &Path| path.extension().is_some_and(|extension| extension == "sock");
    fs::read_dir(home.join("run"))
        .map_or(0, |entries| entries.flatten().filter(|entry| is_socket(&entry.path())).count())
}

fn stale(round: usize, rng: &mut Rng) -> Result<String> {
    let (home, daemon, client, tree) = started(10, rng)?;
    drop(client);
    let (socket, lock) = (daemon.socket.clone(), daemon.socket.with_extension("lock"));
    daemon.kill()?;
    match round % 4 {
        0 => {}
        // Names a process that lives and is somebody else's.
        1 => fs::write(&lock, "1\n")?,
        2 => fs::write(&lock, "not a number")?,
        _ => {
            fs::remove_file(&socket)?;
            fs::write(&socket, "a plain file")?;
        }
    }
    let started = Instant::now();
    let mut daemon = Daemon::start(home.path())?;
    ensure!(started.elapsed() < Duration::from_secs(5), "the start took {:?}", started.elapsed());
    oracle::check(&daemon.client(&tree.root)?, &tree.root)?;
    daemon.check_alive()?;
    Ok(String::new())
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
        let outcome = pending.wait_for(Duration::from_secs(5));
        ensure!(!matches!(outcome, Ok(None)), "a client hangs after its daemon is gone");
    }
    drop(client);
    let root = sandbox::text(&tree.root);
    let output = wrapped(&[], home.path(), &["--root", root, "search", "parse"]).output()?;
    let took = started.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wrapped(&[], home.path(), &["daemon", "stop"]).output()?;
    ensure!(took < Duration::from_secs(8), "answered again after {took:?}");
    Ok(format!("answered again after {} ms", took.as_millis()))
}

fn modes(round: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(10, rng)?);
    let umask = ["000", "022", "077"][round % 3];
    let script = format!("umask {umask}; exec \"$0\" \"$@\"");
    let daemon = Daemon::start_in(&["sh", "-c", &script], home.path())?;
    daemon.client(&tree.root)?.open()?;
    let mut folders = vec![home.path().to_owned()];
    let mut n = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let (path, metadata) = (entry.path(), fs::symlink_metadata(entry.path())?);
            if path.parent() == Some(home.path()) && metadata.is_file() {
                continue;
            }
            if metadata.is_symlink() {
                continue;
            }
            let mode = metadata.permissions().mode() & 0o777;
            n += 1;
            // Within a private folder nobody else reaches a file, whatever its own mode.
            if metadata.is_dir() && path.parent() == Some(home.path()) {
                ensure!(mode == 0o700, "{} has mode {mode:o}", path.display());
            }
            if path.extension().is_some_and(|extension| extension == "sock") {
                ensure!(mode == 0o600, "{} has mode {mode:o}", path.display());
            }
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    daemon.stop()?;
    Ok(format!("{n} files and folders"))
}

fn other_user(_: usize, rng: &mut Rng) -> Result<String> {
    sandbox::need_root()?;
    sandbox::need("setpriv")?;
    sandbox::need("python3")?;
    let (home, mut daemon, client, _tree) = started(10, rng)?;
    // Even with the doors open the daemon looks who it is.
    for path in [home.path().to_owned(), home.path().join("run"), daemon.socket.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    }
    let script = "import socket, sys\n\
                  s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n\
                  body = b'{\"frame\":\"request\",\"id\":1,\"root\":null,\"method\":\"status\"}'\n\
                  try:\n    s.sendall(len(body).to_bytes(4, 'little') + body); print(len(s.recv(9)))\n\
                  except OSError: print(0)\n";
    let mut command = std::process::Command::new("setpriv");
    command
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/usr/bin/env",
            "python3",
            "-c",
            script,
        ])
        .arg(&daemon.socket);
    let output = command.output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(
            crate::suite::NotHere(format!("another user cannot be played: {said:.120}")).into()
        );
    }
    let n_bytes = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(n_bytes == "0", "another user got {n_bytes} bytes");
    client.ask(Method::Status)?;
    daemon.check_alive()?;
    Ok(String::new())
}

fn squatters(round: usize, _: &mut Rng) -> Result<String> {
    let home = tempfile::tempdir()?;
    let (run, elsewhere) = (home.path().join("run"), home.path().join("elsewhere"));
    fs::create_dir(&elsewhere)?;
    fs::write(elsewhere.join("precious"), "kept")?;
    let needs_root = round % 5 == 3;
    match round % 5 {
        0 => fs::write(&run, "a file")?,
        1 => drop(crate::daemon::run("mkfifo", &[sandbox::text(&run)])?),
        2 => std::os::unix::fs::symlink("/nonexistent/fovea", &run)?,
        3 => {
            sandbox::need_root()?;
            fs::create_dir(&run)?;
            crate::daemon::run("chown", &["65534", sandbox::text(&run)])?;
        }
        // The data folder is a file; the daemon works and says that nothing is kept.
        _ => fs::write(home.path().join("data"), "a file")?,
    }
    let outcome = Daemon::start(home.path());
    if round % 5 == 4 {
        let tree = Tree::generate(5, &mut Rng::new(3))?;
        let daemon = outcome?;
        let client = daemon.client(&tree.root)?;
        oracle::check(&client, &tree.root)?;
        ensure!(!client.status()?.warnings.is_empty(), "nothing says that nothing is kept");
        return Ok(String::new());
    }
    let err = match outcome {
        Ok(_) => anyhow::bail!("the daemon started in a folder that is not its own"),
        Err(err) => format!("{err:#}"),
    };
    ensure!(err.contains("run"), "the message names no folder: {err}");
    ensure!(fs::read(elsewhere.join("precious"))? == b"kept", "a file of others is gone");
    Ok(if needs_root { "a foreign folder".into() } else { String::new() })
}

fn rude(_: usize, rng: &mut Rng) -> Result<String> {
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
    let deadline = Instant::now() + Duration::from_secs(30);
    while daemon.n_fds() > n_fds + 3 {
        ensure!(Instant::now() < deadline, "{} handles, {n_fds} before", daemon.n_fds());
        sleep(Duration::from_millis(50));
    }
    daemon.check_alive()?;
    let (a, b) = (percentile(&mut alone, 99), percentile(&mut beside, 99));
    ensure!(b < 20.0 * a.max(20.0), "p99 {a:.1} ms alone, {b:.1} ms beside rude clients");
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
    let deadline = Instant::now() + Duration::from_secs(20);
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
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
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
        ensure!(
            cancel.wait_for(Duration::from_secs(10))?.is_some(),
            "no answer to the cancellation"
        );
        ensure!(pending.wait_for(Duration::from_secs(10))?.is_some(), "no answer when cancelled");
        slowest = slowest.max(started.elapsed());
    }
    daemon.check_alive()?;
    ensure!(slowest < Duration::from_secs(2), "answered {slowest:?} after the cancellation");
    Ok(format!("slowest reply {} ms", slowest.as_millis()))
}

fn ends(round: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(300, rng)?);
    let daemon = Daemon::start(home.path())?;
    let clients: Vec<Client> = (0..20).map(|_| daemon.client(&tree.root)).collect::<Result<_>>()?;
    clients[0].api().send(Some(tree.root.clone()), None, Method::Open { wait: true })?;
    for client in &clients {
        client.api().send(Some(tree.root.clone()), None, question(rng))?;
    }
    sleep(Duration::from_millis(rng.below(300) as u64));
    let socket = daemon.socket.clone();
    let limit = Duration::from_secs(5);
    let took = match round % 4 {
        0 => daemon.end("TERM", limit)?,
        1 => daemon.end("INT", limit)?,
        2 => daemon.end("HUP", limit)?,
        _ => {
            // A signal that is sent while it ends already changes nothing.
            clients[1].api().send(None, None, Method::Shutdown)?;
            sleep(Duration::from_millis(5));
            daemon.end("CONT", limit)?
        }
    };
    ensure!(!socket.exists(), "the socket is left");
    drop(clients);
    oracle::check_home(home.path(), &tree.root)?;
    Ok(format!("ended in {} ms", took.as_millis()))
}

fn cold_start(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, daemon, client, tree) = started(1_000, rng)?;
    drop(client);
    daemon.stop()?;
    let started = Instant::now();
    let root = sandbox::text(&tree.root);
    let output = wrapped(&[], home.path(), &["--root", root, "search", "parse"]).output()?;
    let took = started.elapsed();
    wrapped(&[], home.path(), &["daemon", "stop"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(took < Duration::from_secs(8), "the first answer took {took:?}");
    Ok(format!("1,000 files: {} ms", took.as_millis()))
}

fn odd_homes(round: usize, rng: &mut Rng) -> Result<String> {
    let (temp, tree) = (tempfile::tempdir()?, Tree::generate(10, rng)?);
    let name = match round % 3 {
        0 => "with space and 'quote'".to_owned(),
        1 => "größe-\u{1F600}".to_owned(),
        _ => "long".repeat(40),
    };
    let home = temp.path().join(name);
    let mut started = wrapped(&[], &home, &["daemon", "start"]);
    let output = started.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    let root = sandbox::text(&tree.root);
    let output = wrapped(&[], &home, &["--root", root, "search", "parse"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    wrapped(&[], &home, &["daemon", "stop"]).output()?;
    ensure!(output.status.success(), "{said}");
    Ok(String::new())
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
    drop(two);
    open.retain(|(editor, _)| *editor == 0);
    if open.is_empty() {
        let deadline = Instant::now() + Duration::from_secs(10);
        while oracle::check(&one, &tree.root).is_err() {
            ensure!(Instant::now() < deadline, "unsaved text of a client that is gone");
        }
    }
    daemon.check_alive()?;
    Ok(String::new())
}

fn environment(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(10, rng)?);
    let mut start = command(&crate::daemon::binary(), home.path());
    let hostile = [
        ("LD_PRELOAD", "/nonexistent/evil.so"),
        ("GIT_DIR", "/etc"),
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
        ("PYTHONPATH", "/etc"),
        ("SECRET_TOKEN", "canary"),
    ];
    start.args(["daemon", "start"]).envs(hostile);
    let output = start.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run = home.path().join("run");
    let lock = fs::read_dir(run)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "lock"))
        .context("a lock")?;
    let pid = fs::read_to_string(lock)?;
    let environ = fs::read(format!("/proc/{}/environ", pid.trim()))?;
    let folder = fs::read_link(format!("/proc/{}/cwd", pid.trim()))?;
    wrapped(&[], home.path(), &["daemon", "stop"]).output()?;
    drop(tree);
    let environ = String::from_utf8_lossy(&environ).into_owned();
    for (name, _) in hostile {
        ensure!(!environ.contains(&format!("{name}=")), "{name} reached the daemon");
    }
    ensure!(folder == Path::new("/"), "the daemon keeps {} busy", folder.display());
    Ok(String::new())
}

fn garbage(round: usize, rng: &mut Rng) -> Result<String> {
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
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("the connection is neither answered nor closed")?;
        client.symbols(&tree.files()[0])?;
        daemon.check_alive()?;
        let grown = daemon.proc("status", "VmRSS:").saturating_sub(before);
        ensure!(grown < 80_000, "{grown} KiB more after garbage");
        Ok(String::new())
    })
}
