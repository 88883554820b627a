//! What the end-to-end tests share: a home of their own, the real `fovea` binary, and a headless LSP
//! client.

mod home;
mod lsp;

pub use home::{Home, repository};
pub use lsp::LspSession;
