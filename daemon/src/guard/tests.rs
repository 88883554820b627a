//! The gate, the exclusion rules and the secret rules; test values are generated.

use std::fs;
use std::path::PathBuf;

use super::*;

const MAX_BYTES: u64 = 1 << 20;

struct Tree {
    outer: tempfile::TempDir,
}

impl Tree {
    /// `outer/root` is the workspace, `outer/secret.txt` lies outside.
    fn new() -> Self {
        let outer = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(outer.path().join("root")).expect("root");
        fs::write(outer.path().join("secret.txt"), "outside").expect("written");
        Self { outer }
    }

    fn root(&self) -> PathBuf {
        self.outer.path().join("root")
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("has a parent")).expect("folder");
        fs::write(path, bytes).expect("written");
    }

    fn read(&self, path: &str) -> Result<String, Refused> {
        read(&self.root(), path, MAX_BYTES).map(|guarded| guarded.text.to_string())
    }
}

#[test]
fn a_source_file_is_read() {
    let tree = Tree::new();
    tree.write("src/é.rs", "fn main() {}\r\n".as_bytes());
    assert_eq!(tree.read("src/é.rs").unwrap(), "fn main() {}\r\n");
}

#[test]
fn paths_cannot_leave_the_root() {
    let tree = Tree::new();
    tree.write("a/b.rs", b"b");
    let absolute = tree.outer.path().join("secret.txt");
    for path in [
        "",
        "..",
        "../secret.txt",
        "a/../../secret.txt",
        "a/../a/b.rs",
        "./../secret.txt",
        absolute.to_str().unwrap(),
        "/proc/self/cwd",
    ] {
        assert!(matches!(tree.read(path), Err(Refused::Outside)), "{path}");
    }
    for path in ["a/\0b.rs", "a/%2e%2e/b.rs", "nothing", "a/b.rs/c", &"x".repeat(5_000)] {
        assert!(tree.read(path).is_err(), "{path}");
    }
}

#[test]
fn only_text_under_the_cap_passes() {
    let tree = Tree::new();
    tree.write("binary", b"MZ\0\x01");
    tree.write("latin1.txt", b"caf\xe9");
    tree.write("large.txt", &vec![b'a'; MAX_BYTES as usize + 1]);
    tree.write("full.txt", &vec![b'a'; MAX_BYTES as usize]);
    tree.write("empty.txt", b"");
    assert!(matches!(tree.read("binary"), Err(Refused::Binary)));
    assert!(matches!(tree.read("latin1.txt"), Err(Refused::NotUtf8)));
    assert!(matches!(tree.read("large.txt"), Err(Refused::TooLarge { .. })));
    assert_eq!(tree.read("full.txt").unwrap().len() as u64, MAX_BYTES);
    assert_eq!(tree.read("empty.txt").unwrap(), "");
}

#[test]
fn excluded_names_are_not_opened_and_not_taken_from_editors() {
    let tree = Tree::new();
    tree.write("config/.env", b"A=1");
    assert!(matches!(tree.read("config/.env"), Err(Refused::Excluded(_))));
    assert!(matches!(tree.read("config/.ENV"), Err(Refused::Excluded(_))), "even if not there");
    let error = buffer("config/.env", "A=1", MAX_BYTES).unwrap_err();
    assert!(error.to_string().contains("`.env`"), "{error}");
    assert_eq!(&*buffer("a.rs", "fn a() {}", MAX_BYTES).unwrap().text, "fn a() {}");
}

#[test]
fn secrets_are_overwritten_on_disk_and_in_editors_alike() {
    let tree = Tree::new();
    let secret: String = (0..36u32).map(|at| char::from(b'A' + (at * 7 % 26) as u8)).collect();
    let text = format!("token = \"ghp_{secret}\"\nnext\n");
    tree.write("a.py", text.as_bytes());
    let on_disk = read(&tree.root(), "a.py", MAX_BYTES).unwrap();
    assert!(!on_disk.text.contains(&secret), "{}", on_disk.text);
    assert_eq!(on_disk.text.len(), text.len());
    assert_eq!(on_disk.redactions.len(), 1);
    assert_eq!(on_disk, buffer("a.py", &text, MAX_BYTES).unwrap());
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_wherever_they_lead() {
    use std::os::unix::fs::symlink;
    let tree = Tree::new();
    tree.write("real/a.rs", b"inside");
    let root = tree.root();
    symlink("real/a.rs", root.join("inside.rs")).unwrap();
    symlink("real", root.join("folder")).unwrap();
    symlink("../secret.txt", root.join("escape.txt")).unwrap();
    symlink(tree.outer.path().join("secret.txt"), root.join("absolute.txt")).unwrap();
    symlink(tree.outer.path(), root.join("up")).unwrap();
    symlink("/proc/self/root", root.join("magic")).unwrap();
    symlink("loop.txt", root.join("loop.txt")).unwrap();
    symlink("nowhere", root.join("dangling.txt")).unwrap();
    assert_eq!(tree.read("real/a.rs").unwrap(), "inside");
    let links = ["inside.rs", "folder/a.rs", "escape.txt", "absolute.txt", "up/secret.txt"];
    for path in links.into_iter().chain(["magic/etc/hostname", "loop.txt", "dangling.txt"]) {
        assert!(matches!(tree.read(path), Err(Refused::Link)), "{path}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn links_that_change_while_we_open_lead_nowhere_else() {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    let tree = Tree::new();
    tree.write(".env", b"EXCLUDED=1");
    let root = tree.root();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (link, temp) = (root.join("a.txt"), root.join("swap"));
            for target in [None, Some("../secret.txt"), None, Some(".env")].iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                match target {
                    Some(target) => symlink(target, &temp).unwrap(),
                    None => fs::write(&temp, "inside").unwrap(),
                }
                fs::rename(&temp, &link).unwrap();
            }
        });
        let mut n_read = 0;
        for _ in 0..10_000 {
            match tree.read("a.txt") {
                Ok(text) => {
                    assert_eq!(text, "inside");
                    n_read += 1;
                }
                Err(Refused::Link | Refused::Gone | Refused::Changing) => {}
                Err(other) => panic!("{other}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(n_read > 0, "the race was never won");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_not_a_plain_file_is_not_opened() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let tree = Tree::new();
    let root = tree.root();
    mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    for path in ["fifo", "socket", "folder"] {
        assert!(matches!(tree.read(path), Err(Refused::NotAFile)), "{path}");
    }
}

#[test]
fn a_file_that_is_written_meanwhile_is_whole_or_refused() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let tree = Tree::new();
    let versions = ["a".repeat(200_000), "b".repeat(150_000)];
    tree.write("a.txt", versions[0].as_bytes());
    let path = tree.root().join("a.txt");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // As editors do: write aside, rename.
            for (at, version) in versions.iter().cycle().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let temp = path.with_extension(format!("tmp{}", at % 2));
                fs::write(&temp, version).unwrap();
                fs::rename(&temp, &path).unwrap();
            }
        });
        for _ in 0..300 {
            match tree.read("a.txt") {
                Ok(text) => assert!(versions.contains(&text), "torn: {} bytes", text.len()),
                Err(Refused::Changing) => {}
                Err(other) => panic!("{other}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
