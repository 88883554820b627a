//! Which folder is the workspace.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::dirs::foreign_owner;

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

/// The workspace that a path belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub root: PathBuf,
    /// What marks a folder above as a project, but was put there by somebody else.
    pub foreign: Vec<ForeignMarker>,
}

/// A mark of another user in a folder that many may write to, such as the temporary one. Whoever
/// follows it works with their settings, on a folder that they chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignMarker {
    pub path: PathBuf,
    pub uid: u32,
}

impl std::fmt::Display for ForeignMarker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` belongs to another user (uid {}), so its folder is not taken for the workspace; \
             --root takes it",
            self.path.display(),
            self.uid
        )
    }
}

/// The workspace that `path` (a file or folder) belongs to: the nearest folder above it with a
/// repository, else the outermost with a build file, else the folder itself. What marks a folder must
/// belong to this user, to the system, or to the owner of the folder that is asked about.
///
/// # Errors
/// [`RootError`] if `path` does not exist or cannot be read.
pub fn find(path: &Path) -> Result<Found, RootError> {
    let start = path
        .canonicalize()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RootError::Missing { path: path.to_owned() },
            _ => RootError::Unreadable { path: path.to_owned(), source },
        })
        .map(|start| if start.is_dir() { start } else { parent(&start) })?;
    find_with(&start, &foreign_owner)
}

/// `foreign` tells the owner of a path if that is neither this user nor the system.
fn find_with(start: &Path, foreign: &dyn Fn(&Path) -> Option<u32>) -> Result<Found, RootError> {
    let mut ignored = Vec::new();
    let here = foreign(start);
    let mut marked = |folder: &&Path, markers: &[&str]| {
        let there = markers.iter().map(|marker| folder.join(marker)).filter(|at| at.exists());
        let mut is_marked = false;
        for path in there {
            match foreign(&path).filter(|uid| Some(*uid) != here) {
                None => is_marked = true,
                Some(uid) => ignored.push(ForeignMarker { path, uid }),
            }
        }
        is_marked
    };
    // The user's home may itself be a repository of settings; nothing above or at it is a project
    // unless asked for by name.
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    let below_home = |folder: &&Path| Some(*folder) != home.as_deref() && folder.parent().is_some();
    let above = || start.ancestors().take_while(below_home);
    let repository = above().find(|folder| marked(folder, MARKERS[0]));
    let root = match repository {
        Some(repository) => repository,
        None => above().filter(|folder| marked(folder, MARKERS[1])).last().unwrap_or(start),
    };
    let root = check(root)?;
    Ok(Found { root, foreign: ignored })
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
            Ok(found) => format!("/{}", found.root.strip_prefix(&base).expect("below").display()),
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
    fn a_mark_that_somebody_else_put_above_is_named_and_not_followed() {
        let fixture = "//- /.fovea.toml\n\n//- /mine/Cargo.toml\n\n//- /mine/src/a.rs\n\n";
        let temp = fovea_test_support::parse(fixture, "main.rs").write();
        let base = temp.path().canonicalize().expect("there");
        let (planted, start) = (base.join(".fovea.toml"), base.join("mine/src"));
        let by_somebody_else = |path: &Path| (path == planted).then_some(4_711);
        let found = find_with(&start, &by_somebody_else).expect("found");
        assert_eq!(found.root, base.join("mine"));
        assert_eq!(found.foreign, [ForeignMarker { path: planted.clone(), uid: 4_711 }]);
        assert!(found.foreign[0].to_string().contains("--root takes it"));
        // Who works in a repository of somebody else has its root for one.
        let all_theirs = |_: &Path| Some(4_711);
        assert_eq!(find_with(&start, &all_theirs).expect("found").root, base);
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
