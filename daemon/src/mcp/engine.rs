//! A server's way to the daemon, for agents and for HTTP: which folders it may ask about, and a connection that is made
//! again when the daemon went away.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fovea_api::{Answer, ErrorCode, Freshness, Method};

use crate::connect::{ConnectError, ConnectOptions, Connection};

/// A first question waits this long for the index; later ones are answered from what is there.
const OPEN_MS: u64 = 20_000;
/// A question takes at most this long.
const DEADLINE_MS: u64 = 30_000;
/// How often a waiting call looks whether the agent still wants the answer.
const CANCEL_CHECK: Duration = Duration::from_millis(20);

pub(crate) struct Engine {
    options: ConnectOptions,
    /// Canonical; at least one.
    roots: Vec<PathBuf>,
    connection: Mutex<Option<Arc<Connection>>>,
    opened: Mutex<HashSet<PathBuf>>,
}

/// A call failed; the text is for the agent.
pub(crate) type Refusal = String;

/// An answer and how current it is.
pub(crate) type Answered = (Answer, Option<Freshness>);

impl Engine {
    pub(crate) fn new(options: ConnectOptions, roots: Vec<PathBuf>) -> Self {
        Self { options, roots, connection: Mutex::default(), opened: Mutex::default() }
    }

    /// The workspace that `root` names; the only one if it names none.
    pub(crate) fn root(&self, root: Option<&str>) -> Result<&Path, Refusal> {
        let Some(wanted) = root else {
            return match self.roots.as_slice() {
                [root] => Ok(root),
                _ => Err(format!("several folders are served, so give `root`: {}", self.list())),
            };
        };
        let real = Path::new(wanted).canonicalize().ok();
        self.roots
            .iter()
            .find(|known| Some(*known) == real.as_ref() || known.ends_with(wanted))
            .map(PathBuf::as_path)
            .ok_or_else(|| format!("`root` is not served here; one of: {}", self.list()))
    }

    /// The workspace and the path below it that `path` means.
    pub(crate) fn locate(
        &self,
        root: Option<&str>,
        path: &str,
    ) -> Result<(&Path, String), Refusal> {
        let outside = || format!("the path is outside of the folders served: {}", self.list());
        let given = Path::new(path);
        if !given.is_absolute() {
            // Before anything is looked at: whether a path outside exists is not told either.
            let below = below(given).ok_or_else(outside)?;
            let root = match root {
                None if self.roots.len() > 1 => {
                    let there = self.roots.iter().find(|root| has_file(root, &below));
                    there.map(PathBuf::as_path).map_or_else(|| self.root(None), Ok)?
                }
                root => self.root(root)?,
            };
            return Ok((root, below));
        }
        // Both as written and as the file system has it: links may lead in, none may lead out.
        let real = given.canonicalize().map_err(|_| outside())?;
        self.roots
            .iter()
            .find_map(|root| Some((root.as_path(), below(real.strip_prefix(root).ok()?)?)))
            .ok_or_else(outside)
    }

    fn list(&self) -> String {
        let roots: Vec<String> =
            self.roots.iter().map(|root| format!("`{}`", root.display())).collect();
        roots.join(", ")
    }

    /// Asks about `root`. The first question opens it; `is_unwanted` is asked while waiting.
    pub(crate) fn ask(
        &self,
        root: &Path,
        method: Method,
        is_unwanted: &dyn Fn() -> bool,
    ) -> Result<Answered, Refusal> {
        if !matches!(method, Method::Status) && lock(&self.opened).insert(root.to_owned()) {
            let open = Method::Open { wait: true };
            let opened = self.exchange(root, OPEN_MS, open, is_unwanted);
            // An index that takes longer is asked as far as it is.
            if let Err(refusal) = opened {
                lock(&self.opened).remove(root);
                return Err(refusal);
            }
        }
        self.exchange(root, DEADLINE_MS, method, is_unwanted)
    }

    fn exchange(
        &self,
        root: &Path,
        deadline_ms: u64,
        method: Method,
        is_unwanted: &dyn Fn() -> bool,
    ) -> Result<Answered, Refusal> {
        let broke = |err: &dyn std::fmt::Display| format!("the daemon cannot be asked: {err}");
        // A daemon that ended meanwhile (idle, upgraded) is started again, once.
        for is_last in [false, true] {
            let connection = self.connect().map_err(|err| broke(&err))?;
            let client = connection.client();
            let sent = client.send(Some(root.to_owned()), Some(deadline_ms), method.clone());
            let answer = sent.and_then(|pending| {
                loop {
                    match pending.wait_for(CANCEL_CHECK)? {
                        Some(response) => return Ok(Some(response)),
                        None if is_unwanted() => {
                            client.send(None, None, Method::Cancel { id: pending.id })?;
                            return Ok(None);
                        }
                        None => {}
                    }
                }
            });
            match answer {
                Ok(Some(response)) => {
                    let answer = response.result.map_err(|err| match err.code {
                        ErrorCode::Internal => format!("internal error: {err}"),
                        _ => err.to_string(),
                    })?;
                    return Ok((answer, response.freshness));
                }
                Ok(None) => return Err("cancelled".to_owned()),
                Err(err) if is_last => return Err(broke(&err)),
                Err(err) => {
                    tracing::debug!(%err, "connecting again");
                    *lock(&self.connection) = None;
                }
            }
        }
        unreachable!("the second round returns")
    }

    fn connect(&self) -> Result<Arc<Connection>, ConnectError> {
        let mut current = lock(&self.connection);
        if let Some(connection) = current.as_ref().filter(|c| !c.client().is_closed()) {
            return Ok(Arc::clone(connection));
        }
        // An engine in this process owns its index: the old one goes first.
        *current = None;
        let connection = Arc::new(Connection::open(&self.options, |_| {})?);
        *current = Some(Arc::clone(&connection));
        Ok(connection)
    }
}

/// Whether a file of `root` has this path; one that a link leads out to is none of its files.
fn has_file(root: &Path, below: &str) -> bool {
    root.join(below).canonicalize().is_ok_and(|real| real.starts_with(root) && real.is_file())
}

/// `path` with `/` between its parts, if it has no part that leads elsewhere.
fn below(path: &Path) -> Option<String> {
    use std::path::Component;
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// A panic of another thread leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
