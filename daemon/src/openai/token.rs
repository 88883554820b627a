//! The key: 256 random bits in a file that its owner alone can read, made once and kept, so that the
//! editor's setting stays right.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

use crate::dirs::{self, Dirs};

const FILE: &str = "serve-key";
/// As hexadecimal digits.
const N_DIGITS: usize = 64;

/// The file, and the key in it.
pub(super) fn load_or_create(dirs: &Dirs) -> io::Result<(PathBuf, String)> {
    dirs::ensure_private(&dirs.state, "FOVEA_STATE_DIR").map_err(io::Error::other)?;
    let path = dirs.state.join(FILE);
    let failed = |err: io::Error| {
        let text = format!("cannot use `{}`: {err}; remove it for a new key", path.display());
        io::Error::new(err.kind(), text)
    };
    match create(&path) {
        Ok(token) => Ok((path, token)),
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
            let token = load(&path).map_err(failed)?;
            Ok((path, token))
        }
        Err(err) => Err(failed(err)),
    }
}

fn create(path: &PathBuf) -> io::Result<String> {
    let mut bytes = [0; N_DIGITS / 2];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{token}")?;
    Ok(token)
}

fn load(path: &PathBuf) -> io::Result<String> {
    let mut options = File::options();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other("others can read it"));
    }
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text)?;
    let token = text.trim();
    if token.len() != N_DIGITS || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(io::Error::other("this is no key"));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_one_that_others_can_read_is_refused() {
        let home = tempfile::tempdir().expect("folder");
        let dirs = Dirs::below(home.path());
        let (path, first) = load_or_create(&dirs).expect("made");
        let (_, second) = load_or_create(&dirs).expect("read");
        assert_eq!((first.len(), &first), (N_DIGITS, &second));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        let refused = load_or_create(&dirs).expect_err("readable").to_string();
        assert!(
            refused.contains("others can read it") && refused.contains("serve-key"),
            "{refused}"
        );
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "short").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        assert!(load_or_create(&dirs).is_err());
    }
}
