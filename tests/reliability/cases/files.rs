//! Section E: links, devices, names, permissions, mounts, hostile repositories.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    client::Client,
    daemon::{Daemon, run as run_program, wrapped},
    oracle,
    rng::Rng,
    sandbox::{self, Mount},
    suite::Suite,
    tree::{self, Tree},
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("E01", "loops and chains of links", (1, 5), link_loops);
    suite.row("E02", "links that lead outside", (1, 5), link_escapes);
    let n_swaps = suite.n(2_000, 200_000);
    suite.row("E02r", "a file swapped with a link while it is read", (1, 3), |_, rng| {
        swapped(n_swaps, rng)
    });
    suite.row("E03", "pipes, sockets, devices", (1, 5), devices);
    suite.row("E04", "unreadable files and folders, as a plain user", (1, 5), unreadable);
    suite.row("E05", "files replaced while they are read", (1, 20), replaced_while_read);
    suite.row("E06", "names that are hard to write", (1, 5), names);
    suite.row("E07", "names equal but for case or composition", (1, 5), like_names);
    suite.row("E08", "hard links", (1, 5), hard_links);
    suite.row("E09", "links to nothing and into ignored folders", (1, 5), dangling);
    suite.row("E10", "a file system mounted inside the root", (1, 5), mounted);
    suite.row("E13", "a .git file that points elsewhere", (1, 5), git_file);
    super::owners::run(suite);
    suite.row(
        "E15",
        "hostile git settings: nothing is run, nothing connected",
        (1, 5),
        hostile_git,
    );
}

const CANARY: &str = "outside_canary_value";

fn open(tree: &Tree) -> Result<(tempfile::TempDir, Client)> {
    let home = tempfile::tempdir()?;
    let client = Client::in_process(home.path(), &tree.root)?;
    client.open()?;
    Ok((home, client))
}

fn ready_within(client: &Client, limit: Duration) -> Result<()> {
    let started = Instant::now();
    client.sync()?;
    ensure!(started.elapsed() < limit, "sync took {} ms", started.elapsed().as_millis());
    Ok(())
}

fn link_loops(_: usize, rng: &mut Rng) -> Result<String> {
    let tree = Tree::generate(10, rng)?;
    let root = &tree.root;
    symlink("self", root.join("self"))?;
    symlink("pair_b", root.join("pair_a"))?;
    symlink("pair_a", root.join("pair_b"))?;
    fs::create_dir_all(root.join("a/b/c"))?;
    symlink("../../..", root.join("a/b/c/up"))?;
    symlink(root, root.join("a/root"))?;
    symlink(".", root.join("a/here"))?;
    for index in 0..1_000 {
        symlink(format!("chain{}", index + 1), root.join(format!("chain{index}")))?;
    }
    let real = tree.files().len();
    let (_home, client) = open(&tree)?;
    let status = client.sync()?;
    ensure!(status.n_files == real, "{} files of {real}", status.n_files);
    let (outcome, reason) = client.why("self")?;
    ensure!(outcome == "skipped" && reason.contains("link"), "self: {outcome}, {reason}");
    Ok(String::new())
}

fn no_canary(client: &Client) -> Result<()> {
    ensure!(client.grep(CANARY, 9)?.is_empty(), "text from outside is found");
    ensure!(!client.dump()?.contains(CANARY), "names from outside are indexed");
    Ok(())
}

fn link_escapes(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, outside) = (Tree::generate(10, rng)?, tempfile::tempdir()?);
    let secret = outside.path().join("secret.py");
    fs::write(&secret, format!("def {CANARY}(): pass\n"))?;
    symlink(&secret, tree.root.join("link.py"))?;
    symlink(outside.path(), tree.root.join("folder"))?;
    symlink("/proc/self/root", tree.root.join("proc"))?;
    symlink("link.py", tree.root.join("twice.py"))?;
    let (home, client) = open(&tree)?;
    no_canary(&client)?;
    for path in ["link.py", "folder/secret.py", "twice.py", "../secret.py", "/etc/passwd"] {
        ensure!(client.symbols(path).is_err(), "{path} is answered");
        ensure!(client.why(path).map_or(true, |(o, _)| o != "indexed"), "{path} is indexed");
    }
    // Links that appear later, also in place of a file that is indexed.
    let file = tree.files()[0].clone();
    fs::remove_file(tree.root.join(&file))?;
    symlink(&secret, tree.root.join(&file))?;
    client.sync()?;
    no_canary(&client)?;
    oracle::check(&client, &tree.root)?;
    drop(client);
    for file in tree::all_files(home.path()) {
        let bytes = fs::read(&file)?;
        let is_there = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        ensure!(!is_there, "{} holds text from outside", file.display());
    }
    Ok(String::new())
}

fn swapped(n_swaps: usize, rng: &mut Rng) -> Result<String> {
    let (tree, outside) = (Tree::generate(10, rng)?, tempfile::tempdir()?);
    let secret = outside.path().join("secret.py");
    fs::write(&secret, format!("def {CANARY}(): pass\n"))?;
    let (_home, client) = open(&tree)?;
    let target = tree.root.join("swap.py");
    let (link, file) = (tree.root.join(".git/link"), tree.root.join(".git/file"));
    std::thread::scope(|scope| -> Result<()> {
        let swapping = scope.spawn(|| -> Result<()> {
            for index in 0..n_swaps {
                if index % 2 == 0 {
                    symlink(&secret, &link)?;
                    fs::rename(&link, &target)?;
                } else {
                    fs::write(&file, format!("inside_{index} = 1\n"))?;
                    fs::rename(&file, &target)?;
                }
            }
            Ok(())
        });
        while !swapping.is_finished() {
            client.sync()?;
            no_canary(&client)?;
        }
        swapping.join().expect("the thread does not panic")
    })?;
    oracle::check(&client, &tree.root)?;
    Ok(format!("{n_swaps} swaps"))
}

fn devices(_: usize, rng: &mut Rng) -> Result<String> {
    let tree = Tree::generate(10, rng)?;
    let at = |name: &str| tree.root.join(name);
    run_program("mkfifo", &[sandbox::text(&at("pipe.py"))])?;
    let _listener = UnixListener::bind(at("socket.py"))?;
    let is_root = sandbox::is_root();
    if is_root {
        run_program("mknod", &[sandbox::text(&at("zero.py")), "c", "1", "5"])?;
        run_program("mknod", &[sandbox::text(&at("random.rs")), "c", "1", "9"])?;
    }
    let started = Instant::now();
    let (_home, client) = open(&tree)?;
    ready_within(&client, Duration::from_secs(5))?;
    ensure!(started.elapsed() < Duration::from_secs(20), "indexing hangs at a device");
    for name in ["pipe.py", "socket.py"] {
        let (outcome, reason) = client.why(name)?;
        ensure!(
            outcome == "skipped" && reason.contains("plain file"),
            "{name}: {outcome}, {reason}"
        );
        ensure!(client.symbols(name).is_err(), "{name} is answered");
    }
    // A file that becomes a pipe.
    let file = tree.files()[0].clone();
    fs::remove_file(tree.root.join(&file))?;
    run_program("mkfifo", &[sandbox::text(&tree.root.join(&file))])?;
    ready_within(&client, Duration::from_secs(5))?;
    ensure!(client.symbols(&file).is_err(), "a pipe has symbols");
    Ok(String::new())
}

fn unreadable(_: usize, rng: &mut Rng) -> Result<String> {
    sandbox::need_root()?;
    sandbox::need("setpriv")?;
    let tree = Tree::generate(20, rng)?;
    let home = tempfile::tempdir()?;
    tree.write("closed.py", "def closed(): pass\n")?;
    tree.write("closed/inner.py", "def inner(): pass\n")?;
    tree.write("listed/inner.py", "def inner(): pass\n")?;
    run_program("chown", &["-R", "65534:65534", sandbox::text(home.path())])?;
    run_program("chmod", &["-R", "a+rX", sandbox::text(tree.root.parent().expect("a parent"))])?;
    for (mode, path) in [("000", "closed.py"), ("000", "closed"), ("644", "listed")] {
        run_program("chmod", &[mode, sandbox::text(&tree.root.join(path))])?;
    }
    let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let root = sandbox::text(&tree.root);
    let ask = |args: &[&str]| -> Result<String> {
        let all = [&["--no-daemon", "--root", root], args].concat();
        let output = wrapped(&user, home.path(), &all).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(text)
    };
    // The binary must be within the plain user's reach.
    if ask(&["config", "path"]).is_err() {
        return Err(crate::suite::NotHere("a plain user cannot run the binary".into()).into());
    }
    let status = ask(&["status", "--json"])?;
    ensure!(status.contains("closed.py"), "the unreadable file is not named: {status}");
    ensure!(!ask(&["dump"])?.contains("name inner"), "an unreadable folder is indexed");
    run_program("chmod", &["-R", "a+rX", root])?;
    let dump = ask(&["dump"])?;
    ensure!(dump.contains("file closed/inner.py"), "readable again, and not seen");
    Ok(String::new())
}

fn replaced_while_read(_: usize, rng: &mut Rng) -> Result<String> {
    let tree = Tree::generate(10, rng)?;
    let (_home, client) = open(&tree)?;
    let path = tree.root.join("torn.py");
    // Either all of one letter or all of the other; anything else was torn.
    let version = |letter: char, n: usize| format!("# {}\n", letter.to_string().repeat(n));
    std::thread::scope(|scope| -> Result<()> {
        let writing = scope.spawn(|| -> Result<()> {
            for index in 0..1_500 {
                let n = if index % 3 == 0 { 200_000 } else { 100_000 };
                fs::write(&path, version(if index % 2 == 0 { 'a' } else { 'b' }, n))?;
            }
            Ok(())
        });
        while !writing.is_finished() {
            client.sync()?;
            sleep(Duration::from_millis(5));
        }
        writing.join().expect("the thread does not panic")
    })?;
    oracle::check(&client, &tree.root)?;
    Ok(String::new())
}

fn names(_: usize, rng: &mut Rng) -> Result<String> {
    let tree = Tree::generate(5, rng)?;
    let long = format!("{}.py", "n".repeat(252));
    let names = [
        "new\nline.py",
        "esc\x1b[31m.py",
        "-rf.py",
        "dots...py",
        "trailing .py",
        "space at end ",
        "quote\".py",
        "back\\slash.py",
        "tab\t.py",
        "star*.py",
        "q?.py",
        "#hash.py",
        "%41.py",
        "~.py",
        "\u{202e}yp.py",
        "👩‍👩‍👧‍👦.py",
        "CON.py",
        "file:x.py",
        long.as_str(),
    ];
    for (index, name) in names.iter().enumerate() {
        tree.write(name, format!("def named_{index}(): pass\n"))?;
    }
    let not_utf8 = std::ffi::OsStr::from_bytes(b"bad\xff\xfename.py");
    fs::write(tree.root.join(not_utf8), "def bad(): pass\n")?;
    // 40 folders deep, and a path longer than the kernel takes at once is not made.
    let deep = format!("{}deep.py", "d/".repeat(200));
    tree.write(&deep, "def deep(): pass\n")?;
    let (_home, client) = open(&tree)?;
    for (index, name) in names.iter().enumerate() {
        if !name.ends_with(".py") {
            // Of no language: searched, without symbols.
            ensure!(client.why(name)?.0 == "indexed", "{name:?} is not indexed");
            continue;
        }
        let symbols = client.symbols(name).with_context(|| format!("{name:?}"))?;
        ensure!(symbols == [format!("named_{index}")], "{name:?} has {symbols:?}");
    }
    ensure!(client.symbols(&deep)? == ["deep"], "the deep file is lost");
    let status = client.sync()?;
    let named = status.skipped.iter().any(|skipped| skipped.reason.contains("UTF-8"));
    ensure!(named, "the name that is not UTF-8 is not listed: {:?}", status.skipped);
    oracle::check(&client, &tree.root)?;
    Ok(format!("{} names", names.len() + 2))
}

fn like_names(_: usize, rng: &mut Rng) -> Result<String> {
    let tree = Tree::generate(5, rng)?;
    tree.write("Case.py", "def upper(): pass\n")?;
    tree.write("case.py", "def lower(): pass\n")?;
    if fs::read_to_string(tree.root.join("Case.py"))?.contains("lower") {
        return Err(
            crate::suite::NotHere("names differ only by case on other systems".into()).into()
        );
    }
    tree.write("caf\u{e9}.py", "def composed(): pass\n")?;
    tree.write("cafe\u{301}.py", "def decomposed(): pass\n")?;
    let (_home, client) = open(&tree)?;
    for (path, name) in [
        ("Case.py", "upper"),
        ("case.py", "lower"),
        ("caf\u{e9}.py", "composed"),
        ("cafe\u{301}.py", "decomposed"),
    ] {
        ensure!(client.symbols(path)? == [name], "{path}");
    }
    fs::rename(tree.root.join("Case.py"), tree.root.join("CASE.py"))?;
    oracle::check(&client, &tree.root)?;
    ensure!(client.symbols("CASE.py")? == ["upper"], "renamed by case alone");
    Ok(String::new())
}

fn hard_links(_: usize, rng: &mut Rng) -> Result<String> {
    let tree = Tree::generate(5, rng)?;
    tree.write("one.py", "def first(): pass\n")?;
    fs::hard_link(tree.root.join("one.py"), tree.root.join("two.py"))?;
    let (_home, client) = open(&tree)?;
    for (path, name) in [("one.py", "second"), ("two.py", "third")] {
        // In place, so that both names still mean the same file.
        let mut file = fs::File::options().write(true).truncate(true).open(tree.root.join(path))?;
        std::io::Write::write_all(&mut file, format!("def {name}(): pass\n").as_bytes())?;
        oracle::check(&client, &tree.root)?;
        ensure!(
            client.symbols("one.py")? == [name] && client.symbols("two.py")? == [name],
            "{name}"
        );
    }
    Ok(String::new())
}

fn dangling(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(5, rng)?, tempfile::tempdir()?);
    tree.write(".gitignore", "ignored/\n")?;
    tree.write("ignored/deep/inner.py", format!("def {CANARY}(): pass\n"))?;
    let n = 200;
    for index in 0..n {
        symlink("no/such/place.py", tree.root.join(format!("dangling_{index}.py")))?;
    }
    symlink("ignored/deep", tree.root.join("into"))?;
    symlink("ignored/deep/inner.py", tree.root.join("inner.py"))?;
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    for index in 0..n {
        let link = tree.root.join(format!("dangling_{index}.py"));
        // Again, with something to see in its folder.
        fs::remove_file(&link)?;
        symlink("still/nowhere.py", &link)?;
    }
    client.sync()?;
    no_canary(&client)?;
    oracle::check(&client, &tree.root)?;
    let log = daemon.log();
    let n_lines = log.lines().filter(|line| line.contains("dangling_")).count();
    ensure!(n_lines <= n, "{n_lines} lines in the log about {n} links");
    daemon.check_alive()?;
    Ok(format!("{n} links, {n_lines} lines in the log"))
}

fn mounted(_: usize, rng: &mut Rng) -> Result<String> {
    let tree = Tree::generate(5, rng)?;
    let mount = Mount::tmpfs("size=4m")?;
    fs::write(mount.at.join("inner.py"), "def mounted(): pass\n")?;
    let inside = tree.root.join("mounted");
    fs::create_dir(&inside)?;
    run_program("mount", &["--bind", sandbox::text(&mount.at), sandbox::text(&inside)])?;
    let outcome = (|| -> Result<()> {
        let (_home, client) = open(&tree)?;
        let (outcome, reason) = client.why("mounted/inner.py")?;
        ensure!(
            outcome == "indexed" || outcome == "skipped" && !reason.is_empty(),
            "mounted/inner.py is {outcome} ({reason})"
        );
        oracle::check(&client, &tree.root)
    })();
    run_program("umount", &["-l", sandbox::text(&inside)])?;
    outcome.map(|()| String::new())
}

fn git_file(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, outside) = (Tree::generate(5, rng)?, tempfile::tempdir()?);
    let secret = outside.path().join("objects");
    fs::create_dir_all(&secret)?;
    fs::write(secret.join("canary.py"), format!("def {CANARY}(): pass\n"))?;
    fs::remove_dir_all(tree.root.join(".git"))?;
    for text in [
        format!("gitdir: {}\n", outside.path().display()),
        "gitdir: ../../../../../../etc\n".to_owned(),
        "gitdir: .git\n".to_owned(),
        "not a git file at all".repeat(1_000),
        String::new(),
    ] {
        fs::write(tree.root.join(".git"), text)?;
        let (_home, client) = open(&tree)?;
        no_canary(&client)?;
        oracle::check(&client, &tree.root)?;
    }
    Ok(String::new())
}

fn hostile_git(_: usize, rng: &mut Rng) -> Result<String> {
    sandbox::need_strace()?;
    let (tree, home) = (Tree::generate(20, rng)?, tempfile::tempdir()?);
    let canary = home.path().join("was-run");
    let touch = format!("touch {}", canary.display());
    let config = format!(
        "[core]\n fsmonitor = {touch}\n hooksPath = hooks\n sshCommand = {touch}\n pager = {touch}\n \
         worktree = /etc\n[filter \"x\"]\n clean = {touch}\n smudge = {touch}\n[diff]\n external = {touch}\n \
         [diff \"x\"]\n textconv = {touch}\n[include]\n path = /etc/passwd\n[alias]\n status = !{touch}\n"
    );
    tree.write(".git/config", config)?;
    tree.write(".git/HEAD", "ref: refs/heads/../../../../etc/passwd\n")?;
    tree.write(".git/index", [0xFF; 64])?;
    tree.write(".git/hooks/post-checkout", format!("#!/bin/sh\n{touch}\n"))?;
    tree.write(".gitattributes", "* filter=x diff=x\n")?;
    tree.write(".gitmodules", format!("[submodule \"x\"]\n path = x\n url = ext::{touch}\n"))?;
    for (path, text) in [
        (".envrc", &touch),
        ("build.rs", &format!("fn main() {{ std::process::Command::new(\"{touch}\"); }}")),
        (".cargo/config.toml", &format!("[build]\nrustc-wrapper = \"{touch}\"\n")),
        ("Makefile", &format!("all:\n\t{touch}\n")),
        ("package.json", &format!("{{\"scripts\":{{\"preinstall\":\"{touch}\"}}}}")),
        (".vscode/settings.json", &format!("{{\"fovea.path\":\"{touch}\"}}")),
    ] {
        tree.write(path, text)?;
    }
    let log = home.path().join("strace");
    let before =
        ["strace", "-f", "-qq", "-o", sandbox::text(&log), "-e", "trace=execve,connect,socket"];
    for args in [&["index"][..], &["search", "parse"], &["grep", "def"], &["dump"]] {
        let all = [&["--no-daemon", "--root", sandbox::text(&tree.root)], args].concat();
        let output = wrapped(&before, home.path(), &all).output()?;
        ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        check_calls(&log)?;
    }
    ensure!(!canary.exists(), "a command of the repository was run");
    Ok(String::new())
}

/// Of programs only ours was started, of sockets only local ones were made.
fn check_calls(log: &Path) -> Result<()> {
    let text = fs::read_to_string(log)?;
    let n_started = text.lines().filter(|line| line.contains("execve(")).count();
    ensure!(n_started == 1, "programs were started: {text:.500}");
    let foreign = text.lines().find(|line| {
        line.contains("connect(") && !line.contains("AF_UNIX") || line.contains("socket(AF_INET")
    });
    ensure!(foreign.is_none(), "a connection: {foreign:?}");
    Ok(())
}
