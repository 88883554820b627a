//! The one commit point: a small file that names the content of every indexed file. Written aside,
//! synced, renamed; what it does not name does not exist.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{ContentHash, FileId, Generation};

/// Raised when the layout of the manifest, of the terms in tantivy, or of chunks changes. Indexes
/// of another format are rebuilt, not migrated.
pub const INDEX_FORMAT: u32 = 2;

const MAGIC: &[u8; 8] = b"FOVEAIDX";
const NAME: &str = "manifest";
/// A manifest of a million files is about 100 MB.
const MAX_BYTES: u64 = 1 << 30;

/// What one committed generation consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub generation: Generation,
    /// Path to id and content, saved text only.
    pub files: BTreeMap<String, ManifestFile>,
    /// Mark of the tantivy commit that belongs to this generation.
    pub lexical_mark: String,
    /// The next path gets this id or a higher one.
    pub next_file: u32,
    /// The embedder whose vectors the files had; those of another are looked up or made anew.
    pub embedder: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    pub id: FileId,
    pub hash: ContentHash,
}

impl Manifest {
    /// The content hash of `path` when it was committed.
    #[must_use]
    pub fn hash(&self, path: &str) -> Option<ContentHash> {
        self.files.get(path).map(|file| file.hash)
    }

    /// Reads the manifest in `dir`. `Ok(None)` if there is none; `Err` says why it is unusable.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, String> {
        let file = match File::open(dir.join(NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("manifest cannot be read: {error}")),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("manifest cannot be read: {error}"))?;
        Self::decode(&bytes).map(Some)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (magic, rest) = bytes.split_at_checked(8).ok_or("manifest is cut off")?;
        let (format, rest) = rest.split_at_checked(4).ok_or("manifest is cut off")?;
        let (checksum, body) = rest.split_at_checked(32).ok_or("manifest is cut off")?;
        if magic != MAGIC {
            return Err("manifest is not one of ours".to_owned());
        }
        let format = u32::from_le_bytes(format.try_into().expect("four bytes"));
        if format != INDEX_FORMAT {
            return Err(format!("index has format {format}, this build reads {INDEX_FORMAT}"));
        }
        if blake3::hash(body).as_bytes() != checksum {
            return Err("manifest does not match its checksum".to_owned());
        }
        let manifest: Self = postcard::from_bytes(body)
            .map_err(|error| format!("manifest cannot be decoded: {error}"))?;
        if manifest.files.values().any(|file| file.id.0 >= manifest.next_file) {
            return Err("manifest has a file id out of range".to_owned());
        }
        Ok(manifest)
    }

    fn encode(&self) -> Vec<u8> {
        let body = postcard::to_allocvec(self).expect("plain values encode");
        let mut bytes = Vec::with_capacity(body.len() + 44);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&INDEX_FORMAT.to_le_bytes());
        bytes.extend_from_slice(blake3::hash(&body).as_bytes());
        bytes.extend_from_slice(&body);
        bytes
    }

    /// Makes `self` the manifest of `dir`, durably.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let aside = dir.join("manifest.new");
        let mut file = File::create(&aside)?;
        file.write_all(&self.encode())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&aside, dir.join(NAME))?;
        // The rename itself is durable once the folder is.
        #[cfg(unix)]
        File::open(dir)?.sync_all()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        let hash = ContentHash::of(b"text");
        let file = ManifestFile { id: FileId(3), hash };
        Manifest {
            generation: Generation(7),
            files: BTreeMap::from([("src/a.rs".to_owned(), file)]),
            lexical_mark: "7".to_owned(),
            next_file: 4,
            embedder: "static-1".to_owned(),
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(Manifest::decode(&example().encode()), Ok(example()));
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let bytes = example().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(Manifest::decode(&damaged).is_err(), "flipped byte {at}");
            assert!(Manifest::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
