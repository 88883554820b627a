//! The HTTP endpoint: who may ask.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    daemon::{Daemon, wrapped},
    rng::Rng,
    sandbox::text,
    tree::Tree,
};

/// Nothing may take longer than this.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a request carries in one place, and whether that alone may pass.
type Part = (&'static str, bool);

/// `fovea serve --openai`: hosts, origins, keys, methods and paths in all combinations. One passes.
pub(super) fn endpoint(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(3, rng)?, tempfile::tempdir()?);
    let daemon = Daemon::start(home.path())?;
    let args = ["serve", "--openai", "--port", "0", text(&tree.root)];
    let mut child = wrapped(&[], home.path(), &args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    let outcome = (|| -> Result<usize> {
        let url = lines.next().context("it says where it listens")??;
        let key = lines.next().context("it says where the key is")??;
        let port = url.rsplit(':').next().and_then(|it| it.split('/').next()).context("a port")?;
        let key = std::fs::read_to_string(key.rsplit(" in ").next().context("a path")?)?;
        matrix(port, key.trim())
    })();
    let _ = child.kill();
    child.wait()?;
    daemon.stop()?;
    Ok(format!("{} combinations", outcome?))
}

fn matrix(port: &str, key: &str) -> Result<usize> {
    let hosts: [Part; 14] = [
        ("127.0.0.1:{port}", true),
        ("localhost:{port}", true),
        ("127.0.0.1", false),
        ("localhost", false),
        ("127.0.0.1:1", false),
        ("0.0.0.0:{port}", false),
        ("[::]:{port}", false),
        ("[::1]:{port}", false),
        ("evil.example:{port}", false),
        ("localhost.evil.example:{port}", false),
        ("127.0.0.1.evil.example:{port}", false),
        ("evil.example", false),
        ("", false),
        ("127.0.0.1:{port}\r\nHost: evil.example", false),
    ];
    let origins: [Part; 7] = [
        ("", true),
        ("Origin: null\r\n", false),
        ("Origin: http://127.0.0.1:{port}\r\n", false),
        ("Origin: http://localhost:{port}\r\n", false),
        ("Origin: https://evil.example\r\n", false),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\n", false),
        ("Access-Control-Request-Method: POST\r\n", false),
    ];
    let keys: [Part; 6] = [
        ("Authorization: Bearer {key}\r\n", true),
        ("", false),
        ("Authorization: Bearer {key}x\r\n", false),
        ("Authorization: Basic {key}\r\n", false),
        ("Authorization: Bearer \r\n", false),
        ("X-Api-Key: {key}\r\n", false),
    ];
    let lines: [Part; 5] = [
        ("GET /v1/models", true),
        ("GET /v1/../v1/models", false),
        ("OPTIONS /v1/completions", false),
        ("GET /etc/passwd", false),
        ("DELETE /v1/models", false),
    ];
    let mut n = 0;
    for (host, is_host) in hosts {
        for (origin, is_origin) in origins {
            for (shown, is_key) in keys {
                for (line, is_line) in lines {
                    let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{origin}{shown}\r\n")
                        .replace("{port}", port)
                        .replace("{key}", key);
                    let answer = http(port, &request)?;
                    let status: u16 = answer.split(' ').nth(1).unwrap_or("0").parse().unwrap_or(0);
                    let is_admitted = is_host && is_origin && is_key;
                    let expected = match (is_admitted, is_line) {
                        (true, true) => status == 200,
                        (true, false) => [400, 404, 405].contains(&status),
                        (false, _) => [400, 401, 403].contains(&status),
                    };
                    ensure!(expected, "{request:?} is answered with {status}");
                    let lower = answer.to_ascii_lowercase();
                    ensure!(!lower.contains("access-control"), "{request:?}: {answer}");
                    ensure!(!answer.contains(key), "{request:?} tells the key");
                    n += 1;
                }
            }
        }
    }
    Ok(n)
}

fn http(port: &str, request: &str) -> Result<String> {
    let mut stream = std::net::TcpStream::connect(format!("127.0.0.1:{port}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    // A reset behind the answer is no fault.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
