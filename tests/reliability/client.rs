//! A client of one workspace, over the daemon's socket or to an engine in this process.

use std::{
    io::BufReader,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use fovea_api::{Answer, ApiError, Method, WorkspaceStatus, client::Client as Api};
use fovea_daemon::{
    config::Layers,
    connect::Connection,
    dirs::Dirs,
    service::{Service, ServiceOptions},
};

/// Nothing the harness asks may take longer.
const TIMEOUT: Duration = Duration::from_secs(90);

pub(crate) fn grep(pattern: &str, regex: bool, limit: usize) -> Method {
    let pattern = pattern.to_owned();
    Method::Grep { pattern, regex, ignore_case: regex, limit, word: false, path: None }
}

pub(crate) fn search(query: String, limit: usize) -> Method {
    Method::Search { query, limit, near: None, offset: 0, like: None, budget_tokens: None }
}

pub(crate) struct Client {
    api: Api,
    root: PathBuf,
    /// The connection, which the thread that reads answers would keep.
    stream: Option<UnixStream>,
    /// Ends the engine in this process.
    _engine: Option<Connection>,
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            // It may be gone already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Client {
    pub(crate) fn connect(socket: &Path, root: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("connecting")?;
        let ours = Some(stream.try_clone()?);
        let api = Api::new(BufReader::new(stream.try_clone()?), stream, |_| {});
        Ok(Self { api, root: root.to_owned(), stream: ours, _engine: None })
    }

    /// An engine in this process, with its files below `home`.
    pub(crate) fn in_process(home: &Path, root: &Path) -> Result<Self> {
        let dirs = Dirs::below(home);
        let layers = Layers { user_file: Some(dirs.config_file()), ..Layers::default() };
        let options = ServiceOptions { dirs, layers, socket: None, executable: None };
        let engine = Connection::to_service(Service::new(options), |_| {})?;
        let api = engine.client().clone();
        Ok(Self { api, root: root.to_owned(), stream: None, _engine: Some(engine) })
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    pub(crate) fn ask(&self, method: Method) -> Result<Answer> {
        self.try_ask(method)?.map_err(|err| anyhow::anyhow!("{:?}: {}", err.code, err.message))
    }

    /// The outer error: no answer.
    pub(crate) fn try_ask(&self, method: Method) -> Result<Result<Answer, ApiError>> {
        let shown = format!("{method:?}");
        let pending = self.api.send(Some(self.root.clone()), None, method)?;
        match pending.wait_for(TIMEOUT)? {
            Some(response) => Ok(response.result),
            None => bail!("no answer to {:.60} in {} s", shown, TIMEOUT.as_secs()),
        }
    }

    pub(crate) fn sync(&self) -> Result<WorkspaceStatus> {
        self.status_of(Method::Sync)
    }

    pub(crate) fn open(&self) -> Result<WorkspaceStatus> {
        self.status_of(Method::Open { wait: true })
    }

    pub(crate) fn status(&self) -> Result<WorkspaceStatus> {
        self.status_of(Method::Open { wait: false })
    }

    fn status_of(&self, method: Method) -> Result<WorkspaceStatus> {
        match self.ask(method)? {
            Answer::Workspace(status) => Ok(status),
            answer => bail!("a status was expected: {answer:?}"),
        }
    }

    pub(crate) fn symbols(&self, path: &str) -> Result<Vec<String>> {
        match self.ask(Method::DocumentSymbols { path: path.to_owned() })? {
            Answer::Symbols(symbols) => Ok(symbols.into_iter().map(|symbol| symbol.name).collect()),
            answer => bail!("symbols were expected: {answer:?}"),
        }
    }

    /// `path:line` of each hit, sorted.
    pub(crate) fn grep(&self, pattern: &str, limit: usize) -> Result<Vec<String>> {
        match self.ask(grep(pattern, false, limit))? {
            Answer::Search(view) => {
                let place = |hit: &fovea_api::SearchHit| {
                    format!("{}:{}", hit.location.path, hit.location.start_line + 1)
                };
                let mut places: Vec<String> = view.hits.iter().map(place).collect();
                places.sort_unstable();
                Ok(places)
            }
            answer => bail!("hits were expected: {answer:?}"),
        }
    }

    pub(crate) fn search(&self, query: &str) -> Result<usize> {
        match self.ask(search(query.to_owned(), 10))? {
            Answer::Search(view) => Ok(view.hits.len()),
            answer => bail!("hits were expected: {answer:?}"),
        }
    }

    pub(crate) fn edit(&self, path: &str, text: &str) -> Result<()> {
        let (path, text) = (path.to_owned(), text.to_owned());
        self.ask(Method::Edited { path, version: 1, text }).map(drop)
    }

    pub(crate) fn close(&self, path: &str) -> Result<()> {
        self.ask(Method::Closed { path: path.to_owned() }).map(drop)
    }

    /// Outcome and reason of a path.
    pub(crate) fn why(&self, path: &str) -> Result<(String, String)> {
        match self.ask(Method::Why { path: path.to_owned() })? {
            Answer::Path(outcome) => Ok((outcome.outcome, outcome.reason.unwrap_or_default())),
            answer => bail!("an outcome was expected: {answer:?}"),
        }
    }

    /// The whole index as canonical text.
    pub(crate) fn dump(&self) -> Result<String> {
        let (mut whole, mut after) = (String::new(), None);
        loop {
            match self.ask(Method::Dump { after, path: None })? {
                Answer::Dump { text, next } => {
                    whole.push_str(&text);
                    if next.is_none() {
                        return Ok(whole);
                    }
                    after = next;
                }
                answer => bail!("a dump was expected: {answer:?}"),
            }
        }
    }
}
