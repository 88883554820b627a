//! The bytes of one request: counted where they leave, and cut off where somebody cancels.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ureq::{ReadWrite, TlsConnector, rustls};

/// Shared by the thread that talks and everybody who may end the talk.
#[derive(Debug, Default)]
pub(super) struct Wire {
    is_cancelled: AtomicBool,
    socket: Mutex<Option<TcpStream>>,
    n_sent: AtomicU64,
    n_received: AtomicU64,
}

impl Wire {
    /// Ends the connection now, whatever it waits for.
    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(socket) = socket {
            // Fails only if the other side was faster.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Bytes sent and received, those of the encryption included.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.n_sent.load(Ordering::Relaxed), self.n_received.load(Ordering::Relaxed))
    }

    fn attach(&self, socket: Option<&TcpStream>) -> io::Result<()> {
        let copy = socket.map(TcpStream::try_clone).transpose()?;
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = copy;
        if self.is_cancelled() {
            self.cancel();
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cancelled"));
        }
        Ok(())
    }
}

/// Connects for the HTTP client. The client asks a connector only where it encrypts, so it is always
/// given an `https` address; a connector without settings leaves the bytes as they are.
pub(super) struct Connector {
    pub(super) wire: Arc<Wire>,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
}

impl TlsConnector for Connector {
    fn connect(
        &self,
        name: &str,
        io: Box<dyn ReadWrite>,
    ) -> Result<Box<dyn ReadWrite>, ureq::Error> {
        self.wire.attach(io.socket())?;
        let tap = Box::new(Tap { inner: io, wire: Arc::clone(&self.wire) });
        match &self.tls {
            Some(tls) => tls.connect(name, tap),
            None => Ok(tap),
        }
    }
}

struct Tap {
    inner: Box<dyn ReadWrite>,
    wire: Arc<Wire>,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.wire.n_received.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.wire.n_sent.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl ReadWrite for Tap {
    fn socket(&self) -> Option<&TcpStream> {
        self.inner.socket()
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}
