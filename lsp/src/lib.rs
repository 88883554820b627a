//! The LSP server: converts what an editor sends, forwards it to the daemon, converts the answers
//! back. It decides nothing about ranking, and it holds nothing but the open documents.
//!
//! In reading order: [`Connect`] (how the daemon is reached, given by the caller), [`settings`] (what a
//! client can set), `session` (what this one told us at `initialize`), `documents` (open texts, edits in any position encoding),
//! `outbox` (one thread that sends everything to the daemon in order, connects again and replays
//! the open documents when the daemon was restarted), `server` (the method table), then one small
//! file per method in `requests` and `notifications`. Our own methods are in `ext` and described in
//! `docs/lsp-extensions.md`.
//!
//! Two rules hold everywhere. A handler records what it was told before its first `await`, because
//! the next message may run there. And no handler waits on the daemon itself: waiting is done on
//! blocking threads, so that `$/cancelRequest` and the next keystroke are never held up.

mod convert;
mod documents;
mod ext;
mod notifications;
mod outbox;
mod requests;
mod server;
mod session;
pub mod settings;
mod sieve;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use fovea_api::{Event, client::Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_lsp_server::{LspService, Server};

/// Requests handled at the same time. With fewer, a `$/cancelRequest` waits behind the very
/// requests it is meant to cancel.
const MAX_CONCURRENT_REQUESTS: usize = 128;

/// Of messages that were looked at and not yet read by the transport.
const SIEVE_BYTES: usize = 64 << 10;

/// How to reach the daemon. Called again whenever the connection was lost.
pub trait Connect: Send + 'static {
    /// Connects, starting the daemon if it is not there; may block for as long as that takes.
    ///
    /// `events` is called on any thread for each event of the daemon.
    ///
    /// # Errors
    /// What to show the user when there is no daemon to talk to.
    fn connect(&self, events: Events) -> io::Result<Client>;
}

/// Root of the project a file belongs to, `None` if the file belongs to none.
pub type ProjectOf = fn(&Path) -> Option<PathBuf>;

/// Text of a file by its path below a root, if the workspace's gate lets it pass.
pub type TextOf = fn(&Path, &str) -> Option<Arc<str>>;

/// The file system, as far as the server needs it; it opens nothing itself.
#[derive(Clone, Copy)]
pub struct Disk {
    /// For a file that lies in none of the editor's workspace folders.
    pub project_of: ProjectOf,
    /// For columns in files that the editor has not open, where it does not count in UTF-16.
    pub text_of: TextOf,
}

/// Takes the daemon's events.
pub type Events = Box<dyn Fn(Event) + Send + 'static>;

impl<F> Connect for F
where
    F: Fn(Events) -> io::Result<Client> + Send + 'static,
{
    fn connect(&self, events: Events) -> io::Result<Client> {
        self(events)
    }
}

/// Serves one editor over `input` and `output` until it says `exit` or closes the input; false if it
/// said `exit` without `shutdown`.
pub async fn serve(
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite,
    connect: impl Connect,
    disk: Disk,
) -> bool {
    let (service, socket) = service(connect, disk);
    let life_cycle = Mutex::default();
    let (sieved, messages) = tokio::io::duplex(SIEVE_BYTES);
    let server = Server::new(messages, output, socket)
        .concurrency_level(MAX_CONCURRENT_REQUESTS)
        .serve(service);
    let pump = async {
        sieve::pump(input, sieved, &life_cycle).await;
        // The server reads to the end, and ends by itself.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = server => {}
        () = pump => {}
    }
    life_cycle.into_inner().unwrap_or_else(PoisonError::into_inner).is_orderly()
}

/// Serves one editor over standard input and output. Standard output carries frames and nothing
/// else: the process must log to standard error or a file.
///
/// False if the editor said `exit` without `shutdown`.
///
/// # Errors
/// If the runtime cannot start its threads.
pub fn serve_stdio(connect: impl Connect, disk: Disk) -> io::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MAX_CONCURRENT_REQUESTS + 16)
        .thread_name("fovea-lsp")
        .enable_all()
        .build()?;
    let is_orderly =
        runtime.block_on(serve(tokio::io::stdin(), tokio::io::stdout(), connect, disk));
    // A read of standard input cannot be interrupted, and an editor may keep it open after `exit`.
    runtime.shutdown_background();
    Ok(is_orderly)
}

fn service(
    connect: impl Connect,
    disk: Disk,
) -> (LspService<server::FoveaServer>, tower_lsp_server::ClientSocket) {
    LspService::build(|client| server::FoveaServer::new(client, connect, disk))
        .custom_method("textDocument/inlineCompletion", server::FoveaServer::inline_completion)
        .custom_method(ext::STATUS, server::FoveaServer::status)
        .custom_method(ext::EXPLAIN, server::FoveaServer::explain)
        .custom_method(ext::SEARCH, server::FoveaServer::search)
        .custom_method(ext::ACCEPTED, server::FoveaServer::accepted)
        .custom_method(ext::CURSOR, server::FoveaServer::cursor)
        .finish()
}
