//! Python: packages, modules, imports, scopes, classes and receiver types.

use serde::{Deserialize, Serialize};

/// What the Python resolver needs of one file, beyond the common facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PythonFacts {}
