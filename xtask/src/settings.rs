//! Settings of the VS Code extension, from those of the language server.
//!
//! The test that compares both writes them when told to: it is built with the server, and this crate,
//! which everybody builds for every check, is not.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// Rewrites the block of settings in `editors/vscode/package.json`.
///
/// # Errors
/// If the test cannot be built or run.
pub(crate) fn write(root: &Path) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--workspace", "--test", "e2e", "settings_of_vs_code"])
        .current_dir(root)
        .env("FOVEA_WRITE_SETTINGS", "1")
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the settings were not written; the test's message says why");
    println!("wrote editors/vscode/package.json");
    Ok(())
}
