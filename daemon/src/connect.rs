//! The client's way to the engine: the running daemon, a daemon started now, or the same engine in
//! this process.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use fovea_api::{
    Answer, ApiError, Event, Frame, Freshness, Method, Request,
    client::Client,
    wire::{self, WireError},
};

use crate::{
    config::Layers,
    dirs::{self, Dirs, DirsError},
    server::{self, peer},
    service::{Service, ServiceOptions},
};

/// How to reach the engine.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    pub dirs: Dirs,
    /// Used in process; a daemon reads its own, and gets the variable that they name for a key.
    pub layers: Layers,
    /// Run the engine in this process.
    pub no_daemon: bool,
    /// Start a daemon if none is running.
    pub start: bool,
    /// The `fovea` executable to start it with; `None` is this process's own.
    pub executable: Option<PathBuf>,
}

/// The engine cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no daemon is running; start it with `fovea daemon start`")]
    NotRunning,
    #[error(
        "cannot connect to `{socket}`: {source}; `fovea daemon stop` and try again, or use --no-daemon"
    )]
    Socket { socket: PathBuf, source: io::Error },
    #[error("cannot start `{executable}`: {source}; use --no-daemon to do without a daemon")]
    Start { executable: PathBuf, source: io::Error },
    #[error(
        "the daemon did not start: {reason}; its log is `{log}`, and --no-daemon does without it"
    )]
    Died { reason: String, log: PathBuf },
    #[error("the connection to the daemon broke: {0}; run the command again")]
    Wire(#[from] WireError),
    #[error(transparent)]
    Dirs(#[from] DirsError),
}

/// A call did not bring an answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// The engine, wherever it runs.
pub struct Connection {
    client: Client,
    /// Set if the engine runs in this process; ends it (and saves the index) when dropped.
    service: Option<InProcess>,
}

struct InProcess {
    service: Arc<Service>,
    serving: Option<thread::JoinHandle<()>>,
    stream: UnixStream,
}

/// A daemon that was just started has this long to say that it listens.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// One that runs already has this long to listen before another is started.
const RUNNING_PATIENCE: Duration = Duration::from_millis(200);

/// What daemons left on standard error is cut beyond this.
const MAX_STDERR_BYTES: u64 = 1 << 20;

/// Only these variables reach a daemon, so that it does not depend on who started it.
const KEPT_VARIABLES: [&str; 8] =
    ["HOME", "USER", "LOGNAME", "PATH", "LANG", "TMPDIR", "RUST_BACKTRACE", "RUST_LOG"];

impl Connection {
    /// Connects; `events` is called on a thread of its own for progress and partial answers.
    ///
    /// # Errors
    /// [`ConnectError`] says what to do instead.
    pub fn open(
        options: &ConnectOptions,
        events: impl Fn(Event) + Send + 'static,
    ) -> Result<Self, ConnectError> {
        if options.no_daemon {
            return Self::in_process(options, events);
        }
        let socket = options.dirs.socket();
        // A daemon that was just killed may still look as if it listened.
        let stream = match connect(&socket)?.filter(answers) {
            Some(stream) => stream,
            None if options.start => start(options)?,
            None => return Err(ConnectError::NotRunning),
        };
        Ok(Self { client: client(stream, &socket, events)?, service: None })
    }

    fn in_process(
        options: &ConnectOptions,
        events: impl Fn(Event) + Send + 'static,
    ) -> Result<Self, ConnectError> {
        let service = Service::new(ServiceOptions {
            dirs: options.dirs.clone(),
            layers: options.layers.clone(),
            socket: None,
            executable: options.executable.clone(),
        });
        Self::to_service(service, events)
    }

    /// Connects to a service of this process, which ends with the connection.
    ///
    /// # Errors
    /// [`ConnectError::Socket`] if the system has no more file handles.
    pub fn to_service(
        service: Arc<Service>,
        events: impl Fn(Event) + Send + 'static,
    ) -> Result<Self, ConnectError> {
        // The same frames over a socket pair: one path to test, and the same order of things.
        let here = PathBuf::from("this process");
        let failed = |source| ConnectError::Socket { socket: here.clone(), source };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let stream = ours.try_clone().map_err(failed)?;
        let serving = {
            let service = Arc::clone(&service);
            thread::Builder::new()
                .name("fovea-serve".into())
                .spawn(move || server::serve(&service, theirs))
                .map_err(failed)?
        };
        let client = client(ours, &here, events)?;
        let service = InProcess { service, serving: Some(serving), stream };
        Ok(Self { client, service: Some(service) })
    }

    /// For requests that are sent without waiting.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    #[must_use]
    pub fn is_in_process(&self) -> bool {
        self.service.is_some()
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`CallError::Api`] if the engine answered with an error.
    pub fn call(
        &self,
        root: Option<&Path>,
        deadline_ms: Option<u64>,
        method: Method,
    ) -> Result<(Answer, Option<Freshness>), CallError> {
        let response = self
            .client
            .call(root.map(Path::to_owned), deadline_ms, method)
            .map_err(ConnectError::Wire)?;
        Ok((response.result?, response.freshness))
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
        self.service.shut_down();
    }
}

fn client(
    stream: UnixStream,
    socket: &Path,
    events: impl Fn(Event) + Send + 'static,
) -> Result<Client, ConnectError> {
    let writer = stream
        .try_clone()
        .map_err(|source| ConnectError::Socket { socket: socket.to_owned(), source })?;
    Ok(Client::new(BufReader::new(stream), writer, events))
}

/// True if a first question is answered: what listens is alive.
fn answers(stream: &UnixStream) -> bool {
    let mut stream = stream;
    let question = Request { id: 0, root: None, deadline_ms: None, method: Method::Status };
    if wire::write(&mut stream, &Frame::Request(question)).is_err() {
        return false;
    }
    loop {
        match wire::read(&mut stream) {
            Ok(Frame::Response(_)) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

/// `None` if nobody listens.
fn connect(socket: &Path) -> Result<Option<UnixStream>, ConnectError> {
    let failed = |source| ConnectError::Socket { socket: socket.to_owned(), source };
    match UnixStream::connect(socket) {
        Ok(stream) => {
            peer::check(&stream).map_err(failed)?;
            Ok(Some(stream))
        }
        Err(err) => match err.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(failed(err)),
        },
    }
}

/// Starts a daemon and connects once it says that it listens.
fn start(options: &ConnectOptions) -> Result<UnixStream, ConnectError> {
    let dirs = &options.dirs;
    dirs::ensure_private(&dirs.runtime, "FOVEA_RUNTIME_DIR")?;
    dirs::ensure_private(&dirs.state, "FOVEA_STATE_DIR")?;
    let log = dirs.log_file();
    let died = |reason: String| ConnectError::Died { reason, log: log.clone() };
    let deadline = Instant::now() + START_TIMEOUT;
    let mut child = spawn(options)?;
    let mut said = first_line(&mut child, deadline);
    let mut started = Instant::now();
    // A daemon that another client started at the same moment is as good as ours: ours then says so
    // and ends. Its socket may need a moment more.
    loop {
        if let Some(stream) = connect(&dirs.socket())?.filter(answers) {
            return Ok(stream);
        }
        match &said {
            // One that was just killed holds its lock until the system has cleared it away.
            Some(line) if line.starts_with(RUNNING) && started.elapsed() > RUNNING_PATIENCE => {
                let _ = child.wait();
                child = spawn(options)?;
                said = first_line(&mut child, deadline);
                started = Instant::now();
            }
            Some(line) if line == READY || line.starts_with(RUNNING) => {}
            Some(line) if !line.is_empty() => return Err(died(line.clone())),
            _ => return Err(died(exit_reason(&mut child))),
        }
        if Instant::now() >= deadline {
            return Err(died(format!("nobody listens after {} s", START_TIMEOUT.as_secs())));
        }
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// What `fovea daemon run` prints on stdout once it listens, and if another daemon already does.
pub const READY: &str = "ready";
pub const RUNNING: &str = "already running";

fn spawn(options: &ConnectOptions) -> Result<Child, ConnectError> {
    let executable = match &options.executable {
        Some(executable) => executable.clone(),
        None => std::env::current_exe()
            .map_err(|source| ConnectError::Start { executable: "fovea".into(), source })?,
    };
    let failed = |source| ConnectError::Start { executable: executable.clone(), source };
    let mut log = File::options();
    log.create(true).append(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut log, 0o600);
    let stderr = log.open(options.dirs.state.join("daemon-stderr.log")).map_err(failed)?;
    // Panics of old daemons; a crash loop must not fill the disk.
    if stderr.metadata().is_ok_and(|metadata| metadata.len() > MAX_STDERR_BYTES) {
        stderr.set_len(0).map_err(failed)?;
    }
    // The key of the server that the user named, which stands in a variable of the user's choice.
    let key = crate::config::load(&options.layers).map(|loaded| loaded.config.remote.key_env);
    let key = key.unwrap_or_default();
    let kept = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        KEPT_VARIABLES.contains(&&*name)
            || *name == *key
            || ["XDG_", "FOVEA_", "LC_"].iter().any(|prefix| name.starts_with(prefix))
    });
    Command::new(&executable)
        .args(["daemon", "run"])
        .env_clear()
        .envs(kept)
        .envs(options.dirs.to_env())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(failed)
}

/// The first line the child prints, empty if it ended without one, `None` if time ran out.
fn first_line(child: &mut Child, deadline: Instant) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(line.trim().to_owned());
    });
    lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

fn exit_reason(child: &mut Child) -> String {
    match child.try_wait() {
        Ok(Some(status)) => format!("it ended with {status}"),
        _ => format!("it said nothing for {} s", START_TIMEOUT.as_secs()),
    }
}
