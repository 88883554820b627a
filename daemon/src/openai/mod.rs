//! Completions over HTTP, in the shape that OpenAI's `/v1/completions` has, for editors that take
//! suggestions from such an endpoint (Zed) and from nothing else.
//!
//! Off unless `fovea serve --openai` runs. A client of the daemon like the command line: what comes in
//! is an excerpt around a cursor ([`prompt`]), which is put back into the file it was cut from
//! ([`place`]) and completed like ghost text. Reading order: [`http`] bytes to a request with caps on
//! everything, [`admit`] who may ask, [`token`] the key, then this file's routes.
//!
//! **Invariant**: listens on 127.0.0.1 alone, and answers nobody who has not shown the key. A page in a
//! browser cannot ask even with it: whatever carries an `Origin` is refused.

mod admit;
mod http;
mod place;
mod prompt;
mod token;

use std::{
    io::{self, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fovea_api::{Answer, At, Encoding, Method, Preset, Suggestion};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    admit::Gate,
    http::{Request, Response},
    place::Placed,
};
use crate::{connect::ConnectOptions, dirs::Dirs, mcp::engine::Engine};

/// Connections at once; an editor has one or two.
const MAX_CONNECTIONS: usize = 16;
/// Nobody wants a longer suggestion while typing.
const MAX_TOKENS: usize = 256;
/// The name the one model goes by; which file that is, is the daemon's business.
const MODEL: &str = "fovea";

/// A bound endpoint.
pub struct Endpoint {
    listener: TcpListener,
    port: u16,
    token_file: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    roots: Vec<PathBuf>,
    gate: Gate,
    n_open: AtomicUsize,
    n_answers: AtomicU64,
}

impl Endpoint {
    /// Binds the port on the loopback address, and makes the key if there is none yet. `port` 0 takes
    /// a free one.
    ///
    /// # Errors
    /// With what to do, if the port is taken or the key's file cannot be used.
    pub fn bind(
        dirs: &Dirs,
        options: ConnectOptions,
        roots: Vec<PathBuf>,
        port: u16,
    ) -> io::Result<Self> {
        let (token_file, token) = token::load_or_create(dirs)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|err| {
            let text = format!("cannot listen on 127.0.0.1:{port}: {err}; give another --port");
            io::Error::new(err.kind(), text)
        })?;
        let port = listener.local_addr()?.port();
        let shared = Shared {
            engine: Engine::new(options, roots.clone()),
            roots,
            gate: Gate::new(port, &token),
            n_open: AtomicUsize::new(0),
            n_answers: AtomicU64::new(0),
        };
        Ok(Self { listener, port, token_file, shared: Arc::new(shared) })
    }

    /// What to enter in an editor.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/completions", self.port)
    }

    /// Where the key is.
    #[must_use]
    pub fn token_file(&self) -> &Path {
        &self.token_file
    }

    /// Serves until the process ends.
    pub fn serve(self) -> ! {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                // The client went away first, or there are no handles just now, of which nothing tells when
                // there are some again.
                Err(err) => {
                    tracing::debug!(%err, "not accepted");
                    thread::sleep(Duration::from_millis(20));
                    continue;
                }
            };
            let open = Open::new(Arc::clone(&self.shared));
            if open.0.n_open.load(Ordering::Relaxed) > MAX_CONNECTIONS {
                let busy = Response::error(503, "too many connections; close some");
                let _ = http::write(&stream, &busy);
                continue;
            }
            let serve = move || {
                let response = match http::read(&stream) {
                    Ok(request) => answer(&open.0, &request, &stream),
                    Err(response) => response,
                };
                if let Err(err) = http::write(&stream, &response) {
                    tracing::debug!(%err, "the client is gone");
                }
            };
            // Without a thread this one hangs up, and the next may have more luck.
            if let Err(err) = thread::Builder::new().name("fovea-http".into()).spawn(serve) {
                tracing::warn!(%err, "a connection is not served");
            }
        }
    }
}

/// A connection that counts as open until it is dropped, whatever happens.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.n_open.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.n_open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer(shared: &Shared, request: &Request, stream: &TcpStream) -> Response {
    if let Err(refused) = shared.gate.admit(request) {
        return refused;
    }
    // Zed wants the whole address, other clients add the last part themselves.
    match (&*request.method, request.path.trim_start_matches("/v1")) {
        ("POST", "/completions") => match complete(shared, &request.body, stream) {
            Ok(response) => response,
            Err(response) => response,
        },
        ("GET", "/models") => {
            let model = json!({ "id": MODEL, "object": "model", "created": 0, "owned_by": MODEL });
            Response::json(200, &json!({ "object": "list", "data": [model] }))
        }
        (_, "/completions" | "/models") => Response::error(405, "this path has another method"),
        _ => Response::error(404, "known paths: POST /v1/completions, GET /v1/models"),
    }
}

/// What we read of a request; what else it carries (temperature and so on) changes nothing.
#[derive(Deserialize)]
struct Asked {
    prompt: OneOrMany,
    #[serde(default)]
    suffix: Option<String>,
    #[serde(default)]
    max_tokens: Option<usize>,
    #[serde(default)]
    stop: Option<OneOrMany>,
    #[serde(default)]
    stream: bool,
    /// Ours: the file's path, for clients that know it.
    #[serde(default)]
    path: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

fn complete(shared: &Shared, body: &[u8], stream: &TcpStream) -> Result<Response, Response> {
    let asked: Asked = serde_json::from_slice(body)
        .map_err(|err| Response::error(400, &format!("the body is not a completion: {err}")))?;
    let [prompt] = <[String; 1]>::try_from(asked.prompt.into_vec())
        .map_err(|_| Response::error(400, "one prompt at a time"))?;
    let excerpt = prompt::excerpt(&prompt, asked.suffix.as_deref());
    let is_unwanted = || http::is_gone(stream);
    let found = place::find(shared, &excerpt, asked.path.as_deref(), &is_unwanted)
        .map_err(|why| Response::error(400, &why))?;
    let suggestion = match found {
        Some(placed) => suggest(shared, placed, asked.max_tokens, &is_unwanted)
            .map_err(|why| Response::error(503, &why))?,
        None => None,
    };
    let stops = asked.stop.map(OneOrMany::into_vec).unwrap_or_default();
    let number = shared.n_answers.fetch_add(1, Ordering::Relaxed);
    let value = completion(number, suggestion.as_ref(), &stops);
    Ok(if asked.stream { Response::events(&value) } else { Response::json(200, &value) })
}

/// The file as the editor has it is shown to the daemon for as long as the question takes.
fn suggest(
    shared: &Shared,
    placed: Placed<'_>,
    max_tokens: Option<usize>,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<Option<Suggestion>, String> {
    let Placed { root, path, text, line, column } = placed;
    let edited = Method::Edited { path: path.clone(), version: 1, text };
    shared.engine.ask(root, edited, &|| false)?;
    let complete = Method::Complete {
        at: At { path: path.clone(), line, column, encoding: Encoding::Utf32 },
        preset: Preset::default(),
        budget_tokens: None,
        max_tokens: max_tokens.map(|n| n.clamp(1, MAX_TOKENS)),
        with_context: true,
        multi_line: true,
        use_model: true,
    };
    let answer = shared.engine.ask(root, complete, is_unwanted);
    shared.engine.ask(root, Method::Closed { path }, &|| false)?;
    match answer?.0 {
        Answer::Suggestion(suggestion) => Ok(suggestion),
        _ => Ok(None),
    }
}

fn completion(number: u64, suggestion: Option<&Suggestion>, stops: &[String]) -> Value {
    let mut text = suggestion.map_or("", |suggestion| &suggestion.text);
    for stop in stops.iter().filter(|stop| !stop.is_empty()) {
        text = text.find(stop.as_str()).map_or(text, |at| &text[..at]);
    }
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let timings = suggestion.map(|suggestion| suggestion.timings).unwrap_or_default();
    let n_written = timings.n_generated_tokens;
    json!({
        "id": format!("cmpl-{number}"),
        "object": "text_completion",
        "created": created,
        "model": MODEL,
        "choices": [{ "index": 0, "text": text, "logprobs": null, "finish_reason": "stop" }],
        "usage": {
            "prompt_tokens": timings.n_prompt_tokens,
            "completion_tokens": n_written,
            "total_tokens": timings.n_prompt_tokens + n_written,
        },
    })
}

/// Writes the whole text, whatever the socket takes at once.
fn write_all(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}
