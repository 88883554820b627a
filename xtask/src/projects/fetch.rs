//! Sources of published packages, fetched with the registries' own clients.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Registry {
    Pip,
    Cargo,
}

/// The folder of a package's source below `cache`; fetches it if it is not there.
pub(super) fn package(from: Registry, name: &str, version: &str, cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(format!("{name}-{version}"));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache)?;
    let scratch = tempfile::tempdir_in(cache)?;
    match from {
        Registry::Pip => with_pip(name, version, scratch.path()),
        Registry::Cargo => with_cargo(name, version, scratch.path()),
    }
    .with_context(|| format!("fetching {name} {version}"))?;
    fs::rename(scratch.path().join("package"), &folder)?;
    Ok(folder)
}

fn with_pip(name: &str, version: &str, scratch: &Path) -> Result<()> {
    succeed(
        Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"])
            .args(["--disable-pip-version-check", "--dest"])
            .arg(scratch)
            .arg(format!("{name}=={version}")),
    )?;
    let archive = fs::read_dir(scratch)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .context("pip brought no archive")?;
    let package = scratch.join("package");
    fs::create_dir(&package)?;
    succeed(
        Command::new("tar")
            .args(["--strip-components=1", "-xzf"])
            .arg(archive)
            .arg("-C")
            .arg(package),
    )
}

fn with_cargo(name: &str, version: &str, scratch: &Path) -> Result<()> {
    fs::create_dir(scratch.join("src"))?;
    fs::write(scratch.join("src/lib.rs"), "")?;
    fs::write(
        scratch.join("Cargo.toml"),
        format!(
            "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
             [dependencies]\n{name} = \"={version}\"\n\n[workspace]\n"
        ),
    )?;
    // Metadata leaves out packages without a library; a vendor folder has every one.
    succeed(
        Command::new("cargo")
            .args(["vendor", "--quiet", "--versioned-dirs", "vendor"])
            .current_dir(scratch)
            .stdout(Stdio::null()),
    )?;
    let source = scratch.join("vendor").join(format!("{name}-{version}"));
    Ok(fs::rename(source, scratch.join("package"))?)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
