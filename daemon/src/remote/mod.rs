//! Completions by a server that the user named in their own settings; without that nothing here runs.
//!
//! [`address`] says which servers may be named, [`key`] where keys come from, [`body`] what is sent,
//! [`wire`] counts every byte that leaves and cuts a connection off, [`reply`] reads what comes back.
//! Each request is a connection of its own: no cookies, no proxy of the environment, no redirects, one
//! deadline. The last request is kept in memory, so that `fovea explain --outgoing` can show it.

mod address;
mod body;
mod key;
mod reply;
mod wire;

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use fovea_api::{CompletionSource, OutgoingView, RemoteState};
use fovea_context::{Estimate, PromptFormat, TokenCounter, finish::is_block};
use fovea_model::{Finish, Generated, Timings, worker::Silent};
use ureq::rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use self::{address::Address, body::Body, key::Key, wire::Wire};
use crate::{
    backend::{Backend, NoModel, Task, Writing, Written},
    config::{Config, RemoteApi, RemoteConfig},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A server that failed is not asked again for this long, doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Beyond, requests are refused: the server is slower than the typing.
const MAX_RUNNING: usize = 8;
/// More text than any suggestion has.
const MAX_TEXT_BYTES: usize = 8 << 10;
const USER_AGENT: &str = concat!("fovea/", env!("CARGO_PKG_VERSION"));

/// The server that the user named.
pub struct Remote {
    config: RemoteConfig,
    is_offline: bool,
    /// Or why it cannot be used.
    usable: Result<Usable, String>,
    state: Mutex<State>,
}

struct Usable {
    address: Address,
    format: &'static PromptFormat,
    /// `None` for plain HTTP on this machine.
    tls: Option<Arc<ClientConfig>>,
}

#[derive(Default)]
struct State {
    n_running: usize,
    n_requests: u64,
    n_failed: u64,
    n_bytes_sent: u64,
    n_bytes_received: u64,
    /// Failures since the last success.
    n_in_a_row: u32,
    /// What went wrong last, and until when nothing is asked.
    pause: Option<(String, Instant)>,
    last: Option<Sent>,
}

/// The last request.
#[derive(Clone)]
struct Sent {
    number: u64,
    at: Instant,
    root: PathBuf,
    path: String,
    json: String,
    outcome: Option<String>,
    n_bytes_sent: u64,
    n_bytes_received: u64,
}

/// Why an exchange failed, and whether asking again soon makes sense.
struct Failure {
    reason: String,
    is_lasting: bool,
}

impl Remote {
    /// `None` if the settings name no server. `settings` is the user's file that does.
    #[must_use]
    pub fn from_config(config: &Config, settings: Option<&Path>) -> Option<Arc<Self>> {
        let remote = config.remote.clone();
        if remote.url.is_empty() {
            return None;
        }
        let usable = Usable::new(&remote).and_then(|usable| {
            settings.map_or(Ok(()), check_settings)?;
            Ok(usable)
        });
        if let Err(reason) = &usable {
            tracing::warn!(reason, "the remote back end is not used");
        }
        let is_offline = config.offline;
        Some(Arc::new(Self { config: remote, is_offline, usable, state: Mutex::default() }))
    }

    /// Whether to ask it now, on behalf of a workspace with these settings; `None` if the workspace
    /// does without.
    ///
    /// # Errors
    /// [`NoModel`] with what keeps it from being asked.
    pub fn ready(self: &Arc<Self>, local: &Config) -> Option<Result<RemoteBackend, NoModel>> {
        if !local.remote.enabled {
            return None;
        }
        Some(
            self.check(local.offline)
                .map(|format| RemoteBackend { remote: Arc::clone(self), format }),
        )
    }

    fn check(&self, is_offline: bool) -> Result<&'static PromptFormat, NoModel> {
        let refuse =
            |reason: &str| Err(NoModel(format!("the remote back end is not used: {reason}")));
        let usable = match &self.usable {
            Ok(usable) => usable,
            Err(reason) => return refuse(reason),
        };
        if (is_offline || self.is_offline) && !usable.address.is_local() {
            return refuse("offline mode forbids it (`offline`)");
        }
        match &self.lock().pause {
            Some((reason, until)) if Instant::now() < *until => refuse(reason),
            _ => Ok(usable.format),
        }
    }

    /// How prompts are laid out for it.
    #[must_use]
    pub fn format(&self) -> &'static PromptFormat {
        self.usable.as_ref().map_or(PromptFormat::plain(), |usable| usable.format)
    }

    /// For the status; asks nothing.
    #[must_use]
    pub fn state(&self) -> RemoteState {
        let problem = match self.check(false) {
            _ if !self.config.enabled => Some("switched off (remote.enabled)".to_owned()),
            Ok(_) => None,
            Err(NoModel(reason)) => Some(reason),
        };
        let state = self.lock();
        RemoteState {
            origin: self.origin(),
            api: self.config.api.name().to_owned(),
            model: self.config.model.clone(),
            problem,
            n_requests: state.n_requests,
            n_failed: state.n_failed,
            n_bytes_sent: state.n_bytes_sent,
            n_bytes_received: state.n_bytes_received,
        }
    }

    /// What was sent last, if anything was since the daemon started.
    #[must_use]
    pub fn last_sent(&self) -> Option<OutgoingView> {
        let last = self.lock().last.clone()?;
        Some(OutgoingView {
            sent_ago_ms: Some(last.at.elapsed().as_millis() as u64),
            root: last.root,
            path: last.path,
            outcome: last.outcome,
            n_bytes_sent: last.n_bytes_sent,
            n_bytes_received: last.n_bytes_received,
            ..self.view(last.json)
        })
    }

    /// What a completion would send.
    #[must_use]
    pub fn would_send(&self, format: &PromptFormat, task: &Task<'_>) -> OutgoingView {
        let body = body::body(&self.config, format, task);
        let (root, path) = (task.root.to_owned(), task.request.path.clone());
        OutgoingView { root, path, ..self.view(body.json) }
    }

    fn view(&self, body: String) -> OutgoingView {
        let mut headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("User-Agent".to_owned(), USER_AGENT.to_owned()),
            ("Accept-Encoding".to_owned(), "identity".to_owned()),
        ];
        let key = key::source(&self.config);
        if key != "none" {
            headers.push(("Authorization".to_owned(), format!("Bearer *** (from {key})")));
        }
        let url = self.usable.as_ref().ok().map(|usable| self.url(&usable.address).to_string());
        OutgoingView {
            url: url.unwrap_or_else(|| self.config.url.clone()),
            api: self.config.api.name().to_owned(),
            headers,
            n_body_bytes: body.len(),
            body,
            ..OutgoingView::default()
        }
    }

    fn url(&self, address: &Address) -> url::Url {
        address.join(body::path(self.config.api))
    }

    fn origin(&self) -> String {
        match &self.usable {
            Ok(usable) => usable.address.origin(),
            Err(_) => String::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a request; its number.
    fn begin(&self, task: &Task<'_>, json: &str) -> Result<u64, NoModel> {
        let mut state = self.lock();
        if state.n_running >= MAX_RUNNING {
            return Err(NoModel(format!(
                "{MAX_RUNNING} completions wait for the remote back end already"
            )));
        }
        state.n_running += 1;
        state.n_requests += 1;
        let number = state.n_requests;
        state.last = Some(Sent {
            number,
            at: Instant::now(),
            root: task.root.to_owned(),
            path: task.request.path.clone(),
            json: json.to_owned(),
            outcome: None,
            n_bytes_sent: 0,
            n_bytes_received: 0,
        });
        Ok(number)
    }

    /// Takes down what became of a request.
    fn end(&self, number: u64, wire: &Wire, outcome: &Result<(), Failure>, took: Duration) {
        let (n_bytes_sent, n_bytes_received) = wire.counts();
        let said = match outcome {
            _ if wire.is_cancelled() => "cancelled",
            Ok(()) => "answered",
            Err(failure) => &failure.reason,
        };
        let (origin, ms) = (self.origin(), took.as_millis() as u64);
        tracing::info!(origin, n_bytes_sent, n_bytes_received, ms, outcome = said, "remote");
        let mut state = self.lock();
        state.n_running -= 1;
        state.n_bytes_sent += n_bytes_sent;
        state.n_bytes_received += n_bytes_received;
        if let Some(last) = state.last.as_mut().filter(|last| last.number == number) {
            last.outcome = Some(said.to_owned());
            (last.n_bytes_sent, last.n_bytes_received) = (n_bytes_sent, n_bytes_received);
        }
        match outcome {
            // Nobody knows what would have come.
            _ if wire.is_cancelled() => {}
            Ok(()) => (state.n_in_a_row, state.pause) = (0, None),
            Err(failure) => {
                state.n_failed += 1;
                let pause = match failure.is_lasting {
                    true => MAX_PAUSE,
                    false => {
                        FIRST_PAUSE.saturating_mul(1 << state.n_in_a_row.min(8)).min(MAX_PAUSE)
                    }
                };
                state.n_in_a_row += 1;
                let seconds = pause.as_secs();
                let reason = format!("{}; it is asked again after {seconds} s", failure.reason);
                state.pause = Some((reason, Instant::now() + pause));
            }
        }
    }
}

impl Usable {
    fn new(config: &RemoteConfig) -> Result<Self, String> {
        let address = Address::parse(&config.url).map_err(|err| format!("remote.url: {err}"))?;
        if config.api == RemoteApi::Ollama && config.model.is_empty() {
            return Err("remote.model: this kind of server needs the name of a model".to_owned());
        }
        let format = match (config.format.as_str(), config.api) {
            // The server lays the prompt out; the plan has to keep room for the text behind the cursor.
            ("", RemoteApi::LlamaInfill) => PromptFormat::named("qwen2.5-coder"),
            ("", _) => Some(PromptFormat::plain()),
            (name, _) => PromptFormat::named(name),
        };
        let format = format.ok_or_else(|| {
            let known: Vec<&str> = PromptFormat::all().map(|format| format.name).collect();
            format!("remote.format: `{}` is none of {}", config.format, known.join(", "))
        })?;
        let tls = (!address.is_plain).then(|| tls(&config.ca_file)).transpose()?;
        Ok(Self { address, format, tls })
    }
}

/// Who else may write the file that names the server decides where code goes.
fn check_settings(file: &Path) -> Result<(), String> {
    let Ok(metadata) = std::fs::metadata(file) else { return Ok(()) };
    let me = rustix::process::geteuid().as_raw();
    if metadata.mode() & 0o022 != 0 || (metadata.uid() != me && metadata.uid() != 0) {
        let shown = file.display();
        return Err(format!("others may write `{shown}`; run `chmod go-w {shown}`"));
    }
    Ok(())
}

/// Certificates of the public authorities, or those in `file` and no other.
fn tls(file: &Path) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    if file.as_os_str().is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    } else {
        let bad = |why: String| format!("remote.ca-file `{}`: {why}", file.display());
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|err| bad(err.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|err| bad(err.to_string()))?;
            roots.add(certificate).map_err(|err| bad(err.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("it holds no certificate".to_owned()));
        }
    }
    let provider = ureq::rustls::crypto::ring::default_provider();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|err| err.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The server, for one completion.
pub struct RemoteBackend {
    remote: Arc<Remote>,
    format: &'static PromptFormat,
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
