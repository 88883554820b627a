//! Where the program may touch the system: `unsafe`, files, other programs, the network.
//!
//! A workspace's content is read through the gate alone (`daemon/src/guard`). Every other file that
//! opens one is listed here with what it opens, so that a new one is a decision and not an accident.

/// `unsafe` blocks have a place.
const UNSAFE: [&str; 4] = [
    "daemon/model/src/kernels/",
    "daemon/model/src/gguf/map.rs",
    "daemon/src/server/peer.rs",
    "daemon/src/budget.rs",
];

/// What opens or reads a file, lists a folder, starts a program, or connects.
const CALLS: [&str; 24] = [
    "fs::read(",
    "fs::metadata(",
    "fs::symlink_metadata(",
    "fs::read_link(",
    "fs::read_to_string(",
    "fs::read_dir(",
    "fs::copy(",
    "File::open(",
    "File::options(",
    "OpenOptions::new(",
    "Mmap::map(",
    "WalkBuilder::new(",
    "GitignoreBuilder::new(",
    "build_global(",
    ".read_dir()",
    "openat",
    "UnixStream::",
    "Command::new(",
    "TcpStream::",
    "TcpListener::",
    "ToSocketAddrs",
    "UdpSocket::",
    "ureq::",
    "hf_hub::",
];

/// Files that may, and what for.
const ALLOWED: &[(&str, &str)] = &[
    ("daemon/src/guard/", "the gate"),
    ("daemon/src/walk.rs", "lists folders"),
    (
        "daemon/src/walk/",
        "who owns ignore files, which are read through the gate; the user's own of git",
    ),
    ("daemon/src/doctor.rs", "our folders, the kernel's limits; counts folders; the worker's test"),
    ("daemon/src/gc.rs", "our indexes, and which are in use"),
    ("daemon/src/dirs.rs", "owner and modes of our folders"),
    ("daemon/src/service/workspaces.rs", "when we collected last"),
    ("daemon/src/root.rs", "whether a folder can be listed"),
    ("daemon/src/watch/mod.rs", "`.git` files that name a folder"),
    ("daemon/src/git.rs", "git with everything switched off, for the filter `changed:`"),
    ("daemon/src/connect.rs", "starts our own program; our log"),
    ("daemon/src/config/layers.rs", "the user's own settings"),
    ("daemon/src/logs.rs", "our logs"),
    ("daemon/src/logs/", "our logs"),
    ("daemon/src/budget.rs", "memory of the machine, of our control group and of ourselves"),
    ("daemon/src/engine/power.rs", "whether the machine is on battery"),
    ("daemon/src/store.rs", "our facts store"),
    ("daemon/src/server/mod.rs", "our lock"),
    ("daemon/src/openai/", "the loopback endpoint, only when `fovea serve` is run; its key's file"),
    ("daemon/src/service/mod.rs", "memory of our own processes"),
    ("daemon/src/sandbox/", "tries what is forbidden"),
    ("daemon/src/model_worker.rs", "starts our own program"),
    ("daemon/src/embedder.rs", "starts our own program"),
    ("daemon/src/remote/", "the server that the user named; the key's and the settings' own file"),
    ("daemon/src/models/", "models: fetched and added by the user's own command"),
    ("daemon/src/engine/files.rs", "our table of files"),
    ("daemon/src/engine/purge.rs", "our list of what is to be purged"),
    ("daemon/src/engine/versions.rs", "our list of earlier versions"),
    ("daemon/src/engine/links.rs", "names and inodes of links, no content"),
    ("daemon/src/engine/run.rs", "sizes of our own files"),
    ("daemon/src/commands/target.rs", "whether a file that the user names is there"),
    ("daemon/src/commands/demo.rs", "our sample projects"),
    ("daemon/src/commands/eval.rs", "files the user names"),
    ("daemon/src/eval/", "files the user names, to measure"),
    ("indexer/src/bm25/store.rs", "our index"),
    ("indexer/src/writer/manifest.rs", "our index"),
    ("indexer/src/writer/open.rs", "our index"),
    ("daemon/model/src/gguf/", "the model"),
    ("daemon/model/src/embed/files.rs", "the model"),
    ("daemon/build.rs", "our sources, while building"),
    ("xtask/", "chores of the repository"),
    ("tests/", "tests"),
    ("examples/", "examples"),
    ("daemon/tests/", "tests"),
    ("daemon/benches/", "benchmarks"),
    ("indexer/train/", "made by hand, not part of the program"),
];

/// One line a complaint about the file at `path` (relative, `/`-separated).
pub(crate) fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let is_test_file = path.contains("/examples/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || path.contains("/tests/")
        || path.contains("/benches/");
    let code: Vec<&str> = code_lines(text).collect();
    let is_chore = path.starts_with("xtask/");
    if !is_chore
        && !UNSAFE.iter().any(|allowed| path.starts_with(allowed))
        && code.iter().any(|line| has_unsafe(line))
    {
        complaints.push(format!("`unsafe` belongs into {}", UNSAFE.join(", ")));
    }
    let is_allowed = ALLOWED.iter().any(|(allowed, _)| path.starts_with(allowed));
    if is_allowed || is_test_file {
        return complaints;
    }
    for call in CALLS {
        if code.iter().any(|line| has_call(line, call)) {
            complaints.push(format!(
                "`{call}`: workspace content is read through `guard`; for anything else list the file in xtask/src/gate.rs"
            ));
        }
    }
    complaints
}

/// Lines before the tests, without comments.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    code.lines().map(|line| line.split("//").next().unwrap_or(line))
}

/// As a whole word: `GgufFile::open(` is another one.
fn has_call(line: &str, call: &str) -> bool {
    line.match_indices(call).any(|(at, _)| {
        !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
}

fn has_unsafe(line: &str) -> bool {
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"]
        .iter()
        .any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_unsafe_code_have_a_place() {
        let read = "//! Owns.\nfn a() { std::fs::read(path); }\n";
        assert_eq!(complaints("daemon/src/service/find.rs", read).len(), 1);
        assert_eq!(complaints("lsp/src/new.rs", read).len(), 1);
        assert!(complaints("daemon/src/guard/open.rs", read).is_empty());
        assert!(complaints("daemon/src/x.rs", "GgufFile::open(path)\n").is_empty());
        assert!(complaints("daemon/src/x.rs", "// fs::read(x) would be wrong\n").is_empty());
        let tests = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { fs::read(x); } }\n";
        assert!(complaints("daemon/src/x.rs", tests).is_empty());
        let open = "fn a() { unsafe { x() } }\n";
        assert_eq!(complaints("daemon/src/x.rs", open).len(), 1);
        assert!(complaints("daemon/model/src/kernels/avx2.rs", open).is_empty());
    }
}
