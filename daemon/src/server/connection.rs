//! One client's connection. Changes and cancellations are applied in the order they arrive, on the
//! reading thread; questions are answered on worker threads, in any order.

use std::{
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fovea_api::{ApiError, ErrorCode, Event, Frame, Method, Response, wire};

use crate::service::Service;

/// A client that does not read its answers for this long is dropped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Questions of one client that may be open at once.
const MAX_RUNNING: usize = 256;

#[derive(Clone)]
struct Outgoing {
    /// Shared with the reading side: one file handle a client.
    stream: Arc<UnixStream>,
    /// Held while a frame is written.
    writing: Arc<Mutex<()>>,
}

impl Outgoing {
    fn send(&self, frame: &Frame) {
        let bytes = match wire::encode(frame) {
            Ok(bytes) => bytes,
            Err(err) => return tracing::error!(%err, "an answer could not be encoded"),
        };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(err) = std::io::Write::write_all(&mut &*self.stream, &bytes) {
            // After half a frame nothing that follows can be read; the reading side ends too.
            tracing::debug!(%err, "the client does not read");
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    fn respond(&self, response: Response) {
        let id = response.id;
        let frame = Frame::Response(response);
        match wire::encode(&frame) {
            Err(wire::WireError::TooLarge { n_bytes }) => {
                let message = format!("the answer has {n_bytes} bytes; ask for fewer results");
                let error = ApiError { code: ErrorCode::BadRequest, message };
                let result = Err(error);
                self.send(&Frame::Response(Response { id, freshness: None, result }));
            }
            _ => self.send(&frame),
        }
    }
}

/// Serves one client until it leaves or the service ends.
pub(crate) fn serve(service: &Arc<Service>, stream: UnixStream) {
    if let Err(err) = stream.set_write_timeout(Some(WRITE_TIMEOUT)) {
        return tracing::warn!(%err, "cannot serve a client");
    }
    let outgoing = Outgoing { stream: Arc::new(stream), writing: Arc::default() };
    let session = service.session();
    let stream = Arc::clone(&outgoing.stream);
    let mut reader = std::io::BufReader::new(&*stream);
    loop {
        let request = match wire::read(&mut reader) {
            Ok(Frame::Request(request)) => request,
            Ok(_) => continue,
            Err(wire::WireError::Closed) => break,
            Err(wire::WireError::Unknown { id, source }) => {
                let message = format!(
                    "this daemon ({}) does not know the request: {source}; \
                     `fovea daemon stop` lets the next client start its own version",
                    env!("CARGO_PKG_VERSION")
                );
                let result = Err(ApiError { code: ErrorCode::BadRequest, message });
                outgoing.respond(Response { id, freshness: None, result });
                continue;
            }
            Err(err) => {
                tracing::debug!(%err, "ended a connection");
                break;
            }
        };
        let is_shutdown = matches!(request.method, Method::Shutdown);
        if is_in_order(&request.method) {
            let running = session.begin(&request);
            outgoing.respond(service.handle(&running, request, &|_| {}));
        } else if session.n_running() >= MAX_RUNNING {
            let message =
                format!("{MAX_RUNNING} requests of this client are open; wait for answers");
            let result = Err(ApiError { code: ErrorCode::Unavailable, message });
            outgoing.respond(Response { id: request.id, freshness: None, result });
        } else {
            let running = session.begin(&request);
            let (handler, outgoing) = (Arc::clone(service), outgoing.clone());
            service.spawn(is_long(&request.method), move || {
                let events = |event: Event| outgoing.send(&Frame::Event(event));
                let response = handler.handle(&running, request, &events);
                drop(running);
                outgoing.respond(response);
            });
        }
        if is_shutdown {
            break;
        }
    }
    session.cancel_all();
}

/// Cheap, and later requests of the client count on it having happened.
fn is_in_order(method: &Method) -> bool {
    matches!(
        method,
        Method::Edited { .. }
            | Method::Closed { .. }
            | Method::Touched { .. }
            | Method::Accepted { .. }
            | Method::Cancel { .. }
            | Method::Shutdown
    )
}

/// Waits for indexing or for the model, and must not keep short questions waiting.
fn is_long(method: &Method) -> bool {
    matches!(
        method,
        Method::Open { .. }
            | Method::Sync
            | Method::Reindex
            | Method::Collect { .. }
            | Method::Dump { .. }
            | Method::Complete { .. }
    )
}
