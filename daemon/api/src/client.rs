//! A client over any byte stream: requests go out, answers come back by id, events on a channel.

use std::{
    collections::HashMap,
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use crate::{Event, Frame, Method, Request, Response, wire};

type Waiting = Arc<Mutex<Option<HashMap<u64, mpsc::Sender<Response>>>>>;

/// A connection to the daemon, shared freely between threads.
#[derive(Clone)]
pub struct Client {
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    waiting: Waiting,
    next_id: Arc<AtomicU64>,
}

/// An answer on its way.
pub struct Pending {
    pub id: u64,
    answer: mpsc::Receiver<Response>,
}

impl Pending {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`wire::WireError::Closed`] if the connection ended first.
    pub fn wait(self) -> Result<Response, wire::WireError> {
        self.answer.recv().map_err(|_| wire::WireError::Closed)
    }

    /// Waits for the answer at most this long; `Ok(None)` if it is not there by then.
    ///
    /// # Errors
    /// [`wire::WireError::Closed`] if the connection ended first.
    pub fn wait_for(
        &self,
        timeout: std::time::Duration,
    ) -> Result<Option<Response>, wire::WireError> {
        match self.answer.recv_timeout(timeout) {
            Ok(response) => Ok(Some(response)),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(wire::WireError::Closed),
        }
    }
}

impl Client {
    /// Talks over `reader` and `writer`; `events` is called on the reading thread for each event.
    pub fn new(
        mut reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        events: impl Fn(Event) + Send + 'static,
    ) -> Self {
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let answers = Arc::clone(&waiting);
        thread::Builder::new()
            .name("fovea-client".into())
            .spawn(move || {
                loop {
                    match wire::read(&mut reader) {
                        Ok(Frame::Response(response)) => {
                            let sender =
                                lock(&answers).as_mut().and_then(|w| w.remove(&response.id));
                            if let Some(sender) = sender {
                                // A caller that stopped waiting is no error.
                                let _ = sender.send(response);
                            }
                        }
                        Ok(Frame::Event(event)) => events(event),
                        Ok(Frame::Request(_)) => {}
                        Err(err) => {
                            tracing::debug!(%err, "connection to the daemon ended");
                            // Dropping the senders wakes everybody who waits.
                            *lock(&answers) = None;
                            return;
                        }
                    }
                }
            })
            .expect("the system can start a thread");
        Self {
            writer: Arc::new(Mutex::new(Box::new(writer))),
            waiting,
            next_id: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Sends a request; does not wait for the answer.
    ///
    /// # Errors
    /// [`wire::WireError`] if the connection is gone.
    pub fn send(
        &self,
        root: Option<std::path::PathBuf>,
        deadline_ms: Option<u64>,
        method: Method,
    ) -> Result<Pending, wire::WireError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = mpsc::channel();
        match lock(&self.waiting).as_mut() {
            Some(waiting) => waiting.insert(id, sender),
            None => return Err(wire::WireError::Closed),
        };
        let frame = Frame::Request(Request { id, root, deadline_ms, method });
        wire::write(&mut *lock(&self.writer), &frame)?;
        Ok(Pending { id, answer })
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Pending::wait`].
    pub fn call(
        &self,
        root: Option<std::path::PathBuf>,
        deadline_ms: Option<u64>,
        method: Method,
    ) -> Result<Response, wire::WireError> {
        self.send(root, deadline_ms, method)?.wait()
    }

    /// True once the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.waiting).is_none()
    }
}

/// A panic of another thread leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
