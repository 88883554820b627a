//! Where things live: configuration, data (index, facts, models), cache, state (logs), runtime (socket).
//!
//! Every folder can be moved by an environment variable, so tests and several installations keep
//! apart. Folders we create are readable by their owner alone.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// The five folders. Nothing is created until [`ensure_private`] is called on one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// `config.toml`.
    pub config: PathBuf,
    /// Indexes, the facts store, models.
    pub data: PathBuf,
    /// What may be deleted at any time: cached KV segments.
    pub cache: PathBuf,
    /// Logs.
    pub state: PathBuf,
    /// The socket and the daemon's lock.
    pub runtime: PathBuf,
}

/// The path of a socket has at most 107 bytes, its name among them.
const MAX_RUNTIME_BYTES: usize = 80;

/// `runtime`, or if a socket in it would have no address, a folder of the user's among the temporary
/// ones, the same for every process.
fn short(runtime: PathBuf) -> PathBuf {
    let bytes = runtime.as_os_str().as_encoded_bytes();
    if bytes.len() <= MAX_RUNTIME_BYTES {
        return runtime;
    }
    let uid = rustix::process::getuid().as_raw();
    let hash = blake3::hash(bytes).to_hex();
    Path::new("/tmp").join(format!("fovea-{uid}-{}", &hash[..16]))
}

/// A folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirsError {
    #[error(
        "no home directory is known; set HOME, or FOVEA_HOME to a folder for all of Fovea's files"
    )]
    NoHome,
    #[error(
        "cannot create `{path}`: {source}; check the permissions of its parent, or set {variable} to another folder"
    )]
    Create { path: PathBuf, variable: &'static str, source: io::Error },
    #[error(
        "`{path}` belongs to another user (uid {uid}); remove it, or set {variable} to another folder"
    )]
    Foreign { path: PathBuf, variable: &'static str, uid: u32 },
    #[error(
        "`{path}` is a link, and its target would be taken for a folder of Fovea's; remove it, or set {variable} to the folder itself"
    )]
    Link { path: PathBuf, variable: &'static str },
}

impl Dirs {
    /// The user's folders: `FOVEA_HOME` puts all of them below one folder, `FOVEA_CONFIG_DIR`,
    /// `FOVEA_DATA_DIR`, `FOVEA_CACHE_DIR`, `FOVEA_STATE_DIR` and `FOVEA_RUNTIME_DIR` move one each;
    /// otherwise the platform's conventions hold.
    ///
    /// # Errors
    /// [`DirsError::NoHome`] if nothing says where the user's files are.
    pub fn from_env() -> Result<Self, DirsError> {
        let base = match variable("FOVEA_HOME") {
            Some(home) => Self::below(&home),
            None => match directories::ProjectDirs::from("", "", "fovea") {
                Some(project) => {
                    let state = project.state_dir().unwrap_or_else(|| project.data_local_dir());
                    Self {
                        config: project.config_dir().to_owned(),
                        data: project.data_local_dir().to_owned(),
                        cache: project.cache_dir().to_owned(),
                        state: state.to_owned(),
                        runtime: project
                            .runtime_dir()
                            .map_or_else(|| project.cache_dir().join("run"), Path::to_owned),
                    }
                }
                None => Self::below(&variable("FOVEA_DATA_DIR").ok_or(DirsError::NoHome)?),
            },
        };
        Ok(Self {
            config: variable("FOVEA_CONFIG_DIR").unwrap_or(base.config),
            data: variable("FOVEA_DATA_DIR").unwrap_or(base.data),
            cache: variable("FOVEA_CACHE_DIR").unwrap_or(base.cache),
            state: variable("FOVEA_STATE_DIR").unwrap_or(base.state),
            runtime: short(variable("FOVEA_RUNTIME_DIR").unwrap_or(base.runtime)),
        })
    }

    /// All five below one folder.
    #[must_use]
    pub fn below(home: &Path) -> Self {
        Self {
            config: home.join("config"),
            data: home.join("data"),
            cache: home.join("cache"),
            state: home.join("state"),
            runtime: home.join("run"),
        }
    }

    /// The environment that makes another process use the same folders.
    #[must_use]
    pub fn to_env(&self) -> [(&'static str, &Path); 5] {
        [
            ("FOVEA_CONFIG_DIR", &self.config),
            ("FOVEA_DATA_DIR", &self.data),
            ("FOVEA_CACHE_DIR", &self.cache),
            ("FOVEA_STATE_DIR", &self.state),
            ("FOVEA_RUNTIME_DIR", &self.runtime),
        ]
    }

    /// The user's configuration file; need not exist.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Local models.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// The facts store, shared by all workspaces.
    #[must_use]
    pub fn facts(&self) -> PathBuf {
        self.data.join("facts.sqlite")
    }

    /// The index of one root: a readable name and the hash of the whole path.
    #[must_use]
    pub fn workspace(&self, root: &Path) -> PathBuf {
        let hash = blake3::hash(root.as_os_str().as_encoded_bytes()).to_hex();
        let name: String = root
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
            .take(32)
            .collect();
        self.workspaces().join(format!("{name}-{}", &hash[..16]))
    }

    /// The indexes of all roots, one folder each.
    #[must_use]
    pub fn workspaces(&self) -> PathBuf {
        self.data.join("workspaces")
    }

    /// The daemon's log.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.state.join("fovea.log")
    }

    /// The socket of the daemon of this build.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join(format!("{}.sock", build_id()))
    }

    /// Held by the daemon of this build while it runs; says who it is.
    #[must_use]
    pub fn daemon_lock(&self) -> PathBuf {
        self.runtime.join(format!("{}.lock", build_id()))
    }
}

/// Identifies this executable file: after an upgrade, new clients start a new daemon instead of
/// talking to the old one in types that may have changed.
#[must_use]
pub fn build_id() -> &'static str {
    static BUILD: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BUILD.get_or_init(|| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        if let Ok(metadata) = env::current_exe().and_then(fs::metadata) {
            hasher.update(&metadata.len().to_le_bytes());
            let modified = metadata.modified().ok();
            let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            hasher.update(&since.map_or(0, |since| since.as_nanos()).to_le_bytes());
        }
        format!("{}-{}", env!("CARGO_PKG_VERSION"), &hasher.finalize().to_hex()[..8])
    })
}

/// Creates `path` (and its parents) for its owner alone, or checks that an existing folder is ours
/// and takes other people's permissions away.
///
/// Among the temporary folders anybody may put a link where ours will be. None is followed at the end
/// of the path, and above it only our own and the system's; permissions are changed on the folder
/// that was looked at, not on whatever has its name by then.
///
/// # Errors
/// [`DirsError`] names the folder and the environment variable that moves it.
pub fn ensure_private(path: &Path, variable: &'static str) -> Result<(), DirsError> {
    let failed = |source| DirsError::Create { path: path.to_owned(), variable, source };
    #[cfg(unix)]
    check_links(path, variable)?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use rustix::fs::{Mode, OFlags};
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let folder = fs::File::from(opened.map_err(|err| failed(err.into()))?);
        let metadata = folder.metadata().map_err(failed)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(DirsError::Foreign {
                path: path.to_owned(),
                variable,
                uid: metadata.uid(),
            });
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            folder.set_permissions(fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Refuses a link at `path` and links of other users above it.
#[cfg(unix)]
fn check_links(path: &Path, variable: &'static str) -> Result<(), DirsError> {
    let is_link = |at: &Path| at.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    if is_link(path) {
        return Err(DirsError::Link { path: path.to_owned(), variable });
    }
    let foreign = path.ancestors().skip(1).filter(|above| is_link(above)).find_map(|above| {
        let uid = foreign_owner(above)?;
        Some(DirsError::Foreign { path: above.to_owned(), variable, uid })
    });
    foreign.map_or(Ok(()), Err)
}

/// The owner of what is at `path` (of a link itself), if that is neither this user nor the system's:
/// what others put there is not followed and not obeyed.
#[must_use]
pub fn foreign_owner(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let uid = path.symlink_metadata().ok()?.uid();
        (uid != 0 && uid != rustix::process::geteuid().as_raw()).then_some(uid)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_folder_is_named_after_its_root_and_unique() {
        let dirs = Dirs::below(Path::new("/h"));
        let one = dirs.workspace(Path::new("/src/requests"));
        assert!(one.to_string_lossy().starts_with("/h/data/workspaces/requests-"), "{one:?}");
        assert_ne!(one, dirs.workspace(Path::new("/other/requests")));
    }

    #[cfg(unix)]
    #[test]
    fn permissions_of_others_are_taken_away() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().expect("temporary folder");
        let path = temp.path().join("a/b");
        ensure_private(&path, "FOVEA_DATA_DIR").expect("created");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        ensure_private(&path, "FOVEA_DATA_DIR").expect("still ours");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_link_is_not_followed() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let temp = tempfile::tempdir().expect("temporary folder");
        let (victim, planted) = (temp.path().join("victim"), temp.path().join("run"));
        fs::create_dir(&victim).expect("made");
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o755)).expect("ours");
        symlink(&victim, &planted).expect("linked");
        let error = ensure_private(&planted, "FOVEA_RUNTIME_DIR").expect_err("a link");
        assert!(error.to_string().contains("set FOVEA_RUNTIME_DIR to the folder"), "{error}");
        let mode = fs::metadata(&victim).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "permissions behind the link are untouched");
        // A link of our own above it is our business.
        ensure_private(&planted.join("inner"), "FOVEA_RUNTIME_DIR").expect("below it");
    }

    #[test]
    fn a_file_in_the_way_is_named_with_what_to_do() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let path = temp.path().join("file");
        fs::write(&path, "").expect("written");
        let error = ensure_private(&path.join("data"), "FOVEA_DATA_DIR").expect_err("in the way");
        assert!(error.to_string().contains("set FOVEA_DATA_DIR to another folder"), "{error}");
    }
}
