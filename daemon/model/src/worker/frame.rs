//! Frames on a pipe: four bytes of length, little-endian, then postcard.

use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// Far above any request (a whole context of text and its drafts), far below what would hurt.
const MAX_FRAME: usize = 64 << 20;

pub(super) fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    let len = u32::try_from(bytes.len()).ok().filter(|&len| len as usize <= MAX_FRAME);
    let len = len.ok_or_else(|| io::Error::other("message too large for a frame"))?;
    to.write_all(&len.to_le_bytes())?;
    to.write_all(&bytes)?;
    to.flush()
}

/// The next message; `None` at a clean end of the stream.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut len = [0; 4];
    match from.read(&mut len)? {
        0 => return Ok(None),
        n => from.read_exact(&mut len[n..])?,
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > MAX_FRAME {
        let message = format!("frame of {len} bytes, the limit is {MAX_FRAME}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut bytes = Vec::new();
    from.take(len as u64).read_to_end(&mut bytes)?;
    if bytes.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let message = postcard::from_bytes(&bytes)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_and_the_end_is_clean() {
        let mut bytes = Vec::new();
        write(&mut bytes, &"one").unwrap();
        write(&mut bytes, &"two").unwrap();
        let mut from = &bytes[..];
        assert_eq!(read::<String>(&mut from).unwrap().as_deref(), Some("one"));
        assert_eq!(read::<String>(&mut from).unwrap().as_deref(), Some("two"));
        assert_eq!(read::<String>(&mut from).unwrap(), None);
    }

    #[test]
    fn damaged_streams_are_errors() {
        for bytes in [&[5, 0][..], &[5, 0, 0, 0, 1], &[255, 255, 255, 255], &[1, 0, 0, 0, 9]] {
            assert!(read::<String>(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
    }
}
