//! Remote back ends: only the user's own settings name one, what leaves is clean, the key stays with
//! its server, and a server that misbehaves costs nothing but its own answer.

use std::{
    fs,
    io::{self, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fovea_api::{Answer, At, CompletionSource, Encoding, Method, Preset, Suggestion};
use fovea_test_support::http::{self, HttpServer, Received};

use crate::{
    client::Client,
    daemon::{Daemon, wrapped},
    rng::Rng,
    sandbox::text,
    suite::Suite,
    tree::{self, Tree},
};

/// Hostile or broken servers: row G11.
pub(crate) fn misbehaving(suite: &mut Suite) {
    let n = MODES.len();
    suite.row("G11", "servers that misbehave", (n, n), |round, _| mode(&MODES[round]));
}

/// Who can name a server, and which: rows H05 and H15.
pub(crate) fn naming(suite: &mut Suite) {
    let n = FIXTURES.len();
    suite.row("H05", "a repository that would move the server or its key", (n, n), |round, _| {
        fixture(FIXTURES[round])
    });
    let n = ADDRESSES.len();
    suite.row(
        "H15",
        "addresses that are not used, in the user's own settings",
        (n, n),
        |round, _| address(ADDRESSES[round]),
    );
}

/// What leaves, and where the key is: rows I06 and I10.
pub(crate) fn leaving(suite: &mut Suite) {
    suite.row("I06", "secrets in what is sent to a server", (8, 80), secrets);
    suite.row("I10", "the server's key in everything written and shown", (1, 3), |_, _| key());
}

const KEY: &str = "sk-reliability-0123456789";
const CODE: &str = "from shapes import Shape\n\n\ndef total(shape: Shape):\n    return shape.\n";
/// Given up after this long, in the settings of these cases.
const TIMEOUT_MS: u64 = 600;

fn repository() -> Result<Tree> {
    let tree = Tree::empty()?;
    tree.write("shapes.py", "class Shape:\n    def area(self):\n        return 1\n")?;
    tree.write("main.py", CODE)?;
    Ok(tree)
}

/// The user's settings, and a private key file in the home.
fn settings(home: &Path, url: &str, more: &str) -> Result<()> {
    let key = home.join("server-key");
    private(&key, KEY)?;
    fs::create_dir_all(home.join("config"))?;
    let key = text(&key);
    let remote =
        format!("[remote]\nurl = \"{url}\"\nkey-file = \"{key}\"\ntimeout-ms = {TIMEOUT_MS}\n");
    private(&home.join("config/config.toml"), &format!("{remote}{more}"))
}

fn private(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text)?;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(0o600))?)
}

fn complete(client: &Client) -> Result<Option<Suggestion>> {
    let at = At { path: "main.py".into(), line: 4, column: 17, encoding: Encoding::Utf32 };
    let answer = client.ask(Method::Complete {
        at,
        preset: Preset::Balanced,
        budget_tokens: None,
        max_tokens: Some(16),
        with_context: true,
        multi_line: false,
        use_model: true,
    })?;
    match answer {
        Answer::Suggestion(suggestion) => Ok(suggestion),
        answer => bail!("a suggestion was expected: {answer:?}"),
    }
}

fn area(_: &Received, stream: &mut TcpStream) -> io::Result<()> {
    http::begin(stream, "text/event-stream")?;
    write!(stream, "data: {{\"choices\":[{{\"text\":\"area()\"}}]}}\n\ndata: [DONE]\n\n")
}

type Reply = fn(&str, &mut TcpStream) -> io::Result<()>;

/// Name, how it answers (given the address of another server), and whether the answer is usable.
type Mode = (&'static str, Reply, bool);

fn sse(stream: &mut TcpStream, events: &[&str]) -> io::Result<()> {
    http::begin(stream, "text/event-stream")?;
    events.iter().try_for_each(|event| write!(stream, "data: {event}\n\n"))
}

fn status(stream: &mut TcpStream, status: &str) -> io::Result<()> {
    let body = format!("{{\"error\":{{\"message\":\"no; your key is {KEY}\\u001b[2J\"}}}}");
    http::reply(stream, status, "application/json", &body)
}

fn redirect(stream: &mut TcpStream, status: &str, target: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} Elsewhere\r\nLocation: {target}/v1/completions\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    )
}

/// Until the client hangs up, or for as long as nobody should have to wait.
fn endless(stream: &mut TcpStream, part: &str, pause_ms: u64) -> io::Result<()> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        stream.write_all(part.as_bytes())?;
        if pause_ms > 0 {
            std::thread::sleep(Duration::from_millis(pause_ms));
        }
    }
    Ok(())
}

#[rustfmt::skip]
const MODES: [Mode; 44] = [
    ("answers", |_, stream| sse(stream, &[r#"{"choices":[{"text":"area()"}]}"#, "[DONE]"]), true),
    ("answers at once", |_, stream| http::reply(stream, "200 OK", "application/json", r#"{"choices":[{"text":"area()"}]}"#), true),
    ("closes at once", |_, _| Ok(()), false),
    ("says nothing", |_, stream| { let _ = http::closed(stream); Ok(()) }, false),
    ("a header a byte at a time", |_, stream| endless(stream, "x", 20), false),
    ("a header without end", |_, stream| endless(stream, "X-More: more\r\n", 0), false),
    ("a header line of a megabyte", |_, stream| write!(stream, "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)), false),
    ("stalls in its text", |_, stream| { sse(stream, &[r#"{"choices":[{"text":"ar"}]}"#])?; let _ = http::closed(stream); Ok(()) }, false),
    ("stalls in an event", |_, stream| { http::begin(stream, "text/event-stream")?; write!(stream, "data: {{\"cho")?; let _ = http::closed(stream); Ok(()) }, false),
    ("text without end", |_, stream| { http::begin(stream, "text/event-stream")?; endless(stream, "data: {\"choices\":[{\"text\":\"xy \"}]}\n\n", 0) }, true),
    ("empty events without end", |_, stream| { http::begin(stream, "text/event-stream")?; endless(stream, "data: {\"choices\":[{\"text\":\"\"}]}\n\n", 0) }, false),
    ("comments without end", |_, stream| { http::begin(stream, "text/event-stream")?; endless(stream, ": more\n", 0) }, false),
    ("a line without end", |_, stream| { http::begin(stream, "text/event-stream")?; endless(stream, &"x".repeat(4096), 0) }, false),
    ("one value without end", |_, stream| { http::begin(stream, "application/json")?; write!(stream, "{{\"choices\":\"")?; endless(stream, &"x".repeat(4096), 0) }, false),
    ("brackets without end", |_, stream| { http::begin(stream, "application/json")?; endless(stream, "[[[[[[[[", 0) }, false),
    ("ten gigabytes announced", |_, stream| { write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n")?; endless(stream, &" ".repeat(4096), 0) }, false),
    ("no JSON", |_, stream| sse(stream, &["hello"]), false),
    ("cut JSON", |_, stream| sse(stream, &[r#"{"choices":[{"te"#]), false),
    ("other JSON", |_, stream| sse(stream, &[r#"[1, 2]"#]), false),
    ("numbers for text", |_, stream| sse(stream, &[r#"{"choices":[{"text":7}]}"#, "[DONE]"]), true),
    ("no choices", |_, stream| sse(stream, &[r#"{"choices":[]}"#]), false),
    ("an error in the stream", |_, stream| sse(stream, &[r#"{"choices":[{"text":"ar"}]}"#, r#"{"error":{"message":"overloaded"}}"#]), false),
    ("no UTF-8", |_, stream| { http::begin(stream, "text/event-stream")?; stream.write_all(b"data: \xff\xfe\n\n") }, false),
    ("a page", |_, stream| http::reply(stream, "200 OK", "text/html", "<html>area()</html>"), false),
    ("no type", |_, stream| write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{{}}"), false),
    ("no content", |_, stream| write!(stream, "HTTP/1.1 204 No Content\r\n\r\n"), false),
    ("no HTTP", |_, stream| write!(stream, "hello\r\n\r\n"), false),
    ("an odd status", |_, stream| write!(stream, "HTTP/1.1 9999 X\r\n\r\n"), false),
    ("a bad chunk", |_, stream| write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"), false),
    ("compressed nonsense", |_, stream| { write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x08ab") }, false),
    ("refuses the key", |_, stream| status(stream, "401 Unauthorized"), false),
    ("forbids", |_, stream| status(stream, "403 Forbidden"), false),
    ("knows no such thing", |_, stream| status(stream, "404 Not Found"), false),
    ("finds it too large", |_, stream| status(stream, "413 Payload Too Large"), false),
    ("is asked too often", |_, stream| status(stream, "429 Too Many Requests"), false),
    ("is broken", |_, stream| status(stream, "500 Internal Server Error"), false),
    ("is behind a broken one", |_, stream| status(stream, "502 Bad Gateway"), false),
    ("is overloaded", |_, stream| status(stream, "503 Service Unavailable"), false),
    ("moved", |other, stream| redirect(stream, "301", other), false),
    ("found elsewhere", |other, stream| redirect(stream, "302", other), false),
    ("see other", |other, stream| redirect(stream, "303", other), false),
    ("moved for now", |other, stream| redirect(stream, "307", other), false),
    ("moved for good", |other, stream| redirect(stream, "308", other), false),
    ("hostile text", |_, stream| sse(stream, &[r#"{"choices":[{"text":"area()\u001b[2J\u202e # \u200b\u0000"}]}"#, "[DONE]"]), true),
];

/// The answer comes in time, says what is wrong, and shows nothing hostile; the daemon stays as it is.
fn mode((name, answer, is_usable): &Mode) -> Result<String> {
    let other = HttpServer::start(area);
    let (target, answer) = (other.url(), *answer);
    let server = HttpServer::start(move |_, stream| answer(&target, stream));
    let (tree, home) = (repository()?, tempfile::tempdir()?);
    settings(home.path(), &server.url(), "")?;
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    client.symbols("main.py")?;
    let before = daemon.proc("status", "VmHWM:");
    let started = Instant::now();
    let suggestion = complete(&client).with_context(|| (*name).to_owned())?;
    let took = started.elapsed();
    ensure!(took < Duration::from_millis(TIMEOUT_MS + 3_000), "{name}: took {took:?}");
    ensure!(server.received().len() == 1, "{name}: asked {} times", server.received().len());
    ensure!(other.n_connections() == 0, "{name}: another server was asked");
    daemon.check_alive()?;
    let grown = daemon.proc("status", "VmHWM:").saturating_sub(before);
    // A debug build; the first completion itself takes some.
    ensure!(grown <= 24 << 10, "{name}: {grown} KiB more memory");
    ensure!(!client.symbols("shapes.py")?.is_empty(), "{name}: other answers suffer");
    let shown = format!("{suggestion:?}");
    ensure!(!shown.contains(KEY), "{name}: the key is shown: {shown}");
    let is_clean =
        |text: &str| !text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
    if let Some(suggestion) = &suggestion {
        ensure!(is_clean(&suggestion.text), "{name}: {shown}");
        let is_remote = suggestion.source == CompletionSource::Remote;
        ensure!(*is_usable || !is_remote, "{name}: used all the same: {shown}");
        let notice = suggestion.notice.as_deref().unwrap_or_default();
        ensure!(*is_usable || notice.contains("remote back end"), "{name}: not said: {shown}");
    }
    let Answer::Status { daemon: status, .. } = client.ask(Method::Status)? else {
        bail!("a status was expected")
    };
    let remote = status.model.remote.context("it is named")?;
    ensure!(remote.n_requests == 1, "{name}: {remote:?}");
    ensure!(*is_usable == (remote.n_failed == 0), "{name}: {remote:?}");
    ensure!(*is_usable || remote.problem.is_some(), "{name}: {remote:?}");
    ensure!(!daemon.log().contains(KEY), "{name}: the key is in the log");
    Ok(String::new())
}

/// Files of a repository (`{evil}` is an address), or variables of the environment.
type Fixture = (&'static str, &'static str);

const FIXTURES: [Fixture; 24] = [
    (".fovea.toml", "[remote]\nurl = \"{evil}\"\n"),
    (".fovea.toml", "[remote]\nurl = \"{evil}\"\nenabled = true\n"),
    (".fovea.toml", "remote = { url = \"{evil}\" }\n"),
    (".fovea.toml", "remote.url = \"{evil}\"\n"),
    (".fovea.toml", "[remote]\napi = \"ollama\"\nmodel = \"x\"\n"),
    (".fovea.toml", "[remote]\nkey-env = \"PATH\"\n"),
    (".fovea.toml", "[remote]\nkey-file = \"/etc/passwd\"\n"),
    (".fovea.toml", "[remote]\nca-file = \"/etc/passwd\"\n"),
    (".fovea.toml", "[remote]\ntimeout-ms = 1\n"),
    (".fovea.toml", "[remote]\nproxy = \"{evil}\"\nheaders = [\"X: y\"]\n"),
    ("config.toml", "[remote]\nurl = \"{evil}\"\n"),
    (".config/fovea/config.toml", "[remote]\nurl = \"{evil}\"\n"),
    ("fovea/config.toml", "[remote]\nurl = \"{evil}\"\n"),
    (".env", "FOVEA_REMOTE_URL={evil}\nhttps_proxy={evil}\nhttp_proxy={evil}\n"),
    (".envrc", "export FOVEA_REMOTE_URL={evil}\n"),
    (".npmrc", "proxy={evil}\n"),
    (".curlrc", "proxy={evil}\n"),
    (".git/config", "[http]\n\tproxy = {evil}\n"),
    (".vscode/settings.json", "{\"http.proxy\":\"{evil}\",\"fovea.remote.url\":\"{evil}\"}"),
    ("$FOVEA_REMOTE_URL", "{evil}"),
    ("$FOVEA_REMOTE_KEY_FILE", "/etc/passwd"),
    ("$http_proxy", "{evil}"),
    ("$HTTPS_PROXY", "{evil}"),
    ("$ALL_PROXY", "{evil}"),
];

/// The named server gets the key and the question, as if the fixture were not there.
fn fixture((place, content): Fixture) -> Result<String> {
    let (named, evil) = (HttpServer::start(area), HttpServer::start(area));
    let (tree, home) = (repository()?, tempfile::tempdir()?);
    let content = content.replace("{evil}", &evil.url());
    settings(home.path(), &named.url(), "")?;
    let mut command = wrapped(&[], home.path(), &["daemon", "run"]);
    match place.strip_prefix('$') {
        Some(variable) => drop(command.env(variable, &content)),
        None => tree.write(place, &content)?,
    }
    let daemon = Daemon::spawn(command, home.path())?;
    let client = daemon.client(&tree.root)?;
    let status = client.open()?;
    let suggestion = complete(&client)?.context("a suggestion")?;
    ensure!(suggestion.source == CompletionSource::Remote, "{place}: {suggestion:?}");
    ensure!(evil.n_connections() == 0, "{place}: {} connections elsewhere", evil.n_connections());
    let received = named.received();
    ensure!(received.len() == 1, "{place}: {} requests", received.len());
    let bearer = format!("Bearer {KEY}");
    ensure!(received[0].header("authorization") == Some(&bearer), "{place}: another key");
    ensure!(received[0].line.starts_with("POST /v1/completions "), "{}", received[0].line);
    if place == ".fovea.toml" {
        let warnings = status.warnings.join("\n");
        ensure!(warnings.contains("`remote."), "{place}: not named: {warnings}");
    }
    Ok(String::new())
}

const ADDRESSES: [&str; 30] = [
    "http://models.example",
    "http://10.0.0.7:8080",
    "http://192.168.1.7",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1@evil.example",
    "http://evil.example#127.0.0.1",
    "http://[::ffff:192.0.2.1]",
    "http://0.0.0.0:8080",
    "http://[::]:8080",
    "http://169.254.169.254/latest/meta-data",
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00:ec2::254]",
    "https://[fe80::1]",
    "https://[::ffff:169.254.169.254]",
    "https://224.0.0.1",
    "https://255.255.255.255",
    "https://0.0.0.0",
    "https://2852039166",
    "https://0xA9FEA9FE",
    "https://user:pass@models.example",
    "https://models.example?key=x",
    "https://models.example#x",
    "file:///etc/passwd",
    "unix:///run/docker.sock",
    "ftp://models.example",
    "gopher://127.0.0.1:70",
    "data:application/json,x",
    "//models.example",
    "models.example:8080/v1",
];

/// Refused before anything is resolved or connected, and the status says why.
fn address(address: &str) -> Result<String> {
    let (tree, home) = (repository()?, tempfile::tempdir()?);
    settings(home.path(), address, "")?;
    let client = Client::in_process(home.path(), &tree.root)?;
    client.open()?;
    if let Some(suggestion) = complete(&client)? {
        ensure!(suggestion.source != CompletionSource::Remote, "{address} was asked");
        let notice = suggestion.notice.unwrap_or_default();
        ensure!(notice.contains("remote.url"), "{address}: {notice}");
    }
    let Answer::Status { daemon, .. } = client.ask(Method::Status)? else {
        bail!("a status was expected")
    };
    let remote = daemon.model.remote.context("it is named")?;
    ensure!(remote.n_requests == 0, "{address}: {remote:?}");
    ensure!(remote.problem.is_some_and(|it| it.contains("remote.url")), "{address}: not said");
    Ok(String::new())
}

/// A token that a rule knows, made up here.
fn token(rng: &mut Rng) -> String {
    let mut any = |n: usize, letters: &[u8]| -> String {
        (0..n).map(|_| char::from(letters[rng.below(letters.len())])).collect()
    };
    let (upper, mixed) =
        (&b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[..], &b"aB3dE5fG7hI9jK1lM3nO5pQ7"[..]);
    match any(1, b"012").as_str() {
        "0" => format!("AKIA{}", any(16, upper)),
        "1" => format!("ghp_{}", any(36, mixed)),
        _ => format!("glpat-{}", any(20, mixed)),
    }
}

/// In retrieved code, in the open document, in documentation and in pieces: none of it leaves.
fn secrets(round: usize, rng: &mut Rng) -> Result<String> {
    let server = HttpServer::start(area);
    let (tree, home) = (repository()?, tempfile::tempdir()?);
    let api = ["openai", "llama", "llama-infill", "ollama"][round % 4];
    settings(home.path(), &server.url(), &format!("api = \"{api}\"\nmodel = \"m\"\n"))?;
    let all: Vec<String> = (0..5).map(|_| token(rng)).collect();
    tree.write(
        "shapes.py",
        format!(
            "class Shape:\n    \"\"\"Use {} for it.\"\"\"\n    TOKEN = \"{}\"\n    def area(self):\n        return 1\n",
            all[0], all[1]
        ),
    )?;
    tree.write(".env", format!("SHAPE_TOKEN={}\n", all[2]))?;
    let client = Client::in_process(home.path(), &tree.root)?;
    client.open()?;
    let buffer = format!("KEY = \"{}\"  # {}\n", all[3], all[4]);
    // The line of the cursor stays the fifth.
    client.edit("main.py", &CODE.replacen("\n\n\ndef", &format!("\n\n{buffer}def"), 1))?;
    complete(&client)?;
    let received = server.received();
    ensure!(received.len() == 1, "{} requests", received.len());
    let body = &received[0].body;
    ensure!(body.contains("class Shape") && body.contains("KEY = "), "little was sent: {body}");
    for secret in &all {
        // A part would be enough.
        ensure!(!body.contains(&secret[..secret.len() - 4]), "{secret} left: {body}");
    }
    ensure!(!body.contains("SHAPE_TOKEN"), "an excluded file left: {body}");
    Ok(String::new())
}

/// Not in logs, answers, settings shown, files or memory dumps.
fn key() -> Result<String> {
    let server = Arc::new(HttpServer::start(|request, stream| {
        let key = request.header("authorization").unwrap_or_default();
        let body = format!("{{\"error\":\"bad key {key}\"}}");
        http::reply(stream, "401 Unauthorized", "application/json", &body)
    }));
    let (tree, home) = (repository()?, tempfile::tempdir()?);
    settings(home.path(), &server.url(), "\n[log]\nlevel = \"trace\"\n")?;
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let mut shown = format!("{:?}", complete(&client)?);
    let bearer = format!("Bearer {KEY}");
    ensure!(server.received()[0].header("authorization") == Some(&bearer), "the server gets it");
    let root = text(&tree.root).to_owned();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["doctor", "--json"],
        &["config", "show", "--json"],
        &["explain", "--outgoing"],
        &["explain", "--outgoing", "--json"],
        &["explain", "main.py:5", "--outgoing", "--json"],
        &["explain", "main.py:5"],
        &["top", "--json"],
    ] {
        let args = [&["--root", &root], args].concat();
        let output = wrapped(&[], home.path(), &args).current_dir(&tree.root).output()?;
        shown.push_str(&String::from_utf8_lossy(&output.stdout));
        shown.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    ensure!(shown.contains("401") && shown.contains("***"), "the commands say little: {shown}");
    ensure!(!shown.contains(KEY), "it is shown");
    daemon.check_alive()?;
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid()))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let is_off = core.is_some_and(|line| line.split_whitespace().nth(4) == Some("0"));
    ensure!(is_off, "core dumps are on: {core:?}");
    for file in tree::all_files(home.path()) {
        let bytes = fs::read(&file)?;
        let holds = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        let is_key_file = file.ends_with("server-key");
        ensure!(holds == is_key_file, "{}: holds it: {holds}", file.display());
    }
    Ok(String::new())
}
