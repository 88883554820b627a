//! The daemon's side: starts the worker and talks to it from any number of threads.

use super::{Command, CommandBody, Confinement, Reply, ReplyBody, frame};
use crate::{
    EmbedInfo, EmbedOptions, GenerateRequest, Generated, LoadOptions, ModelError, ScoreRequest,
    Scored, SessionStatus,
};
use rustc_hash::FxHashMap;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{self, Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Loading the largest model from a slow disk takes a fraction of this.
const LOAD_TIMEOUT: Duration = Duration::from_secs(180);

/// A running worker. Clones share it; it ends when the last one is dropped.
#[derive(Clone)]
pub struct WorkerClient {
    shared: Arc<Shared>,
}

struct Shared {
    next_id: AtomicU64,
    /// Frames for the thread that writes: a worker that hangs reads nothing, and must not hold up those
    /// who ask. `None` after the worker was told to end.
    to_worker: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    waiting: Arc<Mutex<Waiting>>,
    child: Mutex<Option<Child>>,
}

/// Commands without a final answer. Once `died` is set no command is added.
#[derive(Default)]
struct Waiting {
    replies: FxHashMap<u64, Open>,
    /// The last sign of life.
    replied: Option<Instant>,
    died: Option<String>,
}

/// A command without a final answer.
struct Open {
    replies: mpsc::Sender<ReplyBody>,
    /// When the worker was told to stop it.
    cancelled: Option<Instant>,
}

/// A completion that is being generated. Dropping it cancels it.
pub struct Generation {
    id: u64,
    replies: mpsc::Receiver<ReplyBody>,
    client: WorkerClient,
    finished: bool,
}

/// Nothing came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

/// What comes out of a [`Generation`].
#[derive(Debug)]
pub enum GenerationEvent {
    /// The next piece of text.
    Text(String),
    /// The end; nothing follows.
    Done(Result<Generated, ModelError>),
}

impl WorkerClient {
    /// Starts `command`, which must run [`super::serve()`] on its standard input and output.
    ///
    /// # Errors
    /// [`ModelError::WorkerDied`] if it cannot be started.
    pub fn spawn(mut command: process::Command) -> Result<Self, ModelError> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| ModelError::WorkerDied(format!("cannot start it: {error}")))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ModelError::WorkerDied("its pipes are missing".to_owned()));
        };
        Self::connect(from, to, Some(child))
    }

    /// Talks over given pipes, for tests with a worker on a thread.
    ///
    /// # Errors
    /// [`ModelError::WorkerDied`] if no thread can be started.
    pub fn over(
        from: impl Read + Send + 'static,
        to: impl Write + Send + 'static,
    ) -> Result<Self, ModelError> {
        Self::connect(from, to, None)
    }

    fn connect(
        from: impl Read + Send + 'static,
        to: impl Write + Send + 'static,
        child: Option<Child>,
    ) -> Result<Self, ModelError> {
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let for_reader = Arc::clone(&waiting);
        std::thread::Builder::new()
            .name("model-replies".to_owned())
            .spawn(move || read_replies(from, &for_reader))
            .map_err(|error| ModelError::WorkerDied(format!("cannot read from it: {error}")))?;
        let (to_worker, frames) = mpsc::channel::<Vec<u8>>();
        let for_writer = Arc::clone(&waiting);
        std::thread::Builder::new()
            .name("model-commands".to_owned())
            .spawn(move || write_commands(to, &frames, &for_writer))
            .map_err(|error| ModelError::WorkerDied(format!("cannot write to it: {error}")))?;
        let shared = Shared {
            next_id: AtomicU64::new(1),
            to_worker: Mutex::new(Some(to_worker)),
            waiting,
            child: Mutex::new(child),
        };
        Ok(WorkerClient { shared: Arc::new(shared) })
    }

    /// Loads a model file, replacing the one that is loaded.
    ///
    /// # Errors
    /// What the file was refused for, or [`ModelError::WorkerDied`].
    pub fn load(&self, path: &Path, options: &LoadOptions) -> Result<SessionStatus, ModelError> {
        let body = CommandBody::Load { path: path.to_owned(), options: options.clone() };
        match self.call_within(body, LOAD_TIMEOUT)? {
            ReplyBody::Status(Some(status)) => Ok(status),
            other => Err(unexpected(other)),
        }
    }

    /// Starts a completion.
    ///
    /// # Errors
    /// [`ModelError::WorkerDied`]; all other errors come as [`GenerationEvent::Done`].
    pub fn generate(&self, request: GenerateRequest) -> Result<Generation, ModelError> {
        let (id, replies) = self.send(CommandBody::Generate(Box::new(request)))?;
        Ok(Generation { id, replies, client: self.clone(), finished: false })
    }

    /// Log-probabilities of a given continuation.
    ///
    /// # Errors
    /// [`ModelError`]
    pub fn score(&self, request: ScoreRequest) -> Result<Scored, ModelError> {
        match self.call(CommandBody::Score(request))? {
            ReplyBody::Scored(scored) => Ok(scored),
            other => Err(unexpected(other)),
        }
    }

    /// Loads an embedding model, replacing the one that is loaded.
    ///
    /// # Errors
    /// What a file was refused for, or [`ModelError::WorkerDied`].
    pub fn load_embedder(
        &self,
        folder: &Path,
        options: &EmbedOptions,
    ) -> Result<EmbedInfo, ModelError> {
        let (folder, options) = (folder.to_owned(), options.clone());
        match self.call(CommandBody::LoadEmbedder { folder, options })? {
            ReplyBody::Embedder(info) => Ok(info),
            other => Err(unexpected(other)),
        }
    }

    /// Unit vectors of `texts`, row-major, in their order.
    ///
    /// # Errors
    /// [`ModelError::NotLoaded`] without an embedding model, or [`ModelError::WorkerDied`].
    pub fn embed(&self, texts: Vec<String>) -> Result<Vec<f32>, ModelError> {
        match self.call(CommandBody::Embed { texts })? {
            ReplyBody::Vectors(vectors) => Ok(vectors),
            other => Err(unexpected(other)),
        }
    }

    /// What is loaded; waits for running commands.
    ///
    /// # Errors
    /// [`ModelError::WorkerDied`]
    pub fn status(&self) -> Result<Option<SessionStatus>, ModelError> {
        match self.call(CommandBody::Status)? {
            ReplyBody::Status(status) => Ok(status),
            other => Err(unexpected(other)),
        }
    }

    /// What holds the worker's process back.
    ///
    /// # Errors
    /// [`ModelError::WorkerDied`]
    pub fn confinement(&self) -> Result<Confinement, ModelError> {
        match self.call(CommandBody::Confinement)? {
            ReplyBody::Confinement(confinement) => Ok(confinement),
            other => Err(unexpected(other)),
        }
    }

    /// Drops the loaded model; the worker stays.
    ///
    /// # Errors
    /// [`ModelError::WorkerDied`]
    pub fn unload(&self) -> Result<(), ModelError> {
        self.call(CommandBody::Unload).map(|_| ())
    }

    /// Whether the worker still answers.
    pub fn is_alive(&self) -> bool {
        self.shared.waiting().died.is_none()
    }

    /// How long the worker has given no sign of life while it owes the answer to a cancellation, which
    /// takes it one token or one batch of a prompt; `None` if it owes none. For long, it hangs.
    pub fn overdue(&self) -> Option<Duration> {
        let waiting = self.shared.waiting();
        let told = waiting.replies.values().filter_map(|open| open.cancelled).min()?;
        Some(waiting.replied.map_or(told, |replied| replied.max(told)).elapsed())
    }

    /// The worker's process id, if it is a process.
    pub fn process_id(&self) -> Option<u32> {
        self.shared.child().as_ref().map(Child::id)
    }

    /// Ends the worker now. Running commands fail with [`ModelError::WorkerDied`].
    pub fn kill(&self) {
        self.shared.to_worker().take();
        if let Some(child) = self.shared.child().as_mut() {
            // Both fail only if it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A worker that does not answer in time is ended.
    fn call_within(&self, body: CommandBody, limit: Duration) -> Result<ReplyBody, ModelError> {
        let (_, replies) = self.send(body)?;
        match replies.recv_timeout(limit) {
            Ok(ReplyBody::Failed(error)) => Err(error),
            Ok(reply) => Ok(reply),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(self.death()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.kill();
                let seconds = limit.as_secs();
                Err(ModelError::WorkerDied(format!("it did not answer for {seconds} s")))
            }
        }
    }

    fn call(&self, body: CommandBody) -> Result<ReplyBody, ModelError> {
        let (_, replies) = self.send(body)?;
        match replies.recv() {
            Ok(ReplyBody::Failed(error)) => Err(error),
            Ok(reply) => Ok(reply),
            Err(mpsc::RecvError) => Err(self.death()),
        }
    }

    fn send(&self, body: CommandBody) -> Result<(u64, mpsc::Receiver<ReplyBody>), ModelError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, replies) = mpsc::channel();
        {
            let mut waiting = self.shared.waiting();
            if let Some(reason) = &waiting.died {
                return Err(ModelError::WorkerDied(reason.clone()));
            }
            waiting.replies.insert(id, Open { replies: sender, cancelled: None });
        }
        if let Err(reason) = self.write(&Command { id, body }) {
            self.shared.waiting().replies.remove(&id);
            return Err(ModelError::WorkerDied(reason));
        }
        Ok((id, replies))
    }

    fn write(&self, command: &Command) -> Result<(), String> {
        let mut bytes = Vec::new();
        frame::write(&mut bytes, command).map_err(|error| error.to_string())?;
        let to_worker = self.shared.to_worker();
        let to_worker = to_worker.as_ref().ok_or("it was ended")?;
        to_worker.send(bytes).map_err(|_| "it closed its input".to_owned())
    }

    fn death(&self) -> ModelError {
        let reason = self.shared.waiting().died.clone();
        ModelError::WorkerDied(reason.unwrap_or_else(|| "it closed its output".to_owned()))
    }
}

impl Generation {
    /// Waits for the next piece of text or the end. `None` after the end.
    pub fn next_event(&mut self) -> Option<GenerationEvent> {
        if self.finished {
            return None;
        }
        let reply = self.replies.recv().map_err(|mpsc::RecvError| self.client.death());
        Some(self.take(reply))
    }

    /// As [`Generation::next_event`], for at most `limit`.
    ///
    /// # Errors
    /// [`Silent`] if nothing came by then; the generation goes on.
    pub fn next_event_within(
        &mut self,
        limit: Duration,
    ) -> Result<Option<GenerationEvent>, Silent> {
        if self.finished {
            return Ok(None);
        }
        let reply = match self.replies.recv_timeout(limit) {
            Ok(reply) => Ok(reply),
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(Silent),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(self.client.death()),
        };
        Ok(Some(self.take(reply)))
    }

    fn take(&mut self, reply: Result<ReplyBody, ModelError>) -> GenerationEvent {
        let end = match reply {
            Ok(ReplyBody::Text(text)) => return GenerationEvent::Text(text),
            Ok(ReplyBody::Generated(generated)) => Ok(*generated),
            Ok(ReplyBody::Failed(error)) => Err(error),
            Ok(other) => Err(unexpected(other)),
            Err(error) => Err(error),
        };
        self.finished = true;
        GenerationEvent::Done(end)
    }

    /// Stops within one token; the text so far comes as [`GenerationEvent::Done`].
    pub fn cancel(&self) {
        self.canceller().cancel();
    }

    /// A handle that can cancel from another thread.
    pub fn canceller(&self) -> Canceller {
        Canceller { id: self.id, client: self.client.clone() }
    }

    /// Waits for the end, ignoring the pieces.
    ///
    /// # Errors
    /// [`ModelError`]
    pub fn wait(mut self) -> Result<Generated, ModelError> {
        loop {
            match self.next_event() {
                Some(GenerationEvent::Text(_)) => {}
                Some(GenerationEvent::Done(result)) => return result,
                None => return Err(ModelError::Cancelled),
            }
        }
    }
}

/// Cancels one generation.
#[derive(Clone)]
pub struct Canceller {
    id: u64,
    client: WorkerClient,
}

impl Canceller {
    pub fn cancel(&self) {
        if let Some(open) = self.client.shared.waiting().replies.get_mut(&self.id) {
            open.cancelled.get_or_insert_with(Instant::now);
        }
        // A worker that cannot be told has ended, and the generation with it.
        let _ = self.client.write(&Command { id: self.id, body: CommandBody::Cancel });
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if !self.finished {
            self.cancel();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn to_worker(&self) -> MutexGuard<'_, Option<mpsc::Sender<Vec<u8>>>> {
        self.to_worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Closing its input ends the worker; it must not survive us, even if it hangs.
        self.to_worker().take();
        if let Some(child) = self.child().as_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn read_replies(from: impl Read, waiting: &Mutex<Waiting>) {
    let mut from = BufReader::new(from);
    let reason = loop {
        match frame::read::<Reply>(&mut from) {
            Ok(Some(Reply { id, body })) => {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.replied = Some(Instant::now());
                let receiver_gone = match waiting.replies.get(&id) {
                    Some(open) => {
                        let last = !matches!(body, ReplyBody::Text(_));
                        // Of one that nobody waits for the end is still to come.
                        open.replies.send(body).is_err() && open.cancelled.is_none() || last
                    }
                    None => false,
                };
                if receiver_gone {
                    waiting.replies.remove(&id);
                }
            }
            Ok(None) => break "it closed its output".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    note_end(waiting, reason);
}

/// Ends when the client or the worker does; the worker's input is closed then.
fn write_commands(mut to: impl Write, frames: &mpsc::Receiver<Vec<u8>>, waiting: &Mutex<Waiting>) {
    for bytes in frames {
        if let Err(error) = to.write_all(&bytes).and_then(|()| to.flush()) {
            return note_end(waiting, format!("it does not read: {error}"));
        }
    }
}

fn note_end(waiting: &Mutex<Waiting>, reason: String) {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.died.get_or_insert(reason);
    // Dropping the senders wakes everyone who waits.
    waiting.replies.clear();
}

fn unexpected(reply: ReplyBody) -> ModelError {
    match reply {
        ReplyBody::Failed(error) => error,
        other => ModelError::Protocol(format!("{other:?}").chars().take(80).collect()),
    }
}
