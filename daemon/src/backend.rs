//! What writes completions: the model's own process, or a server that the user named. The service
//! treats both alike.

use std::{path::Path, sync::Arc, time::Duration};

use fovea_api::CompletionSource;
use fovea_context::{Plan, PlanRequest, PromptFormat, RenderedPrompt, TokenCounter};
use fovea_model::{Generated, worker::Silent};

/// Why there is no model's answer; one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoModel(pub String);

/// One completion to write.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Of the workspace.
    pub root: &'a Path,
    pub plan: &'a Plan,
    /// `plan` in the back end's format.
    pub prompt: &'a RenderedPrompt,
    pub request: &'a PlanRequest,
    pub max_tokens: usize,
}

/// Something that can be asked to write.
pub trait Backend: Send + Sync {
    fn source(&self) -> CompletionSource;

    /// How prompts are laid out for it.
    fn format(&self) -> &'static PromptFormat;

    fn counter(&self) -> &dyn TokenCounter;

    /// Starts to write; returns before the first word is there.
    ///
    /// # Errors
    /// [`NoModel`] if it cannot even start.
    fn start(&self, task: &Task<'_>) -> Result<Box<dyn Writing>, NoModel>;
}

/// A completion that is being written. Dropping it ends it.
pub trait Writing {
    /// The next piece of text or the end, if it comes within `limit`.
    ///
    /// # Errors
    /// [`Silent`] if nothing came by then; the writing goes on.
    fn next_within(&mut self, limit: Duration) -> Result<Written, Silent>;

    /// What ends it early, from any thread; the text so far comes as [`Written::Done`].
    fn canceller(&self) -> Arc<dyn Fn() + Send + Sync>;
}

/// What comes out of a [`Writing`].
#[derive(Debug)]
pub enum Written {
    Text(String),
    /// Nothing follows.
    Done(Result<Generated, NoModel>),
}
