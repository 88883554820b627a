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
        1.145,  // exact
        -0.435, // inferred
        0.000,  // name only
        -1.537, // distance
        -0.446, // dunder
        -0.383, // private
        -0.188, // test
        -0.084, // macro or module
        -0.315, // uses before
        0.033,  // nearness of the last use
        0.023,  // uses behind
        -0.433, // used on this line
        -0.257, // used once before
        0.844,  // after the same receiver
        0.376,  // after the same token
        1.740,  // continuation
        0.701,  // words of this line
        0.701,  // words of the last lines
        0.834,  // words of the enclosing function
        0.484,  // parameters named nearby
        0.007,  // has no parameters
        -0.462, // defined in this file
        0.166,  // files that mention it
        0.160,  // length
        0.240,  // is the enclosing function
        0.661,  // imported, not used yet
        0.000,  // local, not used yet
        0.000,  // type at the line's beginning
        0.000,  // type as argument
        0.000,  // type assigned
        0.000,  // type behind a colon
        0.000,  // type behind an arrow
        0.000,  // type behind a word
        0.000,  // type referenced
        0.269,  // type elsewhere
        0.000,  // function at the line's beginning
        0.000,  // function as argument
        0.000,  // function assigned
        0.000,  // function behind a colon
        0.000,  // function behind an arrow
        0.000,  // function behind a word
        0.000,  // function referenced
        0.126,  // function elsewhere
        0.000,  // variable at the line's beginning
        0.000,  // variable as argument
        0.000,  // variable assigned
        0.000,  // variable behind a colon
        0.000,  // variable behind an arrow
        0.000,  // variable behind a word
        0.000,  // variable referenced
        -0.609, // variable elsewhere
        0.000,  // other symbol at the line's beginning
        0.000,  // other symbol as argument
        0.000,  // other symbol assigned
        0.000,  // other symbol behind a colon
        0.000,  // other symbol behind an arrow
        0.000,  // other symbol behind a word
        0.000,  // other symbol referenced
        0.475,  // other symbol elsewhere
        -1.596, // unknown at the line's beginning
        0.000,  // unknown as argument
        0.000,  // unknown assigned
        0.000,  // unknown behind a colon
        0.000,  // unknown behind an arrow
        0.000,  // unknown behind a word
        0.000,  // unknown referenced
        -1.191, // unknown elsewhere
    ],
    rest: [
        1.516, // always
        0.000, // part typed
        0.515, // receiver known
        0.422, // candidates
        1.596, // line start
        0.000, // no candidates
    ],
};

const SCOPE: Weights = Weights {
    name: [
        -0.201, // exact
        -0.065, // inferred
        0.000,  // name only
        0.201,  // distance
        -0.120, // dunder
        -0.078, // private
        -1.141, // test
        -0.424, // macro or module
        -0.447, // uses before
        1.028,  // nearness of the last use
        -0.120, // uses behind
        -1.833, // used on this line
        -0.600, // used once before
        -0.571, // after the same receiver
        1.329,  // after the same token
        2.306,  // continuation
        0.687,  // words of this line
        0.516,  // words of the last lines
        0.790,  // words of the enclosing function
        0.193,  // parameters named nearby
        -0.465, // has no parameters
        0.517,  // defined in this file
        0.174,  // files that mention it
        -0.047, // length
        -0.938, // is the enclosing function
        0.389,  // imported, not used yet
        1.276,  // local, not used yet
        -0.896, // type at the line's beginning
        -0.635, // type as argument
        0.485,  // type assigned
        0.661,  // type behind a colon
        0.830,  // type behind an arrow
        -1.084, // type behind a word
        0.473,  // type referenced
        -0.687, // type elsewhere
        -1.146, // function at the line's beginning
        -0.353, // function as argument
        0.673,  // function assigned
        -0.385, // function behind a colon
        -0.539, // function behind an arrow
        -1.899, // function behind a word
        0.381,  // function referenced
        -0.986, // function elsewhere
        -1.261, // variable at the line's beginning
        0.329,  // variable as argument
        1.512,  // variable assigned
        0.996,  // variable behind a colon
        -0.641, // variable behind an arrow
        -0.233, // variable behind a word
        1.373,  // variable referenced
        -0.307, // variable elsewhere
        -0.480, // other symbol at the line's beginning
        -0.236, // other symbol as argument
        0.969,  // other symbol assigned
        -0.448, // other symbol behind a colon
        0.289,  // other symbol behind an arrow
        -1.777, // other symbol behind a word
        1.023,  // other symbol referenced
        -0.867, // other symbol elsewhere
        -1.372, // unknown at the line's beginning
        -0.801, // unknown as argument
        0.199,  // unknown assigned
        0.319,  // unknown behind a colon
        -0.096, // unknown behind an arrow
        -1.069, // unknown behind a word
        -0.172, // unknown referenced
        -1.220, // unknown elsewhere
    ],
    rest: [
        1.586,  // always
        0.000,  // part typed
        -2.360, // receiver known
        0.444,  // candidates
        1.902,  // line start
        0.000,  // no candidates
    ],
};
