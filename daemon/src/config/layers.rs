//! Defaults, then the user's file, then the workspace's file, then the environment, then flags.
//!
//! The workspace's file comes with a repository that may be hostile, so it can only narrow: exclude
//! more, lower a limit, switch something off. Everything else in it is ignored and named.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::Config;
use crate::guard;

/// Name of the workspace's file, in the root.
pub const WORKSPACE_FILE: &str = ".fovea.toml";

/// A workspace's file may have this many bytes; a hostile one is not worth more.
const MAX_WORKSPACE_FILE_BYTES: u64 = 64 << 10;

/// What is put on top of the defaults.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The user's file; need not exist.
    pub user_file: Option<PathBuf>,
    /// The root whose [`WORKSPACE_FILE`] counts.
    pub root: Option<PathBuf>,
    /// `FOVEA_SECTION_KEY` variables, as `(name, value)`.
    pub env: Vec<(String, String)>,
    /// `section.key` and value, from flags.
    pub flags: Vec<(String, String)>,
}

impl Layers {
    /// The user's file of `dirs`, and this process's environment.
    #[must_use]
    pub fn of_process(dirs: &crate::dirs::Dirs) -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("FOVEA_"))
            .collect();
        Self { user_file: Some(dirs.config_file()), env, ..Self::default() }
    }

    /// The same layers, with the file of this workspace.
    #[must_use]
    pub fn with_root(&self, root: &Path) -> Self {
        Self { root: Some(root.to_owned()), ..self.clone() }
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Default,
    User(PathBuf),
    Workspace(PathBuf),
    Environment(String),
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::User(path) | Self::Workspace(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// A setting of a workspace's file that did not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    pub path: PathBuf,
    pub key: String,
    pub reason: String,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in `{}` is ignored: {}", self.key, self.path.display(), self.reason)
    }
}

/// The settings, and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Every key (`section.key`) in order, with its value as TOML and its source.
    pub values: BTreeMap<String, (Value, Source)>,
    pub ignored: Vec<Ignored>,
}

impl Default for Loaded {
    fn default() -> Self {
        load(&Layers::default()).expect("the defaults are valid")
    }
}

/// The user's own settings are not valid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read `{path}`: {source}; fix its permissions or move it away")]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` is not valid TOML: {reason}")]
    Syntax { path: PathBuf, reason: String },
    #[error("unknown setting `{key}` in {from}; `fovea config show` lists the known ones")]
    Unknown { key: String, from: String },
    #[error("`{key}` in {from} is not valid: {reason}")]
    Value { key: String, from: String, reason: String },
}

/// Reads and merges the layers.
///
/// # Errors
/// [`ConfigError`] for the user's file, the environment and flags. A workspace's file never fails: what
/// is wrong in it is listed in [`Loaded::ignored`].
pub fn load(layers: &Layers) -> Result<Loaded, ConfigError> {
    let mut values: BTreeMap<String, (Value, Source)> = flatten(&defaults())
        .into_iter()
        .map(|(key, value)| (key, (value, Source::Default)))
        .collect();
    let mut ignored = Vec::new();

    if let Some(path) = &layers.user_file
        && let Some(text) = read(path)?
    {
        let table: Table = text.parse().map_err(|err: toml::de::Error| ConfigError::Syntax {
            path: path.clone(),
            reason: err.to_string().trim_end().to_owned(),
        })?;
        for (key, value) in flatten(&table) {
            set(&mut values, &key, value, Source::User(path.clone()))?;
        }
    }
    if let Some(root) = &layers.root {
        narrow(&mut values, root, &mut ignored);
    }
    for (name, text) in &layers.env {
        let key = values.keys().find(|key| variable(key) == *name).cloned();
        // Other FOVEA_ variables (folders, model files of tests) are not settings.
        // Environments come from many hands: a folder's `.envrc`, an editor's workspace settings.
        if let Some(key) = key.as_ref().filter(|key| is_file_only(key)) {
            ignored.push(Ignored {
                path: PathBuf::from(format!("environment {name}")),
                key: key.clone(),
                reason: "only the user's own file names a server".into(),
            });
        } else if let Some(key) = key {
            let mut value = typed(&values[&key].0, text);
            if PROTECTIONS.contains(&&*key)
                && let Some((_, narrowing)) = NARROWING.iter().find(|(known, _)| *known == key)
            {
                // A value of the wrong type is refused below, by name.
                match narrowing.apply(&values[&key].0, value.clone()) {
                    Ok(narrowed) => value = narrowed,
                    Err(reason) if reason != WRONG_TYPE => {
                        ignored.push(Ignored {
                            path: PathBuf::from(format!("environment {name}")),
                            key,
                            reason: "only the user's own file takes a protection away".into(),
                        });
                        continue;
                    }
                    Err(_) => {}
                }
            }
            set(&mut values, &key, value, Source::Environment(name.clone()))?;
        }
    }
    for (key, text) in &layers.flags {
        let value = values.get(key).map_or(Value::String(text.clone()), |v| typed(&v.0, text));
        set(&mut values, key, value, Source::Flag)?;
    }
    let config = deserialize(&values).expect("each value was checked when it was set");
    Ok(Loaded { config, values, ignored })
}

/// The environment variable of a key: `index.max-file-bytes` is `FOVEA_INDEX_MAX_FILE_BYTES`.
#[must_use]
pub(super) fn variable(key: &str) -> String {
    format!("FOVEA_{}", key.replace(['.', '-'], "_").to_uppercase())
}

/// Set in the user's own file or not at all.
fn is_file_only(key: &str) -> bool {
    key.starts_with("remote.") && key != "remote.enabled"
}

fn defaults() -> Table {
    Table::try_from(Config::default()).expect("the settings are a table")
}

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// `section.key` of every leaf.
fn flatten(table: &Table) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                leaves.extend(flatten(inner).into_iter().map(|(k, v)| (format!("{key}.{k}"), v)))
            }
            value => leaves.push((key.clone(), value.clone())),
        }
    }
    leaves
}

fn deserialize(values: &BTreeMap<String, (Value, Source)>) -> Result<Config, toml::de::Error> {
    let mut table = Table::new();
    for (key, (value, _)) in values {
        match key.split_once('.') {
            Some((section, key)) => {
                let section =
                    table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(section) = section {
                    section.insert(key.to_owned(), value.clone());
                }
            }
            None => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
    Config::deserialize(Value::Table(table))
}

/// Replaces one value if the whole is still valid with it.
fn set(
    values: &mut BTreeMap<String, (Value, Source)>,
    key: &str,
    value: Value,
    source: Source,
) -> Result<(), ConfigError> {
    let from = source.to_string();
    let Some(slot) = values.get_mut(key) else {
        return Err(ConfigError::Unknown { key: key.to_owned(), from });
    };
    let before = std::mem::replace(slot, (value, source));
    if let Err(err) = deserialize(values) {
        values.insert(key.to_owned(), before);
        let reason = err.to_string().lines().next().unwrap_or_default().to_owned();
        return Err(ConfigError::Value { key: key.to_owned(), from, reason });
    }
    Ok(())
}

/// Reads a value written without TOML's quotes, by the type of the value it replaces.
fn typed(like: &Value, text: &str) -> Value {
    let parsed = match like {
        Value::Boolean(_) => match text {
            "1" | "true" | "yes" | "on" => Some(Value::Boolean(true)),
            "0" | "false" | "no" | "off" => Some(Value::Boolean(false)),
            _ => None,
        },
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Float(_) => text.parse().ok().map(Value::Float),
        Value::Array(_) => Some(Value::Array(
            text.split(',').filter(|s| !s.is_empty()).map(|s| Value::String(s.into())).collect(),
        )),
        _ => None,
    };
    // Left as text, it fails with the message of the type that was expected.
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// What keeps text in or out. One daemon serves all of a user's projects, and it is started by
/// whichever shell or editor comes first: that one's environment can only protect more.
const PROTECTIONS: [&str; 5] =
    ["offline", "index.exclude", "index.hidden", "model.sandbox", "remote.enabled"];

const WRONG_TYPE: &str = "the value has another type than the setting";

/// How a workspace's file may change a setting.
enum Narrowing {
    /// To a smaller number (and not to 0, which means "no limit of its own").
    Lower,
    /// By more entries.
    Extend,
    /// From true to false.
    Off,
    /// From false to true.
    On,
    /// To a word further left in this list.
    Left(&'static [&'static str]),
}

#[rustfmt::skip]
const NARROWING: &[(&str, Narrowing)] = &[
    ("offline", Narrowing::On),
    ("index.max-file-bytes", Narrowing::Lower),
    ("index.max-files", Narrowing::Lower),
    ("index.exclude", Narrowing::Extend),
    ("index.hidden", Narrowing::Off),
    ("index.vectors", Narrowing::Off),
    ("context.preset", Narrowing::Left(&["lean", "balanced", "deep"])),
    ("context.budget-tokens", Narrowing::Lower),
    ("context.deadline-ms", Narrowing::Lower),
    ("context.project", Narrowing::Off),
    ("model.enabled", Narrowing::Off),
    ("model.max-tokens", Narrowing::Lower),
    ("model.sandbox", Narrowing::On),
    ("remote.enabled", Narrowing::Off),
];

fn narrow(values: &mut BTreeMap<String, (Value, Source)>, root: &Path, ignored: &mut Vec<Ignored>) {
    let path = &*root.join(WORKSPACE_FILE);
    let mut ignore = |key: &str, reason: String| {
        ignored.push(Ignored { path: path.to_owned(), key: key.to_owned(), reason });
    };
    if let Some(uid) = crate::dirs::foreign_owner(path) {
        return ignore("*", format!("the file belongs to another user (uid {uid}); make it yours"));
    }
    let text = match guard::read_settings(root, WORKSPACE_FILE, MAX_WORKSPACE_FILE_BYTES) {
        Ok(text) => text,
        Err(guard::Refused::Gone) => return,
        Err(err) => return ignore("*", format!("the file cannot be read: {err}")),
    };
    let table: Table = match text.parse().map_err(|err: toml::de::Error| err.message().to_owned()) {
        Ok(table) => table,
        Err(reason) => return ignore("*", format!("the file cannot be read: {reason}")),
    };
    for (key, value) in flatten(&table) {
        let Some((current, _)) = values.get(&key) else {
            ignore(&key, "there is no such setting".into());
            continue;
        };
        let Some((_, narrowing)) = NARROWING.iter().find(|(known, _)| *known == key) else {
            ignore(&key, "a repository cannot set it; use the user configuration".into());
            continue;
        };
        let narrowed = match narrowing.apply(current, value) {
            Ok(narrowed) => narrowed,
            Err(reason) => {
                ignore(&key, reason.into());
                continue;
            }
        };
        if let Err(err) = set(values, &key, narrowed, Source::Workspace(path.to_owned())) {
            ignore(&key, err.to_string());
        }
    }
}

impl Narrowing {
    fn apply(&self, current: &Value, new: Value) -> Result<Value, &'static str> {
        match (self, current, new) {
            (Self::Lower, Value::Integer(old), Value::Integer(new)) => {
                if new > 0 && (*old == 0 || new <= *old) {
                    Ok(Value::Integer(new))
                } else {
                    Err("a repository can only lower this limit")
                }
            }
            (Self::Extend, Value::Array(old), Value::Array(new)) => {
                if new.iter().any(|v| v.as_str().is_some_and(|s| s.starts_with('!'))) {
                    return Err("a repository can only exclude more, not include");
                }
                Ok(Value::Array(old.iter().cloned().chain(new).collect()))
            }
            (Self::Off, Value::Boolean(old), Value::Boolean(new)) if !new || *old => {
                Ok(Value::Boolean(new))
            }
            (Self::On, Value::Boolean(old), Value::Boolean(new)) if new || !*old => {
                Ok(Value::Boolean(new))
            }
            (Self::Off, _, Value::Boolean(_)) => Err("a repository can only switch this off"),
            (Self::On, _, Value::Boolean(_)) => Err("a repository can only switch this on"),
            (Self::Left(words), Value::String(old), Value::String(new)) => {
                let rank = |word: &str| words.iter().position(|known| *known == word);
                match (rank(&new), rank(old)) {
                    (Some(new_rank), Some(old_rank)) if new_rank <= old_rank => {
                        Ok(Value::String(new))
                    }
                    _ => Err("a repository can only choose less"),
                }
            }
            _ => Err(WRONG_TYPE),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Loads a user file and a workspace file; prints what is not default, and what was ignored.
    fn check_load(user: &str, workspace: &str, env: &[(&str, &str)], expected: Expect) {
        let temp = tempfile::tempdir().expect("temporary folder");
        let user_file = temp.path().join("config.toml");
        fs::write(&user_file, user).expect("written");
        fs::write(temp.path().join(WORKSPACE_FILE), workspace).expect("written");
        let layers = Layers {
            user_file: Some(user_file),
            root: Some(temp.path().to_owned()),
            env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            flags: Vec::new(),
        };
        let text = match load(&layers) {
            Ok(loaded) => {
                let set =
                    loaded.values.iter().filter(|(_, (_, source))| *source != Source::Default);
                set.map(|(key, (value, source))| format!("{key} = {value} ({source})\n"))
                    .chain(loaded.ignored.iter().map(|ignored| format!("{ignored}\n")))
                    .collect::<String>()
            }
            Err(err) => format!("error: {err}\n"),
        };
        expected.assert_eq(&text.replace(&temp.path().display().to_string(), "/ws"));
    }

    #[test]
    fn a_workspace_narrows_and_everything_else_is_named() {
        check_load(
            "[index]\nexclude = [\"*.sql\"]\nmax-files = 100\n",
            "offline = true\nhello = 1\n[index]\nexclude = [\"vendor/\"]\nmax-files = 1000\n\
             max-file-bytes = 1000\nhidden = true\n[model]\npath = \"/bin/sh\"\nmax-tokens = 0\n\
             [context]\npreset = \"lean\"\n",
            &[],
            expect![[r#"
                context.preset = "lean" (/ws/.fovea.toml)
                index.exclude = ["*.sql", "vendor/"] (/ws/.fovea.toml)
                index.max-file-bytes = 1000 (/ws/.fovea.toml)
                index.max-files = 100 (/ws/config.toml)
                offline = true (/ws/.fovea.toml)
                `hello` in `/ws/.fovea.toml` is ignored: there is no such setting
                `index.hidden` in `/ws/.fovea.toml` is ignored: a repository can only switch this off
                `index.max-files` in `/ws/.fovea.toml` is ignored: a repository can only lower this limit
                `model.max-tokens` in `/ws/.fovea.toml` is ignored: a repository can only lower this limit
                `model.path` in `/ws/.fovea.toml` is ignored: a repository cannot set it; use the user configuration
            "#]],
        );
    }

    #[test]
    fn the_environment_wins_over_files() {
        check_load(
            "[model]\nthreads = 3\n",
            "",
            &[("FOVEA_MODEL_THREADS", "1"), ("FOVEA_OFFLINE", "1"), ("FOVEA_DATA_DIR", "/x")],
            expect![[r#"
                model.threads = 1 (environment FOVEA_MODEL_THREADS)
                offline = true (environment FOVEA_OFFLINE)
            "#]],
        );
    }

    #[test]
    fn the_environment_takes_no_protection_away() {
        check_load(
            "offline = true\n[index]\nexclude = [\"*.sql\"]\n",
            "",
            &[
                ("FOVEA_OFFLINE", "0"),
                ("FOVEA_INDEX_EXCLUDE", "vendor/"),
                ("FOVEA_INDEX_HIDDEN", "on"),
                ("FOVEA_MODEL_SANDBOX", "off"),
            ],
            expect![[r#"
                index.exclude = ["*.sql", "vendor/"] (environment FOVEA_INDEX_EXCLUDE)
                offline = true (/ws/config.toml)
                `offline` in `environment FOVEA_OFFLINE` is ignored: only the user's own file takes a protection away
                `index.hidden` in `environment FOVEA_INDEX_HIDDEN` is ignored: only the user's own file takes a protection away
                `model.sandbox` in `environment FOVEA_MODEL_SANDBOX` is ignored: only the user's own file takes a protection away
            "#]],
        );
        check_load(
            "",
            "",
            &[("FOVEA_MODEL_SANDBOX", "maybe")],
            expect![[r#"
            error: `model.sandbox` in environment FOVEA_MODEL_SANDBOX is not valid: invalid type: string "maybe", expected a boolean
        "#]],
        );
    }

    #[test]
    fn only_the_users_own_file_names_a_server() {
        check_load(
            "[remote]\nurl = \"https://models.example\"\nenabled = false\n",
            "[remote]\nurl = \"https://evil.example\"\nenabled = true\nkey-env = \"HOME\"\n",
            &[("FOVEA_REMOTE_URL", "https://evil.example"), ("FOVEA_REMOTE_KEY_FILE", "/x")],
            expect![[r#"
                remote.enabled = false (/ws/config.toml)
                remote.url = "https://models.example" (/ws/config.toml)
                `remote.enabled` in `/ws/.fovea.toml` is ignored: a repository can only switch this off
                `remote.key-env` in `/ws/.fovea.toml` is ignored: a repository cannot set it; use the user configuration
                `remote.url` in `/ws/.fovea.toml` is ignored: a repository cannot set it; use the user configuration
                `remote.url` in `environment FOVEA_REMOTE_URL` is ignored: only the user's own file names a server
                `remote.key-file` in `environment FOVEA_REMOTE_KEY_FILE` is ignored: only the user's own file names a server
            "#]],
        );
        check_load(
            "[remote]\nurl = \"https://models.example\"\n",
            "[remote]\nenabled = false\n",
            &[],
            expect![[r#"
                remote.enabled = false (/ws/.fovea.toml)
                remote.url = "https://models.example" (/ws/config.toml)
            "#]],
        );
    }

    #[test]
    fn the_users_own_mistakes_are_errors_that_name_the_place() {
        check_load(
            "[index]\nmax-file-byte = 3\n",
            "",
            &[],
            expect![[r#"
                error: unknown setting `index.max-file-byte` in /ws/config.toml; `fovea config show` lists the known ones
            "#]],
        );
        check_load(
            "",
            "",
            &[("FOVEA_INDEX_MAX_FILES", "many")],
            expect![[r#"
                error: `index.max-files` in environment FOVEA_INDEX_MAX_FILES is not valid: invalid type: string "many", expected usize
            "#]],
        );
    }

    #[test]
    fn every_narrowing_rule_names_a_setting() {
        let known = Loaded::default().values;
        for (key, _) in NARROWING {
            assert!(known.contains_key(*key), "{key}");
        }
    }
}
