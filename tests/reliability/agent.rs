//! `fovea mcp` as a child, asked line by line.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{daemon::wrapped, sandbox};

/// Nothing an agent asks may take longer.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Agent {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
    next_id: u64,
    /// Lines of the standard output that were no message of the protocol.
    pub(crate) noise: Vec<String>,
}

impl Agent {
    pub(crate) fn start(home: &Path, root: &Path) -> Result<Self> {
        let mut this = Self::spawn(home, &["mcp", sandbox::text(root)])?;
        this.request(
            "initialize",
            json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": { "name": "t", "version": "1" },
            }),
        )?;
        this.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string())?;
        Ok(this)
    }

    pub(crate) fn spawn(home: &Path, args: &[&str]) -> Result<Self> {
        let mut child = wrapped(&[], home, args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdin = child.stdin.take().context("piped")?;
        let stdout = child.stdout.take().context("piped")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, lines, next_id: 1, noise: Vec::new() })
    }

    pub(crate) fn send(&mut self, line: &str) -> Result<()> {
        writeln!(self.stdin, "{line}")?;
        Ok(self.stdin.flush()?)
    }

    /// The whole answer, an error too.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.begin(method, params)?;
        self.wait(id)
    }

    pub(crate) fn begin(&mut self, method: &str, params: Value) -> Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let message = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.send(&message.to_string())?;
        Ok(id)
    }

    pub(crate) fn wait(&mut self, id: u64) -> Result<Value> {
        loop {
            let message = self.next()?;
            if message["id"] == id {
                return Ok(message);
            }
        }
    }

    /// The next message, whatever it is.
    pub(crate) fn next(&mut self) -> Result<Value> {
        loop {
            let Ok(line) = self.lines.recv_timeout(TIMEOUT) else { bail!("no answer") };
            match serde_json::from_str::<Value>(&line) {
                Ok(message) if message["jsonrpc"] == "2.0" => return Ok(message),
                _ => self.noise.push(line),
            }
        }
    }

    /// The text of a tool's answer.
    pub(crate) fn tool(&mut self, name: &str, arguments: &Value) -> Result<String> {
        let answer = self.request("tools/call", json!({ "name": name, "arguments": arguments }))?;
        let text = answer["result"]["content"][0]["text"].as_str();
        Ok(text.with_context(|| format!("{name} has no text: {answer}"))?.to_owned())
    }

    /// Closes its input; how it ended.
    pub(crate) fn finish(mut self) -> Result<()> {
        drop(std::mem::replace(&mut self.stdin, {
            // Nothing reads it; only the other one is to be closed.
            let mut other = std::process::Command::new("true").stdin(Stdio::piped()).spawn()?;
            let stdin = other.stdin.take().context("piped")?;
            other.wait()?;
            stdin
        }));
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while std::time::Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("it does not end with its input")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
