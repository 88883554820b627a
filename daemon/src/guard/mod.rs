//! The one gate for the contents of a workspace, on disk ([`read`]) and in editors ([`buffer`]).
//!
//! What passes lies inside the root, is a plain text file under the cap, has no excluded name, and
//! has its secrets overwritten in place. Index, search, prompts and answers only ever see
//! [`GuardedText`], so what stops here reaches none of them. Ignore files are the walk's business.

mod exclude;
mod names;
mod open;
mod recent;
mod rules;
#[cfg(test)]
mod secret_tests;
mod secrets;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    path::Path,
    sync::Arc,
};

pub use exclude::{Exclusion, excluded, names_a_secret, shown};
use recent::Identity;
pub use recent::Recent;
pub use secrets::{Redaction, find as find_secrets, rules_version as secret_rules};

/// Text that may be indexed, shown and put into a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedText {
    pub text: Arc<str>,
    /// What was overwritten in `text`; offsets are the same before and after.
    pub redactions: Vec<Redaction>,
}

/// Why a file is not opened; shown by `status --why`.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("its name matches `{}`: {}", .0.pattern, .0.reason)]
    Excluded(Exclusion),
    #[error("{0}")]
    ByRule(String),
    #[error("it does not exist")]
    Gone,
    #[error("it lies outside the workspace")]
    Outside,
    #[error("it is a link or behind one; links are not followed")]
    Link,
    #[error("it is not a plain file")]
    NotAFile,
    #[error("it has {n_bytes} bytes, the limit is {limit} (index.max-file-bytes)")]
    TooLarge { n_bytes: u64, limit: u64 },
    #[error("it is binary")]
    Binary,
    #[error("it is not UTF-8 text")]
    NotUtf8,
    #[error("it changes while it is read")]
    Changing,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

/// How much of a file's start is looked at for a zero byte, which makes it binary.
const BINARY_PROBE_BYTES: usize = 8 << 10;

/// More than any ignore file that a person wrote.
const MAX_RULES_BYTES: u64 = 1 << 20;

/// How often a file that changes under the reader is read again.
const ATTEMPTS: usize = 3;

/// Reads `path` (relative to `root`, `/`-separated) if it may be indexed.
///
/// Links are not followed; mounts, FIFOs, devices and sockets are never opened.
///
/// # Errors
/// [`Refused`] says which rule stopped it.
pub fn read(root: &Path, path: &str, max_bytes: u64) -> Result<GuardedText, Refused> {
    read_identified(root, path, max_bytes).map(|(text, _)| text)
}

/// With what tells whether the file is still the one that was read.
fn read_identified(
    root: &Path,
    path: &str,
    max_bytes: u64,
) -> Result<(GuardedText, Identity), Refused> {
    if let Some(exclusion) = excluded(path) {
        return Err(Refused::Excluded(exclusion));
    }
    for _ in 0..ATTEMPTS {
        if let Some((bytes, identity)) = read_once(root, path, max_bytes)? {
            return Ok((accept(bytes)?, identity));
        }
    }
    Err(Refused::Changing)
}

/// A small file of a repository that is no source: its settings. Nothing of it is indexed or shown.
///
/// # Errors
/// As [`read`].
pub fn read_settings(root: &Path, path: &str, max_bytes: u64) -> Result<String, Refused> {
    for _ in 0..ATTEMPTS {
        if let Some((bytes, _)) = read_once(root, path, max_bytes)? {
            return String::from_utf8(bytes).map_err(|_| Refused::NotUtf8);
        }
    }
    Err(Refused::Changing)
}

/// Rules that say what does not count: an ignore file. Nothing of it but a pattern is shown.
///
/// # Errors
/// As [`read`], but for [`Refused::Gone`] and bytes that are no UTF-8, which match nothing: `None` if
/// there are no rules.
pub fn read_rules(folder: &Path, name: &str) -> Result<Option<String>, Refused> {
    for _ in 0..ATTEMPTS {
        match read_once(folder, name, MAX_RULES_BYTES) {
            Ok(Some((bytes, _))) => return Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Ok(None) => {}
            Err(Refused::Gone) => return Ok(None),
            Err(refused) => return Err(refused),
        }
    }
    Err(Refused::Changing)
}

/// Overwrites secrets in text that is put together of passed texts.
pub fn redact(text: &mut String) {
    secrets::redact(text);
}

/// The same decisions for text that an editor holds open.
///
/// # Errors
/// As [`read`].
pub fn buffer(path: &str, text: &str, max_bytes: u64) -> Result<GuardedText, Refused> {
    if let Some(exclusion) = excluded(path) {
        return Err(Refused::Excluded(exclusion));
    }
    if text.len() as u64 > max_bytes {
        return Err(Refused::TooLarge { n_bytes: text.len() as u64, limit: max_bytes });
    }
    accept(text.as_bytes().to_vec())
}

/// `None` if the file changed meanwhile: half of each version is worse than none.
fn read_once(
    root: &Path,
    path: &str,
    max_bytes: u64,
) -> Result<Option<(Vec<u8>, Identity)>, Refused> {
    let file = open::open_beneath(root, Path::new(path))?;
    let before = file.metadata().map_err(Refused::Unreadable)?;
    let too_large = |n_bytes| Refused::TooLarge { n_bytes, limit: max_bytes };
    if before.len() > max_bytes {
        return Err(too_large(before.len()));
    }
    let mut bytes = Vec::with_capacity(before.len() as usize + 1);
    (&file).take(max_bytes + 1).read_to_end(&mut bytes).map_err(Refused::Unreadable)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large(bytes.len() as u64));
    }
    let after = file.metadata().map_err(Refused::Unreadable)?;
    let is_same = Identity::of(&before) == Identity::of(&after);
    Ok((is_same && after.len() == bytes.len() as u64).then(|| (bytes, Identity::of(&after))))
}

fn accept(bytes: Vec<u8>) -> Result<GuardedText, Refused> {
    if memchr::memchr(0, &bytes[..bytes.len().min(BINARY_PROBE_BYTES)]).is_some() {
        return Err(Refused::Binary);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| Refused::NotUtf8)?;
    let redactions = secrets::redact(&mut text);
    Ok(GuardedText { text: text.into(), redactions })
}
