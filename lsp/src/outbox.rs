//! The one way to the daemon: a queue and the thread that empties it.
//!
//! **Invariant:** the daemon sees messages in the order in which handlers put them here, so an answer
//! always belongs to the text the editor had when it asked. When the connection is lost, the next
//! message (or the loss itself, noticed by whoever waits) connects again, opens the roots and replays
//! the open documents before anything else is sent.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use fovea_api::{
    Answer, ApiError, Event, Method, Response,
    client::{Client, Pending},
};
use tokio::sync::oneshot;

use crate::Connect;

/// After a failed connect, questions fail at once for this long instead of trying again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Why the daemon gave no answer.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    /// There is no daemon, and none could be started.
    Unreachable(String),
    /// The connection ended while the answer was on its way.
    Lost,
    /// The daemon answered with an error.
    Api(ApiError),
}

/// Handle to the queue; cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Ask {
        root: Option<PathBuf>,
        deadline_ms: Option<u64>,
        method: Method,
        ticket: oneshot::Sender<Result<Ticket, CallError>>,
    },
    Tell {
        root: Option<PathBuf>,
        method: Method,
    },
    OpenRoot(PathBuf),
    CloseRoot(PathBuf),
    Edited(Edit),
    Closed {
        root: PathBuf,
        path: String,
    },
    Cancel {
        epoch: u64,
        id: u64,
    },
    Lost {
        epoch: u64,
    },
}

struct Edit {
    root: PathBuf,
    path: String,
    version: i64,
    text: Arc<str>,
}

/// A question that was sent; `epoch` tells which connection it went over.
struct Ticket {
    epoch: u64,
    pending: Pending,
}

impl Outbox {
    /// Starts the thread. It ends, and the connection with it, when the last handle is gone.
    pub(crate) fn new(
        connect: impl Connect,
        events: impl Fn(Event) + Send + Sync + 'static,
    ) -> Self {
        let (queue, messages) = mpsc::channel();
        let worker = Worker {
            connect: Box::new(connect),
            events: Arc::new(events),
            link: None,
            epoch: 0,
            failed_at: None,
            roots: BTreeSet::new(),
            open: BTreeMap::new(),
        };
        thread::Builder::new()
            .name("fovea-outbox".into())
            .spawn(move || worker.run(messages))
            .expect("the system can start a thread");
        Self { queue }
    }

    /// Asks and waits for the answer without blocking the runtime. Asks a second time if the daemon
    /// was restarted meanwhile. Dropping the future cancels the question.
    pub(crate) async fn call(
        &self,
        root: Option<PathBuf>,
        deadline_ms: Option<u64>,
        method: Method,
    ) -> Result<Answer, CallError> {
        let mut lost_before = false;
        loop {
            match self.call_once(root.clone(), deadline_ms, method.clone()).await {
                Err(CallError::Lost) if !lost_before => lost_before = true,
                Ok(response) => return response.result.map_err(CallError::Api),
                Err(err) => return Err(err),
            }
        }
    }

    async fn call_once(
        &self,
        root: Option<PathBuf>,
        deadline_ms: Option<u64>,
        method: Method,
    ) -> Result<Response, CallError> {
        let (ticket, sent) = oneshot::channel();
        self.put(Message::Ask { root, deadline_ms, method, ticket });
        let Ticket { epoch, pending } = sent.await.map_err(|_| CallError::Lost)??;
        let mut guard = CancelOnDrop { outbox: Some(self), epoch, id: pending.id };
        let answer = tokio::task::spawn_blocking(move || pending.wait()).await;
        guard.outbox = None;
        match answer {
            Ok(Ok(response)) => Ok(response),
            _ => {
                self.put(Message::Lost { epoch });
                Err(CallError::Lost)
            }
        }
    }

    /// Sends without waiting for the answer.
    pub(crate) fn tell(&self, root: Option<PathBuf>, method: Method) {
        self.put(Message::Tell { root, method });
    }

    pub(crate) fn open_root(&self, root: PathBuf) {
        self.put(Message::OpenRoot(root));
    }

    pub(crate) fn close_root(&self, root: PathBuf) {
        self.put(Message::CloseRoot(root));
    }

    pub(crate) fn edited(&self, root: PathBuf, path: String, version: i64, text: Arc<str>) {
        self.put(Message::Edited(Edit { root, path, version, text }));
    }

    pub(crate) fn closed(&self, root: PathBuf, path: String) {
        self.put(Message::Closed { root, path });
    }

    fn put(&self, message: Message) {
        // The thread outlives every handle; if it is gone, the process is ending.
        let _ = self.queue.send(message);
    }
}

struct CancelOnDrop<'a> {
    outbox: Option<&'a Outbox>,
    epoch: u64,
    id: u64,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(outbox) = self.outbox {
            outbox.put(Message::Cancel { epoch: self.epoch, id: self.id });
        }
    }
}

struct Worker {
    connect: Box<dyn Connect>,
    events: Arc<dyn Fn(Event) + Send + Sync>,
    link: Option<Client>,
    epoch: u64,
    failed_at: Option<(Instant, String)>,
    roots: BTreeSet<PathBuf>,
    open: BTreeMap<(PathBuf, String), (i64, Arc<str>)>,
}

impl Worker {
    fn run(mut self, messages: mpsc::Receiver<Message>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match messages.recv() {
                    Ok(message) => waiting.push_back(message),
                    Err(mpsc::RecvError) => return,
                }
            }
            waiting.extend(messages.try_iter());
            let Some(message) = waiting.pop_front() else { continue };
            // Only the last of several edits in a row matters: each carries the whole text.
            if let (Message::Edited(edit), Some(Message::Edited(next))) =
                (&message, waiting.front())
                && edit.root == next.root
                && edit.path == next.path
            {
                continue;
            }
            self.handle(message);
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Ask { root, deadline_ms, method, ticket } => {
                let answer = self.ask(root, deadline_ms, method);
                if let Err(Ok(unwanted)) = ticket.send(answer) {
                    self.cancel(unwanted.epoch, unwanted.pending.id);
                }
            }
            Message::Tell { root, method } => {
                if let Err(err) = self.ask(root, None, method) {
                    tracing::debug!(?err, "not sent");
                }
            }
            Message::OpenRoot(root) => {
                if self.roots.insert(root.clone()) {
                    self.tell_after_replay(root, Method::Open { wait: false });
                }
            }
            Message::CloseRoot(root) => {
                self.roots.remove(&root);
            }
            Message::Edited(Edit { root, path, version, text }) => {
                self.open.insert((root.clone(), path.clone()), (version, Arc::clone(&text)));
                let text = String::from(&*text);
                self.tell_after_replay(root, Method::Edited { path, version, text });
            }
            Message::Closed { root, path } => {
                self.open.remove(&(root.clone(), path.clone()));
                self.tell_after_replay(root, Method::Closed { path });
            }
            Message::Cancel { epoch, id } => self.cancel(epoch, id),
            Message::Lost { epoch } => {
                if epoch == self.epoch {
                    self.link = None;
                }
            }
        }
    }

    /// Sends what a replay would send as well: not needed right after one.
    fn tell_after_replay(&mut self, root: PathBuf, method: Method) {
        let epoch = self.epoch;
        if self.linked().is_ok()
            && self.epoch == epoch
            && let Err(err) = self.ask(Some(root), None, method)
        {
            tracing::debug!(?err, "not sent");
        }
    }

    fn cancel(&mut self, epoch: u64, id: u64) {
        if epoch == self.epoch
            && let Some(link) = &self.link
        {
            let _ = link.send(None, None, Method::Cancel { id });
        }
    }

    fn ask(
        &mut self,
        root: Option<PathBuf>,
        deadline_ms: Option<u64>,
        method: Method,
    ) -> Result<Ticket, CallError> {
        for _ in 0..2 {
            let link = self.linked()?;
            match link.send(root.clone(), deadline_ms, method.clone()) {
                Ok(pending) => return Ok(Ticket { epoch: self.epoch, pending }),
                Err(err) => {
                    tracing::info!(%err, "connection to the daemon lost");
                    self.link = None;
                }
            }
        }
        Err(CallError::Lost)
    }

    fn linked(&mut self) -> Result<&Client, CallError> {
        if self.link.as_ref().is_none_or(Client::is_closed) {
            self.link = None;
            if let Some((at, why)) = &self.failed_at
                && at.elapsed() < RETRY_AFTER
            {
                return Err(CallError::Unreachable(why.clone()));
            }
            let events = Arc::clone(&self.events);
            match self.connect.connect(Box::new(move |event| events(event))) {
                Ok(link) => {
                    self.epoch += 1;
                    self.failed_at = None;
                    self.replay(&link);
                    self.link = Some(link);
                }
                Err(err) => {
                    tracing::warn!(%err, "no daemon");
                    self.failed_at = Some((Instant::now(), err.to_string()));
                }
            }
        }
        self.link.as_ref().ok_or_else(|| {
            CallError::Unreachable(
                self.failed_at.as_ref().map_or_else(String::new, |(_, why)| why.clone()),
            )
        })
    }

    fn replay(&self, link: &Client) {
        for root in &self.roots {
            let _ = link.send(Some(root.clone()), None, Method::Open { wait: false });
        }
        for ((root, path), (version, text)) in &self.open {
            let edited = Method::Edited {
                path: path.clone(),
                version: *version,
                text: String::from(&**text),
            };
            let _ = link.send(Some(root.clone()), None, edited);
        }
    }
}
