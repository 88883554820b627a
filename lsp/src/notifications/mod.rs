//! What the editor tells us. Everything is recorded before the first `await`.

pub(crate) mod progress;
pub(crate) mod text_sync;
pub(crate) mod workspace;
