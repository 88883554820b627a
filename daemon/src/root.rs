//! Which folder is the workspace.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Marks the root of a project, strongest first: a repository, our own file, a build file.
const MARKERS: [&[&str]; 2] = [
    &[".git", ".hg", ".jj", crate::config::WORKSPACE_FILE],
    &["Cargo.toml", "pyproject.toml", "setup.py", "package.json", "go.mod", "pom.xml"],
];

/// A path cannot be a workspace.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("`{path}` does not exist; give the folder of a repository")]
    Missing { path: PathBuf },
    #[error("`{path}` is not a directory; give the folder it is in")]
    NotADirectory { path: PathBuf },
    #[error("`/` is the whole file system; give the folder of a project")]
    Everything,
    #[error("`{path}` cannot be read: {source}; check its permissions")]
    Unreadable { path: PathBuf, source: io::Error },
}

/// The canonical path of a folder that can be read.
///
/// # Errors
/// [`RootError`] says what is wrong with `path`.
pub fn check(path: &Path) -> Result<PathBuf, RootError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => RootError::Missing { path: path.to_owned() },
        io::ErrorKind::NotADirectory => RootError::NotADirectory { path: path.to_owned() },
        _ => RootError::Unreadable { path: path.to_owned(), source },
    };
    let root = path.canonicalize().map_err(unreadable)?;
    if !fs::metadata(&root).map_err(unreadable)?.is_dir() {
        return Err(RootError::NotADirectory { path: path.to_owned() });
    }
    if root.parent().is_none() {
        return Err(RootError::Everything);
    }
    fs::read_dir(&root).map_err(unreadable)?;
    Ok(root)
}

/// The workspace that `path` (a file or folder) belongs to: the nearest folder above it with a
/// repository, else the outermost with a build file, else the folder itself.
///
/// # Errors
/// [`RootError`] if `path` does not exist or cannot be read.
pub fn find(path: &Path) -> Result<PathBuf, RootError> {
    let start = path
        .canonicalize()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RootError::Missing { path: path.to_owned() },
            _ => RootError::Unreadable { path: path.to_owned(), source },
        })
        .map(|start| if start.is_dir() { start } else { parent(&start) })?;
    let marked = |folder: &&Path, markers: &[&str]| markers.iter().any(|m| folder.join(m).exists());
    // The user's home may itself be a repository of settings; nothing above or at it is a project
    // unless asked for by name.
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    let below_home = |folder: &&Path| Some(*folder) != home.as_deref() && folder.parent().is_some();
    let repository = start.ancestors().take_while(below_home).find(|f| marked(f, MARKERS[0]));
    let build =
        || start.ancestors().take_while(below_home).filter(|f| marked(f, MARKERS[1])).last();
    let root = repository.or_else(build).map_or_else(|| start.clone(), Path::to_owned);
    check(&root)
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| path.to_owned(), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check_find(fixture: &str, start: &str, expected: Expect) {
        let temp = fovea_test_support::parse(fixture, "main.rs").write();
        let base = temp.path().canonicalize().expect("there");
        let text = match find(&base.join(start)) {
            Ok(root) => format!("/{}", root.strip_prefix(&base).expect("below").display()),
            Err(err) => err.to_string().replace(&base.display().to_string(), ""),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn the_repository_wins_over_the_package() {
        let fixture = "//- /r/.git/HEAD\nref\n//- /r/p/Cargo.toml\n\n//- /r/p/src/a.rs\n\n";
        check_find(fixture, "r/p/src/a.rs", expect!["/r"]);
    }

    #[test]
    fn without_a_repository_the_outermost_package_counts() {
        let fixture = "//- /w/Cargo.toml\n\n//- /w/p/Cargo.toml\n\n//- /w/p/src/a.rs\n\n";
        check_find(fixture, "w/p/src", expect!["/w"]);
    }

    #[test]
    fn a_missing_path_is_named() {
        check_find(
            "//- /a.rs\n\n",
            "nowhere",
            expect!["`/nowhere` does not exist; give the folder of a repository"],
        );
    }

    #[test]
    fn a_file_is_no_workspace() {
        let temp = fovea_test_support::parse("//- /a.rs\nfn a() {}\n", "a.rs").write();
        let error = check(&temp.path().join("a.rs")).expect_err("a file");
        assert!(error.to_string().contains("is not a directory; give the folder"), "{error}");
        assert!(matches!(check(Path::new("/")), Err(RootError::Everything)));
    }
}
