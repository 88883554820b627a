//! The learnt weights.

use super::features::{N_FEATURES, REST};

/// Weights for one kind of place: members of a receiver, or names in scope.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    pub name: [f32; N_FEATURES],
    pub rest: [f32; REST],
}

impl Weights {
    /// The shipped weights.
    #[must_use]
    pub fn shipped(is_member: bool) -> &'static Self {
        if is_member { &MEMBER } else { &SCOPE }
    }

    /// Score of a name: the logarithm of its probability up to a constant of the cursor.
    #[must_use]
    pub fn score(&self, features: &[f32; N_FEATURES]) -> f32 {
        self.name.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
    }

    /// Score of "none of these".
    #[must_use]
    pub fn score_rest(&self, features: &[f32; REST]) -> f32 {
        self.rest.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
    }
}

const MEMBER: Weights = Weights { name: [0.0; N_FEATURES], rest: [0.0; REST] };
const SCOPE: Weights = Weights { name: [0.0; N_FEATURES], rest: [0.0; REST] };
