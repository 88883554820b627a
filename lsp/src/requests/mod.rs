//! One file per request: convert, ask the daemon, convert back.

pub(crate) mod completion;
pub(crate) mod definition;
pub(crate) mod hover;
pub(crate) mod inline_completion;
pub(crate) mod references;
pub(crate) mod symbols;
