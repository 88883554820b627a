//! The real daemon as a child process: started, stopped, frozen, killed.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::client::Client;

/// A daemon of a home folder; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) home: PathBuf,
    /// Process id of the daemon itself, which a wrapper may have started.
    pub(crate) pid: u32,
    pub(crate) socket: PathBuf,
}

/// The binary under test: beside the folder of the test binaries, or another one that the environment
/// names, as `cargo run -p xtask -- planted` does.
pub(crate) fn binary() -> PathBuf {
    if let Some(other) = std::env::var_os("FOVEA_TEST_BINARY") {
        return other.into();
    }
    let test = std::env::current_exe().expect("the test binary has a path");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    profile.join("fovea")
}

/// Which bug a binary with planted ones has; means nothing to any other.
const PLANTED: &str = "FOVEA_PLANTED";

/// Longer than any step takes on a machine that does much else: who waits this long waits for a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// In the environment of everything that this run starts.
const MARK: &str = "FOVEA_TEST_RUN";

/// `fovea` with a home of its own and nothing of the user's.
pub(crate) fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("FOVEA_HOME", home)
        .env(MARK, std::process::id().to_string())
        .env("FOVEA_OFFLINE", "true")
        .current_dir("/");
    for name in ["PATH", PLANTED] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Of `fovea`, started by `before` (strace, prlimit ...) if there is one.
pub(crate) fn wrapped(before: &[&str], home: &Path, args: &[&str]) -> Command {
    let binary = binary();
    let Some((program, wrapper_args)) = before.split_first() else {
        let mut command = command(&binary, home);
        command.args(args);
        return command;
    };
    let mut command = command(Path::new(program), home);
    command.args(wrapper_args).arg(&binary).args(args);
    command
}

impl Daemon {
    pub(crate) fn start(home: &Path) -> Result<Self> {
        Self::start_in(&[], home)
    }

    pub(crate) fn start_in(before: &[&str], home: &Path) -> Result<Self> {
        Self::spawn(wrapped(before, home, &["daemon", "run"]), home)
    }

    pub(crate) fn spawn(mut command: Command, home: &Path) -> Result<Self> {
        fs::create_dir_all(home)?;
        // Panics of threads are looked for there.
        let stderr = fs::File::options().create(true).append(true).open(home.join("stderr"))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let listens = match line.trim() {
            "ready" => find_socket(home),
            said => Err(anyhow::anyhow!("the daemon said {said:?}")),
        };
        match listens {
            Ok((socket, pid)) => Ok(Self { child, home: home.to_owned(), pid, socket }),
            Err(err) => {
                let _ = child.kill();
                let status = child.wait()?;
                // A wrapper leaves behind what it started, and that may not have said who it is.
                started_for(home).into_iter().for_each(kill_and_wait);
                Err(err.context(format!("the daemon ended with {status}")))
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn client(&self, root: &Path) -> Result<Client> {
        Client::connect(&self.socket, root)
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        signal(self.pid, name)
    }

    pub(crate) fn kill(mut self) -> Result<()> {
        self.signal("KILL")?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks for the end by a signal; fails if that takes longer than `limit`.
    pub(crate) fn end(mut self, name: &str, limit: Duration) -> Result<Duration> {
        let started = Instant::now();
        self.signal(name)?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the daemon ended with {status}");
                return Ok(started.elapsed());
            }
            ensure!(started.elapsed() < limit, "the daemon still runs {limit:?} after SIG{name}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.end("TERM", PATIENCE).map(drop)
    }

    /// Still the same process, and nothing in its log that tells of a bug.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the daemon ended with {status}: {}", self.complaints());
        }
        let complaints = self.complaints();
        ensure!(complaints.is_empty(), "the daemon complains: {complaints}");
        Ok(())
    }

    fn complaints(&self) -> String {
        let text = fs::read_to_string(self.home.join("stderr")).unwrap_or_default();
        let bad = ["panicked", "overflowed its stack", "memory allocation of"];
        let lines = text.lines().filter(|line| bad.iter().any(|bad| line.contains(bad)));
        lines.take(5).collect::<Vec<_>>().join("; ")
    }

    /// A field of /proc/PID/status in KiB, or of /proc/PID/io in bytes.
    pub(crate) fn proc(&self, file: &str, field: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// User and system time so far.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Waits until it wrote nothing for longer than any commit is put off.
    pub(crate) fn wait_until_quiet(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let (mut n_writes, mut since) = (self.proc("io", "syscw:"), Instant::now());
        while since.elapsed() < Duration::from_secs(1) {
            ensure!(Instant::now() < deadline, "it writes on and on");
            std::thread::sleep(Duration::from_millis(50));
            let n = self.proc("io", "syscw:");
            if n != n_writes {
                (n_writes, since) = (n, Instant::now());
            }
        }
        Ok(())
    }

    pub(crate) fn n_fds(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.join("state/fovea.log")).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A wrapper may outlive what it started.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = signal(self.pid, "CONT");
            kill_and_wait(self.pid);
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A daemon under a wrapper is not our child: its end is seen in the table of processes.
fn kill_and_wait(pid: u32) {
    let deadline = Instant::now() + PATIENCE;
    let _ = signal(pid, "KILL");
    while is_running(pid) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends every daemon of a home, also those that clients started.
pub(crate) fn end_all_of(home: &Path) {
    started_for(home).into_iter().for_each(kill_and_wait);
}

/// Ends what this run started and nobody ended, once its home is gone; how many those were.
pub(crate) fn end_strays() -> usize {
    let mark = format!("{MARK}={}", std::process::id());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_stray = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
        let folder = |name: &[u8]| variables.iter().find_map(|it| it.strip_prefix(name));
        let path = |bytes: &[u8]| PathBuf::from(String::from_utf8_lossy(bytes).into_owned());
        // A daemon that a client started has the folders below the home in place of it.
        let home = folder(b"FOVEA_HOME=").map(path);
        let home = home.or_else(|| Some(path(folder(b"FOVEA_DATA_DIR=")?).parent()?.to_owned()));
        variables.contains(&mark.as_bytes()) && home.is_some_and(|home| !home.exists())
    };
    let strays: Vec<u32> = pids.filter(is_stray).filter(|pid| is_running(*pid)).collect();
    strays.iter().for_each(|pid| kill_and_wait(*pid));
    strays.len()
}

/// Processes whose environment names `home`, a folder that no other test has.
fn started_for(home: &Path) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let home = home.as_os_str().as_encoded_bytes();
    let is_ours = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            variable.starts_with(b"FOVEA_") && variable.windows(home.len()).any(|part| part == home)
        })
    };
    pids.filter(is_ours).collect()
}

pub(crate) fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    // A first thread that is over waits for the others, which still hold files and locks.
    let n_threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state.is_some_and(|state| state != 'Z' || n_threads() > 1)
}

/// The socket in `home`, and the process that holds its lock.
fn find_socket(home: &Path) -> Result<(PathBuf, u32)> {
    let run = home.join("run");
    for entry in fs::read_dir(&run)? {
        let socket = entry?.path();
        if socket.extension().is_some_and(|extension| extension == "sock") {
            let pid = fs::read_to_string(socket.with_extension("lock"))?;
            return Ok((socket, pid.trim().parse().context("the lock names its holder")?));
        }
    }
    bail!("no socket in {}", run.display())
}

pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    ensure!(status.success(), "kill -{name} {pid} ended with {status}");
    Ok(())
}

/// Runs a helper program to its end.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|err| crate::suite::NotHere(format!("`{program}` cannot be run: {err}")))?;
    ensure!(
        output.status.success(),
        "{program} {args:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
