//! Which files differ from the last commit, asked of the user's own `git`.
//!
//! A repository must not make us run anything. `git` is told to list the tree of `HEAD` and to hash
//! files without filters: neither reads hooks, attributes, the index (and with it a file system
//! monitor) nor the network. It is taken from an absolute folder of `PATH` outside the workspace.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use fovea_indexer::Cancel;

/// Longest wait for `git`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a waiting request looks whether it is still wanted.
const CANCEL_CHECK: Duration = Duration::from_millis(20);

/// Those of `paths` (relative to `root`) that are not in `HEAD` or whose bytes on disk are not those
/// of `HEAD`. Files that `git` rewrites on checkout (line endings, large-file pointers) count as
/// changed.
///
/// # Errors
/// If there is no `git`, no repository, no commit, or no answer in time.
pub(crate) fn changed<'a>(
    root: &Path,
    paths: impl Iterator<Item = &'a str>,
    cancel: &Cancel,
) -> io::Result<HashSet<String>> {
    let git = Git { executable: find(root)?, root, cancel, deadline: Instant::now() + TIMEOUT };
    let tree = git.run(&["ls-tree", "-r", "-z", "HEAD"], String::new())?;
    let committed: HashMap<&str, &str> =
        tree.split('\0').filter_map(|entry| parse_entry(entry)).collect();
    let (known, mut changed): (Vec<&str>, HashSet<String>) = {
        let mut changed = HashSet::new();
        let known = paths.filter(|path| {
            // One path a line: a path with a line feed cannot be asked about.
            let is_known = committed.contains_key(path) && !path.contains('\n');
            if !is_known {
                changed.insert((*path).to_owned());
            }
            is_known
        });
        (known.collect(), changed)
    };
    // A file that is gone since the walk would end `git`: it is changed.
    let (there, gone): (Vec<&str>, Vec<&str>) =
        known.into_iter().partition(|path| root.join(path).is_file());
    changed.extend(gone.into_iter().map(str::to_owned));
    if there.is_empty() {
        return Ok(changed);
    }
    let hashes = git.run(&["hash-object", "--no-filters", "--stdin-paths"], there.join("\n"))?;
    let hashes: Vec<&str> = hashes.lines().collect();
    if hashes.len() != there.len() {
        return Err(io::Error::other("git hashed another number of files"));
    }
    let differs =
        there.iter().zip(hashes).filter(|(path, hash)| committed.get(*path) != Some(hash));
    changed.extend(differs.map(|(path, _)| (*path).to_owned()));
    Ok(changed)
}

/// `100644 blob HASH\tPATH`
fn parse_entry(entry: &str) -> Option<(&str, &str)> {
    let (head, path) = entry.split_once('\t')?;
    let mut words = head.split(' ');
    let is_blob = words.nth(1)? == "blob";
    is_blob.then_some((path, words.next()?))
}

struct Git<'a> {
    executable: PathBuf,
    root: &'a Path,
    cancel: &'a Cancel,
    deadline: Instant,
}

impl Git<'_> {
    fn run(&self, arguments: &[&str], input: String) -> io::Result<String> {
        let mut command = Command::new(&self.executable);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
            .args(["-c", "protocol.allow=never", "--no-pager", "--literal-pathspecs"])
            .args(arguments)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .current_dir(self.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = self.exchange(&mut child, input);
        if output.is_err() {
            let _ = child.kill();
        }
        let status = child.wait()?;
        let output = output?;
        if !status.success() {
            return Err(io::Error::other(format!("`git {}` ended with {status}", arguments[0])));
        }
        Ok(output)
    }

    /// Writes and reads on threads of their own, so that neither side waits for the other for ever.
    fn exchange(&self, child: &mut Child, input: String) -> io::Result<String> {
        let (mut stdin, mut stdout) = match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => (stdin, stdout),
            _ => return Err(io::Error::other("git has no pipes")),
        };
        thread::spawn(move || {
            // A reader that ends early says so by its exit code.
            let _ = stdin.write_all(input.as_bytes());
        });
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut output = Vec::new();
            let read = stdout.read_to_end(&mut output);
            // Paths that are not UTF-8 are not indexed.
            let _ = sender.send(read.map(|_| String::from_utf8_lossy(&output).into_owned()));
        });
        loop {
            match receiver.recv_timeout(CANCEL_CHECK) {
                Ok(output) => return output,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("git's output cannot be read"));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    if self.cancel.is_cancelled() || Instant::now() >= self.deadline {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
            }
        }
    }
}

/// The first `git` of an absolute folder of `PATH` that is not the workspace's.
fn find(root: &Path) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .filter(|folder| folder.canonicalize().is_ok_and(|folder| !folder.starts_with(root)))
        .map(|folder| folder.join("git"))
        .find(|file| file.is_file())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no git on the PATH"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn git(root: &Path, arguments: &[&str]) {
        let status = Command::new(find(Path::new("/nowhere")).expect("git is there"))
            .args(["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("starts").success(), "{arguments:?}");
    }

    #[test]
    fn changed_and_new_files_differ_from_head_and_nothing_of_the_repository_runs() {
        if find(Path::new("/nowhere")).is_err() {
            return;
        }
        let temp = tempfile::tempdir().expect("temporary folder");
        let root = temp.path().canonicalize().expect("there");
        for name in ["same.py", "edited.py", "staged.py", "gone.py"] {
            fs::write(root.join(name), name).expect("written");
        }
        git(&root, &["init", "-q"]);
        git(&root, &["add", "."]);
        git(&root, &["commit", "-q", "-m", "first"]);
        // What a hostile repository would try.
        let trap = root.join("trap.sh");
        let sprung = temp.path().join("sprung");
        fs::write(&trap, format!("#!/bin/sh\ntouch {}\ncat\n", sprung.display())).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&trap, mode).expect("executable");
        for key in ["core.fsmonitor", "filter.trap.clean", "core.pager"] {
            git(&root, &["config", key, trap.to_str().expect("text")]);
        }
        fs::write(root.join(".gitattributes"), "* filter=trap\n").expect("written");

        fs::write(root.join("edited.py"), "other").expect("written");
        fs::write(root.join("new.py"), "new").expect("written");
        fs::remove_file(root.join("gone.py")).expect("removed");
        let paths = ["same.py", "edited.py", "staged.py", "gone.py", "new.py"];
        let found = changed(&root, paths.into_iter(), &Cancel::never()).expect("an answer");
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort();
        assert_eq!(found, ["edited.py", "gone.py", "new.py"]);
        assert!(!sprung.exists(), "the repository ran a program");
    }

    #[test]
    fn without_a_commit_there_is_nothing_to_compare_with() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let paths = ["a.py"];
        assert!(changed(temp.path(), paths.into_iter(), &Cancel::never()).is_err());
    }
}
