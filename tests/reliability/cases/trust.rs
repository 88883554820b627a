//! Section H: a repository has no power over the program or its user.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink},
    path::Path,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use fovea_api::{At, Encoding, Method};

use super::baits::{BAITS, Bait};
use crate::{
    client::Client,
    daemon::{Daemon, binary, command, run as run_program, wrapped},
    rng::Rng,
    sandbox::{self, text},
    suite::{NotHere, Suite},
    tree::{self, Tree},
};

pub(crate) fn run(suite: &mut Suite) {
    let n_baits = BAITS.len();
    suite.row(
        "H01",
        "bait repositories: nothing is run, connected or written outside",
        (n_baits, n_baits),
        |round, rng| bait(&BAITS[round], rng),
    );
    let n_keys = WIDENING.len();
    suite.row("H02", "a repository's settings that would widen", (n_keys, n_keys), |round, _| {
        widening(WIDENING[round])
    });
    super::remote::naming(suite);
    super::injection::agents(suite);
    suite.row("H07", "path arguments of every question", (1, 5), path_arguments);
    suite.row("H10", "modes of everything written, without a umask", (1, 3), modes);
    suite.row("H16", "a repository of another user", (1, 1), |_, rng| foreign_repository(rng));
    let squatters = SQUATTERS.len();
    suite.row(
        "H17",
        "something else where the socket belongs",
        (squatters, squatters),
        |round, _| squatted(SQUATTERS[round]),
    );
    suite.row("H18", "another user's daemon, another user's client", (2, 2), |round, _| {
        if round == 0 { foreign_daemon() } else { foreign_client() }
    });
}

/// Indexes and asks under strace: one program, no connection but to local sockets, and nothing opened
/// for writing but below our own folders.
fn bait((name, bait): &(&str, Bait), rng: &mut Rng) -> Result<String> {
    sandbox::need_strace()?;
    let (tree, home) = (Tree::generate(3, rng)?, tempfile::tempdir()?);
    let outside = tempfile::tempdir()?;
    let canary = outside.path().join("was-run");
    match bait {
        Bait::Files(files) => {
            let command = format!("touch {}", canary.display());
            for (path, content) in *files {
                let out = outside.path().to_string_lossy();
                let content = content.replace("{run}", &command).replace("{out}", &out);
                tree.write(path, content)?;
                // As a script it could be run.
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(tree.root.join(path), mode)?;
            }
        }
        Bait::Made(make) => make(&tree, outside.path())?,
    }
    let before = listing(outside.path());
    let log = home.path().join("strace");
    let calls = "trace=execve,execveat,connect,socket,open,openat,openat2,creat,mkdir,mkdirat,rename,\
                 renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,chmod,fchmodat,truncate";
    let strace = ["strace", "-f", "-qq", "-y", "-s", "4096", "-o", text(&log), "-e", calls];
    let started = Instant::now();
    for args in [&["index"][..], &["search", "bait value"]] {
        let all = [&["--no-daemon", "--root", text(&tree.root)], args].concat();
        let output = wrapped(&strace, home.path(), &all).output()?;
        let code = output.status.code();
        ensure!(
            code == Some(0) || code == Some(1),
            "{name}: {args:?} ended with {code:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        check_calls(&log, home.path())?;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(!shown.contains("outside_canary_value"), "{name}: shows what lies outside");
    }
    ensure!(started.elapsed().as_secs() < 30, "{name}: took {:?}", started.elapsed());
    ensure!(!canary.exists(), "{name}: a command was run");
    ensure!(listing(outside.path()) == before, "{name}: something was written outside");
    for file in tree::all_files(home.path()).iter().filter(|file| **file != log) {
        let bytes = fs::read(file)?;
        let needle = b"outside_canary_value";
        let holds = bytes.windows(needle.len()).any(|window| window == needle);
        ensure!(!holds, "{name}: {} holds what lies outside", file.display());
    }
    Ok(String::new())
}

fn listing(folder: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let files = tree::all_files(folder).into_iter();
    files.map(|file| (file.clone(), fs::metadata(&file).map_or(0, |m| m.len()))).collect()
}

fn check_calls(log: &Path, home: &Path) -> Result<()> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let n_started = text.lines().filter(|line| line.contains("execve")).count();
    ensure!(n_started == 1, "{n_started} programs were started");
    let home = text_of(home);
    for line in text.lines() {
        let foreign = line.contains("connect(") && !line.contains("AF_UNIX")
            || line.contains("socket(") && !line.contains("AF_UNIX");
        ensure!(!foreign, "a connection: {line}");
        let is_open = line.contains(" open");
        let writes = if is_open {
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| line.contains(flag))
        } else {
            !["execve", "connect(", "socket(", "+++", "---", "resumed", "???("]
                .iter()
                .any(|other| line.contains(other))
        };
        // A change names its folder or file, by path or by the descriptor's.
        let is_ours = line.contains(&home) || line.contains("/dev/null");
        ensure!(!writes || is_ours, "a write outside: {line}");
    }
    Ok(())
}

fn text_of(path: &Path) -> String {
    path.canonicalize().unwrap_or(path.to_owned()).to_string_lossy().into_owned()
}

/// Section (empty for none), key and value of a `.fovea.toml`.
const WIDENING: [(&str, &str, &str); 34] = [
    ("", "command", "\"/bin/sh\""),
    ("", "url", "\"http://127.0.0.1:9/\""),
    ("", "include", "[\"/etc/passwd\"]"),
    ("", "extends", "\"/etc/passwd\""),
    ("", "trust", "true"),
    ("", "telemetry", "true"),
    ("", "roots", "[\"/\"]"),
    ("", "proxy", "\"http://127.0.0.1:9/\""),
    ("", "redact", "false"),
    ("hooks", "post-index", "\"/bin/sh\""),
    ("remote", "url", "\"http://127.0.0.1:9/\""),
    ("remote", "headers", "\"Authorization: x\""),
    ("mcp", "listen", "\"0.0.0.0:80\""),
    ("http", "port", "80"),
    ("env", "PATH", "\"/tmp\""),
    ("index", "max-file-bytes", "1000000000"),
    ("index", "max-files", "1000000000"),
    ("index", "hidden", "true"),
    ("index", "threads", "64"),
    ("index", "exclude", "[\"!.env\"]"),
    ("context", "preset", "\"deep\""),
    ("model", "path", "\"/etc/passwd\""),
    ("model", "name", "\"other\""),
    ("model", "threads", "64"),
    ("model", "max-tokens", "100000"),
    ("model", "sandbox", "false"),
    ("model", "idle-unload-s", "0"),
    ("daemon", "idle-exit-s", "0"),
    ("daemon", "max-clients", "100000"),
    ("daemon", "max-workspaces", "100000"),
    ("daemon", "debounce-ms", "0"),
    ("daemon", "poll-interval-s", "1"),
    ("daemon", "watch", "false"),
    ("log", "level", "\"trace\""),
];

/// Without effect, and named in the status; also when the file comes later.
fn widening((section, key, value): (&str, &str, &str)) -> Result<String> {
    let (tree, home) = (Tree::empty()?, tempfile::tempdir()?);
    tree.write("a.py", "a = 1\n")?;
    let settings = || -> Result<String> {
        let args = ["--root", text(&tree.root), "--no-daemon", "--json", "config", "show"];
        let output = wrapped(&[], home.path(), &args).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let before = settings()?;
    let client = Client::in_process(home.path(), &tree.root)?;
    client.open()?;
    let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
    tree.write(".fovea.toml", format!("{header}{key} = {value}\n"))?;
    let status = client.sync()?;
    let name = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    let is_named = status.warnings.iter().any(|warning| warning.contains(&format!("`{name}`")));
    ensure!(is_named, "{name} is not named in the status: {:?}", status.warnings);
    ensure!(settings()? == before, "{name} had an effect");
    Ok(String::new())
}

/// No text from outside of the root comes by any path, whatever the question.
fn path_arguments(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(5, rng)?, tempfile::tempdir()?);
    let beside = format!("{}-sibling", text(&tree.root));
    fs::create_dir_all(&beside)?;
    let secret = format!("{beside}/secret.py");
    fs::write(&secret, "def outside_canary_value(): pass\n")?;
    symlink(&beside, tree.root.join("link"))?;
    let client = Client::in_process(home.path(), &tree.root)?;
    client.open()?;
    let name = tree.root.file_name().context("has a name")?.to_string_lossy().into_owned();
    let mut paths: Vec<String> = [
        "../{n}-sibling/secret.py",
        "./../{n}-sibling/secret.py",
        "a/../../{n}-sibling/secret.py",
        "..\\{n}-sibling\\secret.py",
        "%2e%2e/{n}-sibling/secret.py",
        "..%2f{n}-sibling%2fsecret.py",
        "link/secret.py",
        "link//secret.py",
        "link/./secret.py",
        "./link/secret.py",
        "link/secret.py/",
        "\0../{n}-sibling/secret.py",
        "../{n}-sibling/secret.py\0.py",
        "/proc/self/cwd/../{n}-sibling/secret.py",
        "file:///etc/passwd",
        "~/secret.py",
        "/etc/passwd",
        "//etc/passwd",
        "",
        ".",
        "..",
        "/",
        "CON",
        "a\nb",
    ]
    .iter()
    .map(|path| path.replace("{n}", &name))
    .collect();
    paths.push(secret.clone());
    paths.push(format!("{secret}/"));
    paths.push("x".repeat(70_000));
    let mut n_asked = 0;
    for path in &paths {
        let at = At { path: path.clone(), line: 0, column: 6, encoding: Encoding::Utf16 };
        for method in questions(path, &at) {
            let shown = format!("{:?}", client.try_ask(method)?);
            n_asked += 1;
            ensure!(!shown.contains("outside_canary_value"), "{path:?}: {shown:.300}");
            ensure!(!shown.contains("root:x:0"), "{path:?}: {shown:.300}");
        }
        // Whether something is there is nobody's business.
        let _ = client.edit(path, "x = 1\n");
        let _ = client.close(path);
    }
    fs::remove_dir_all(&beside)?;
    ensure!(n_asked >= 400, "{n_asked} questions");
    Ok(format!("{n_asked} questions"))
}

fn questions(path: &str, at: &At) -> Vec<Method> {
    let (path, at) = (path.to_owned(), at.clone());
    let preset = fovea_api::Preset::Balanced;
    vec![
        Method::Why { path: path.clone() },
        Method::Dump { after: None, path: Some(path.clone()) },
        Method::Definition { at: at.clone() },
        Method::Declaration { at: at.clone() },
        Method::TypeDefinition { at: at.clone() },
        Method::Implementations { at: at.clone() },
        Method::References { at: at.clone(), include_definition: true },
        Method::Hierarchy { at: at.clone() },
        Method::Signature { at: at.clone() },
        Method::Rename { at: at.clone(), new_name: Some("x".into()) },
        Method::Folds { path: path.clone() },
        Method::Around { cursors: vec![at.clone()] },
        Method::Callers { at: at.clone() },
        Method::Callees { at: at.clone() },
        Method::Impact { at: at.clone(), limit: 9 },
        Method::DocumentSymbols { path: path.clone() },
        Method::Lines { path: path.clone(), first: 0, last: 99 },
        Method::Outline { budget_tokens: 500, focus: Some(at.clone()) },
        Method::Context { at: at.clone(), preset, budget_tokens: None },
        Method::Offers { at, limit: 9, with_imports: true },
        Method::Touched { paths: vec![path] },
    ]
}

/// Everything in our folders is the user's alone, whatever the umask.
fn modes(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(10, rng)?, tempfile::tempdir()?);
    let script = format!(
        "umask 000; {0} --root {1} index && {0} --root {1} sync && {0} --root {1} search x; {0} doctor",
        binary().display(),
        text(&tree.root)
    );
    let mut shell = command(Path::new("sh"), &home.path().join("h"));
    shell.args(["-c", &script]).output()?;
    let mut n_seen = 0;
    let mut folders = vec![home.path().join("h")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let metadata = fs::symlink_metadata(entry.path())?;
            let (mode, kind) = (metadata.permissions().mode() & 0o777, metadata.file_type());
            if kind.is_dir() {
                folders.push(entry.path());
            }
            n_seen += 1;
            let is_private = mode & 0o077 == 0 || kind.is_symlink();
            let what = if kind.is_socket() { "socket" } else { "file" };
            ensure!(is_private, "{what} {} has mode {mode:o}", entry.path().display());
        }
    }
    let mut stop = command(&binary(), &home.path().join("h"));
    stop.args(["daemon", "stop"]).output()?;
    ensure!(n_seen > 10, "only {n_seen} entries");
    Ok(format!("{n_seen} files and folders"))
}

const NOBODY: &str = "65534";

fn as_nobody() -> Result<[&'static str; 4]> {
    sandbox::need_root()?;
    sandbox::need("setpriv")?;
    Ok(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
}

/// It is read like any other and gets nothing: our files are never written there.
fn foreign_repository(rng: &mut Rng) -> Result<String> {
    as_nobody()?;
    let (tree, home) = (Tree::generate(5, rng)?, tempfile::tempdir()?);
    tree.write(".fovea.toml", "[model]\npath = \"/etc/passwd\"\n")?;
    run_program("chown", &["-R", NOBODY, text(&tree.root)])?;
    let before = listing(&tree.root);
    let client = Client::in_process(home.path(), &tree.root)?;
    let status = client.open()?;
    ensure!(status.n_files >= 5, "{} files", status.n_files);
    client.sync()?;
    drop(client);
    ensure!(listing(&tree.root) == before, "the repository was written");
    let listed = run_program("find", &[text(&tree.root), "-user", "root"])?;
    ensure!(listed.is_empty(), "files of ours in it: {listed}");
    Ok(String::new())
}

const SQUATTERS: [&str; 5] = ["file", "folder", "link", "socket", "runtime folder of another user"];

/// The daemon takes the place of leftovers of its own user, and nothing of others.
fn squatted(what: &str) -> Result<String> {
    let (tree, home) = (Tree::empty()?, tempfile::tempdir()?);
    tree.write("a.py", "a = 1\n")?;
    // Where the socket of this build is.
    let probe = Daemon::start(home.path())?;
    let socket = probe.socket.clone();
    probe.kill()?;
    fs::remove_file(&socket)?;
    let target = home.path().join("target");
    fs::write(&target, "untouched")?;
    match what {
        "file" => fs::write(&socket, "x")?,
        "folder" => fs::create_dir(&socket)?,
        "link" => symlink(&target, &socket)?,
        "socket" => drop(std::os::unix::net::UnixListener::bind(&socket)?),
        _ => {
            as_nobody()?;
            run_program("chown", &[NOBODY, text(&home.path().join("run"))])?;
        }
    }
    let output = wrapped(&[], home.path(), &["--root", text(&tree.root), "index"]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    match what {
        "folder" => ensure!(!output.status.success() && errors.contains("cannot"), "{errors}"),
        "file" | "link" | "socket" => {
            ensure!(output.status.success(), "{errors}");
        }
        _ => ensure!(errors.contains("belongs to another user"), "{errors}"),
    }
    ensure!(fs::read_to_string(&target)? == "untouched", "the link was followed");
    let _ = wrapped(&[], home.path(), &["daemon", "stop"]).output()?;
    Ok(String::new())
}

/// A copy of the program that others can run, of the same build, in a folder that others can enter.
fn shared_place() -> Result<(tempfile::TempDir, std::path::PathBuf)> {
    let place = tempfile::tempdir()?;
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777))?;
    let program = place.path().join("fovea");
    run_program("cp", &["-p", text(&binary()), text(&program)])?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok((place, program))
}

/// Somebody else listens where our socket would be: we do not talk to them.
fn foreign_daemon() -> Result<String> {
    let nobody = as_nobody()?;
    let (place, program) = shared_place()?;
    let home = place.path().join("home");
    fs::create_dir(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777))?;
    let mut theirs = command(Path::new(nobody[0]), &home);
    theirs.args(&nobody[1..]).arg(&program).args(["daemon", "run"]);
    let daemon = Daemon::spawn(theirs, &home)?;
    let mut ours = command(&program, &home);
    let output = ours.args(["daemon", "status"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success() && said.contains("uid 65534"), "{said}");
    daemon.kill()?;
    Ok(String::new())
}

/// Somebody else got hold of our socket: they get no answer.
fn foreign_client() -> Result<String> {
    let nobody = as_nobody()?;
    let (place, program) = shared_place()?;
    let home = place.path().join("home");
    let mut ours = command(&program, &home);
    ours.args(["daemon", "run"]);
    let daemon = Daemon::spawn(ours, &home)?;
    for path in [home.clone(), home.join("run"), daemon.socket.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    }
    if !home.join("run").join(daemon.socket.file_name().context("named")?).exists() {
        return Err(NotHere("the socket lies elsewhere".into()).into());
    }
    let ask = format!(
        "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect('{}')\n\
         b=b'{{\"frame\":\"request\",\"id\":1,\"root\":null,\"method\":\"status\"}}'\n\
         s.settimeout(5)\n\
         try:\n s.sendall(len(b).to_bytes(4,'little')+b)\n d=s.recv(100)\n\
         except OSError: d=b''\nprint('answer',len(d))",
        daemon.socket.display()
    );
    // One that others can run, too.
    let python = "/usr/bin/python3";
    sandbox::need(python)?;
    let answer = |before: &[&str]| -> Result<String> {
        let all = [before, &[python, "-c", &ask]].concat();
        run_program(all[0], &all[1..])
    };
    let ours = answer(&[])?;
    ensure!(ours.trim() != "answer 0", "the user's own client is not answered");
    let theirs = answer(&nobody)?;
    ensure!(theirs.trim() == "answer 0", "another user is answered: {theirs}");
    let log = daemon.log();
    ensure!(log.contains("uid 65534"), "it is not in the log: {log}");
    daemon.stop()?;
    Ok(String::new())
}
