//! Rust: crates, modules, `use` trees, paths, traits and receiver types.

use serde::{Deserialize, Serialize};

/// What the Rust resolver needs of one file, beyond the common facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RustFacts {}
