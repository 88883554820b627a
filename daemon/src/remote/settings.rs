//! Whether the file that names a server is the user's own, and nobody else's.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Folders and files that mark what may have come from elsewhere.
const MARKERS: [&str; 5] = [".git", ".hg", ".jj", ".svn", crate::config::WORKSPACE_FILE];

/// Below the home folder, on Linux and on macOS.
const USUAL: [&str; 2] =
    [".config/fovea/config.toml", "Library/Application Support/fovea/config.toml"];

/// Who else may write the file decides where code goes. Variables such as `FOVEA_CONFIG_DIR` can move
/// it, and a folder's `.envrc` sets variables: a file inside of a repository is the repository's.
pub(super) fn check(file: &Path) -> Result<(), String> {
    check_for(file, home().as_deref())
}

fn check_for(file: &Path, home: Option<&Path>) -> Result<(), String> {
    let Ok(metadata) = fs::metadata(file) else { return Ok(()) };
    let me = rustix::process::geteuid().as_raw();
    let shown = file.display();
    if metadata.mode() & 0o022 != 0 || (metadata.uid() != me && metadata.uid() != 0) {
        return Err(format!("others may write `{shown}`; run `chmod go-w {shown}`"));
    }
    // Where everybody has it: settings that are kept in a repository of the user's, too.
    let is_usual = home.is_some_and(|home| USUAL.iter().any(|usual| file == home.join(usual)));
    if is_usual {
        return Ok(());
    }
    let full = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let marked = full.ancestors().skip(1).find(|folder| {
        // A home folder may be a repository of settings; what lies in it is the user's.
        Some(*folder) != home && MARKERS.iter().any(|marker| folder.join(marker).exists())
    });
    match marked {
        Some(folder) => Err(format!(
            "`{shown}` lies in the repository `{}`, which could have brought it; \
             keep the settings outside of repositories (FOVEA_CONFIG_DIR, FOVEA_HOME)",
            folder.display()
        )),
        None => Ok(()),
    }
}

/// The user's home by the system's list of users, not by the environment where that can be had.
fn home() -> Option<PathBuf> {
    let me = rustix::process::geteuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = users.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        (fields.next() == Some(&me)).then(|| fields.nth(2).map(PathBuf::from)).flatten()
    });
    listed.or_else(|| directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_inside_of_a_repository_name_no_server() {
        let fixture = "\
//- /repo/.git/HEAD
ref
//- /repo/.x/config.toml
x
//- /home/.git/HEAD
ref
//- /home/.config/fovea/config.toml
x
//- /home/elsewhere/config.toml
x
//- /home/.config/.git/HEAD
ref
//- /home/.config/other/config.toml
x
";
        let temp = fovea_test_support::parse(fixture, "config.toml").write();
        let base = temp.path().canonicalize().expect("there");
        let home = base.join("home");
        let check = |path: &str| check_for(&base.join(path), Some(&home));
        let error = check("repo/.x/config.toml").expect_err("a repository's");
        assert!(error.contains("/repo`, which could have brought it"), "{error}");
        assert_eq!(check("home/.config/fovea/config.toml"), Ok(()));
        assert_eq!(check("home/elsewhere/config.toml"), Ok(()));
        assert!(check("home/.config/other/config.toml").is_err());
        assert_eq!(check("nowhere/config.toml"), Ok(()));
        assert!(home_is_absolute());
    }

    fn home_is_absolute() -> bool {
        home().is_none_or(|home| home.is_absolute())
    }
}
