//! Who is at the other end of a socket: both ends talk only to processes of the same user.

use std::{io, os::unix::net::UnixStream};

/// Fails if the other end's process belongs to another user.
pub(crate) fn check(stream: &UnixStream) -> io::Result<()> {
    let (ours, theirs) = (rustix::process::geteuid().as_raw(), uid(stream)?);
    if ours == theirs {
        return Ok(());
    }
    let message = format!("the other end belongs to uid {theirs}, not to uid {ours}");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[expect(unsafe_code, reason = "getpeereid has no safe wrapper among our dependencies")]
fn uid(stream: &UnixStream) -> io::Result<u32> {
    use std::os::fd::AsRawFd;
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the descriptor is open for the whole call, and both pointers are to live locals.
    let status = unsafe { libc::getpeereid(stream.as_raw_fd(), &mut uid, &mut gid) };
    if status == 0 { Ok(uid) } else { Err(io::Error::last_os_error()) }
}
