//! The on-device model: from a checked GGUF file to text.
//!
//! In reading order: [`prompt`] and [`request`] are what callers see, [`error`] what can go wrong.

pub mod error;
pub mod prompt;
pub mod request;

pub use error::ModelError;
pub use prompt::{Piece, Prompt, PromptSegment};
pub use request::{
    Alternative, BiasScope, Finish, GenerateRequest, Generated, NameBias, Sampling, ScoreRequest,
    Scored, Stop, Timings,
};
