//! The key of a server: from an environment variable or a private file of the user, read anew for each
//! request. It is never written anywhere, and nothing that prints shows it.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::config::RemoteConfig;

const MAX_BYTES: u64 = 4 << 10;

/// The key itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// `text` without the key, should a server repeat it.
    pub(super) fn out_of(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Where the key comes from, for people.
pub(super) fn source(config: &RemoteConfig) -> String {
    match (config.key_env.as_str(), config.key_file.as_os_str().is_empty()) {
        ("", true) => "none".to_owned(),
        ("", false) => format!("the file {}", config.key_file.display()),
        (name, _) => format!("the environment variable {name}"),
    }
}

/// `None` if the settings name none. `root` is the workspace: nothing in it is a key.
///
/// # Errors
/// Why it cannot be used, and what to do.
pub(super) fn read(config: &RemoteConfig, root: &Path) -> Result<Option<Key>, String> {
    let (name, file) = (&config.key_env, &config.key_file);
    if name.is_empty() && file.as_os_str().is_empty() {
        return Ok(None);
    }
    let (text, from) = if name.is_empty() {
        let shown = file.display();
        let text = read_file(file, root).map_err(|reason| {
            format!("the key file `{shown}` (remote.key-file) is not used: {reason}")
        })?;
        (text, format!("the key file `{shown}`"))
    } else {
        let text = std::env::var(name).map_err(|_| {
            format!(
                "the environment variable `{name}` (remote.key-env) is not set where the daemon was \
                 started; set it and run `fovea daemon stop`, or use remote.key-file"
            )
        })?;
        (text, format!("`{name}`"))
    };
    let key = text.trim();
    if key.is_empty() {
        return Err(format!("{from} holds no key"));
    }
    // It becomes part of a header.
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{from} holds more than a key: one line without blanks is expected"));
    }
    Ok(Some(Key(key.to_owned())))
}

fn read_file(path: &Path, root: &Path) -> Result<String, String> {
    if !path.is_absolute() {
        return Err("its path must be absolute".to_owned());
    }
    let real = path.canonicalize().map_err(|err| err.to_string())?;
    if real.starts_with(root) {
        return Err("it lies in the workspace; keep keys outside".to_owned());
    }
    let no_follow = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32;
    let open = || -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(no_follow).open(&real)
    };
    let file = open().map_err(|err| err.to_string())?;
    let metadata = file.metadata().map_err(|err| err.to_string())?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err("it is not a small plain file".to_owned());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user".to_owned());
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(format!("others may read it; run `chmod 600 {}`", path.display()));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(|err| err.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn file_config(path: &Path) -> RemoteConfig {
        RemoteConfig { key_file: path.to_owned(), ..RemoteConfig::default() }
    }

    #[test]
    fn a_key_comes_from_a_private_file_outside_the_workspace() {
        let temp = tempfile::tempdir().expect("folder");
        let base = temp.path().canonicalize().expect("there");
        let (root, file) = (base.join("repo"), base.join("key"));
        fs::create_dir(&root).expect("folder");
        let write = |path: &Path, text: &str, mode: u32| {
            fs::write(path, text).expect("written");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
        };
        write(&file, "sk-secret\n", 0o600);
        let key = read(&file_config(&file), &root).expect("a key").expect("a key");
        assert_eq!(key.header(), "Bearer sk-secret");
        assert_eq!(format!("{key:?} {}", key.out_of("bad key sk-secret")), "Key(***) bad key ***");

        let refused = |path: &Path| read(&file_config(path), &root).expect_err("refused");
        write(&file, "sk-secret\n", 0o640);
        assert!(refused(&file).contains("chmod 600"), "{}", refused(&file));
        write(&file, "two words\n", 0o600);
        assert!(refused(&file).contains("one line without blanks"));
        write(&file, " \n", 0o600);
        assert!(refused(&file).contains("holds no key"));
        let inside = root.join("key");
        write(&inside, "sk-secret\n", 0o600);
        assert!(refused(&inside).contains("lies in the workspace"));
        // By a link that looks as if it were elsewhere, too.
        let link = base.join("link");
        std::os::unix::fs::symlink(&inside, &link).expect("link");
        assert!(refused(&link).contains("lies in the workspace"));
        assert!(refused(Path::new("key")).contains("absolute"));
        assert!(refused(&base).contains("plain file"));
        assert!(refused(&base.join("none")).contains("No such file"));
    }

    #[test]
    fn without_a_setting_there_is_no_key() {
        assert_eq!(read(&RemoteConfig::default(), Path::new("/")), Ok(None));
        let config = RemoteConfig { key_env: "FOVEA_NO_SUCH_KEY".into(), ..Default::default() };
        let reason = read(&config, Path::new("/")).expect_err("not set");
        assert!(reason.contains("FOVEA_NO_SUCH_KEY"), "{reason}");
    }
}
