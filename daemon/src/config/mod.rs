//! What the user can set, defined once: this struct is the file format, the source of the defaults,
//! the reference page and the JSON schema.
//!
//! [`load`] puts the layers on top of each other; see [`layers`].

mod layers;

use std::path::PathBuf;

use fovea_api::Preset;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use layers::{ConfigError, Ignored, Layers, Loaded, Source, WORKSPACE_FILE, load};

/// One setting as `config show` prints it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SettingView {
    /// `section.key`.
    pub key: String,
    /// As TOML.
    pub value: String,
    /// `default`, a file, an environment variable or `flag`.
    pub source: String,
}

/// Every setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Forbid every fetch from the network. Nothing is fetched without a command that says so anyway.
    pub offline: bool,
    /// What is indexed.
    pub index: IndexConfig,
    /// What goes into a prompt.
    pub context: ContextConfig,
    /// The on-device model.
    pub model: ModelConfig,
    /// A server that writes completions in place of the on-device model.
    pub remote: RemoteConfig,
    /// The background process.
    pub daemon: DaemonConfig,
    /// What is kept on disk.
    pub storage: StorageConfig,
    /// Logs.
    pub log: LogConfig,
}

/// What is indexed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct IndexConfig {
    /// Larger files are skipped (and listed as skipped). Bytes.
    pub max_file_bytes: u64,
    /// Files beyond this many are skipped, in path order.
    pub max_files: usize,
    /// Paths never indexed, shown or used in a prompt, in the syntax of `.gitignore`; on top of
    /// `.gitignore`, `.ignore` and `.foveaignore`.
    pub exclude: Vec<String>,
    /// Index files and folders whose name starts with a dot. `.git` is never indexed.
    pub hidden: bool,
    /// Compute embeddings, so that search finds prose and near matches.
    pub vectors: bool,
    /// Which embeddings: `embedded` (a small table inside the program); or, beside it and filled in
    /// behind, a stronger model: an installed one by name (`fovea model pull all-minilm-l6-v2`) or the
    /// path of a folder with `model.safetensors`, `tokenizer.json` and `config.json`.
    pub embedder: String,
    /// Threads that parse and embed; 0 means one a core, at low priority.
    pub threads: usize,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            max_file_bytes: 1 << 20,
            max_files: 500_000,
            exclude: Vec::new(),
            hidden: false,
            vectors: true,
            embedder: crate::embedder::EMBEDDED.to_owned(),
            threads: 0,
        }
    }
}

/// What goes into a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ContextConfig {
    /// `lean`, `balanced` or `deep`: how many tokens and milliseconds a completion may use.
    pub preset: Preset,
    /// Tokens for prefix, suffix and snippets together; 0 leaves it to the preset. Keep below the
    /// model's context length.
    pub budget_tokens: usize,
    /// Time to collect context; the prompt is sent with whatever is ready then. Milliseconds; 0 leaves
    /// it to the preset.
    pub deadline_ms: u64,
    /// Use code of other files at all.
    pub project: bool,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self { preset: Preset::Balanced, budget_tokens: 0, deadline_ms: 0, project: true }
    }
}

/// The on-device model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelConfig {
    /// False answers from the index alone.
    pub enabled: bool,
    /// An installed model by name (`fovea model list`); empty takes the default model, or the only one.
    pub name: String,
    /// A GGUF file; wins over `name`.
    pub path: PathBuf,
    /// Tokens a suggestion may have.
    pub max_tokens: usize,
    /// Threads of the model; 0 means one a physical core.
    pub threads: usize,
    /// Confine the model's process, where the system can: no files but the model, no network, no
    /// programs. `fovea doctor` says what is active.
    pub sandbox: bool,
    /// Unload the model after so many seconds without a completion; its memory goes back to the system.
    pub idle_unload_s: u64,
    /// A model process that was told to stop a completion and does not within so many seconds is
    /// replaced.
    pub hang_s: u64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            name: String::new(),
            path: PathBuf::new(),
            max_tokens: 48,
            threads: 0,
            sandbox: true,
            idle_unload_s: 600,
            hang_s: 30,
        }
    }
}

/// A server that writes completions in place of the on-device model. Only the user's own settings file
/// can name one; a repository can switch it off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RemoteConfig {
    /// False sends nothing, whatever else is set.
    pub enabled: bool,
    /// Base address: `https`, or `http` on this machine (`http://127.0.0.1:8080`). Empty, the default,
    /// names none, and nothing leaves.
    pub url: String,
    /// What it understands: `openai` (`/v1/completions`), `llama-infill` (llama.cpp's `/infill`),
    /// `llama` (llama.cpp's `/completion`), `ollama`.
    pub api: RemoteApi,
    /// Which of its models; empty leaves it to the server.
    pub model: String,
    /// How its model expects code to be laid out: `plain` (any model), or a family with tokens for
    /// filling in the middle such as `qwen2.5-coder`. Empty means `plain`.
    pub format: String,
    /// Environment variable that holds the key.
    pub key_env: String,
    /// File that holds the key: outside of workspaces, readable for its owner only (0600).
    pub key_file: PathBuf,
    /// PEM file of the certificates to trust in place of the public ones.
    pub ca_file: PathBuf,
    /// A completion that took longer is given up. Milliseconds.
    pub timeout_ms: u64,
}

/// Protocols of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteApi {
    #[default]
    Openai,
    LlamaInfill,
    Llama,
    Ollama,
}

impl RemoteApi {
    /// As it is written in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::LlamaInfill => "llama-infill",
            Self::Llama => "llama",
            Self::Ollama => "ollama",
        }
    }
}

impl Default for RemoteConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            url: String::new(),
            api: RemoteApi::Openai,
            model: String::new(),
            format: String::new(),
            key_env: String::new(),
            key_file: PathBuf::new(),
            ca_file: PathBuf::new(),
            timeout_ms: 10_000,
        }
    }
}

/// The background process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DaemonConfig {
    /// End after so many seconds without a client; 0 means never.
    pub idle_exit_s: u64,
    /// Connections at once.
    pub max_clients: usize,
    /// Workspaces kept open at once; the one unused longest is closed first.
    pub max_workspaces: usize,
    /// Quiet time after a change on disk before it is indexed. Milliseconds.
    pub debounce_ms: u64,
    /// Watch for changes on disk. When off, only editors and `fovea sync` tell what changed.
    pub watch: bool,
    /// Time between looks at file systems that send no events. Seconds.
    pub poll_interval_s: u64,
    /// Memory the process may take, without the model's. When it has more: texts kept for queries are
    /// dropped, workspaces that nobody used for a minute are closed, indexing goes on with one thread,
    /// and `fovea status` says so. MiB; 0 means a quarter of the machine's memory, at least 256 MiB
    /// and at most 4 GiB. The limit of a control group counts if it is lower.
    pub memory_mb: u64,
    /// What indexing of many files does on battery: `slow` rests as long as it works, `full` does not.
    pub on_battery: OnBattery,
}

/// How much indexing does on battery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnBattery {
    #[default]
    Slow,
    Full,
}

impl Default for DaemonConfig {
    fn default() -> Self {
        Self {
            idle_exit_s: 1_800,
            max_clients: 64,
            max_workspaces: 32,
            debounce_ms: 30,
            watch: true,
            poll_interval_s: 10,
            memory_mb: 0,
            on_battery: OnBattery::Slow,
        }
    }
}

/// What is kept on disk. Everything there can be made again from the files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StorageConfig {
    /// Indexes and facts of all workspaces together; what was used longest ago goes first. Bytes; 0
    /// means no limit.
    pub max_bytes: u64,
    /// Indexes and facts not used for so many days are removed; 0 keeps them.
    pub unused_days: u64,
    /// Collect once a day. When off, `fovea gc` alone does.
    pub collect: bool,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { max_bytes: 8 << 30, unused_days: 60, collect: true }
    }
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or filters such as `fovea_daemon=debug,warn`.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}
