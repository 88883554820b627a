//! `fovea serve --openai` as an editor and as a hostile page see it: bytes on a socket.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use fovea_tests::Home;
use serde_json::{Value, json};

/// A running endpoint on a free port.
struct Served {
    process: Child,
    port: u16,
    key: String,
}

impl Served {
    fn start(home: &Home) -> Self {
        let mut process = home
            .command(&["serve", "--openai", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary is built with the tests");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut line = || lines.next().expect("a line").expect("text");
        let (url, key) = (line(), line());
        let port = url
            .strip_prefix("listening on http://127.0.0.1:")
            .and_then(|rest| rest.strip_suffix("/v1/completions")?.parse().ok())
            .unwrap_or_else(|| panic!("no address: {url}"));
        let file = key.strip_prefix("the key is in ").expect("the key's file");
        let key = fs::read_to_string(file).expect("readable by us").trim().to_owned();
        Self { process, port, key }
    }

    /// Sends bytes, and reads the answer to its end.
    fn send(&self, bytes: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        // A refused request may be answered before it is sent to its end.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).expect("text");
        let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer)
    }

    fn request(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let n_bytes = body.len();
        self.send(
            format!("{method} {path} HTTP/1.1\r\n{headers}Content-Length: {n_bytes}\r\n\r\n{body}")
                .as_bytes(),
        )
    }

    fn complete(&self, body: &Value) -> Value {
        let host = format!("Host: 127.0.0.1:{}", self.port);
        let key = format!("Authorization: Bearer {}", self.key);
        let (status, answer) =
            self.request("POST", "/v1/completions", &[&host, &key], &body.to_string());
        assert_eq!(status, 200, "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).unwrap_or_else(|err| panic!("{err}: {body}"))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_excerpt_is_completed_with_a_member_of_another_file() {
    let home = Home::with_sample("python");
    let served = Served::start(&home);
    let text = fs::read_to_string(home.root().join("larder/cli.py")).expect("sample file");
    let line = "    stock = load_stock(path)\n";
    let at = text.find(line).expect("the line is there") + line.len();
    // As Zed sends it: a few lines around the cursor, in the marks of a model, and no path.
    let from = text[..at].find("def show_expiring").expect("the function is there");
    let until = at + text[at..].find("def add").expect("the next function is there");
    let prefix = format!("{}    stock.expi", &text[from..at]);
    let suffix = format!("\n{}", &text[at..until]);
    let prompt = format!("<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>");
    let asked = json!({ "model": "any", "prompt": prompt, "max_tokens": 64, "stop": ["<PRE>"], "temperature": 0.2 });
    let answer = served.complete(&asked);
    assert_eq!(answer["object"], "text_completion");
    let written = answer["choices"][0]["text"].as_str().expect("text");
    assert!(written.starts_with("ring_within"), "{answer}");

    // The other shape, with a stop in the middle of it.
    let asked =
        json!({ "prompt": [prefix], "suffix": suffix, "path": "larder/cli.py", "stop": "_within" });
    let answer = served.complete(&asked);
    assert_eq!(answer["choices"][0]["text"], "ring", "{answer}");

    // A file that is in no served folder.
    let answer = served.complete(&json!({ "prompt": "nothing of this is in the project = " }));
    assert_eq!(answer["choices"][0]["text"], "");

    // The editor's text is the daemon's business for one question only.
    let found = home.json(&["grep", "stock.expi"]);
    assert!(!found.to_string().contains("\"    stock.expi\""), "{found}");

    let host = format!("Host: localhost:{}", served.port);
    let key = format!("authorization: bearer {}", served.key);
    let (status, models) = served.request("GET", "/v1/models", &[&host, &key], "");
    assert!(status == 200 && models.contains("\"fovea\""), "{models}");
    let (status, stream) = served.request(
        "POST",
        "/v1/completions",
        &[&host, &key],
        &json!({ "prompt": prompt, "stream": true }).to_string(),
    );
    assert!(status == 200 && stream.ends_with("data: [DONE]\n\n"), "{stream}");
    for body in ["", "{}", "[1]", "{\"prompt\": 1}", "{\"prompt\": [\"a\", \"b\"]}"] {
        assert_eq!(
            served.request("POST", "/v1/completions", &[&host, &key], body).0,
            400,
            "{body}"
        );
    }
    let outside = json!({ "prompt": "a", "path": "../../etc/passwd" }).to_string();
    let (status, answer) = served.request("POST", "/v1/completions", &[&host, &key], &outside);
    assert!(status == 400 && answer.contains("outside of the folders"), "{answer}");
}

#[test]
fn nobody_is_answered_but_who_shows_the_key_and_is_no_page() {
    let home = Home::with_sample("python");
    let served = Served::start(&home);
    let port = served.port;
    let ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
    let hosts = [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "127.0.0.1.evil.example",
        "127.0.0.10",
        "localhost:1",
        "",
    ];
    let with_port = |host: &str| format!("{host}:{port}");
    let hosts = hosts.iter().flat_map(|host| {
        // The right names need the port.
        let is_ours = ours.contains(&with_port(host));
        [Some((*host).to_owned()), (!is_ours).then(|| with_port(host))].into_iter().flatten()
    });
    let hosts: Vec<(String, bool)> = hosts
        .map(|host| (host, false))
        .chain(ours.iter().map(|host| (host.clone(), true)))
        .collect();
    let here = format!("http://127.0.0.1:{port}");
    let pages = [
        None,
        Some("Origin: null".to_owned()),
        Some("Origin: http://evil.example".to_owned()),
        Some(format!("Origin: {here}")),
        Some("Sec-Fetch-Site: same-origin".to_owned()),
        Some("Upgrade: websocket".to_owned()),
    ];
    let (right, cut) = (served.key.clone(), served.key[..63].to_owned());
    let keys = [
        None,
        Some("Bearer".to_owned()),
        Some(format!("Bearer {cut}")),
        Some(format!("Bearer {right}0")),
        Some(format!("Basic {right}")),
        Some(format!("Bearer {right}")),
    ];
    let body = json!({ "prompt": "import argp" }).to_string();
    let (mut n_refused, mut n_answered) = (0, 0);
    for (host, host_is_right) in &hosts {
        for page in &pages {
            for (number, key) in keys.iter().enumerate() {
                let mut headers = vec![format!("Host: {host}")];
                headers.extend(page.clone());
                headers.extend(key.iter().map(|key| format!("Authorization: {key}")));
                let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
                let passes = *host_is_right && page.is_none() && number + 1 == keys.len();
                let (status, answer) = served.request("POST", "/v1/completions", &headers, &body);
                if passes {
                    assert_eq!(status, 200, "{headers:?}: {answer}");
                    n_answered += 1;
                } else {
                    assert!(matches!(status, 401 | 403), "{headers:?}: {answer}");
                    n_refused += 1;
                }
                let lower = answer.to_ascii_lowercase();
                assert!(!lower.contains("access-control"), "{answer}");
            }
        }
    }
    assert!(n_refused >= 120 && n_answered == 2, "{n_refused} refused, {n_answered} answered");

    // Methods and paths tell nothing to who has no key.
    let host = format!("Host: 127.0.0.1:{port}");
    let key = format!("Authorization: Bearer {}", served.key);
    for method in ["GET", "POST", "OPTIONS", "PUT", "DELETE", "CONNECT"] {
        for path in
            ["/", "/v1/completions", "/v1/models", "/../../etc/passwd", "http://evil.example/"]
        {
            assert_eq!(served.request(method, path, &[&host], "").0, 401, "{method} {path}");
        }
    }
    assert_eq!(served.request("OPTIONS", "/v1/completions", &[&host, &key], "").0, 405);
    assert_eq!(served.request("GET", "/v1/other", &[&host, &key], "").0, 404);
    // Two of a header that counts are none.
    let other = "Authorization: Bearer other";
    assert_eq!(served.request("POST", "/v1/completions", &[&host, &key, other], &body).0, 401);
    assert_eq!(served.request("POST", "/v1/completions", &[&host, &host, &key], &body).0, 403);
}

#[test]
fn what_is_no_request_is_refused_and_the_next_one_answered() {
    let home = Home::with_sample("python");
    let served = Served::start(&home);
    let long = vec![b'x'; 1 << 20];
    for (bytes, wanted) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00"[..], 400),
        (b"\0\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /v1/completions HTTP/1.1\r\nContent-Length: 0x10\r\n\r\n", 400),
        (b"POST /v1/completions HTTP/1.1\r\nContent-Length: 100000000000\r\n\r\n", 413),
        (b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (&long, 431),
    ] {
        let started = Instant::now();
        let (status, answer) = served.send(bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        assert_eq!(status, wanted, "{shown:?}: {answer}");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{shown:?} took {:?}",
            started.elapsed()
        );
    }
    let mut head = b"GET / HTTP/1.1\r\nX-Long: ".to_vec();
    head.extend(vec![b'x'; 64 << 10]);
    assert_eq!(served.send(&head).0, 431);
    // Many that say nothing: the one beyond them is told so, and none of them stays for ever.
    let silent: Vec<TcpStream> = (0..40)
        .map(|_| TcpStream::connect(("127.0.0.1", served.port)).expect("it listens"))
        .collect();
    let host = format!("Host: 127.0.0.1:{}", served.port);
    let until = Instant::now() + Duration::from_secs(10);
    while served.request("GET", "/", &[&host], "").0 != 503 {
        assert!(Instant::now() < until, "more connections than there should be are read");
    }
    drop(silent);
    let until = Instant::now() + Duration::from_secs(10);
    while served.request("GET", "/", &[&host], "").0 != 401 {
        assert!(Instant::now() < until, "no answer after the silent ones left");
    }
}
