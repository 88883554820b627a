//! Whole sessions in process: an editor on one side of a pipe, a scripted daemon on the other.
#![cfg(unix)]

use std::{
    collections::HashMap,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use fovea_api::{
    Answer, ApiError, CompletionSource, ErrorCode, Event, Frame, Freshness, Location, Method,
    PlanView, ProgressView, Request, Response, Suggestion, SymbolView, Timings, WorkspaceStatus,
    client::Client, wire,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The daemon's side: what it was asked, and how it answers.
#[derive(Clone)]
struct FakeDaemon {
    seen: mpsc::Sender<Request>,
    /// Requests answered later by the test, or never.
    held: Arc<Mutex<Vec<(u64, UnixStream)>>>,
    answer: Arc<dyn Fn(&Request) -> Reply + Send + Sync>,
}

enum Reply {
    Now(Result<Answer, ApiError>),
    /// These first.
    After(Vec<Event>, Answer),
    Hold,
    /// The daemon dies.
    Die,
}

impl FakeDaemon {
    fn new(
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> (Self, mpsc::Receiver<Request>) {
        let (seen, requests) = mpsc::channel();
        (Self { seen, held: Arc::default(), answer: Arc::new(answer) }, requests)
    }

    fn connect(&self, events: fovea_lsp::Events) -> std::io::Result<Client> {
        let (ours, theirs) = UnixStream::pair()?;
        let daemon = self.clone();
        std::thread::spawn(move || daemon.serve(theirs));
        Ok(Client::new(ours.try_clone()?, ours, events))
    }

    fn serve(&self, mut stream: UnixStream) {
        while let Ok(frame) = wire::read(&mut stream) {
            let Frame::Request(request) = frame else { continue };
            let id = request.id;
            let reply = (self.answer)(&request);
            let is_cancel = match &request.method {
                Method::Cancel { id } => Some(*id),
                _ => None,
            };
            let _ = self.seen.send(request);
            match reply {
                Reply::Now(result) => respond(&mut stream, id, result),
                Reply::After(events, answer) => {
                    for event in events {
                        wire::write(&mut stream, &Frame::Event(event)).expect("writes");
                    }
                    respond(&mut stream, id, Ok(answer));
                }
                Reply::Hold => {
                    let stream = stream.try_clone().expect("clones");
                    self.held.lock().expect("not poisoned").push((id, stream));
                }
                Reply::Die => {
                    stream.shutdown(std::net::Shutdown::Both).expect("open");
                    return;
                }
            }
            if let Some(cancelled) = is_cancel {
                let mut held = self.held.lock().expect("not poisoned");
                if let Some(at) = held.iter().position(|(id, _)| *id == cancelled) {
                    let (id, mut stream) = held.remove(at);
                    let err =
                        ApiError { code: ErrorCode::Cancelled, message: "cancelled".to_owned() };
                    respond(&mut stream, id, Err(err));
                }
            }
        }
    }
}

fn respond(stream: &mut UnixStream, id: u64, result: Result<Answer, ApiError>) {
    let response = Response { id, freshness: Some(Freshness::default()), result };
    // The client may be gone.
    let _ = wire::write(stream, &Frame::Response(response));
}

fn done() -> Reply {
    Reply::Now(Ok(Answer::Done))
}

fn usual(request: &Request) -> Reply {
    match &request.method {
        Method::Open { .. } => Reply::Now(Ok(Answer::Workspace(WorkspaceStatus::default()))),
        _ => done(),
    }
}

const NO_DISK: fovea_lsp::Disk = fovea_lsp::Disk { project_of: |_| None, text_of: |_, _| None };

/// The editor's side.
struct Editor {
    stream: DuplexStream,
    next_id: i64,
    buffered: Vec<u8>,
    replies: HashMap<i64, Value>,
    notifications: Vec<Value>,
    /// What the server asked the editor.
    requested: Vec<Value>,
}

impl Editor {
    fn start(daemon: &FakeDaemon) -> Self {
        Self::start_with(daemon, NO_DISK)
    }

    fn start_with(daemon: &FakeDaemon, disk: fovea_lsp::Disk) -> Self {
        let (editor, server) = tokio::io::duplex(1 << 20);
        let (input, output) = tokio::io::split(server);
        let daemon = daemon.clone();
        tokio::spawn(fovea_lsp::serve(
            input,
            output,
            move |events: fovea_lsp::Events| daemon.connect(events),
            disk,
        ));
        Self {
            stream: editor,
            next_id: 0,
            buffered: Vec::new(),
            replies: HashMap::new(),
            notifications: Vec::new(),
            requested: Vec::new(),
        }
    }

    async fn initialized(daemon: &FakeDaemon, capabilities: Value) -> (Self, Value) {
        let mut editor = Self::start(daemon);
        let params = json!({
            "processId": null,
            "rootUri": null,
            "capabilities": capabilities,
            "workspaceFolders": [{ "uri": "file:///project", "name": "project" }],
        });
        let reply = editor.request("initialize", params).await["result"].clone();
        editor.notify("initialized", json!({})).await;
        (editor, reply)
    }

    async fn send(&mut self, message: Value) {
        let body = message.to_string();
        let frame = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.stream.write_all(frame.as_bytes()).await.expect("the server reads");
    }

    async fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    async fn start_request(&mut self, method: &str, params: Value) -> i64 {
        self.next_id += 1;
        let id = self.next_id;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(message).await;
        id
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.start_request(method, params).await;
        self.reply(id).await
    }

    /// Waits for the reply to `id`; answers the server's own requests meanwhile.
    async fn reply(&mut self, id: i64) -> Value {
        loop {
            if let Some(reply) = self.replies.remove(&id) {
                return reply;
            }
            self.take_one().await;
        }
    }

    async fn take_one(&mut self) {
        let message = tokio::time::timeout(TIMEOUT, self.read()).await.expect("a message comes");
        match (message["method"].is_string(), message["id"].clone()) {
            (true, Value::Null) => self.notifications.push(message),
            (true, id) => {
                self.requested.push(message);
                self.send(json!({ "jsonrpc": "2.0", "id": id, "result": null })).await;
            }
            (false, id) => {
                self.replies.insert(id.as_i64().expect("our ids are numbers"), message);
            }
        }
    }

    async fn read(&mut self) -> Value {
        loop {
            if let Some(end) = find(&self.buffered, b"\r\n\r\n") {
                let head = String::from_utf8(self.buffered[..end].to_vec()).expect("ASCII");
                // Nothing but frames may come.
                let n_bytes: usize = head
                    .strip_prefix("Content-Length: ")
                    .and_then(|n| n.lines().next()?.parse().ok())
                    .unwrap_or_else(|| panic!("not a frame: {head}"));
                if self.buffered.len() >= end + 4 + n_bytes {
                    let rest = self.buffered.split_off(end + 4 + n_bytes);
                    let body = std::mem::replace(&mut self.buffered, rest).split_off(end + 4);
                    return serde_json::from_slice(&body).expect("JSON");
                }
            }
            let mut chunk = [0; 4096];
            let n_bytes = self.stream.read(&mut chunk).await.expect("open");
            assert!(n_bytes > 0, "the server closed the connection");
            self.buffered.extend_from_slice(&chunk[..n_bytes]);
        }
    }

    async fn open(&mut self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "languageId": "python", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document })).await;
    }

    async fn edit(&mut self, version: i32, at: (u32, u32), to: (u32, u32), text: &str) {
        let range = json!({
            "start": { "line": at.0, "character": at.1 },
            "end": { "line": to.0, "character": to.1 },
        });
        let params = json!({
            "textDocument": { "uri": DOCUMENT, "version": version },
            "contentChanges": [{ "range": range, "text": text }],
        });
        self.notify("textDocument/didChange", params).await;
    }
}

const DOCUMENT: &str = "file:///project/src/a.py";

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn at(line: u32, character: u32) -> Value {
    json!({
        "textDocument": { "uri": DOCUMENT },
        "position": { "line": line, "character": character },
    })
}

fn inline(line: u32, character: u32, trigger: i32) -> Value {
    let mut params = at(line, character);
    params["context"] = json!({ "triggerKind": trigger });
    params
}

/// The next request the daemon saw for which `f` says something.
fn next<T>(seen: &mpsc::Receiver<Request>, f: impl Fn(&Request) -> Option<T>) -> T {
    loop {
        let request = seen.recv_timeout(TIMEOUT).expect("the daemon is asked");
        if let Some(value) = f(&request) {
            return value;
        }
    }
}

fn edited(request: &Request) -> Option<(i64, String)> {
    match &request.method {
        Method::Edited { path, version, text } => {
            assert_eq!(path, "src/a.py");
            Some((*version, text.clone()))
        }
        _ => None,
    }
}

fn location(line: u32, columns: (u32, u32), bytes: (u32, u32)) -> Location {
    Location {
        path: "src/a.py".to_owned(),
        start_line: line,
        start_column: columns.0,
        end_line: line,
        end_column: columns.1,
        start_byte: bytes.0,
        end_byte: bytes.1,
    }
}

fn suggestion(text: &str, line: u32, column: u32, byte: u32) -> Answer {
    Answer::Suggestion(Some(Suggestion {
        id: 9,
        text: text.to_owned(),
        replace: location(line, (column, column), (byte, byte)),
        source: CompletionSource::Model,
        notice: None,
        logprob: Some(-0.1),
        plan: PlanView::default(),
        timings: Timings::default(),
    }))
}

fn symbol(name: &str, depth: u32, line: u32) -> SymbolView {
    SymbolView {
        name: name.to_owned(),
        kind: "function".to_owned(),
        container: String::new(),
        location: location(line, (4, 5), (0, 0)),
        enclosing: location(line, (0, 9), (0, 0)),
        signature: format!("def {name}()"),
        doc: None,
        certainty: "exact".to_owned(),
        depth,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn initialize_offers_inline_completion_statically() {
    let (daemon, _seen) = FakeDaemon::new(usual);
    let (_editor, reply) = Editor::initialized(&daemon, json!({})).await;
    let capabilities = &reply["capabilities"];
    assert!(capabilities["inlineCompletionProvider"].is_object(), "{capabilities}");
    assert_eq!(capabilities["positionEncoding"], "utf-16");
    assert_eq!(capabilities["textDocumentSync"]["change"], 2);
    assert_eq!(capabilities["workspaceSymbolProvider"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn features_can_be_switched_off() {
    let (daemon, _seen) = FakeDaemon::new(usual);
    let mut editor = Editor::start(&daemon);
    let params = json!({
        "processId": null, "rootUri": "file:///project", "capabilities": {},
        "initializationOptions": { "features": { "hover": false, "definition": false } },
    });
    let reply = editor.request("initialize", params).await;
    let capabilities = &reply["result"]["capabilities"];
    assert!(capabilities["hoverProvider"].is_null());
    assert!(capabilities["definitionProvider"].is_null());
    assert_eq!(capabilities["referencesProvider"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_known_position_encoding_is_taken() {
    for (offered, chosen) in [
        (json!(["utf-8", "utf-16"]), "utf-8"),
        (json!(["utf-7", "utf-32", "utf-16"]), "utf-32"),
        (json!(["utf-7"]), "utf-16"),
    ] {
        let (daemon, _seen) = FakeDaemon::new(usual);
        let capabilities = json!({ "general": { "positionEncodings": offered } });
        let (_editor, reply) = Editor::initialized(&daemon, capabilities).await;
        assert_eq!(reply["capabilities"]["positionEncoding"], chosen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_arrive_in_order_before_the_question_that_follows_them() {
    let (daemon, seen) = FakeDaemon::new(usual);
    let (mut editor, _) = Editor::initialized(&daemon, json!({})).await;
    // A character outside the basic plane counts two columns; the file has CRLF endings.
    editor.open(DOCUMENT, "s = '\u{1F600}'\r\n").await;
    for (version, letter) in (2..=60).zip("abcdefghijklmnopqrstuvwxyz".chars().cycle()) {
        let column = version as u32 - 2;
        editor.edit(version, (1, column), (1, column), &letter.to_string()).await;
    }
    editor.edit(61, (0, 7), (0, 8), "!\"").await;
    let hover = editor.start_request("textDocument/hover", at(0, 3)).await;
    let mut last = (0, String::new());
    loop {
        let request = seen.recv_timeout(TIMEOUT).expect("the daemon is asked");
        if let Some((version, text)) = edited(&request) {
            assert!(version > last.0, "version {version} after {}", last.0);
            last = (version, text);
        } else if matches!(request.method, Method::Definition { .. }) {
            break;
        }
    }
    assert_eq!(last.0, 61, "the question came behind the last edit");
    assert!(last.1.starts_with("s = '\u{1F600}!\"\r\nabcdefgh"), "{}", last.1);
    editor.reply(hover).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_request_supersedes_and_cancels_the_older_one() {
    let (daemon, seen) = FakeDaemon::new(|request| match &request.method {
        Method::Complete { at, .. } if at.column == 4 => Reply::Hold,
        Method::Complete { .. } => Reply::Now(Ok(suggestion("b()", 0, 5, 5))),
        _ => usual(request),
    });
    let (mut editor, _) = Editor::initialized(&daemon, json!({})).await;
    editor.open(DOCUMENT, "x = \n").await;
    let older = editor.start_request("textDocument/inlineCompletion", inline(0, 4, 2)).await;
    let held = next(&seen, |r| matches!(r.method, Method::Complete { .. }).then_some(r.id));
    editor.edit(2, (0, 4), (0, 4), "a").await;
    let newer = editor.request("textDocument/inlineCompletion", inline(0, 5, 2)).await;
    assert_eq!(newer["result"]["items"][0]["insertText"], "b()");
    assert_eq!(editor.reply(older).await["error"]["code"], -32801);
    let cancelled = next(&seen, |r| match r.method {
        Method::Cancel { id } => Some(id),
        _ => None,
    });
    assert_eq!(cancelled, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_is_cancelled_at_the_daemon() {
    let (daemon, seen) = FakeDaemon::new(|request| match &request.method {
        Method::References { .. } => Reply::Hold,
        _ => usual(request),
    });
    let (mut editor, _) = Editor::initialized(&daemon, json!({})).await;
    editor.open(DOCUMENT, "x = 1\n").await;
    let mut params = at(0, 0);
    params["context"] = json!({ "includeDeclaration": true });
    let id = editor.start_request("textDocument/references", params).await;
    let held = next(&seen, |r| matches!(r.method, Method::References { .. }).then_some(r.id));
    editor.notify("$/cancelRequest", json!({ "id": id })).await;
    assert_eq!(editor.reply(id).await["error"]["code"], -32800);
    let cancelled = next(&seen, |r| match r.method {
        Method::Cancel { id } => Some(id),
        _ => None,
    });
    assert_eq!(cancelled, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_along_a_suggestion_does_not_ask_again() {
    let (daemon, seen) = FakeDaemon::new(|request| match &request.method {
        Method::Complete { at, .. } => {
            Reply::Now(Ok(suggestion("load(path)", 0, at.column, at.column)))
        }
        _ => usual(request),
    });
    let (mut editor, _) = Editor::initialized(&daemon, json!({})).await;
    editor.open(DOCUMENT, "x = \n").await;
    let first = editor.request("textDocument/inlineCompletion", inline(0, 4, 2)).await;
    assert_eq!(first["result"]["items"][0]["insertText"], "load(path)");
    editor.edit(2, (0, 4), (0, 4), "lo").await;
    let along = editor.request("textDocument/inlineCompletion", inline(0, 6, 2)).await;
    assert_eq!(along["result"]["items"][0]["insertText"], "ad(path)");
    let start = &along["result"]["items"][0]["range"]["start"];
    assert_eq!(start, &json!({ "line": 0, "character": 6 }));
    // Asked for by key: always anew.
    editor.request("textDocument/inlineCompletion", inline(0, 6, 1)).await;
    let columns: Vec<u32> = (0..2)
        .map(|_| {
            next(&seen, |r| match &r.method {
                Method::Complete { at, .. } => Some(at.column),
                _ => None,
            })
        })
        .collect();
    assert_eq!(columns, [4, 6], "automatic at 4, invoked at 6, nothing between");
}

#[tokio::test(flavor = "multi_thread")]
async fn locations_are_given_in_the_negotiated_columns() {
    let text = "s = '\u{1F600}é'; f()\n";
    let (daemon, _seen) = FakeDaemon::new(move |request| match &request.method {
        Method::Definition { .. } => {
            let mut found = symbol("f", 0, 0);
            // `f` is at UTF-16 column 11.
            found.location = location(0, (11, 12), (14, 15));
            Reply::Now(Ok(Answer::Definitions { symbols: vec![found], external: None }))
        }
        _ => usual(request),
    });
    for (encoding, column) in [("utf-8", 14), ("utf-16", 11), ("utf-32", 10)] {
        let capabilities = json!({ "general": { "positionEncodings": [encoding] } });
        let (mut editor, _) = Editor::initialized(&daemon, capabilities).await;
        editor.open(DOCUMENT, text).await;
        let reply = editor.request("textDocument/definition", at(0, column)).await;
        let place = &reply["result"][0];
        assert_eq!(place["uri"], DOCUMENT);
        assert_eq!(place["range"]["start"]["character"], column, "{encoding}");
        assert_eq!(place["range"]["end"]["character"], column + 1, "{encoding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn document_symbols_form_a_tree() {
    let (daemon, _seen) = FakeDaemon::new(|request| match &request.method {
        Method::DocumentSymbols { .. } => {
            let symbols =
                vec![symbol("A", 0, 0), symbol("m", 1, 1), symbol("n", 1, 2), symbol("g", 0, 5)];
            Reply::Now(Ok(Answer::Symbols(symbols)))
        }
        _ => usual(request),
    });
    let capabilities = json!({ "textDocument": { "documentSymbol": {
        "hierarchicalDocumentSymbolSupport": true } } });
    let (mut editor, _) = Editor::initialized(&daemon, capabilities).await;
    let params = json!({ "textDocument": { "uri": DOCUMENT } });
    let reply = editor.request("textDocument/documentSymbol", params).await;
    let names = |symbols: &Value| -> Vec<String> {
        symbols
            .as_array()
            .into_iter()
            .flatten()
            .map(|symbol| symbol["name"].as_str().expect("named").to_owned())
            .collect()
    };
    assert_eq!(names(&reply["result"]), ["A", "g"]);
    assert_eq!(names(&reply["result"][0]["children"]), ["m", "n"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_daemon_gets_the_open_documents_and_the_question_again() {
    let died = Arc::new(Mutex::new(false));
    let (daemon, seen) = FakeDaemon::new(move |request| match &request.method {
        Method::Definition { .. } => {
            let mut died = died.lock().expect("not poisoned");
            if std::mem::replace(&mut *died, true) {
                let symbols = vec![symbol("f", 0, 0)];
                Reply::Now(Ok(Answer::Definitions { symbols, external: None }))
            } else {
                Reply::Die
            }
        }
        _ => usual(request),
    });
    let (mut editor, _) = Editor::initialized(&daemon, json!({})).await;
    editor.open(DOCUMENT, "f()\n").await;
    let reply = editor.request("textDocument/definition", at(0, 0)).await;
    assert_eq!(reply["result"][0]["uri"], DOCUMENT);
    let mut order = Vec::new();
    for request in seen.try_iter() {
        match request.method {
            Method::Open { wait: false } => order.push("open"),
            Method::Edited { .. } => order.push("edited"),
            Method::Definition { .. } => order.push("definition"),
            _ => {}
        }
    }
    assert_eq!(order, ["open", "edited", "definition", "open", "edited", "definition"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn indexing_is_shown_as_progress() {
    let (daemon, _seen) = FakeDaemon::new(|request| match &request.method {
        Method::Open { wait: true } => {
            let root = request.root.clone().expect("about a root");
            let event = Event::Progress(ProgressView {
                root,
                stage: "parse".to_owned(),
                n_done: 5,
                n_total: 10,
            });
            let status =
                WorkspaceStatus { summary: "10 files".to_owned(), ..WorkspaceStatus::default() };
            // Twice: the answer must not overtake what is shown.
            Reply::After(vec![event.clone(), event], Answer::Workspace(status))
        }
        _ => usual(request),
    });
    let capabilities = json!({ "window": { "workDoneProgress": true } });
    let (mut editor, _) = Editor::initialized(&daemon, capabilities).await;
    let values = |editor: &Editor| -> Vec<Value> {
        let progress = editor.notifications.iter().filter(|n| n["method"] == "$/progress");
        progress.map(|n| n["params"]["value"].clone()).collect()
    };
    while values(&editor).last().is_none_or(|value| value["kind"] != "end") {
        editor.take_one().await;
    }
    let values = values(&editor);
    assert_eq!(values[0]["kind"], "begin");
    assert_eq!(values[0]["title"], "Fovea: indexing project");
    assert_eq!(values[1]["percentage"], 50);
    assert_eq!(values.last().expect("ended")["message"], "10 files");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_the_status_says_why() {
    let (input, output) = tokio::io::duplex(1 << 16);
    let (read, write) = tokio::io::split(output);
    tokio::spawn(fovea_lsp::serve(
        read,
        write,
        |_: fovea_lsp::Events| Err(std::io::Error::other("the socket folder is not writable")),
        NO_DISK,
    ));
    let mut editor = Editor {
        stream: input,
        next_id: 0,
        buffered: Vec::new(),
        replies: HashMap::new(),
        notifications: Vec::new(),
        requested: Vec::new(),
    };
    let params = json!({ "processId": null, "rootUri": "file:///project", "capabilities": {} });
    editor.request("initialize", params).await;
    editor.notify("initialized", json!({})).await;
    let status = editor.request("fovea/status", Value::Null).await;
    assert_eq!(status["result"]["error"], "the socket folder is not writable");
    assert!(status["result"]["daemon"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_and_watched_files_are_reported_once_a_root() {
    let (daemon, seen) = FakeDaemon::new(usual);
    let (mut editor, _) = Editor::initialized(&daemon, json!({})).await;
    let changes = json!({ "changes": [
        { "uri": "file:///project/a%20b.py", "type": 2 },
        { "uri": "file:///project/src/c.py", "type": 3 },
        { "uri": "untitled:Untitled-1", "type": 1 },
    ] });
    editor.notify("workspace/didChangeWatchedFiles", changes).await;
    let document = json!({ "textDocument": { "uri": DOCUMENT } });
    editor.notify("textDocument/didSave", document).await;
    let touched = || {
        next(&seen, |r| match &r.method {
            Method::Touched { paths } => Some(paths.clone()),
            _ => None,
        })
    };
    assert_eq!(touched(), ["a b.py", "src/c.py"]);
    assert_eq!(touched(), ["src/a.py"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_accepted_suggestion_is_asked_for_at_once() {
    let (daemon, seen) = FakeDaemon::new(|request| match &request.method {
        Method::Complete { at, .. } if at.column == 4 => {
            Reply::Now(Ok(suggestion("load()", 0, 4, 4)))
        }
        Method::Complete { at, .. } => Reply::Now(Ok(suggestion(".run()", 0, at.column, 10))),
        _ => usual(request),
    });
    let (mut editor, _) = Editor::initialized(&daemon, json!({})).await;
    editor.open(DOCUMENT, "x = ").await;
    let shown = editor.request("textDocument/inlineCompletion", inline(0, 4, 2)).await;
    let command = shown["result"]["items"][0]["command"].clone();
    editor.edit(2, (0, 4), (0, 4), "load()").await;
    let run = json!({ "command": command["command"], "arguments": command["arguments"] });
    editor.request("workspace/executeCommand", run).await;
    let cursor = |request: &Request| match &request.method {
        Method::Complete { at, .. } => Some((at.line, at.column)),
        _ => None,
    };
    assert_eq!(next(&seen, cursor), (0, 4));
    assert_eq!(next(&seen, cursor), (0, 10));
    // The editor's own request finds it there; the daemon is not asked a third time.
    let until = std::time::Instant::now() + TIMEOUT;
    loop {
        let after = editor.request("textDocument/inlineCompletion", inline(0, 10, 2)).await;
        if after["result"]["items"][0]["insertText"] == ".run()" {
            break;
        }
        assert!(std::time::Instant::now() < until, "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_without_a_restart() {
    let (daemon, _seen) = FakeDaemon::new(|request| match &request.method {
        Method::DocumentSymbols { .. } => {
            Reply::Now(Ok(Answer::Symbols(vec![symbol("run", 0, 0)])))
        }
        Method::Complete { .. } => Reply::Now(Ok(suggestion("load()", 0, 4, 4))),
        _ => usual(request),
    });
    let late = json!({ "dynamicRegistration": true });
    let capabilities = json!({ "textDocument": { "codeLens": late, "hover": late } });
    let (mut editor, reply) = Editor::initialized(&daemon, capabilities).await;
    assert_eq!(reply["capabilities"]["codeLensProvider"], Value::Null);
    assert!(reply["capabilities"]["semanticTokensProvider"]["full"] == true, "{reply}");
    editor.open(DOCUMENT, "x = ").await;
    let document = json!({ "textDocument": { "uri": DOCUMENT } });
    let tokens = editor.request("textDocument/semanticTokens/full", document.clone()).await;
    assert!(tokens["result"]["data"].as_array().is_some_and(|data| data.len() == 5), "{tokens}");
    let lenses = editor.request("textDocument/codeLens", document.clone()).await;
    assert_eq!(lenses["result"], Value::Null);

    let features = json!({ "codeLens": true, "semanticTokens": false, "inlineCompletion": false });
    let settings = json!({ "settings": { "fovea": { "features": features } } });
    editor.notify("workspace/didChangeConfiguration", settings).await;
    // What is off is answered with nothing at once; what was off is offered.
    let tokens = editor.request("textDocument/semanticTokens/full", document.clone()).await;
    assert_eq!(tokens["result"], Value::Null);
    let ghost = editor.request("textDocument/inlineCompletion", inline(0, 4, 2)).await;
    assert_eq!(ghost["result"], Value::Null);
    let lenses = editor.request("textDocument/codeLens", document).await;
    assert!(lenses["result"].as_array().is_some_and(|lenses| !lenses.is_empty()), "{lenses}");
    while editor.requested.is_empty() {
        editor.take_one().await;
    }
    let registered = editor.requested.remove(0);
    assert_eq!(registered["method"], "client/registerCapability");
    let registrations = registered["params"]["registrations"].as_array().expect("a list");
    assert_eq!(registrations.len(), 1, "{registrations:?}");
    assert_eq!(registrations[0]["method"], "textDocument/codeLens");
    assert_eq!(
        registrations[0]["registerOptions"],
        json!({ "documentSelector": null, "resolveProvider": true })
    );
    // Nonsense changes nothing.
    editor.notify("workspace/didChangeConfiguration", json!({ "settings": { "fovea": 1 } })).await;
    let ghost = editor.request("textDocument/inlineCompletion", inline(0, 4, 2)).await;
    assert_eq!(ghost["result"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_the_roots_only_open_documents_are_answered_for() {
    let (daemon, seen) = FakeDaemon::new(usual);
    let disk = fovea_lsp::Disk {
        project_of: |file| file.parent().map(std::path::Path::to_owned),
        ..NO_DISK
    };
    let mut editor = Editor::start_with(&daemon, disk);
    let params = json!({
        "processId": null,
        "capabilities": {},
        "rootUri": "file:///",
        "workspaceFolders": [{ "uri": "file:///one", "name": "one" }],
    });
    editor.request("initialize", params).await;
    editor.notify("initialized", json!({})).await;
    let symbols = json!({ "textDocument": { "uri": "file:///other/b.py" } });
    let answer = editor.request("textDocument/documentSymbol", symbols.clone()).await;
    assert_eq!(answer["result"], Value::Null);
    editor.open("file:///other/b.py", "x").await;
    editor.start_request("textDocument/documentSymbol", symbols.clone()).await;
    // Everything that was asked until the document's own question.
    let mut asked = Vec::new();
    while !matches!(asked.last(), Some((_, Method::DocumentSymbols { .. }))) {
        asked.push(next(&seen, |request| Some((request.root.clone(), request.method.clone()))));
    }
    let early = asked.iter().take_while(|(_, method)| !matches!(method, Method::Edited { .. }));
    let other = std::path::Path::new("/other");
    assert!(early.clone().all(|(root, _)| root.as_deref() != Some(other)), "{asked:?}");
    assert!(asked.iter().all(|(root, _)| root.as_deref() != Some("/".as_ref())), "{asked:?}");
    assert_eq!(asked.last().and_then(|(root, _)| root.as_deref()), Some(other));
    let document = json!({ "textDocument": { "uri": "file:///other/b.py" } });
    editor.notify("textDocument/didClose", document).await;
    let answer = editor.request("textDocument/documentSymbol", symbols).await;
    assert_eq!(answer["result"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_is_asked_about_in_the_root_that_holds_it() {
    let (daemon, seen) = FakeDaemon::new(|request| match &request.method {
        Method::Symbols { .. } => Reply::Now(Ok(Answer::Symbols(vec![symbol("run", 0, 0)]))),
        _ => usual(request),
    });
    let mut editor = Editor::start(&daemon);
    let folder = |path: &str| json!({ "uri": format!("file://{path}"), "name": path });
    let params = json!({
        "processId": null,
        "capabilities": {},
        "workspaceFolders": [folder("/one"), folder("/one/inner"), folder("/two")],
    });
    editor.request("initialize", params).await;
    editor.notify("initialized", json!({})).await;
    for (uri, root, path) in [
        ("file:///one/a.py", "/one", "a.py"),
        ("file:///one/inner/b.py", "/one/inner", "b.py"),
        ("file:///two/x%20y/c.py", "/two", "x y/c.py"),
    ] {
        editor.open(uri, "x").await;
        let found = next(&seen, |request| match &request.method {
            Method::Edited { path, .. } => Some((request.root.clone(), path.clone())),
            _ => None,
        });
        assert_eq!(found, (Some(root.into()), path.to_owned()));
    }
    // Symbols of all of them, then of those that are left and the new one.
    let roots = |count: usize| {
        let mut roots: Vec<String> = (0..count)
            .map(|_| {
                next(&seen, |request| match &request.method {
                    Method::Symbols { .. } => request.root.as_ref()?.to_str().map(str::to_owned),
                    _ => None,
                })
            })
            .collect();
        roots.sort_unstable();
        roots
    };
    let found = editor.request("workspace/symbol", json!({ "query": "run" })).await;
    assert_eq!(found["result"].as_array().map(Vec::len), Some(3), "{found}");
    assert_eq!(roots(3), ["/one", "/one/inner", "/two"]);
    let event = json!({ "added": [folder("/three")], "removed": [folder("/one/inner")] });
    editor.notify("workspace/didChangeWorkspaceFolders", json!({ "event": event })).await;
    editor.request("workspace/symbol", json!({ "query": "run" })).await;
    assert_eq!(roots(3), ["/one", "/three", "/two"]);
    // A file of the removed folder belongs to the one around it now.
    editor.open("file:///one/inner/d.py", "x").await;
    let found = next(&seen, |request| match &request.method {
        Method::Edited { path, .. } => Some((request.root.clone(), path.clone())),
        _ => None,
    });
    assert_eq!(found, (Some("/one".into()), "inner/d.py".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_cursor_rests_is_prepared_once() {
    let (daemon, seen) = FakeDaemon::new(|request| match &request.method {
        Method::Complete { at, .. } => Reply::Now(Ok(suggestion("load()", 0, at.column, 4))),
        _ => usual(request),
    });
    let (mut editor, _) = Editor::initialized(&daemon, json!({})).await;
    editor.open(DOCUMENT, "x = ").await;
    // Moved on before it rested.
    editor.notify("fovea/cursor", at(0, 1)).await;
    editor.notify("fovea/cursor", at(0, 2)).await;
    editor.notify("fovea/cursor", at(0, 4)).await;
    let cursor = |request: &Request| match &request.method {
        Method::Complete { at, .. } => Some(at.column),
        _ => None,
    };
    assert_eq!(next(&seen, cursor), 4);
    // The explanation shows it as soon as the answer is taken in.
    let mut question = at(0, 4);
    question["suggestion"] = json!(9);
    while editor.request("fovea/explain", question.clone()).await["result"]["suggestion"].is_null()
    {
    }
    // It is there: neither the cursor nor the editor's request asks again.
    editor.notify("fovea/cursor", at(0, 4)).await;
    let shown = editor.request("textDocument/inlineCompletion", inline(0, 4, 2)).await;
    assert_eq!(shown["result"]["items"][0]["insertText"], "load()", "{shown}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let settings = json!({ "settings": { "fovea": { "prepare": false } } });
    editor.notify("workspace/didChangeConfiguration", settings).await;
    editor.notify("fovea/cursor", at(0, 0)).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    editor.request("textDocument/hover", at(0, 0)).await;
    let asked: Vec<u32> = seen.try_iter().filter_map(|request| cursor(&request)).collect();
    assert!(asked.is_empty(), "{asked:?}");
}
