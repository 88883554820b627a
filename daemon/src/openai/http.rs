//! One request a connection, in HTTP/1.1: everything that comes in has a cap and a deadline.

use std::{
    io::{self, Read},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Request line and headers together.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// The excerpt of a file, escaped.
pub(super) const MAX_BODY_BYTES: usize = 4 << 20;
/// The whole request has to be there by then.
const READ_DEADLINE: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A request that was read to its end.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// In the order they came, names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// All values of a header.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The value of a header that is there exactly once.
    pub(super) fn only(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }
}

/// A status, and what to say.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    content_type: &'static str,
    body: String,
}

impl Response {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self { status, content_type: "application/json", body: value.to_string() }
    }

    pub(super) fn error(status: u16, message: &str) -> Self {
        let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
        Self::json(status, &json!({ "error": { "message": message, "type": kind } }))
    }

    /// The one value, for a client that asked for a stream.
    pub(super) fn events(value: &Value) -> Self {
        let body = format!("data: {value}\n\ndata: [DONE]\n\n");
        Self { status: 200, content_type: "text/event-stream", body }
    }
}

/// Reads one request; whatever is wrong with it is the answer to it.
pub(super) fn read(stream: &TcpStream) -> Result<Request, Response> {
    let until = Instant::now() + READ_DEADLINE;
    let mut bytes = Vec::new();
    let (mut request, n_head, n_body) = loop {
        if let Some(found) = parse_head(&bytes)? {
            break found;
        }
        if bytes.len() >= MAX_HEAD_BYTES {
            return Err(Response::error(431, "the headers are too long"));
        }
        read_some(stream, &mut bytes, until)?;
    };
    if request.only("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
        // A client that waits for this would wait for its own time limit.
        let _ = super::write_all(stream, b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    while bytes.len() < n_head + n_body {
        read_some(stream, &mut bytes, until)?;
    }
    request.body = bytes[n_head..n_head + n_body].to_vec();
    Ok(request)
}

/// The request without its body, the length of its head and that of its body; `None` if the head is
/// not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(Request, usize, usize)>, Response> {
    let bad = |why: &str| Response::error(400, why);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let n_head = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(n_head)) => n_head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Response::error(431, "there are too many headers"));
        }
        Err(err) => return Err(bad(&format!("this is no request: {err}"))),
    };
    let headers = parsed.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(header.value).trim().to_owned();
        (header.name.to_ascii_lowercase(), value)
    });
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    // Two ways to say where a body ends are how requests are smuggled.
    if request.all("transfer-encoding").next().is_some() {
        return Err(Response::error(411, "give the body's length, not chunks"));
    }
    let n_body = match request.all("content-length").count() {
        0 => 0,
        1 => request
            .only("content-length")
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<usize>().ok())
            .ok_or_else(|| bad("the body's length is no number"))?,
        _ => return Err(bad("the body has two lengths")),
    };
    if n_body > MAX_BODY_BYTES {
        return Err(Response::error(413, "the body is longer than 4 MiB"));
    }
    Ok(Some((request, n_head, n_body)))
}

fn read_some(stream: &TcpStream, bytes: &mut Vec<u8>, until: Instant) -> Result<(), Response> {
    let late = || Response::error(408, "the request took too long");
    let left = until.checked_duration_since(Instant::now()).ok_or_else(late)?;
    let failed = |_: io::Error| late();
    stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).map_err(failed)?;
    let mut chunk = [0; 8 << 10];
    let mut stream = stream;
    match stream.read(&mut chunk).map_err(failed)? {
        0 => Err(Response::error(400, "the request ends in the middle")),
        n_bytes => {
            bytes.extend_from_slice(&chunk[..n_bytes]);
            Ok(())
        }
    }
}

/// Writes the answer and closes the connection.
pub(super) fn write(stream: &TcpStream, response: &Response) -> io::Result<()> {
    let reason = match response.status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    };
    let Response { status, content_type, body } = response;
    let n_bytes = body.len();
    let text = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {n_bytes}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}"
    );
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    super::write_all(stream, text.as_bytes())?;
    // What a refused client still sends must not turn the answer into a reset.
    stream.shutdown(Shutdown::Write)?;
    drain(stream)
}

/// Reads what is left for a moment.
fn drain(mut stream: &TcpStream) -> io::Result<()> {
    let until = Instant::now() + Duration::from_millis(300);
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut chunk = [0; 8 << 10];
    while Instant::now() < until && matches!(stream.read(&mut chunk), Ok(n_bytes) if n_bytes > 0) {}
    Ok(())
}

/// True if the client closed its end, which is how one takes a question back.
pub(super) fn is_gone(stream: &TcpStream) -> bool {
    let mut byte = [0];
    let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut byte));
    let _ = stream.set_nonblocking(false);
    matches!(looked, Ok(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(bytes: &str) -> u16 {
        parse_head(bytes.as_bytes()).expect_err("refused").status
    }

    #[test]
    fn heads_are_taken_apart_and_strange_ones_refused() {
        let head = "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        let (request, n_head, n_body) =
            parse_head(head.as_bytes()).expect("a request").expect("complete");
        assert_eq!((&*request.method, &*request.path), ("POST", "/v1/completions"));
        assert_eq!((request.only("host"), n_head, n_body), (Some("a"), head.len() - 3, 3));
        assert!(parse_head(&head.as_bytes()[..30]).expect("no error").is_none());

        assert_eq!(status("nonsense\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400);
        assert_eq!(
            status("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400
        );
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"), 413);
        assert_eq!(status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
        let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{many}\r\n")), 431);
    }
}
