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

const MEMBER: Weights = Weights {
    name: [
        0.440,  // exact
        0.062,  // inferred
        0.000,  // name only
        -0.801, // distance
        -0.920, // dunder
        0.011,  // private
        2.565,  // test
        -0.223, // macro or module
        -0.349, // uses before
        0.183,  // nearness of the last use
        -0.162, // uses behind
        -1.535, // used on this line
        -0.145, // used once before
        0.696,  // after the same receiver
        0.743,  // after the same token
        1.742,  // continuation
        0.796,  // words of this line
        0.665,  // words of the last lines
        1.018,  // words of the enclosing function
        1.918,  // parameters named nearby
        0.120,  // has no parameters
        0.326,  // defined in this file
        0.465,  // files that mention it
        0.323,  // length
        -1.039, // is the enclosing function
        1.238,  // imported, not used yet
        0.000,  // local, not used yet
        0.000,  // type at the line's beginning
        0.000,  // type as argument
        0.000,  // type assigned
        0.000,  // type behind a colon
        0.000,  // type behind an arrow
        0.000,  // type behind a word
        0.000,  // type referenced
        -0.370, // type elsewhere
        0.000,  // function at the line's beginning
        0.000,  // function as argument
        0.000,  // function assigned
        0.000,  // function behind a colon
        0.000,  // function behind an arrow
        0.000,  // function behind a word
        0.000,  // function referenced
        -0.632, // function elsewhere
        0.000,  // variable at the line's beginning
        0.000,  // variable as argument
        0.000,  // variable assigned
        0.000,  // variable behind a colon
        0.000,  // variable behind an arrow
        0.000,  // variable behind a word
        0.000,  // variable referenced
        -1.704, // variable elsewhere
        0.000,  // other symbol at the line's beginning
        0.000,  // other symbol as argument
        0.000,  // other symbol assigned
        0.000,  // other symbol behind a colon
        0.000,  // other symbol behind an arrow
        0.000,  // other symbol behind a word
        0.000,  // other symbol referenced
        0.286,  // other symbol elsewhere
        -1.542, // unknown at the line's beginning
        0.000,  // unknown as argument
        0.000,  // unknown assigned
        0.000,  // unknown behind a colon
        0.000,  // unknown behind an arrow
        0.000,  // unknown behind a word
        0.000,  // unknown referenced
        -1.515, // unknown elsewhere
    ],
    rest: [
        2.283, // always
        0.000, // part typed
        0.662, // receiver known
        0.357, // candidates
        1.542, // line start
        0.000, // no candidates
    ],
};

const SCOPE: Weights = Weights {
    name: [
        -0.104, // exact
        -0.158, // inferred
        0.000,  // name only
        0.026,  // distance
        0.065,  // dunder
        0.341,  // private
        -0.786, // test
        -0.342, // macro or module
        -0.418, // uses before
        0.783,  // nearness of the last use
        -0.143, // uses behind
        -1.551, // used on this line
        -0.701, // used once before
        0.000,  // after the same receiver
        1.402,  // after the same token
        2.303,  // continuation
        0.707,  // words of this line
        0.874,  // words of the last lines
        0.832,  // words of the enclosing function
        0.364,  // parameters named nearby
        -0.336, // has no parameters
        0.650,  // defined in this file
        0.136,  // files that mention it
        -0.086, // length
        -0.943, // is the enclosing function
        1.039,  // imported, not used yet
        1.428,  // local, not used yet
        -1.345, // type at the line's beginning
        -0.207, // type as argument
        1.029,  // type assigned
        0.374,  // type behind a colon
        0.767,  // type behind an arrow
        -2.147, // type behind a word
        -0.415, // type referenced
        -1.417, // type elsewhere
        -2.076, // function at the line's beginning
        -0.685, // function as argument
        1.589,  // function assigned
        -0.940, // function behind a colon
        -0.884, // function behind an arrow
        -2.343, // function behind a word
        0.906,  // function referenced
        -0.527, // function elsewhere
        -1.620, // variable at the line's beginning
        -0.013, // variable as argument
        1.196,  // variable assigned
        0.181,  // variable behind a colon
        0.674,  // variable behind an arrow
        -0.469, // variable behind a word
        1.925,  // variable referenced
        -0.403, // variable elsewhere
        -0.765, // other symbol at the line's beginning
        -0.792, // other symbol as argument
        0.441,  // other symbol assigned
        0.034,  // other symbol behind a colon
        0.239,  // other symbol behind an arrow
        -1.523, // other symbol behind a word
        0.299,  // other symbol referenced
        -1.625, // other symbol elsewhere
        -1.336, // unknown at the line's beginning
        -1.022, // unknown as argument
        0.124,  // unknown assigned
        -0.088, // unknown behind a colon
        -0.108, // unknown behind an arrow
        -1.237, // unknown behind a word
        0.436,  // unknown referenced
        -0.971, // unknown elsewhere
    ],
    rest: [
        1.902,  // always
        0.000,  // part typed
        -1.780, // receiver known
        0.357,  // candidates
        2.039,  // line start
        0.000,  // no candidates
    ],
};
