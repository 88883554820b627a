//! One completion: a request on a thread of its own, and what comes back of it.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use fovea_api::CompletionSource;
use fovea_context::{Estimate, PromptFormat, TokenCounter, finish::is_block};
use fovea_model::{Finish, Generated, Timings, worker::Silent};

use super::{
    Failure, Remote, USER_AGENT, address,
    body::{self, Body},
    key::{self, Key},
    reply,
    wire::{self, Wire},
};
use crate::backend::{Backend, NoModel, Task, Writing, Written};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// More text than any suggestion has.
const MAX_TEXT_BYTES: usize = 8 << 10;

/// The server, for one completion.
pub struct RemoteBackend {
    pub(super) remote: Arc<Remote>,
    pub(super) format: &'static PromptFormat,
}

impl Backend for RemoteBackend {
    fn source(&self) -> CompletionSource {
        CompletionSource::Remote
    }

    fn format(&self) -> &'static PromptFormat {
        self.format
    }

    fn counter(&self) -> &dyn TokenCounter {
        &Estimate
    }

    fn start(&self, task: &Task<'_>) -> Result<Box<dyn Writing>, NoModel> {
        let refuse = |reason: String| NoModel(format!("the remote back end is not used: {reason}"));
        let body = body::body(&self.remote.config, self.format, task);
        let key = key::read(&self.remote.config, task.root).map_err(refuse)?;
        let number = self.remote.begin(task, &body.json)?;
        let (wire, (sender, pieces)) = (Arc::<Wire>::default(), mpsc::channel());
        let job = Job {
            remote: Arc::clone(&self.remote),
            wire: Arc::clone(&wire),
            key,
            body,
            stop: self.format.stop,
            is_line: !is_block(task.request),
            started: Instant::now(),
            pieces: sender,
        };
        let spawned =
            thread::Builder::new().name("fovea-remote".into()).spawn(move || job.run(number));
        if let Err(err) = spawned {
            self.remote.lock().n_running -= 1;
            return Err(refuse(format!("the system cannot start a thread: {err}")));
        }
        Ok(Box::new(RemoteWriting { pieces, wire, text: String::new() }))
    }
}

struct RemoteWriting {
    pieces: mpsc::Receiver<Written>,
    wire: Arc<Wire>,
    text: String,
}

impl Writing for RemoteWriting {
    fn next_within(&mut self, limit: Duration) -> Result<Written, Silent> {
        let cancelled = |text: &String| {
            let (text, finish) = (text.clone(), Finish::Cancelled);
            Written::Done(Ok(Generated { text, finish, ..Generated::default() }))
        };
        if self.wire.is_cancelled() {
            return Ok(cancelled(&self.text));
        }
        match self.pieces.recv_timeout(limit) {
            Ok(Written::Text(piece)) => {
                self.text.push_str(&piece);
                Ok(Written::Text(piece))
            }
            Ok(done) => Ok(done),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Silent),
            // The thread ended without a word.
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Ok(Written::Done(Err(NoModel("the remote back end's thread ended".to_owned()))))
            }
        }
    }

    fn canceller(&self) -> Arc<dyn Fn() + Send + Sync> {
        let wire = Arc::clone(&self.wire);
        Arc::new(move || wire.cancel())
    }
}

impl Drop for RemoteWriting {
    fn drop(&mut self) {
        self.wire.cancel();
    }
}

/// One request, on a thread of its own.
struct Job {
    remote: Arc<Remote>,
    wire: Arc<Wire>,
    key: Option<Key>,
    body: Body,
    stop: &'static [&'static str],
    is_line: bool,
    started: Instant,
    pieces: mpsc::Sender<Written>,
}

impl Job {
    fn run(self, number: u64) {
        let outcome = self.exchange();
        let (said, done) = match outcome {
            Ok(generated) => (Ok(()), Ok(generated)),
            Err(mut failure) => {
                if let Some(key) = &self.key {
                    failure.reason = key.out_of(&failure.reason);
                }
                let origin = self.remote.origin();
                let message = format!("the remote back end {origin} failed: {}", failure.reason);
                failure.reason = format!("{origin}: {}", failure.reason);
                (Err(failure), Err(NoModel(message)))
            }
        };
        // Before the answer, so that who has the answer sees the counts.
        self.remote.end(number, &self.wire, &said, self.started.elapsed());
        let _ = self.pieces.send(Written::Done(done));
    }

    fn exchange(&self) -> Result<Generated, Failure> {
        let soon = |reason: String| Failure { reason, is_lasting: false };
        let lasting = |reason: String| Failure { reason, is_lasting: true };
        let usable = self.remote.usable.as_ref().map_err(|reason| lasting(reason.clone()))?;
        let is_plain = usable.address.is_plain;
        let timeout = Duration::from_millis(self.remote.config.timeout_ms.max(1));
        let connector = wire::Connector {
            wire: Arc::clone(&self.wire),
            tls: usable.tls.as_ref().map(Arc::clone),
        };
        let agent = ureq::AgentBuilder::new()
            .try_proxy_from_env(false)
            .redirects(0)
            .max_idle_connections(0)
            .timeout_connect(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .user_agent(USER_AGENT)
            .resolver(move |netloc: &str| address::resolve(netloc, is_plain))
            .tls_connector(Arc::new(connector))
            .build();
        let mut url = self.remote.url(&usable.address);
        if is_plain {
            // See [`wire::Connector`].
            let port = url.port().unwrap_or(80);
            let is_set = url.set_scheme("https").is_ok() && url.set_port(Some(port)).is_ok();
            if !is_set {
                return Err(lasting("the URL has no port".to_owned()));
            }
        }
        let mut request = agent
            .request_url("POST", &url)
            .set("Content-Type", "application/json")
            .set("Accept-Encoding", "identity");
        if let Some(key) = &self.key {
            request = request.set("Authorization", &key.header());
        }
        let response = match request.send_string(&self.body.json) {
            Ok(response) if response.status() == 200 => response,
            Ok(response) => {
                let status = response.status();
                return Err(lasting(match response.header("location") {
                    Some(_) => format!(
                        "it redirects ({status}), and redirects are not followed; name the final URL"
                    ),
                    None => format!("it answers with status {status}"),
                }));
            }
            Err(ureq::Error::Status(status, response)) => {
                let message = reply::message(response.into_reader());
                return Err(match status {
                    401 | 403 => lasting(format!(
                        "it refuses the key ({status}), which is {}: {message}",
                        key::source(&self.remote.config)
                    )),
                    404 => lasting(format!("it does not know this address or model: {message}")),
                    400..=499 if status != 429 => {
                        lasting(format!("it refuses the request ({status}): {message}"))
                    }
                    _ => soon(format!("it failed ({status}): {message}")),
                });
            }
            Err(ureq::Error::Transport(err)) => {
                return Err(soon(format!("no answer ({})", transport(&err))));
            }
        };
        let content_type = response.header("content-type").unwrap_or_default().to_owned();
        self.receive(&content_type, response).map_err(soon)
    }

    fn receive(&self, content_type: &str, response: ureq::Response) -> Result<Generated, String> {
        let (mut text, mut n_shown, mut n_pieces) = (String::new(), 0, 0);
        let mut first_token_ms = None;
        let usage = reply::read(
            self.remote.config.api,
            content_type,
            response.into_reader(),
            &mut |piece| {
                first_token_ms
                    .get_or_insert_with(|| self.started.elapsed().as_secs_f32() * 1_000.0);
                n_pieces += 1;
                text.push_str(piece);
                let (end, is_whole) = self.end_of(&text);
                let start = self.skipped(&text).min(end).max(n_shown);
                if end > start && !self.wire.is_cancelled() {
                    n_shown = end;
                    let piece = text[start..end].to_owned();
                    // Nobody listens any more once the answer was not waited for.
                    return self.pieces.send(Written::Text(piece)).is_ok() && !is_whole;
                }
                !is_whole && !self.wire.is_cancelled()
            },
        )?;
        let (end, is_whole) = self.end_of(&text);
        let start = self.skipped(&text).min(end);
        Ok(Generated {
            text: text[start..end].to_owned(),
            finish: match (is_whole, usage.is_end_of_text) {
                (true, _) => Finish::Newline,
                (false, true) => Finish::EndOfText,
                (false, false) => Finish::MaxTokens,
            },
            timings: Timings {
                prefill_ms: first_token_ms.unwrap_or_default(),
                first_token_ms: first_token_ms.unwrap_or_default(),
                n_prefill: usage.n_prompt_tokens,
                ..Timings::default()
            },
            tokens: vec![0; n_pieces],
            ..Generated::default()
        })
    }

    /// How much of the text counts, and whether that is all there will be.
    fn end_of(&self, text: &str) -> (usize, bool) {
        let stop = self.stop.iter().filter_map(|stop| text.find(stop)).min();
        let visible = text.len() - text.trim_start().len();
        let newline = text[visible..].find('\n').map(|at| visible + at).filter(|_| self.is_line);
        let cap = (text.len() > MAX_TEXT_BYTES).then(|| text.floor_char_boundary(MAX_TEXT_BYTES));
        let end = [stop, newline, cap].into_iter().flatten().min();
        (end.unwrap_or(text.len()), end.is_some())
    }

    /// Bytes at the start that stand before the cursor already.
    fn skipped(&self, text: &str) -> usize {
        let same = text.bytes().zip(self.body.blanks.bytes()).take_while(|(a, b)| a == b);
        same.count()
    }
}

/// One line, without the address that the client was given.
fn transport(err: &ureq::Transport) -> String {
    use std::error::Error as _;
    let mut source = err.source();
    let mut text = err.message().map_or_else(|| err.kind().to_string(), str::to_owned);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}
