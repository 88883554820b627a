//! A workspace from a fixture, a home for Fovea's files, and a connection in process.

use std::{fs, path::PathBuf, sync::Arc};

use fovea_api::{Answer, ApiError, At, Encoding, Freshness, Method, WorkspaceStatus};
use fovea_daemon::{
    config::Layers,
    connect::{CallError, Connection},
    dirs::Dirs,
    service::{Service, ServiceOptions},
};
use fovea_test_support::Fixture;

pub(crate) struct Repository {
    pub(crate) fixture: Fixture,
    pub(crate) root: PathBuf,
    pub(crate) home: PathBuf,
    temp: tempfile::TempDir,
}

impl Repository {
    pub(crate) fn new(fixture: &str) -> Self {
        let fixture = fovea_test_support::parse(fixture, "main.rs");
        let temp = tempfile::tempdir().expect("temporary folder");
        let base = temp.path().canonicalize().expect("there");
        let (root, home) = (base.join("repo"), base.join("h"));
        fs::create_dir(&root).expect("folder");
        let repository = Self { fixture: fixture.clone(), root, home, temp };
        fixture.files.iter().for_each(|file| repository.write(&file.path, &file.text));
        repository
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("folder");
        fs::write(path, text).expect("written");
    }

    pub(crate) fn dirs(&self) -> Dirs {
        Dirs::below(&self.home)
    }

    pub(crate) fn layers(&self) -> Layers {
        let dirs = self.dirs();
        Layers { user_file: Some(dirs.config_file()), ..Layers::default() }
    }

    pub(crate) fn service(&self) -> Arc<Service> {
        let (dirs, layers) = (self.dirs(), self.layers());
        Service::new(ServiceOptions { dirs, layers, socket: None, executable: None })
    }

    /// An engine in this process, with the repository indexed.
    pub(crate) fn open(&self) -> Engine<'_> {
        let engine = self.connect();
        engine.status_when_ready();
        engine
    }

    pub(crate) fn connect(&self) -> Engine<'_> {
        let connection = Connection::to_service(self.service(), |_| {}).expect("a socket pair");
        Engine { repository: self, connection }
    }

    /// The `index`-th `$0` of the fixture.
    pub(crate) fn at(&self, index: usize) -> At {
        let (file, offset) = self.fixture.cursors[index];
        let file = &self.fixture.files[file];
        let before = &file.text[..offset];
        let line = before.matches('\n').count() as u32;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u32;
        At { path: file.path.clone(), line, column, encoding: Encoding::Utf32 }
    }

    pub(crate) fn temp(&self) -> &std::path::Path {
        self.temp.path()
    }
}

pub(crate) struct Engine<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) connection: Connection,
}

impl Engine<'_> {
    pub(crate) fn try_call(&self, method: Method) -> Result<(Answer, Option<Freshness>), ApiError> {
        match self.connection.call(Some(&self.repository.root), None, method) {
            Ok(answer) => Ok(answer),
            Err(CallError::Api(err)) => Err(err),
            Err(CallError::Connect(err)) => panic!("the connection broke: {err}"),
        }
    }

    pub(crate) fn call(&self, method: Method) -> Answer {
        self.try_call(method).expect("an answer").0
    }

    pub(crate) fn error(&self, method: Method) -> ApiError {
        match self.try_call(method) {
            Ok((answer, _)) => panic!("an error was expected: {answer:?}"),
            Err(err) => err,
        }
    }

    pub(crate) fn status_when_ready(&self) -> WorkspaceStatus {
        let Answer::Workspace(status) = self.call(Method::Open { wait: true }) else {
            panic!("open answers with the workspace's status")
        };
        status
    }

    /// Everything saved by now is indexed afterwards.
    pub(crate) fn sync(&self) -> WorkspaceStatus {
        let Answer::Workspace(status) = self.call(Method::Sync) else {
            panic!("sync answers with the workspace's status")
        };
        status
    }

    pub(crate) fn symbols(&self, path: &str) -> Result<Vec<String>, ApiError> {
        match self.try_call(Method::DocumentSymbols { path: path.to_owned() })?.0 {
            Answer::Symbols(symbols) => Ok(symbols.into_iter().map(|symbol| symbol.name).collect()),
            answer => panic!("symbols were expected: {answer:?}"),
        }
    }

    pub(crate) fn edit(&self, path: &str, text: &str) {
        let (path, text) = (path.to_owned(), text.to_owned());
        self.call(Method::Edited { path, version: 1, text });
    }

    /// `path line:column` (1-based) of the definitions at the `index`-th cursor.
    pub(crate) fn definitions(&self, index: usize) -> Vec<String> {
        let at = self.repository.at(index);
        let Answer::Definitions { symbols, .. } = self.call(Method::Definition { at }) else {
            panic!("definitions were expected")
        };
        let show = |symbol: fovea_api::SymbolView| {
            let at = symbol.location;
            format!("{} {}:{} {}", at.path, at.start_line + 1, at.start_column + 1, symbol.name)
        };
        symbols.into_iter().map(show).collect()
    }
}
