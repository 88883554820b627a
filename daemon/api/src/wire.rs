//! Framing: a little-endian `u32` byte count, then JSON. Both ends cap the count before they
//! allocate.

use std::io::{self, Read, Write};

use crate::Frame;

/// Largest frame either end accepts: a buffer of 16 MiB, escaped, and some room.
pub const MAX_FRAME_BYTES: usize = 64 << 20;

/// A frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("connection closed")]
    Closed,
    #[error("frame of {n_bytes} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLarge { n_bytes: usize },
    #[error("frame is not valid: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The other end speaks another version; the frame is read whole, so the connection goes on.
    #[error("request {id} is not known: {source}")]
    Unknown { id: u64, source: serde_json::Error },
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Encodes one frame, count included.
///
/// # Errors
/// [`WireError::TooLarge`] if the other end would refuse it.
pub fn encode(frame: &Frame) -> Result<Vec<u8>, WireError> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let n_bytes = bytes.len() - 4;
    if n_bytes > MAX_FRAME_BYTES {
        return Err(WireError::TooLarge { n_bytes });
    }
    bytes[..4].copy_from_slice(&(n_bytes as u32).to_le_bytes());
    Ok(bytes)
}

/// Writes one frame and flushes.
///
/// # Errors
/// As [`encode`], and whatever the writer says.
pub fn write(writer: &mut impl Write, frame: &Frame) -> Result<(), WireError> {
    writer.write_all(&encode(frame)?)?;
    Ok(writer.flush()?)
}

/// Reads one frame; blocks until it is there.
///
/// # Errors
/// [`WireError::Closed`] at a clean end; the connection is of no use after any error but
/// [`WireError::Unknown`].
pub fn read(reader: &mut impl Read) -> Result<Frame, WireError> {
    let mut count = [0; 4];
    match reader.read_exact(&mut count) {
        Ok(()) => {}
        Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => return Err(WireError::Closed),
        Err(err) => return Err(err.into()),
    }
    let n_bytes = u32::from_le_bytes(count) as usize;
    if n_bytes > MAX_FRAME_BYTES {
        return Err(WireError::TooLarge { n_bytes });
    }
    // Grow with what arrives, so that a lying count costs nothing.
    let mut bytes = Vec::new();
    reader.take(n_bytes as u64).read_to_end(&mut bytes)?;
    if bytes.len() < n_bytes {
        return Err(WireError::Closed);
    }
    serde_json::from_slice(&bytes).map_err(|source| match serde_json::from_slice(&bytes) {
        Ok(Numbered { id }) => WireError::Unknown { id, source },
        Err(_) => source.into(),
    })
}

/// What a request of any version has.
#[derive(serde::Deserialize)]
struct Numbered {
    id: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, Request};

    #[test]
    fn frames_round_trip() {
        let request =
            Request { id: 7, root: Some("/r".into()), deadline_ms: None, method: Method::Status };
        let bytes = encode(&Frame::Request(request)).expect("small");
        let Frame::Request(request) = read(&mut bytes.as_slice()).expect("whole frame") else {
            panic!("a request was written")
        };
        assert_eq!(request.id, 7);
        assert!(matches!(request.method, Method::Status));
    }

    #[test]
    fn a_lying_count_is_refused_or_reported_as_closed() {
        let huge = u32::MAX.to_le_bytes();
        assert!(matches!(read(&mut huge.as_slice()), Err(WireError::TooLarge { .. })));
        let short = [200, 0, 0, 0, b'{'];
        assert!(matches!(read(&mut short.as_slice()), Err(WireError::Closed)));
    }
}
