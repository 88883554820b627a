//! A headless LSP client: frames on the pipes of `fovea lsp`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

/// One running language server.
pub struct LspSession {
    server: Child,
    to_server: ChildStdin,
    from_server: BufReader<ChildStdout>,
    next_id: i64,
}

impl LspSession {
    /// Starts the server.
    ///
    /// # Panics
    /// If the binary cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let mut server = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary is built with the tests");
        let to_server = server.stdin.take().expect("piped");
        let from_server = BufReader::new(server.stdout.take().expect("piped"));
        Self { server, to_server, from_server, next_id: 1 }
    }

    /// Sends a notification.
    ///
    /// # Panics
    /// If the server is gone.
    pub fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Sends a request and returns its result, answering the server's own requests meanwhile.
    ///
    /// # Panics
    /// If the server is gone or answers with an error.
    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        self.try_request(method, params).unwrap_or_else(|err| panic!("{method} failed: {err}"))
    }

    /// As [`LspSession::request`], but an error is returned.
    ///
    /// # Errors
    /// The error object the server answered with.
    ///
    /// # Panics
    /// If the server is gone.
    pub fn try_request(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let mut message = self.receive();
            if message.get("method").is_some() {
                if let Some(theirs) = message.get("id") {
                    let reply = json!({ "jsonrpc": "2.0", "id": theirs, "result": null });
                    self.send(&reply);
                }
            } else if message["id"] == id {
                return match message.get_mut("error") {
                    Some(error) => Err(error.take()),
                    None => Ok(message["result"].take()),
                };
            }
        }
    }

    /// Shuts the server down and returns true if it ended with success.
    ///
    /// # Panics
    /// If the server is gone.
    #[must_use]
    pub fn stop(mut self) -> bool {
        self.request("shutdown", &Value::Null);
        self.notify("exit", &Value::Null);
        self.server.wait().is_ok_and(|status| status.success())
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.to_server, "Content-Length: {}\r\n\r\n{body}", body.len())
            .expect("server is alive");
        self.to_server.flush().expect("server is alive");
    }

    /// Reads one frame; anything else on stdout fails the test.
    fn receive(&mut self) -> Value {
        let mut length = None;
        loop {
            let mut header = String::new();
            let n = self.from_server.read_line(&mut header).expect("server is alive");
            assert!(n > 0, "server closed its output");
            let header = header.trim_end();
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(": ").expect("only frames on stdout");
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse::<usize>().expect("a number"));
            }
        }
        let mut body = vec![0; length.expect("a frame has a length")];
        self.from_server.read_exact(&mut body).expect("whole frame");
        serde_json::from_slice(&body).expect("a frame is JSON")
    }
}
