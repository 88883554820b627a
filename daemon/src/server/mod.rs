//! The daemon's socket: one process a user and build, ended by a client, a signal, or by having had
//! none to serve for a while.

mod connection;
mod daemon;
pub(crate) mod peer;

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

pub(crate) use connection::serve;
pub use daemon::{DaemonError, run};

use crate::{
    dirs::{self, Dirs, DirsError},
    service::Service,
};

/// The daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(
        "a daemon of this build is already running (pid {pid}); stop it with `fovea daemon stop`"
    )]
    AlreadyRunning { pid: String },
    #[error(
        "cannot listen on `{path}`: {source}; remove it, or set FOVEA_RUNTIME_DIR to another folder"
    )]
    Listen { path: PathBuf, source: io::Error },
    #[error(
        "the socket's path `{path}` is too long for this system; set FOVEA_RUNTIME_DIR to a shorter folder"
    )]
    PathTooLong { path: PathBuf },
    #[error(transparent)]
    Dirs(#[from] DirsError),
}

/// Longest socket path every system takes (macOS has 104 bytes with the terminator).
const MAX_SOCKET_PATH_BYTES: usize = 103;

/// A bound socket, not yet served.
pub struct Server {
    listener: UnixListener,
    socket: PathBuf,
    lock: File,
    state: Arc<State>,
}

/// What ends the server.
#[derive(Default)]
struct State {
    inner: Mutex<Lifetime>,
    changed: Condvar,
}

#[derive(Default)]
struct Lifetime {
    n_clients: usize,
    /// When the last client left, or the server started.
    idle_since: Option<Instant>,
    is_stopping: bool,
}

/// Ends the server from another thread.
#[derive(Clone)]
pub struct Stop(Arc<State>);

impl Stop {
    /// Asks the server to end; it finishes what it is answering.
    pub fn stop(&self) {
        self.0.lock().is_stopping = true;
        self.0.changed.notify_all();
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Lifetime> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Takes the lock of this build and binds its socket.
    ///
    /// # Errors
    /// [`ServerError::AlreadyRunning`] with the holder's process id if there is a daemon already.
    pub fn bind(dirs: &Dirs) -> Result<Self, ServerError> {
        dirs::ensure_private(&dirs.runtime, "FOVEA_RUNTIME_DIR")?;
        let socket = dirs.socket();
        if socket.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
            return Err(ServerError::PathTooLong { path: socket });
        }
        let lock = lock(&dirs.daemon_lock())?;
        let failed = |source| ServerError::Listen { path: socket.clone(), source };
        // We hold the lock, so a socket that is there was left by a daemon that was killed.
        match fs::remove_file(&socket) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(failed(err)),
            _ => {}
        }
        // The folder is ours alone, so nobody can connect before the mode is set.
        let listener = UnixListener::bind(&socket).map_err(failed)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, socket, lock, state: Arc::default() })
    }

    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    #[must_use]
    pub fn stopper(&self) -> Stop {
        Stop(Arc::clone(&self.state))
    }

    /// Serves until stopped, or until there was no client for `idle_exit` (zero: for ever). Between
    /// events no thread of the server wakes up.
    pub fn run(self, service: &Arc<Service>, idle_exit: Duration, max_clients: usize) {
        self.state.lock().idle_since = Some(Instant::now());
        let max_clients = max_clients.min(handles_for_clients());
        let acceptor = {
            let (listener, state) = (self.listener, Arc::clone(&self.state));
            let service = Arc::clone(service);
            thread::Builder::new()
                .name("fovea-accept".into())
                .spawn(move || accept(&listener, &state, &service, max_clients))
                .expect("the system can start a thread")
        };
        let mut lifetime = self.state.lock();
        while !lifetime.is_stopping && !service.is_stopping() {
            let idle =
                lifetime.idle_since.filter(|_| !idle_exit.is_zero() && lifetime.n_clients == 0);
            lifetime = match idle.map(|since| idle_exit.saturating_sub(since.elapsed())) {
                Some(left) if left.is_zero() => {
                    tracing::info!("no client for {} s, ending", idle_exit.as_secs());
                    lifetime.is_stopping = true;
                    lifetime
                }
                Some(left) => {
                    let waited = self.state.changed.wait_timeout(lifetime, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.state.changed.wait(lifetime).unwrap_or_else(PoisonError::into_inner),
            };
        }
        lifetime.is_stopping = true;
        drop(lifetime);
        // New clients find no socket and start a new daemon once the lock is free.
        let _ = UnixStream::connect(&self.socket);
        let _ = fs::remove_file(&self.socket);
        let _ = acceptor.join();
        service.shut_down();
        drop(self.lock);
    }
}

/// Handles that indexes, the store, the watcher and the log need.
const OWN_HANDLES: u64 = 44;

/// Raises the limit of file handles as far as the system lets us, and leaves enough for ourselves: a
/// client too many must not make files unreadable.
fn handles_for_clients() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    limit.map_or(usize::MAX, |limit| limit.saturating_sub(OWN_HANDLES).max(4) as usize)
}

fn accept(listener: &UnixListener, state: &Arc<State>, service: &Arc<Service>, max_clients: usize) {
    for stream in listener.incoming() {
        if state.lock().is_stopping {
            return;
        }
        let stream = match stream {
            Ok(stream) => stream,
            Err(err) => {
                // Out of file handles, most likely: let some clients leave before the next try.
                tracing::warn!(%err, "cannot accept a client");
                let lifetime = state.lock();
                drop(state.changed.wait_timeout(lifetime, Duration::from_millis(100)));
                continue;
            }
        };
        if let Err(err) = peer::check(&stream) {
            tracing::warn!(%err, "refused a client");
            continue;
        }
        let mut lifetime = state.lock();
        if lifetime.n_clients >= max_clients {
            tracing::warn!(max_clients, "refused a client: too many (daemon.max-clients)");
            continue;
        }
        lifetime.n_clients += 1;
        drop(lifetime);
        let client = Client { state: Arc::clone(state) };
        let service = Arc::clone(service);
        let stopper = Stop(Arc::clone(state));
        let spawned = thread::Builder::new().name("fovea-client".into()).spawn(move || {
            serve(&service, stream);
            if service.is_stopping() {
                stopper.stop();
            }
            drop(client);
        });
        if let Err(err) = spawned {
            tracing::warn!(%err, "refused a client: the system cannot start a thread");
        }
    }
}

/// Counts a client for as long as it is connected.
struct Client {
    state: Arc<State>,
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut lifetime = self.state.lock();
        lifetime.n_clients -= 1;
        lifetime.idle_since = Some(Instant::now());
        drop(lifetime);
        self.state.changed.notify_all();
    }
}

/// Waits until the daemon that holds the lock at `path` has ended: what it writes last is written
/// then. False if it still runs after `patience`.
pub(crate) fn wait_until_ended(path: &Path, patience: Duration) -> bool {
    let started = Instant::now();
    let holder = || {
        let mut file = File::options().read(true).write(true).open(path).ok()?;
        let is_held = matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock));
        let mut pid = String::new();
        is_held.then(|| file.read_to_string(&mut pid).map(|_| pid).unwrap_or_default())
    };
    let first = holder();
    // Another one may have taken its place by now.
    while first.is_some() && holder() == first {
        if started.elapsed() > patience {
            return false;
        }
        // Waiting for a lock cannot be given a limit, and the next daemon may get it first.
        thread::sleep(Duration::from_millis(5));
    }
    true
}

fn lock(path: &Path) -> Result<File, ServerError> {
    let failed = |source| ServerError::Listen { path: path.to_owned(), source };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown" } else { pid.trim() };
            return Err(ServerError::AlreadyRunning { pid: pid.to_owned() });
        }
        Err(fs::TryLockError::Error(err)) => return Err(failed(err)),
    }
    // The process id is for people; the kernel's lock alone decides.
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
