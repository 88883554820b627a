//! A temporary home and project, and the real binary run against them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

/// Folders of one test. The daemon started below them is stopped when this is dropped.
pub struct Home {
    home: TempDir,
    project: TempDir,
}

impl Home {
    /// A home whose project is a copy of `examples/projects/<name>`.
    ///
    /// # Panics
    /// If the temporary folders cannot be written.
    #[must_use]
    pub fn with_sample(name: &str) -> Self {
        let this = Self {
            home: tempfile::tempdir().expect("temporary home"),
            project: tempfile::tempdir().expect("temporary project"),
        };
        let sample = repository().join("examples/projects").join(name);
        copy(&sample, this.root());
        this
    }

    /// The project's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.project.path()
    }

    /// Writes a file of the project.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.root().join(path), text).expect("project file");
    }

    /// `fovea` in this home, at the project's root, never fetching anything.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(self.root())
            .env("FOVEA_HOME", self.home.path())
            .env("FOVEA_OFFLINE", "true")
            .env("NO_COLOR", "1");
        command
    }

    /// Runs `fovea` to its end.
    ///
    /// # Panics
    /// If the binary cannot be started.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary is built with the tests")
    }

    /// Runs a query with `--json` and reads its answer.
    ///
    /// # Panics
    /// If it fails or prints no JSON; the message has what it printed.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(
            output.status.success(),
            "fovea {args:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap_or_else(|err| {
            panic!(
                "fovea {args:?} printed no JSON ({err}): {}",
                String::from_utf8_lossy(&output.stdout)
            )
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.run(&["daemon", "stop"]);
    }
}

/// The binary under test: beside the folder of the test binaries.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test binary has a path");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    profile.join(if cfg!(windows) { "fovea.exe" } else { "fovea" })
}

/// The root of our own repository.
///
/// # Panics
/// Never: this crate lies in it.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the root")
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("sample project") {
        let entry = entry.expect("sample project");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("sample project").is_dir() {
            fs::create_dir_all(&target).expect("project folder");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("project file");
        }
    }
}
