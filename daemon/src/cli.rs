//! Every subcommand and flag, defined once: help, completions, man page and reference come from here.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use fovea_api::Preset;

use crate::exit_codes::ExitCode;

/// Code completion and search that know your repository and never leave your machine.
#[derive(Debug, Parser)]
#[command(name = "fovea", version, about, after_help = AFTER_HELP, after_long_help = after_long_help())]
#[command(propagate_version = false, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
pub struct Global {
    /// The workspace's folder.
    ///
    /// Without it: the nearest folder above the given file, or above the current folder, that is a
    /// repository; else the outermost one with a build file.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "Workspace folder [default: found from file or folder]"
    )]
    pub root: Option<PathBuf>,
    /// Print JSON; `fovea schema` prints its schema.
    #[arg(long, global = true)]
    pub json: bool,
    /// Answer after so many milliseconds with what is found by then; `cut` in --json says so.
    #[arg(long, global = true, value_name = "MS", hide_short_help = true)]
    pub deadline_ms: Option<u64>,
    /// Run the engine in this process; no daemon is started or asked.
    #[arg(long, global = true, hide_short_help = true)]
    pub no_daemon: bool,
    /// Forbid every fetch from the network.
    #[arg(long, global = true, hide_short_help = true)]
    pub offline: bool,
    /// More messages on standard error; twice for still more.
    #[arg(short, long, global = true, action = ArgAction::Count, hide_short_help = true)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Index a workspace and show what is in it.
    Index(IndexArgs),
    /// Search for a symbol, words, an error message or a path.
    Search(SearchArgs),
    /// Find a pattern in the current text of all files.
    Grep(GrepArgs),
    /// Show the definition of what is at a position, or of a name.
    Def(TargetArgs),
    /// List the references to what is at a position, or to a name.
    Refs(TargetArgs),
    /// List the callers of a function.
    Callers(TargetArgs),
    /// List what a function calls.
    Callees(TargetArgs),
    /// List what a change may reach, tests among it.
    Impact(LimitedArgs),
    /// List bases and implementations of a type or method.
    Hierarchy(TargetArgs),
    /// List what derives from a type, or overrides a method.
    Implementations(TargetArgs),
    /// List the tests that exercise a symbol, nearest first.
    Tests(LimitedArgs),
    /// List documentation that mentions a symbol.
    Mentions(TargetArgs),
    /// List members of a type or module, or what can stand at a cursor.
    ///
    /// Of a NAME (or FILE:LINE, a definition's line) the members, inherited ones included. At
    /// FILE:LINE:COL what can stand there: behind a dot the members of the receiver's type, else the
    /// names in scope.
    #[command(about = "List members of a type, or what can stand at a cursor")]
    Names(LimitedArgs),
    /// List what is close to a symbol or cursor, by rank.
    Near(LimitedArgs),
    /// Show how two symbols are connected.
    Path(PathArgs),
    /// List definitions that nothing reaches.
    ///
    /// A definition is alive if something outside it mentions it that is alive itself. Tests, entry
    /// points, what overrides something and what a decorator registers are alive. What is public may
    /// be used by code that is not here: it is listed and marked, and what it uses is alive.
    #[command(about = "List definitions that nothing reaches")]
    Dead(DeadArgs),
    /// Draw the symbols around one: users and what is used.
    Graph(GraphArgs),
    /// List symbols whose name fits, or those of one file.
    Symbols(SymbolsArgs),
    /// Print the map of the repository.
    Outline(OutlineArgs),
    /// Print the prompt that a completion at a position would get.
    Context(ContextArgs),
    /// Complete at a position.
    Complete(CompleteArgs),
    /// Show why: a completion's sources, tokens and milliseconds.
    Explain(ExplainArgs),
    /// Show the state of the workspace and the daemon.
    Status(StatusArgs),
    /// List the secrets that were overwritten: where, by which rule.
    ///
    /// Tokens, keys and passwords in files are overwritten in the text before anything is stored,
    /// searched or put into a prompt. This says where; the secret itself is never kept.
    #[command(about = "List where secrets were overwritten, and by which rule")]
    Secrets,
    /// Watch what the daemon does: queue, caches, latencies.
    Top(TopArgs),
    /// Wait until everything saved is in the index.
    Sync,
    /// Build the index from nothing.
    Reindex(ReindexArgs),
    /// Remove indexes and facts that nobody used for long.
    #[command(hide = true)]
    Gc(GcArgs),
    /// Print what the index answers from, to compare two indexes.
    #[command(hide = true)]
    Dump(DumpArgs),
    /// Fetch, add, list and remove models.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Start, stop and look at the background process.
    #[command(subcommand)]
    Daemon(DaemonCommand),
    /// Serve an editor over standard input and output.
    #[command(hide = true)]
    Lsp(LspArgs),
    /// Serve an agent by the Model Context Protocol over standard input and output.
    #[command(name = "mcp", about = "Serve an agent (Model Context Protocol)")]
    Mcp(McpArgs),
    /// Serve completions over HTTP on this machine.
    Serve(ServeArgs),
    /// Show settings and where they come from.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Find the usual problems.
    Doctor,
    /// Show completions with and without context in two samples.
    Demo(DemoArgs),
    /// Measure how much project context improves completions.
    #[command(hide = true)]
    Eval(EvalArgs),
    /// Print the JSON schema of --json.
    #[command(hide = true)]
    Schema,
    /// Print shell completions.
    #[command(hide = true)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the man page; for packagers, so it is not listed.
    #[command(about = "Print the man page", hide = true)]
    Man,
    /// Runs the model; started by the daemon.
    #[command(hide = true)]
    ModelWorker(ModelWorkerArgs),
}

#[derive(Debug, Args)]
pub struct ModelWorkerArgs {
    /// The only file (or folder, of an embedder) it may read.
    pub model: PathBuf,
    /// Try what a hostile model would try, print what happened, and end.
    #[arg(long)]
    pub probe: bool,
    /// Run without confinement (model.sandbox is off).
    #[arg(long)]
    pub unconfined: bool,
}

#[derive(Debug, Args)]
pub struct IndexArgs {
    /// Folder to index.
    pub path: Option<PathBuf>,
    /// Extract everything anew, whatever is stored.
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct TopArgs {
    /// Print the state once; so it is without a terminal, and with --json.
    #[arg(long)]
    pub once: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub interval: f32,
}

#[derive(Debug, Args)]
pub struct ReindexArgs {
    /// Folder to index.
    pub path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct GcArgs {
    /// Only say what would be removed.
    #[arg(long)]
    pub dry_run: bool,
    /// Indexes and facts may take this much together: 500M, 2G, bytes [default: storage.max-bytes].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_bytes: Option<u64>,
    /// Remove what was not used for so many days; 0 keeps it [default: storage.unused-days].
    #[arg(long, value_name = "N")]
    pub unused_days: Option<u64>,
}

/// Bytes, written with a unit or without.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err("write a number of bytes, or one with K, M or G".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "there is no number".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "too large".to_owned())
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to look for; several words are one query.
    ///
    /// Filters narrow it: lang:rust, path:src/*.rs (-path: leaves out), kind:function,
    /// test:only or test:no, changed:only (differs from the last commit) or changed:no.
    /// A "quoted part" must be in the text.
    #[arg(
        required_unless_present = "like",
        help = "What to look for; filters: lang: path: kind: test: changed:"
    )]
    pub query: Vec<String>,
    /// Most hits.
    #[arg(short = 'n', long, default_value_t = 10)]
    pub limit: usize,
    /// Show the hits after the first ones; twice for those after them.
    #[arg(long, action = ArgAction::Count)]
    pub more: u8,
    /// Find code like that at this line.
    #[arg(long, value_name = "FILE:LINE")]
    pub like: Option<String>,
    /// Prefer what is close to this position.
    #[arg(long, value_name = "FILE:LINE:COL")]
    pub near: Option<String>,
    /// Print whole functions and classes, in at most so many tokens.
    #[arg(long, alias = "budget-tokens", value_name = "N")]
    pub budget: Option<usize>,
    /// Show why each hit is one, and every part of its score.
    #[arg(long, alias = "why")]
    pub explain: bool,
}

#[derive(Debug, Args)]
pub struct GrepArgs {
    /// Regular expression.
    pub pattern: String,
    /// Take the pattern literally.
    #[arg(short = 'F', long)]
    pub fixed_strings: bool,
    /// Ignore upper and lower case.
    #[arg(short, long)]
    pub ignore_case: bool,
    /// Match whole words only.
    #[arg(short, long)]
    pub word: bool,
    /// Only files whose path contains this text or matches this glob.
    #[arg(long, value_name = "PART|GLOB")]
    pub path: Option<String>,
    /// Most lines.
    #[arg(short = 'n', long, default_value_t = 200)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct TargetArgs {
    /// A position (both numbers from 1, columns in characters), or a symbol's name.
    #[arg(value_name = "FILE:LINE:COL|NAME")]
    pub target: String,
}

#[derive(Debug, Args)]
pub struct LimitedArgs {
    /// A position (both numbers from 1, columns in characters), or a symbol's name.
    #[arg(value_name = "FILE:LINE:COL|NAME")]
    pub target: String,
    /// Most symbols.
    #[arg(short = 'n', long, default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct PathArgs {
    /// Where the connection starts: a position or a symbol's name.
    #[arg(value_name = "FROM")]
    pub from: String,
    /// Where it ends.
    #[arg(value_name = "TO")]
    pub to: String,
}

#[derive(Debug, Args)]
pub struct DeadArgs {
    /// Only in files whose path contains this text or matches this glob.
    #[arg(value_name = "PART|GLOB")]
    pub path: Option<String>,
    /// Leave out what code elsewhere may use.
    #[arg(long)]
    pub private: bool,
    /// Most symbols.
    #[arg(short = 'n', long, default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct GraphArgs {
    /// A position (both numbers from 1, columns in characters), or a symbol's name.
    #[arg(value_name = "FILE:LINE:COL|NAME")]
    pub target: String,
    /// How it is written.
    #[arg(long, value_enum, default_value_t)]
    pub format: GraphFormat,
    /// Steps from the symbol.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub depth: u8,
    /// Most symbols.
    #[arg(short = 'n', long, default_value_t = 60)]
    pub limit: usize,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum GraphFormat {
    /// One HTML file: searchable, zoomable, nothing to load.
    Html,
    /// An image.
    #[default]
    Svg,
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
}

#[derive(Debug, Args)]
pub struct SymbolsArgs {
    /// Part of a name; all files.
    #[arg(required_unless_present = "file")]
    pub query: Option<String>,
    /// Symbols of this file in order.
    #[arg(long, conflicts_with = "query")]
    pub file: Option<PathBuf>,
    /// Most symbols.
    #[arg(short = 'n', long, default_value_t = 50)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct OutlineArgs {
    /// Most tokens.
    #[arg(long, alias = "budget", value_name = "N", default_value_t = 1_000)]
    pub budget_tokens: usize,
    /// Draw the map around this position.
    #[arg(long, value_name = "FILE:LINE:COL")]
    pub focus: Option<String>,
}

/// How much context.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum PresetArg {
    Lean,
    #[default]
    Balanced,
    Deep,
}

impl From<PresetArg> for Preset {
    fn from(preset: PresetArg) -> Self {
        match preset {
            PresetArg::Lean => Self::Lean,
            PresetArg::Balanced => Self::Balanced,
            PresetArg::Deep => Self::Deep,
        }
    }
}

#[derive(Debug, Args)]
pub struct ContextArgs {
    /// Where the cursor is; without a column, at the end of the line.
    #[arg(value_name = "FILE:LINE:COL")]
    pub at: String,
    /// How much context.
    #[arg(long, value_enum, default_value_t)]
    pub preset: PresetArg,
    /// Tokens of context; wins over the preset.
    #[arg(long, value_name = "N")]
    pub budget_tokens: Option<usize>,
}

#[derive(Debug, Args)]
pub struct CompleteArgs {
    /// Where the cursor is; without a column, at the end of the line.
    #[arg(value_name = "FILE:LINE:COL")]
    pub at: String,
    #[command(flatten)]
    pub options: CompletionArgs,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Where the cursor is; without a column, at the end of the line.
    #[arg(value_name = "FILE:LINE:COL", required_unless_present = "outgoing")]
    pub at: Option<String>,
    /// Show what would be sent to the remote back end; without a position, what was sent last.
    #[arg(long)]
    pub outgoing: bool,
    #[command(flatten)]
    pub options: CompletionArgs,
}

/// How to complete.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// Use the text before the cursor alone.
    #[arg(long)]
    pub no_context: bool,
    /// Answer from the index, without the model.
    #[arg(long)]
    pub no_model: bool,
    /// Stop after this many tokens.
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// Complete the rest of the line only.
    #[arg(long)]
    pub single_line: bool,
    /// Take the file's text from standard input.
    #[arg(long)]
    pub stdin: bool,
    /// How much context.
    #[arg(long, value_enum, default_value_t)]
    pub preset: PresetArg,
    /// Tokens of context; wins over the preset.
    #[arg(long, value_name = "N")]
    pub budget_tokens: Option<usize>,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Say what became of this file: indexed, pending or skipped, and by which rule.
    #[arg(long, value_name = "PATH")]
    pub why: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DumpArgs {
    /// In an order that depends on the files alone (the only one there is).
    ///
    /// Two indexes of the same files print the same text, however they came about: after edits or
    /// from scratch, before or after a crash.
    #[arg(long, help = "In an order that depends on the files alone; always so")]
    pub canonical: bool,
    /// Spell this file out.
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Fetch a model: the default one, one by name, or hf:OWNER/REPO/FILE.gguf.
    Pull {
        /// Which model [default: the default model].
        name: Option<String>,
    },
    /// Add a GGUF file of your own.
    Add {
        path: PathBuf,
        /// Name to keep it under [default: the file's].
        #[arg(long)]
        name: Option<String>,
    },
    /// List the models that are installed, and those that can be pulled by name.
    List,
    /// Print the file that completions use.
    Path,
    /// Delete a model.
    Remove { name: String },
}

#[derive(Debug, Subcommand)]
pub enum DaemonCommand {
    /// Start it, unless it runs.
    Start,
    /// End it after what it is answering.
    Stop,
    /// Show its state; do not start it.
    Status,
    /// Run it in the foreground.
    Run,
    /// Print the file with which systemd or launchd keeps it running.
    Unit {
        /// For which of them [default: this system's].
        #[arg(value_enum)]
        kind: Option<UnitKind>,
    },
}

/// Who keeps the daemon running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnitKind {
    Systemd,
    Launchd,
}

impl Default for UnitKind {
    fn default() -> Self {
        if cfg!(target_os = "macos") { Self::Launchd } else { Self::Systemd }
    }
}

#[derive(Debug, Args)]
pub struct LspArgs {
    /// Ignored: standard input and output are always used. Editors pass it.
    #[arg(long, hide = true)]
    pub stdio: bool,
}

#[derive(Debug, Args)]
pub struct McpArgs {
    /// Folders that the agent may ask about [default: --root, or the current folder's workspace].
    #[arg(value_name = "FOLDER")]
    pub roots: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Answer like OpenAI's `/v1/completions`, for editors such as Zed.
    ///
    /// Listens on 127.0.0.1 alone and answers whoever sends the key, which is made once and kept in a
    /// file that you alone can read. Pages in a browser are refused.
    #[arg(long, required = true, help = "Answer like OpenAI's /v1/completions")]
    pub openai: bool,
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 8427)]
    pub port: u16,
    /// Folders whose files are completed [default: --root, or the current folder's workspace].
    #[arg(value_name = "FOLDER")]
    pub roots: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print each setting, its value and where that comes from.
    Show,
    /// Print the path of the settings file.
    Path,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct EvalArgs {
    #[command(subcommand)]
    pub command: Option<EvalCommand>,
    /// Repository to take lines from [default: the workspace].
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Lines to ask for.
    #[arg(long, default_value_t = 40, value_name = "N")]
    pub lines: usize,
    /// Which lines are drawn.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
}

#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Answer requests on standard input, one JSON object a line.
    Serve {
        /// Tokens of context, where a request names none.
        #[arg(long, value_name = "N")]
        budget_tokens: Option<usize>,
        /// Answer from the index, without the model.
        #[arg(long)]
        no_model: bool,
    },
    /// Complete the points of a file in several ways; --root is the folder of their checkouts.
    Completion(EvalCompletionArgs),
    /// Measure how the index alone ranks the name at a cursor, on lines of repositories.
    Names {
        /// Repositories to draw lines from.
        #[arg(required_unless_present = "points", value_name = "DIR")]
        dirs: Vec<PathBuf>,
        /// Lines of each repository.
        #[arg(long, default_value_t = 300, value_name = "N")]
        lines: usize,
        /// Which lines are drawn.
        #[arg(long, default_value_t = 1, value_name = "N")]
        seed: u64,
        /// Learn the weights anew on these lines and print them.
        #[arg(long, conflicts_with = "model")]
        fit: bool,
        /// Ask the model too, and compare weights of the index beside it.
        #[arg(long)]
        model: bool,
        /// With --model: points with known answers in place of drawn lines; --root is the folder of
        /// their checkouts.
        #[arg(long, value_name = "FILE", requires = "model")]
        points: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct EvalCompletionArgs {
    /// Points with known answers, one JSON object a line.
    pub points: PathBuf,
    /// Ways to complete, a JSON list [default: none, local, graph, retrieved, full, windows].
    #[arg(long, value_name = "FILE")]
    pub arms: Option<PathBuf>,
    /// Tokens of a prompt, for the default ways.
    #[arg(long, value_delimiter = ',', default_value = "1024,2048", value_name = "N,..")]
    pub budgets: Vec<usize>,
    /// Only points of these checkouts.
    #[arg(long, value_delimiter = ',', value_name = "NAME,..")]
    pub only: Vec<String>,
    /// At most this many points of each kind and checkout.
    #[arg(long, value_name = "N")]
    pub per_kind: Option<usize>,
    /// Keep answers of the model here, to go on after an interruption.
    #[arg(long, value_name = "FILE")]
    pub cache: Option<PathBuf>,
    /// Write one file of predictions for each way.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Answer from the index, without the model.
    #[arg(long)]
    pub no_model: bool,
    /// Threads of the model.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub threads: usize,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Answer from the index, without the model.
    #[arg(long)]
    pub no_model: bool,
}

const AFTER_HELP: &str =
    "FILE:LINE:COL counts from 1. More: completions, dump, eval, gc, lsp, schema.";

fn after_long_help() -> String {
    let mut text = format!("{AFTER_HELP}\n\nExit codes:\n");
    for (code, meaning) in ExitCode::TABLE {
        text.push_str(&format!("  {:<3} {meaning}\n", code as u8));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("500M"), Ok(500_000_000));
        assert_eq!((size("2 GiB"), size("17")), (Ok(2 << 30), Ok(17)));
        assert!(size("M").is_err() && size("-1").is_err() && size("99999999999G").is_err());
        assert!(size("1.5G").is_err());
    }

    #[test]
    fn short_help_fits_a_screen() {
        let help = Cli::command().term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 48, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        expect![[r#"
            Repository-aware code completion and search that never leave your machine

            Usage: fovea [OPTIONS] <COMMAND>

            Commands:
              index            Index a workspace and show what is in it
              search           Search for a symbol, words, an error message or a path
              grep             Find a pattern in the current text of all files
              def              Show the definition of what is at a position, or of a name
              refs             List the references to what is at a position, or to a name
              callers          List the callers of a function
              callees          List what a function calls
              impact           List what a change may reach, tests among it
              hierarchy        List bases and implementations of a type or method
              implementations  List what derives from a type, or overrides a method
              tests            List the tests that exercise a symbol, nearest first
              mentions         List documentation that mentions a symbol
              names            List members of a type, or what can stand at a cursor
              near             List what is close to a symbol or cursor, by rank
              path             Show how two symbols are connected
              dead             List definitions that nothing reaches
              graph            Draw the symbols around one: users and what is used
              symbols          List symbols whose name fits, or those of one file
              outline          Print the map of the repository
              context          Print the prompt that a completion at a position would get
              complete         Complete at a position
              explain          Show why: a completion's sources, tokens and milliseconds
              status           Show the state of the workspace and the daemon
              secrets          List where secrets were overwritten, and by which rule
              top              Watch what the daemon does: queue, caches, latencies
              sync             Wait until everything saved is in the index
              reindex          Build the index from nothing
              model            Fetch, add, list and remove models
              daemon           Start, stop and look at the background process
              mcp              Serve an agent (Model Context Protocol)
              serve            Serve completions over HTTP on this machine
              config           Show settings and where they come from
              doctor           Find the usual problems
              demo             Show completions with and without context in two samples

            Options:
                  --root <DIR>  Workspace folder [default: found from file or folder]
                  --json        Print JSON; `fovea schema` prints its schema
              -h, --help        Print help (see more with '--help')
              -V, --version     Print version

            FILE:LINE:COL counts from 1. More: completions, dump, eval, gc, lsp, schema.
        "#]]
        .assert_eq(&help);
    }

    #[test]
    fn every_subcommand_has_short_help_that_fits() {
        let mut command = Cli::command().term_width(80);
        command.build();
        for sub in command.get_subcommands_mut() {
            let help = sub.render_help().to_string();
            assert!(help.lines().count() <= 40, "{help}");
        }
    }
}
