//! Which name comes at the cursor: features of every name that can stand there, weighed by a linear
//! model.
//!
//! The probability of a name is the softmax of its score over all candidates and the rest (a
//! keyword, a literal, a new name). The weights are learnt by maximum likelihood on lines of projects
//! that the evaluation does not use; `fovea eval names --fit` learns them anew and prints the table.
//!
//! Modules: [`buffer`] what the open buffer says about a name · [`features`] the numbers · [`weights`] the
//! learnt table.

mod buffer;
mod features;
mod weights;

pub(crate) use buffer::receiver;
pub(crate) use features::{Evidence, Observer};
pub use features::{N_FEATURES, REST, REST_FEATURES, feature_name};
pub use weights::Weights;

/// A candidate with its features.
#[derive(Clone, Debug)]
pub struct Described {
    pub name: String,
    pub features: [f32; N_FEATURES],
    pub(crate) evidence: Evidence,
}

/// Every name that can stand at one cursor.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// True behind `.` or `::`.
    pub is_member: bool,
    pub names: Vec<Described>,
    /// Features of "none of these".
    pub rest: [f32; REST],
}
