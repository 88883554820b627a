//! Between the editor's bytes and the transport: frames whose body is no message are left out, because
//! the transport stops reading at the first of them. Headers and bodies have caps, so that a length that
//! lies costs nothing.
//!
//! It also notes whether the editor shut the server down before it said `exit`, which decides how the
//! process ends.

use std::io;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// Larger than any document that is indexed.
const MAX_BODY_BYTES: u64 = 64 << 20;
const MAX_HEADER_BYTES: u64 = 8 << 10;

/// How far a session got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LifeCycle {
    is_initialized: bool,
    is_shut_down: bool,
    has_exited: bool,
}

impl LifeCycle {
    /// False if the editor said `exit` to a server that it had not shut down.
    pub(crate) fn is_orderly(self) -> bool {
        self.is_shut_down || !self.has_exited
    }

    fn note(&mut self, method: &str) {
        match method {
            "initialize" => self.is_initialized = true,
            "shutdown" => self.is_shut_down |= self.is_initialized,
            "exit" => self.has_exited = true,
            _ => {}
        }
    }
}

/// What every message has; names that come twice are an error.
#[derive(Deserialize)]
struct Shape {
    jsonrpc: String,
    method: Option<String>,
    id: Option<Value>,
    #[serde(rename = "params")]
    _params: Option<Value>,
    /// `null` is an answer.
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<Value>,
}

fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

/// Passes messages on until the input ends or cannot be told apart into frames.
pub(crate) async fn pump(
    input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
    life_cycle: &std::sync::Mutex<LifeCycle>,
) {
    let mut input = BufReader::new(input);
    loop {
        let body = match frame(&mut input).await {
            Ok(Some(body)) => body,
            Ok(None) => return,
            Err(err) => return tracing::error!(%err, "the editor's input is not read any further"),
        };
        let body = match check(&body) {
            Ok(shape) => {
                if let Some(method) = &shape.method {
                    let mut seen = life_cycle.lock().unwrap_or_else(|err| err.into_inner());
                    seen.note(method);
                }
                body
            }
            Err(id) => {
                tracing::warn!(n_bytes = body.len(), "what the editor sent is no message");
                // A request is owed an answer: that there is no such method.
                let Some(id) = id else { continue };
                let request = json!({ "jsonrpc": "2.0", "id": id, "method": "$/malformed" });
                request.to_string().into_bytes()
            }
        };
        let header = format!("Content-Length: {}\r\n\r\n", body.len());
        // The server ended.
        if output.write_all(header.as_bytes()).await.is_err()
            || output.write_all(&body).await.is_err()
        {
            return;
        }
    }
}

/// The id to answer, if it is no message but has one.
fn check(body: &[u8]) -> Result<Shape, Option<Value>> {
    let body = std::str::from_utf8(body).map_err(|_| None)?;
    let shape = serde_json::from_str::<Shape>(body);
    let is_message = |shape: &Shape| {
        let is_answer = shape.id.is_some() && (shape.result.is_some() || shape.error.is_some());
        shape.jsonrpc == "2.0"
            && shape.id.as_ref().is_none_or(is_id)
            && (shape.method.is_some() || is_answer)
    };
    if let Some(shape) = shape.ok().filter(is_message) {
        return Ok(shape);
    }
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    Err(value.get("id").filter(|id| is_id(id)).cloned())
}

fn is_id(id: &Value) -> bool {
    id.is_i64() || id.is_string()
}

/// The next body; `None` at the end.
async fn frame(input: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let mut n_bytes = None;
    loop {
        let mut line = Vec::new();
        let n = input.take(MAX_HEADER_BYTES).read_until(b'\n', &mut line).await?;
        if n == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            return Err(bad("a header line without an end"));
        }
        let line = String::from_utf8(line).map_err(|_| bad("a header that is no text"))?;
        let line = line.trim_end();
        if line.is_empty() {
            // Blank lines between frames do no harm.
            if n_bytes.is_some() {
                break;
            }
            continue;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without a name"))?;
        if name.trim().eq_ignore_ascii_case("content-length") {
            let n = value.trim().parse::<u64>().map_err(|_| bad("a length that is no number"))?;
            n_bytes = Some(n);
        }
    }
    let n_bytes = n_bytes.unwrap_or_default();
    if n_bytes > MAX_BODY_BYTES {
        return Err(bad("a body beyond 64 MiB"));
    }
    let mut body = Vec::new();
    // Grows with what comes, not with what was announced.
    input.take(n_bytes).read_to_end(&mut body).await?;
    Ok((body.len() as u64 == n_bytes).then_some(body))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use expect_test::{Expect, expect};

    use super::*;

    async fn check_pump(input: &str, expected: Expect) -> LifeCycle {
        let life_cycle = Mutex::default();
        let mut output = Vec::new();
        pump(input.as_bytes(), &mut output, &life_cycle).await;
        let text = String::from_utf8(output).expect("text").replace("\r\n\r\n", " ");
        expected.assert_eq(&text.replace("Content-Length: ", "\n"));
        *life_cycle.lock().expect("whole")
    }

    fn framed(bodies: &[&str]) -> String {
        bodies.iter().map(|body| format!("Content-Length: {}\r\n\r\n{body}", body.len())).collect()
    }

    #[tokio::test]
    async fn what_is_no_message_is_left_out() {
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#;
        let answer = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#;
        let deep = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{}}}"#, "[".repeat(900));
        let input = framed(&[
            hello,
            "null",
            "{",
            "",
            "[]",
            &deep,
            r#"{"jsonrpc":"2.0","method":"x","method":"y"}"#,
            r#"{"jsonrpc":"2.0","id":7,"method":8}"#,
            answer,
            r#"{"jsonrpc":"2.0","id":"a","result":null}"#,
            r#"{"jsonrpc":"2.0","method":"exit"}"#,
        ]);
        let life_cycle = check_pump(
            &input,
            expect![[r#"

                 46 {"jsonrpc":"2.0","id":1,"method":"initialize"}
                 47 {"id":7,"jsonrpc":"2.0","method":"$/malformed"}
                 36 {"jsonrpc":"2.0","id":9,"result":{}}
                 40 {"jsonrpc":"2.0","id":"a","result":null}
                 33 {"jsonrpc":"2.0","method":"exit"}"#]],
        )
        .await;
        assert!(!life_cycle.is_orderly());
    }

    #[tokio::test]
    async fn lengths_that_lie_end_the_input() {
        let ping = framed(&[r#"{"jsonrpc":"2.0","method":"a"}"#]);
        for bad in
            ["Content-Length: 99999999999\r\n\r\n{", "Content-Length: x\r\n\r\n", "hello\r\n"]
        {
            let input = format!("{ping}{bad}{ping}");
            let seen = check_pump(
                &input,
                expect![[r#"

                     30 {"jsonrpc":"2.0","method":"a"}"#]],
            );
            assert!(seen.await.is_orderly());
        }
    }
}
