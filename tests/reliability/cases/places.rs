//! Section F, the daemon's place: starts, ends, sockets, folders, users and environments.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use fovea_api::Method;

use super::clients::{question, started};
use crate::{
    client::Client,
    daemon::{Daemon, PATIENCE, command, wrapped},
    oracle,
    rng::Rng,
    sandbox,
    suite::Suite,
    tree::Tree,
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("F02", "daemons started together for one home", (3, 100), start_together);
    suite.row("F03", "stale socket, lock of a dead or foreign process", (8, 40), stale);
    suite.row("F05", "modes under any umask", (3, 3), modes);
    suite.row("F06", "another user connects", (1, 20), other_user);
    suite.row("F07", "something else at the runtime folder's place", (6, 30), squatters);
    suite.row("F15", "ends by signal and by request under load", (4, 40), ends);
    suite.row("F15r", "a signal as soon as it says that it is ready", (20, 400), ends_at_once);
    suite.row("F16", "cold start to the first answer", (1, 5), cold_start);
    suite.row("F17", "a home with a long or odd path", (3, 9), odd_homes);
    suite.row("F21", "a client's environment does not reach the daemon", (1, 3), environment);
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
    let deadline = Instant::now() + PATIENCE;
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
    ensure!(started.elapsed() < PATIENCE, "the start took {:?}", started.elapsed());
    oracle::check(&daemon.client(&tree.root)?, &tree.root)?;
    daemon.check_alive()?;
    Ok(String::new())
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
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o755))?;
    let needs_root = round % 6 == 3;
    match round % 6 {
        0 => fs::write(&run, "a file")?,
        1 => drop(crate::daemon::run("mkfifo", &[sandbox::text(&run)])?),
        2 => std::os::unix::fs::symlink("/nonexistent/fovea", &run)?,
        3 => {
            sandbox::need_root()?;
            fs::create_dir(&run)?;
            crate::daemon::run("chown", &["65534", sandbox::text(&run)])?;
        }
        4 => std::os::unix::fs::symlink(&elsewhere, &run)?,
        // The data folder is a file; the daemon works and says that nothing is kept.
        _ => fs::write(home.path().join("data"), "a file")?,
    }
    let outcome = Daemon::start(home.path());
    if round % 6 == 5 {
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
    ensure!(fs::read_dir(&elsewhere)?.count() == 1, "files of ours are behind a link");
    let mode = fs::metadata(&elsewhere)?.permissions().mode() & 0o777;
    ensure!(mode == 0o755, "permissions behind a link were changed to {mode:o}");
    Ok(if needs_root { "a foreign folder".into() } else { String::new() })
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
    let limit = PATIENCE;
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

fn ends_at_once(round: usize, _: &mut Rng) -> Result<String> {
    let home = tempfile::tempdir()?;
    let daemon = Daemon::start(home.path())?;
    let took = daemon.end(["TERM", "INT", "HUP"][round % 3], PATIENCE)?;
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
    ensure!(took < PATIENCE, "the first answer took {took:?}");
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
