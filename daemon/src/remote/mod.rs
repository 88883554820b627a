//! Completions by a server that the user named in their own settings; without that nothing here runs.
//!
//! [`address`] says which servers may be named, [`settings`] in which file, [`key`] where keys come
//! from, [`exchange`] asks for one completion: [`body`] what is sent, [`wire`] counts every byte that leaves and cuts a connection off,
//! [`reply`] reads what comes back. This file keeps count, and pauses a server that failed.
//! Each request is a connection of its own: no cookies, no proxy of the environment, no redirects, one
//! deadline. The last request is kept in memory, so that `fovea explain --outgoing` can show it.

mod address;
mod body;
mod exchange;
mod key;
mod reply;
mod settings;
mod wire;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fovea_api::{OutgoingView, RemoteState};
use fovea_context::PromptFormat;
use ureq::rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

pub use self::exchange::RemoteBackend;
use self::{address::Address, wire::Wire};
use crate::{
    backend::{NoModel, Task},
    config::{Config, RemoteApi, RemoteConfig},
};

/// A server that failed is not asked again for this long, doubled with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// Beyond, requests are refused: the server is slower than the typing.
const MAX_RUNNING: usize = 8;
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
            settings.map_or(Ok(()), settings::check)?;
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
