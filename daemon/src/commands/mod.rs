//! One small file for each command: ask the engine, show the answer.

mod complete;
mod config;
mod context;
mod daemon;
mod demo;
mod doctor;
mod dump;
mod eval;
mod gc;
mod graph;
mod index;
mod lsp;
mod mcp;
mod model;
mod outline;
mod picture;
mod print;
mod schema;
mod search;
mod secrets;
mod serve;
mod status;
mod symbols;
mod target;
mod top;
mod unit;
mod walks;

use std::{
    path::{Path, PathBuf},
    sync::Once,
};

use fovea_api::{Answer, Event, Freshness, Method, WorkspaceStatus};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    cli::{Cli, Command, Global},
    config::{Layers, Loaded, SettingView},
    connect::{CallError, ConnectError, ConnectOptions, Connection},
    dirs::Dirs,
    exit_codes::ExitCode,
    output::{Body, Failure, Output},
    root::{self, RootError},
};

pub use demo::DemoView;
pub use doctor::Check;
pub use model::ModelsView;
pub use picture::GraphPicture;
pub(crate) use target::parse as typed_position;

/// What commands print that no daemon is asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum Local {
    /// `model list`.
    Models(ModelsView),
    /// `model pull`, `model add`, `model remove`.
    Model(crate::models::Installed),
    /// `config show`.
    Config(Vec<SettingView>),
    /// `config path`, `model path`; `null` if there is none.
    File(Option<PathBuf>),
    /// `doctor`.
    Doctor(Vec<Check>),
    /// `graph`.
    Graph(GraphPicture),
    /// `demo`.
    Demo(DemoView),
    /// `daemon start` and `daemon stop`: what happened.
    Daemon(String),
    /// `daemon unit`: the text of the file.
    Unit(String),
}

/// What every command works with.
pub struct Context {
    pub global: Global,
    pub dirs: Dirs,
    pub layers: Layers,
    pub loaded: Loaded,
    pub out: Output,
}

/// Runs a command and returns what the process returns.
pub fn run(cli: Cli, mut context: Context) -> ExitCode {
    let outcome = dispatch(cli.command, &mut context);
    match outcome {
        Ok(code) => {
            context.out.flush();
            code
        }
        Err(failure) => fail(&context.global, failure),
    }
}

/// Reports a failure on standard error, and on standard output as well where a program reads it.
pub fn fail(global: &Global, failure: Failure) -> ExitCode {
    if global.json {
        let mut out = Output::stdout(true);
        let error = crate::output::ErrorBody {
            exit_code: failure.code as u8,
            message: failure.message.clone(),
        };
        out.json(None, Body::Error { error });
        out.flush();
    }
    note(&failure.message);
    failure.code
}

/// One message for people on standard error, usually one line.
pub(crate) fn note(message: &str) {
    eprintln!("{}", one_message(message));
}

/// Further lines of a message (an excerpt of a settings file) are set in, so that none passes for a
/// message of its own.
fn one_message(message: &str) -> String {
    format!("fovea: {}", crate::output::clean(message).trim_end().replace('\n', "\n  "))
}

fn dispatch(command: Command, context: &mut Context) -> Result<ExitCode, Failure> {
    match command {
        Command::Index(args) => index::run(context, &args),
        Command::Search(args) => search::search(context, &args),
        Command::Grep(args) => search::grep(context, &args),
        Command::Def(args) => graph::definition(context, &args.target),
        Command::Refs(args) => graph::references(context, &args.target),
        Command::Callers(args) => graph::callers(context, &args.target),
        Command::Callees(args) => graph::callees(context, &args.target),
        Command::Impact(args) => walks::impact(context, &args),
        Command::Hierarchy(args) => graph::hierarchy(context, &args.target),
        Command::Implementations(args) => graph::implementations(context, &args.target),
        Command::Tests(args) => walks::tests(context, &args),
        Command::Mentions(args) => walks::mentions(context, &args.target),
        Command::Names(args) => walks::names(context, &args),
        Command::Near(args) => walks::near(context, &args),
        Command::Path(args) => walks::path(context, &args),
        Command::Dead(args) => walks::dead(context, &args),
        Command::Graph(args) => picture::run(context, &args),
        Command::Symbols(args) => symbols::run(context, &args),
        Command::Outline(args) => outline::run(context, &args),
        Command::Context(args) => context::run(context, &args),
        Command::Complete(args) => complete::run(context, &args),
        Command::Explain(args) => complete::explain(context, &args),
        Command::Status(args) => status::run(context, &args),
        Command::Secrets => secrets::run(context),
        Command::Top(args) => top::run(context, &args),
        Command::Sync => index::sync(context),
        Command::Reindex(args) => index::reindex(context, args),
        Command::Gc(args) => gc::run(context, &args),
        Command::Dump(args) => dump::run(context, &args),
        Command::Model(command) => model::run(context, command),
        Command::Daemon(command) => daemon::run(context, &command),
        Command::Lsp(_) => lsp::run(context),
        Command::Mcp(args) => mcp::run(context, &args),
        Command::Serve(args) => serve::run(context, &args),
        Command::Config(command) => config::run(context, &command),
        Command::Doctor => doctor::run(context),
        Command::Demo(args) => demo::run(context, &args),
        Command::Eval(args) => eval::run(context, &args),
        Command::Schema => Ok(schema::schema(context)),
        Command::Completions { shell } => Ok(schema::completions(context, shell)),
        Command::Man => schema::man(context),
        Command::ModelWorker(_) => {
            unreachable!("`main` runs the worker before anything else is set up")
        }
    }
}

impl Context {
    /// # Errors
    /// If the folders or the settings cannot be used.
    pub fn new(global: Global) -> Result<Self, Failure> {
        let dirs = Dirs::from_env().map_err(unavailable)?;
        let mut layers = Layers::of_process(&dirs);
        if global.offline {
            layers.flags.push(("offline".to_owned(), "true".to_owned()));
        }
        if global.verbose > 0 {
            let level = if global.verbose == 1 { "debug" } else { "trace" };
            layers.flags.push(("log.level".to_owned(), level.to_owned()));
        }
        let loaded = crate::config::load(&layers)
            .map_err(|err| Failure::new(ExitCode::Config, err.to_string()))?;
        let out = Output::stdout(global.json);
        Ok(Self { global, dirs, layers, loaded, out })
    }

    /// The workspace: `--root`, else the one that `path` (or the current folder) belongs to.
    pub(crate) fn root(&self, path: Option<&Path>) -> Result<PathBuf, Failure> {
        if let Some(root) = &self.global.root {
            return Ok(root::check(root)?);
        }
        let found = root::find(path.unwrap_or(Path::new(".")))?;
        // Several questions of a command ask for the root.
        static SAID: Once = Once::new();
        if !found.foreign.is_empty() {
            SAID.call_once(|| found.foreign.iter().for_each(|marker| note(&marker.to_string())));
        }
        Ok(found.root)
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            dirs: self.dirs.clone(),
            layers: self.layers.clone(),
            no_daemon: self.global.no_daemon,
            start: true,
            executable: None,
        }
    }

    /// The engine, with `root` open and indexed. Long indexing shows its progress on a terminal.
    pub(crate) fn open(&self, root: &Path) -> Result<Workspace, Failure> {
        let (connection, status) = index::open(self, root)?;
        let deadline_ms = self.global.deadline_ms;
        Ok(Workspace { connection, root: root.to_owned(), status, deadline_ms })
    }

    /// Shows an answer about a cursor or name: as JSON, or by `show`, which says whether there was
    /// anything.
    pub(crate) fn show(
        &mut self,
        answer: (Answer, Option<Freshness>),
        show: impl FnOnce(&mut Output, &Answer) -> bool,
    ) -> Result<ExitCode, Failure> {
        self.show_or(answer, Some("nothing found; a cursor is written FILE:LINE:COL"), show)
    }

    /// The same with what to say if there is nothing; `None` if `show` says it.
    pub(crate) fn show_or(
        &mut self,
        answer: (Answer, Option<Freshness>),
        nothing: Option<&str>,
        show: impl FnOnce(&mut Output, &Answer) -> bool,
    ) -> Result<ExitCode, Failure> {
        let (answer, freshness) = answer;
        if let Some(freshness) = freshness
            && freshness.n_pending > 0
            && !self.global.json
        {
            let files = crate::output::count(freshness.n_pending, "changed file");
            note(&format!("{files} not in the index yet; `fovea sync` waits for them"));
        }
        let is_cut = freshness.is_some_and(|freshness| freshness.cut);
        if is_cut && !self.global.json {
            note("the deadline passed, so there may be more; a longer --deadline-ms finds it");
        }
        let mut text = Output::plain();
        let has_content = if self.out.is_json() {
            let has_content = show(&mut text, &answer);
            self.out.json(freshness, Body::Answer(answer));
            has_content
        } else {
            show(&mut self.out, &answer)
        };
        if let Some(nothing) = nothing.filter(|_| !has_content && !is_cut && !self.global.json) {
            note(nothing);
        }
        Ok(if has_content { ExitCode::Ok } else { ExitCode::Nothing })
    }

    /// Shows something of our own.
    pub(crate) fn show_local(&mut self, local: Local, show: impl FnOnce(&mut Output, &Local)) {
        if self.out.is_json() {
            self.out.json(None, Body::Local(local));
        } else {
            show(&mut self.out, &local);
        }
    }
}

/// An open workspace.
pub(crate) struct Workspace {
    pub(crate) connection: Connection,
    pub(crate) root: PathBuf,
    pub(crate) status: WorkspaceStatus,
    /// Of each question.
    deadline_ms: Option<u64>,
}

impl Workspace {
    pub(crate) fn ask(&self, method: Method) -> Result<(Answer, Option<Freshness>), Failure> {
        Ok(self.connection.call(Some(&self.root), self.deadline_ms, method)?)
    }
}

/// No events are wanted.
pub(crate) fn ignore_events(_: Event) {}

/// An answer that does not belong to the question.
pub(crate) fn unexpected(answer: &Answer) -> Failure {
    let message = format!("the daemon gave an answer of another kind: {answer:?}");
    Failure::new(ExitCode::Internal, message.chars().take(200).collect::<String>())
}

pub(crate) fn unavailable(err: impl std::fmt::Display) -> Failure {
    Failure::new(ExitCode::Unavailable, err.to_string())
}

impl From<RootError> for Failure {
    fn from(err: RootError) -> Self {
        let code = match err {
            RootError::Missing { .. } | RootError::NotADirectory { .. } => ExitCode::NotFound,
            RootError::Everything => ExitCode::Usage,
            RootError::Unreadable { .. } => ExitCode::Unavailable,
        };
        Self::new(code, err.to_string())
    }
}

impl From<ConnectError> for Failure {
    fn from(err: ConnectError) -> Self {
        unavailable(err)
    }
}

impl From<CallError> for Failure {
    fn from(err: CallError) -> Self {
        match err {
            CallError::Connect(err) => err.into(),
            CallError::Api(err) => err.into(),
        }
    }
}

impl From<crate::models::ModelsError> for Failure {
    fn from(err: crate::models::ModelsError) -> Self {
        use crate::models::ModelsError;
        let code = match err {
            ModelsError::NotInstalled { .. } | ModelsError::UnknownName { .. } => {
                ExitCode::NotFound
            }
            ModelsError::BadHubName { .. } | ModelsError::BadName { .. } => ExitCode::Usage,
            ModelsError::Dirs(_) | ModelsError::NoSpace { .. } => ExitCode::Unavailable,
            _ => ExitCode::Model,
        };
        Self::new(code, err.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_message_passes_for_another() {
        let message = one_message("`a\nfovea: all is well\r\n` does not exist\n");
        assert_eq!(message, "fovea: `a\n  fovea: all is well\n  ` does not exist");
    }
}
