//! Section G: what comes over the pipes and sockets of the protocols, honest or not.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    agent::Agent, daemon::Daemon, editor::Raw, rng::Rng, sandbox::text, suite::Suite, tree::Tree,
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("G01", "frames on the daemon's socket", (60, 5_000), super::clients::garbage);
    let n = HEADERS.len();
    suite.row("G01l", "frame headers of the language server", (n, n), |round, _| {
        header(HEADERS[round])
    });
    suite.row("G02", "JSON-RPC that is none", (4, 100), json_rpc);
    suite.row("G03", "life cycles out of order", (30, 600), life_cycle);
    suite.row("G05", "positions that are nowhere", (4, 100), positions);
    suite.row("G06", "URIs of all kinds", (1, 10), uris);
    suite.row("G08", "an agent's server: unknown, wrong, huge, cancelled, many", (1, 10), agents);
    suite.row("G09", "nothing but messages on standard output", (4, 40), pure);
    suite.row("G10", "who may ask the HTTP endpoint", (1, 3), super::http::endpoint);
    super::remote::misbehaving(suite);
}

const HEADERS: [&str; 24] = [
    "Content-Length: 0\r\n\r\n",
    "Content-Length: -1\r\n\r\n",
    "Content-Length: 2147483648\r\n\r\n",
    "Content-Length: 9223372036854775808\r\n\r\n",
    "Content-Length: 18446744073709551615\r\n\r\n",
    "Content-Length: 1000000000000000000000000000000\r\n\r\n",
    "Content-Length: 1000000000000\r\n\r\n",
    "Content-Length: 0x10\r\n\r\n",
    "Content-Length: 1e3\r\n\r\n",
    "Content-Length: +5\r\n\r\n",
    "Content-Length:5\r\n\r\nhello",
    "Content-Length: 5\r\nContent-Length: 900\r\n\r\nhello",
    "Content-Length: \r\n\r\n",
    "Content-Type: x\r\n\r\n",
    "\r\n\r\n",
    "\n\n\n\n",
    "Content-Length: 5\n\nhello",
    "content-length: 5\r\n\r\nhello",
    "Content-Length: 5\r\nContent-Type: application/vscode-jsonrpc; charset=utf-16\r\n\r\nhello",
    "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "\u{0}\u{1}\u{2}\r\n\r\n",
    "X: {long}\r\n\r\n",
    "{long}",
    "Content-Length: 5\r\n\r\nhell",
];

/// An error, the end, or patience; never a crash or much memory, and the daemon does not notice.
fn header(header: &str) -> Result<String> {
    let (tree, home) = (Tree::empty()?, tempfile::tempdir()?);
    tree.write("a.py", "a = 1\n")?;
    let mut daemon = Daemon::start(home.path())?;
    let mut raw = Raw::open(home.path(), &tree.root)?;
    raw.check()?;
    let before = raw.rss_kib();
    let bytes = header.replace("{long}", &"x".repeat(1 << 20));
    // The server may hang up while it is being sent.
    let _ = raw.bytes(bytes.as_bytes());
    let _ = raw.bytes(&[b' '; 2_000]);
    let code = raw.end()?;
    ensure!(code.is_some_and(|code| code != 101), "{header:?}: ended with {code:?}");
    let stderr = std::fs::read_to_string(home.path().join("lsp-stderr"))?;
    ensure!(!stderr.contains("panicked") && !stderr.contains("allocation"), "{header:?}: {stderr}");
    ensure!(raw.rss_kib() <= before + (16 << 10), "{header:?}: much memory");
    daemon.check_alive()?;
    Ok(String::new())
}

/// Bodies in frames that are right: what is wrong in them is answered or left out, and the session goes on.
fn json_rpc(round: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::empty()?, tempfile::tempdir()?);
    tree.write("a.py", "a = 1\n")?;
    let mut daemon = Daemon::start(home.path())?;
    let mut raw = Raw::open(home.path(), &tree.root)?;
    raw.check()?;
    let valid = json!({
        "jsonrpc": "2.0", "id": 77, "method": "textDocument/hover",
        "params": {
            "textDocument": { "uri": format!("file://{}/a.py", tree.root.display()) },
            "position": { "line": 0, "character": 0 },
        },
    })
    .to_string();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"x\",\"params\":{}{}}}",
        "{\"a\":".repeat(50_000),
        "1}".repeat(50_000)
    );
    let mut bodies: Vec<Vec<u8>> = [
        "", "null", "1", "\"x\"", "[]", "{}", "[1,2,3]", "{\"jsonrpc\":\"1.0\"}", "tru", "{", "nan",
        "{\"jsonrpc\":\"2.0\"}", "{\"jsonrpc\":\"2.0\",\"id\":1}", "{\"jsonrpc\":\"2.0\",\"method\":7}",
        "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}", "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"x\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1e400,\"method\":\"x\"}", "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"shutdown\",\"method\":\"x\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"\\ud800\"}", "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"no/such\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"no/such\",\"params\":[1]}",
        "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"textDocument/hover\",\"params\":null}",
        "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"textDocument/hover\",\"params\":[]}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didOpen\",\"params\":{}}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didChange\",\"params\":7}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\",\"params\":{\"id\":\"none\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}", "{\"jsonrpc\":\"2.0\",\"id\":99,\"error\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"workspace/executeCommand\",\"params\":{\"command\":\"sh\"}}",
    ]
    .iter()
    .map(|body| body.as_bytes().to_vec())
    .collect();
    bodies.extend([deep.into_bytes(), nested.into_bytes(), vec![0xff, 0xfe, 0x00], vec![0; 10]]);
    for _ in 0..40 {
        let mut mutant = valid.clone().into_bytes();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(mutant.len());
            match rng.below(3) {
                0 => mutant[at] = *rng.pick(b"{}[]\",:0x\\\x00\xff"),
                1 => drop(mutant.drain(at..(at + rng.below(9)).min(mutant.len()))),
                _ => mutant.insert(at, *rng.pick(b"{}[]\",:9")),
            }
        }
        bodies.push(mutant);
    }
    if round % 2 == 1 {
        bodies.reverse();
    }
    for body in &bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(90)]).into_owned();
        // Not the ids that the checks use.
        raw.next_id = raw.next_id.max(1_000);
        raw.body(body).with_context(|| format!("after {shown}"))?;
        raw.check().with_context(|| format!("after {shown}"))?;
    }
    daemon.check_alive()?;
    Ok(format!("{} bodies a session", bodies.len()))
}

/// Any order of messages: one answer to each request, with the protocol's codes, and an end by `exit`.
fn life_cycle(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::empty()?, tempfile::tempdir()?);
    tree.write("a.py", "def a(): pass\n")?;
    let root = format!("file://{}", tree.root.display());
    let daemon = Daemon::start(home.path())?;
    let mut raw = Raw::start(home.path())?;
    let document = json!({ "uri": format!("{root}/{}", rng.pick(&["a.py", "none.py", "%00.py"])) });
    let at = json!({ "textDocument": document, "position": { "line": 0, "character": 5 } });
    let mut item = document.clone();
    (item["languageId"], item["version"], item["text"]) =
        (json!("python"), json!(1), json!("def a(): pass\n"));
    let (mut is_initialized, mut is_shut_down) = (false, false);
    for _ in 0..4 + rng.below(10) {
        let step = rng.below(10);
        let told = match step {
            0 | 1 => {
                let params = json!({ "processId": null, "rootUri": root, "capabilities": {} });
                let answer = raw.request("initialize", params)?;
                let may = !is_initialized && !is_shut_down;
                ensure!(answer.get("error").is_none() == may, "initialize: {answer}");
                is_initialized |= may;
                continue;
            }
            2 => {
                let answer = raw.request("shutdown", Value::Null)?;
                let may = is_initialized && !is_shut_down;
                ensure!(answer.get("error").is_none() == may, "shutdown: {answer}");
                is_shut_down |= may;
                continue;
            }
            3 | 4 => {
                let method =
                    *rng.pick(&["textDocument/hover", "textDocument/completion", "no/such"]);
                let answer = raw.request(method, at.clone())?;
                let code = answer["error"]["code"].as_i64();
                match (is_initialized, is_shut_down) {
                    // Unknown is unknown before the start, too.
                    (false, _) => ensure!(
                        code == Some(-32_002) || method == "no/such" && code == Some(-32_601),
                        "{method}: {answer}"
                    ),
                    (_, true) => ensure!(
                        code == Some(-32_600) || method == "no/such" && code == Some(-32_601),
                        "{method}: {answer}"
                    ),
                    _ if method == "no/such" => ensure!(code == Some(-32_601), "{answer}"),
                    _ => ensure!(code.is_none(), "{method}: {answer}"),
                }
                continue;
            }
            5 => ("textDocument/didOpen", json!({ "textDocument": item })),
            6 => ("textDocument/didClose", json!({ "textDocument": document })),
            7 => (
                "textDocument/didChange",
                json!({
                    "textDocument": { "uri": document["uri"], "version": 2 },
                    "contentChanges": [{ "text": "x = 1\n" }],
                }),
            ),
            8 => ("$/cancelRequest", json!({ "id": 12_345 })),
            _ => ("initialized", json!({})),
        };
        raw.notify(told.0, told.1)?;
    }
    raw.notify("exit", Value::Null)?;
    let code = raw.end()?;
    ensure!(code == Some(i32::from(!is_shut_down)), "exit after shutdown {is_shut_down}: {code:?}");
    daemon.stop()?;
    Ok(String::new())
}

/// Far outside, inside of a surrogate pair, the wrong way round: an answer, and no inner error.
fn positions(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::empty()?, tempfile::tempdir()?);
    let text = "def tōtal(x):\n    return \"😀\u{301}é\" + x\n\n\ntōtal(1)\r\n\tx\n";
    tree.write("a.py", text)?;
    let mut daemon = Daemon::start(home.path())?;
    let mut raw = Raw::open(home.path(), &tree.root)?;
    let uri = format!("file://{}/a.py", tree.root.display());
    raw.notify(
        "textDocument/didOpen",
        json!({ "textDocument": { "uri": uri, "languageId": "python", "version": 1, "text": text } }),
    )?;
    let numbers =
        [0, 1, 2, 3, 11, 12, 13, 14, 15, 100, 65_535, i32::MAX as u64, u64::from(u32::MAX)];
    let methods = [
        "textDocument/hover",
        "textDocument/definition",
        "textDocument/references",
        "textDocument/completion",
        "textDocument/inlineCompletion",
        "textDocument/signatureHelp",
        "textDocument/documentHighlight",
        "textDocument/prepareRename",
        "textDocument/implementation",
    ];
    let n = 500;
    for _ in 0..n {
        let mut place = || json!({ "line": rng.pick(&numbers), "character": rng.pick(&numbers) });
        let (a, b) = (place(), place());
        if rng.below(8) == 0 {
            // The text of the editor then differs from the file; both are fine, a crash is not.
            raw.notify(
                "textDocument/didChange",
                json!({
                    "textDocument": { "uri": uri, "version": 2 },
                    "contentChanges": [{ "range": { "start": a, "end": b }, "text": "é😀\n" }],
                }),
            )?;
            continue;
        }
        let method = *rng.pick(&methods);
        let answer = raw.request(
            method,
            json!({
                "textDocument": { "uri": uri }, "position": a,
                "context": { "includeDeclaration": true, "triggerKind": 1 },
            }),
        )?;
        // Invalid parameters and "content modified" are the protocol's own answers.
        let code = answer["error"]["code"].as_i64();
        let may = [None, Some(-32_602), Some(-32_801), Some(-32_803)].contains(&code);
        ensure!(may, "{method} at {a}: {answer}");
    }
    raw.check()?;
    daemon.check_alive()?;
    Ok(format!("{n} messages"))
}

/// Only files below the root are ever read, however they are named.
fn uris(_: usize, _: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::empty()?, tempfile::tempdir()?);
    tree.write("in/a.py", "def inside(): pass\n")?;
    let outside = tempfile::tempdir()?;
    let secret = outside.path().join("outside.py");
    std::fs::write(&secret, "def outside_canary_value(): pass\n")?;
    std::os::unix::fs::symlink(&secret, tree.root.join("link.py"))?;
    let mut daemon = Daemon::start(home.path())?;
    let mut raw = Raw::open(home.path(), &tree.root)?;
    let (root, out) = (text(&tree.root).to_owned(), secret.display().to_string());
    let up = "../".repeat(12);
    let all = [
        format!("file://{out}"),
        format!("file://localhost{out}"),
        format!("file://evil.example{out}"),
        format!("file://{root}/{up}{out}"),
        format!("file://{root}/in/../../../../../../../..{out}"),
        format!("file://{root}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e{out}"),
        format!("file://{root}/..%2f..%2f..%2f..%2f..%2f{out}"),
        format!("file://{root}%2f..%2f..%2f..%2f{out}"),
        format!("file://{root}/link.py"),
        format!("file://{root}/in/a.py%00{out}"),
        format!("file://{root}/%00"),
        format!("file://{root}x/a.py"),
        format!("file://{root}/in//a.py"),
        format!("file://{root}/IN/A.PY"),
        format!("file:{out}"),
        format!("FILE://{out}"),
        format!("file:///proc/self/root{out}"),
        "file:///proc/self/environ".to_owned(),
        "file:///dev/zero".to_owned(),
        "file://".to_owned(),
        "untitled:Untitled-1".to_owned(),
        "git:/x?y#z".to_owned(),
        "http://127.0.0.1:9/a.py".to_owned(),
        "vscode-notebook-cell:/a#b".to_owned(),
        "data:text/plain,x".to_owned(),
        "relative/path.py".to_owned(),
        "\\\\server\\share\\a.py".to_owned(),
        "C:\\a.py".to_owned(),
        "file:///C:/a.py".to_owned(),
        String::new(),
        "%".to_owned(),
        "file://%ff%fe".to_owned(),
        format!("file://{root}/{}", "x".repeat(60_000)),
        format!("file://{root}/{}a.py", "d/".repeat(5_000)),
    ];
    let methods = [
        "textDocument/hover",
        "textDocument/definition",
        "textDocument/documentSymbol",
        "textDocument/completion",
        "textDocument/foldingRange",
        "textDocument/references",
    ];
    let mut n = 0;
    for uri in &all {
        // The editor names that file itself: it is the user's, who may look at any file.
        let is_named = [
            format!("file://{out}"),
            format!("file://localhost{out}"),
            format!("file:{out}"),
            format!("FILE://{out}"),
        ]
        .contains(uri);
        for method in methods {
            let params = json!({
                "textDocument": { "uri": uri }, "position": { "line": 0, "character": 5 },
                "context": { "includeDeclaration": true },
            });
            let answer = raw.request(method, params)?;
            let shown = answer.to_string();
            // It may say the name that it was asked for.
            let tells = shown.contains("outside_canary") || shown.contains("PATH=");
            ensure!(is_named || !tells, "{method} {uri}: {shown}");
            n += 1;
        }
    }
    raw.check()?;
    daemon.check_alive()?;
    Ok(format!("{n} requests"))
}

/// Unknown tools, wrong and huge arguments, 200 questions at once, cancelled ones.
fn agents(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(20, rng)?, tempfile::tempdir()?);
    let mut daemon = Daemon::start(home.path())?;
    daemon.client(&tree.root)?.open()?;
    let mut agent = Agent::start(home.path(), &tree.root)?;
    let call = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments });
    let huge = "x".repeat(1 << 20);
    let mut n = 0;
    for params in [
        call("no_such_tool", json!({})),
        call("", json!({})),
        call("search", json!({ "query": 7 })),
        call("search", json!({ "nope": "x" })),
        call("search", json!([])),
        call("search", Value::Null),
        call("search", json!({ "query": huge })),
        call("search", json!({ "query": "a", "limit": -1 })),
        call("search", json!({ "query": "a", "limit": 1e300 })),
        call("search", json!({ "query": "a", "budget": u64::MAX })),
        call("search", json!({ "query": "a", "root": "/etc" })),
        call("definition", json!({ "target": huge })),
        call("definition", json!({ "target": "../../../etc/passwd:1:1" })),
        call("outline", json!({ "path": "/etc/passwd" })),
        call("context", json!({ "at": "a.py:99999999999999999999:1" })),
        call("status", json!({ "path": "\u{0}" })),
        json!({ "name": 7 }),
    ] {
        let answer = agent.request("tools/call", params)?;
        let size = answer.to_string().len();
        ensure!(size < 400_000, "{size} bytes of answer");
        ensure!(answer.get("result").is_some() || answer.get("error").is_some(), "{answer}");
        ensure!(!answer.to_string().contains("root:x:0"), "{answer}");
        n += 1;
    }
    let answer = agent.request("no/such", json!({}))?;
    ensure!(answer["error"]["code"] == -32_601, "{answer}");
    let at_once = 200;
    let mut ids = Vec::new();
    for index in 0..at_once {
        let params = call("search", json!({ "query": format!("load {index}"), "limit": 3 }));
        ids.push(agent.begin("tools/call", params)?);
        if index % 5 == 0 {
            let cancel = json!({ "requestId": ids[index], "reason": "enough" });
            let note =
                json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel });
            agent.send(&note.to_string())?;
        }
    }
    // Of the cancelled ones none has to be answered.
    let wanted: Vec<u64> =
        ids.iter().enumerate().filter(|(index, _)| index % 5 != 0).map(|(_, id)| *id).collect();
    let mut left: std::collections::HashSet<u64> = wanted.into_iter().collect();
    while !left.is_empty() {
        let message = agent.next()?;
        ensure!(message.get("error").is_none(), "{message}");
        if let Some(id) = message["id"].as_u64() {
            left.remove(&id);
        }
    }
    ensure!(agent.noise.is_empty(), "on standard output: {:?}", agent.noise);
    agent.finish()?;
    daemon.check_alive()?;
    Ok(format!("{n} odd calls, {at_once} at once"))
}

/// With the loudest logs, and with a daemon that dies meanwhile, every byte is a message.
fn pure(round: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(5, rng)?, tempfile::tempdir()?);
    let loud = [("RUST_LOG", "trace"), ("FOVEA_LOG_LEVEL", "trace"), ("RUST_BACKTRACE", "1")];
    let daemon = Daemon::start(home.path())?;
    if round.is_multiple_of(2) {
        let mut raw = Raw::spawn(home.path(), &["-vvv", "lsp"], &loud)?;
        raw.initialize(&tree.root)?;
        raw.check()?;
        daemon.kill()?;
        raw.check()?;
        let answer = raw.request("shutdown", Value::Null)?;
        ensure!(answer.get("error").is_none(), "{answer}");
        raw.notify("exit", Value::Null)?;
        let code = raw.end()?;
        ensure!(code == Some(0), "it ended with {code:?}");
        for frame in raw.frames.try_iter() {
            frame.map_err(|noise| anyhow::anyhow!("on standard output: {noise}"))?;
        }
    } else {
        let mut agent = Agent::spawn(home.path(), &["-vvv", "mcp", text(&tree.root)])?;
        let hello = json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": { "name": "t", "version": "1" },
        });
        agent.request("initialize", hello)?;
        agent.send(
            &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string(),
        )?;
        agent.tool("search", &json!({ "query": "load" }))?;
        daemon.kill()?;
        let _ = agent.request("tools/call", json!({ "name": "status", "arguments": {} }))?;
        ensure!(agent.noise.is_empty(), "on standard output: {:?}", agent.noise);
        agent.finish()?;
    }
    // What was started in the daemon's place.
    crate::daemon::end_all_of(home.path());
    Ok(String::new())
}
