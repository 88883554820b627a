//! `fovea lsp` as a child, in order or not.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::daemon::wrapped;

/// Nothing may take longer than this.
const TIMEOUT: Duration = Duration::from_secs(20);

/// `fovea lsp`, spoken to in bytes.
pub(crate) struct Raw {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Each frame, or what came in place of one.
    pub(crate) frames: mpsc::Receiver<Result<Value, String>>,
    pub(crate) next_id: i64,
}

impl Raw {
    pub(crate) fn start(home: &Path) -> Result<Self> {
        Self::spawn(home, &["lsp"], &[])
    }

    pub(crate) fn spawn(home: &Path, args: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let stderr =
            std::fs::File::options().create(true).append(true).open(home.join("lsp-stderr"))?;
        let mut child = wrapped(&[], home, args)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()?;
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().context("piped")?);
        let (sender, frames) = mpsc::channel();
        std::thread::spawn(move || {
            while let Some(frame) = read_frame(&mut stdout).transpose() {
                let is_bad = frame.is_err();
                if sender.send(frame).is_err() || is_bad {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, frames, next_id: 1 })
    }

    /// An initialized session of `root`.
    pub(crate) fn open(home: &Path, root: &Path) -> Result<Self> {
        let mut this = Self::start(home)?;
        this.initialize(root)?;
        Ok(this)
    }

    pub(crate) fn initialize(&mut self, root: &Path) -> Result<()> {
        let uri = format!("file://{}", root.display());
        let params = json!({ "processId": null, "rootUri": uri, "capabilities": {} });
        let answer = self.request("initialize", params)?;
        ensure!(answer["result"]["capabilities"].is_object(), "{answer}");
        self.notify("initialized", json!({}))
    }

    /// Fails if the server does not read any more, which some cases want.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let stdin = self.stdin.as_mut().context("its input is closed")?;
        stdin.write_all(bytes)?;
        Ok(stdin.flush()?)
    }

    pub(crate) fn body(&mut self, body: &[u8]) -> Result<()> {
        self.bytes(&[format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat())
    }

    pub(crate) fn message(&mut self, message: &Value) -> Result<()> {
        self.body(message.to_string().as_bytes())
    }

    pub(crate) fn notify(&mut self, method: &str, params: Value) -> Result<()> {
        self.message(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    pub(crate) fn begin(&mut self, method: &str, params: Value) -> Result<i64> {
        let id = self.next_id;
        self.next_id += 1;
        self.message(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        Ok(id)
    }

    pub(crate) fn request(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.begin(method, params)?;
        self.wait(id)
    }

    pub(crate) fn wait(&mut self, id: i64) -> Result<Value> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.frames.recv_timeout(left) {
                Ok(Ok(frame)) if frame.get("method").is_some() => {
                    if let Some(theirs) = frame.get("id") {
                        let reply = json!({ "jsonrpc": "2.0", "id": theirs, "result": null });
                        self.message(&reply)?;
                    }
                }
                Ok(Ok(frame)) if frame["id"] == id => return Ok(frame),
                // The answer to something that had no valid id, or to an older question.
                Ok(Ok(_)) => {}
                Ok(Err(noise)) => bail!("on standard output: {noise}"),
                Err(mpsc::RecvTimeoutError::Timeout) => bail!("no answer to {id}"),
                Err(mpsc::RecvTimeoutError::Disconnected) => bail!("it ended before {id}"),
            }
        }
    }

    /// A question that any server in order answers.
    pub(crate) fn check(&mut self) -> Result<()> {
        let answer = self.request("workspace/symbol", json!({ "query": "a" }))?;
        ensure!(answer.get("error").is_none(), "{answer}");
        Ok(())
    }

    pub(crate) fn rss_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Closes its input and waits; the exit code.
    pub(crate) fn end(&mut self) -> Result<Option<i32>> {
        self.stdin = None;
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        bail!("it does not end")
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_frame(from: &mut impl BufRead) -> Result<Option<Value>, String> {
    let mut n_bytes = None;
    loop {
        let mut line = String::new();
        let n = from.by_ref().take(4_096).read_line(&mut line).map_err(|err| err.to_string())?;
        if n == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => match line.split_once(": ") {
                Some(("Content-Length", n)) => n_bytes = n.parse::<usize>().ok(),
                Some(("Content-Type", _)) => {}
                _ => return Err(line.to_owned()),
            },
        }
    }
    let n_bytes = n_bytes.ok_or("a frame without a length")?;
    let mut body = vec![0; n_bytes];
    from.read_exact(&mut body).map_err(|err| err.to_string())?;
    let value: Value = serde_json::from_slice(&body).map_err(|err| err.to_string())?;
    if value["jsonrpc"] == "2.0" { Ok(Some(value)) } else { Err(value.to_string()) }
}
