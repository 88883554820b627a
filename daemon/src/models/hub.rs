//! Fetches one file of a model repository: `hf:OWNER/REPO/FILE.gguf`.

use std::path::{Path, PathBuf};

use hf_hub::api::{Progress, sync::ApiBuilder};

use super::error::ModelsError;
use super::report::{Report, Stage};

/// `OWNER/REPO` and the path of a file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HubFile {
    pub(super) repo: String,
    pub(super) file: String,
}

impl HubFile {
    /// Reads what follows `hf:`. Each part is checked, because it becomes part of a URL and a path.
    pub(super) fn parse(text: &str) -> Result<Self, ModelsError> {
        let bad = || ModelsError::BadHubName { text: format!("hf:{text}") };
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.len() <= 128
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        };
        if parts.len() < 3 || !parts.iter().all(is_word) || !text.ends_with(".gguf") {
            return Err(bad());
        }
        Ok(Self { repo: parts[..2].join("/"), file: parts[2..].join("/") })
    }

    /// The file's name without folders and extension.
    pub(super) fn stem(&self) -> &str {
        let name = self.file.rsplit('/').next().unwrap_or(&self.file);
        name.strip_suffix(".gguf").unwrap_or(name)
    }
}

/// Fetches into `folder`. The second value is the SHA-256 that the hub states, if it does.
pub(super) fn download(
    wanted: &HubFile,
    folder: &Path,
    report: &mut dyn Report,
) -> Result<(PathBuf, Option<String>), ModelsError> {
    let failed = |err: hf_hub::api::sync::ApiError| ModelsError::Hub {
        what: format!("hf:{}/{}", wanted.repo, wanted.file),
        reason: err.to_string(),
    };
    let api = ApiBuilder::from_env()
        .with_cache_dir(folder.to_owned())
        .with_progress(false)
        .build()
        .map_err(failed)?;
    let progress = HubProgress { wanted, report, n_bytes: 0, n_total: 0 };
    let path = api
        .model(wanted.repo.clone())
        .download_with_progress(&wanted.file, progress)
        .map_err(failed)?;
    // Large files are stored under their SHA-256, and the link points there.
    let blob = path.canonicalize().unwrap_or(path);
    let name = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_sha256 = name.len() == 64 && name.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let sha256 = is_sha256.then(|| name.to_owned());
    Ok((blob, sha256))
}

struct HubProgress<'a> {
    wanted: &'a HubFile,
    report: &'a mut dyn Report,
    n_bytes: u64,
    n_total: u64,
}

impl Progress for HubProgress<'_> {
    fn init(&mut self, size: usize, _filename: &str) {
        self.n_total = size as u64;
        self.report.announce(&format!(
            "fetching {} ({} MB) from the model repository {}",
            self.wanted.file,
            self.n_total.div_ceil(1_000_000),
            self.wanted.repo,
        ));
    }

    fn update(&mut self, size: usize) {
        self.n_bytes += size as u64;
        self.report.progress(Stage::Fetching, self.n_bytes, self.n_total);
    }

    fn finish(&mut self) {}
}
