//! A small HTTP server on loopback that answers as a test wants, rudely if need be.

use std::{
    io::{self, BufRead, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// One request as it came.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// `POST /v1/completions HTTP/1.1`.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// All of it.
    pub n_bytes: usize,
}

impl Received {
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

type Answer = dyn Fn(&Received, &mut TcpStream) -> io::Result<()> + Send + Sync;

/// Listens until it is dropped.
pub struct HttpServer {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    is_over: Arc<AtomicBool>,
    n_connections: Arc<AtomicUsize>,
}

impl HttpServer {
    /// `answer` writes everything, the status line too; the connection is closed behind it.
    ///
    /// # Panics
    /// If nothing can listen on loopback.
    pub fn start(
        answer: impl Fn(&Received, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("it is bound");
        let (received, is_over) = (Arc::<Mutex<Vec<Received>>>::default(), Arc::default());
        let n_connections = Arc::<AtomicUsize>::default();
        let n = Arc::clone(&n_connections);
        let this = Self { address, received: Arc::clone(&received), is_over, n_connections };
        let (is_over, answer): (_, Arc<Answer>) = (Arc::clone(&this.is_over), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                n.fetch_add(1, Ordering::Relaxed);
                let (received, answer) = (Arc::clone(&received), Arc::clone(&answer));
                thread::spawn(move || {
                    let Ok(request) = receive(&stream) else { return };
                    lock(&received).push(request.clone());
                    // The client may be gone, which is the point of some tests.
                    let _ = answer(&request, &mut stream);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        this
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }

    /// Connections so far, also those without a request.
    #[must_use]
    pub fn n_connections(&self) -> usize {
        self.n_connections.load(Ordering::Relaxed)
    }

    /// Waits until there were `n` requests; false if that takes longer than ten seconds.
    #[must_use]
    pub fn wait_for(&self, n: usize) -> bool {
        let deadline = Instant::now() + Duration::from_secs(10);
        while lock(&self.received).len() < n {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn receive(stream: &TcpStream) -> io::Result<Received> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream);
    let mut request = Received::default();
    loop {
        let mut line = String::new();
        request.n_bytes += reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if !request.line.is_empty() => {
                request.headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
            _ => request.line = line.to_owned(),
        }
    }
    let n_body = request.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; n_body];
    reader.read_exact(&mut body)?;
    request.n_bytes += n_body;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(request)
}

/// A whole answer.
///
/// # Errors
/// If the client is gone.
pub fn reply(
    stream: &mut TcpStream,
    status: &str,
    content_type: &str,
    body: &str,
) -> io::Result<()> {
    let n = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {n}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// The start of an answer whose end is the connection's.
///
/// # Errors
/// If the client is gone.
pub fn begin(stream: &mut TcpStream, content_type: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n")
}

/// Waits until the client closes; how long that took. `None` after ten seconds.
#[must_use]
pub fn closed(stream: &mut TcpStream) -> Option<Duration> {
    let started = Instant::now();
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    match stream.read(&mut [0; 64]) {
        Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            None
        }
        _ => Some(started.elapsed()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
