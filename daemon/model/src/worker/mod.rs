//! The model in a process of its own.
//!
//! A hostile file or a lack of memory ends the worker, not the daemon; its memory goes back to the
//! system with it. [`serve()`] is the worker's side, [`WorkerClient`] the daemon's. They speak
//! length-prefixed postcard frames over the worker's standard input and output.

mod client;
mod frame;
mod serve;

pub use client::{Canceller, Generation, GenerationEvent, Silent, WorkerClient};
pub use serve::serve;

use crate::{
    EmbedInfo, EmbedOptions, GenerateRequest, Generated, LoadOptions, ModelError, ScoreRequest,
    Scored, SessionStatus,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What holds the worker's process back, by name; found out when it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    pub active: Vec<String>,
    /// With the reason.
    pub missing: Vec<String>,
}

impl Confinement {
    /// Switched off by the user.
    #[must_use]
    pub fn off() -> Self {
        Self { active: Vec::new(), missing: vec!["it is switched off (model.sandbox)".to_owned()] }
    }
}

impl std::fmt::Display for Confinement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let active = if self.active.is_empty() { "nothing".into() } else { self.active.join(", ") };
        f.write_str(&active)?;
        if !self.missing.is_empty() {
            write!(f, "; {}", self.missing.join("; "))?;
        }
        Ok(())
    }
}

/// Client to worker. Each command carries a number that its answers repeat.
#[derive(Debug, Serialize, Deserialize)]
struct Command {
    id: u64,
    body: CommandBody,
}

#[derive(Debug, Serialize, Deserialize)]
enum CommandBody {
    Load {
        path: PathBuf,
        options: LoadOptions,
    },
    Generate(Box<GenerateRequest>),
    Score(ScoreRequest),
    /// Beside the model of completions, if one is loaded.
    LoadEmbedder {
        folder: PathBuf,
        options: EmbedOptions,
    },
    Embed {
        texts: Vec<String>,
    },
    /// Stops the command with this `id`; has no answer of its own.
    Cancel,
    Status,
    Unload,
    /// What holds this process back.
    Confinement,
}

/// Worker to client.
#[derive(Debug, Serialize, Deserialize)]
struct Reply {
    id: u64,
    body: ReplyBody,
}

#[derive(Debug, Serialize, Deserialize)]
enum ReplyBody {
    /// A piece of text; more follows.
    Text(String),
    Generated(Box<Generated>),
    Scored(Scored),
    Embedder(EmbedInfo),
    /// Row-major, in the order of the texts.
    Vectors(Vec<f32>),
    /// Answer to load, status and unload; `None` if no model is loaded.
    Status(Option<SessionStatus>),
    Confinement(Confinement),
    Failed(ModelError),
}
