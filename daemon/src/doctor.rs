//! Looks for the usual reasons why something does not work. Changes nothing, but for a file that it
//! writes and deletes to see whether a folder is writable.

use std::{fs, path::Path};

use fovea_api::{Answer, Health, Method};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    budget::Budget,
    config::Config,
    connect::{ConnectError, ConnectOptions, Connection},
    dirs::Dirs,
    gc,
    models::Models,
    output::bytes,
    sandbox::probe::Report,
};

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    pub name: String,
    pub health: Health,
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A model, an index and its temporary files want about this much.
const WANTED_BYTES: u64 = 500_000_000;
/// Socket paths have a limit of 104 to 108 bytes.
const MAX_SOCKET_BYTES: usize = 103;
/// Fewer file handles serve few clients.
const MIN_HANDLES: u64 = 256;
/// A repository of a million lines is indexed within this.
const MIN_MEMORY: u64 = 400 << 20;
/// Folders counted before it is clear that the limit is what matters.
const MAX_FOLDERS: usize = 2_000_000;

/// Runs every check.
#[must_use]
pub fn checks(dirs: &Dirs, config: &Config, root: Option<&Path>) -> Vec<Check> {
    let mut checks = vec![
        folder("settings", &dirs.config, "FOVEA_CONFIG_DIR"),
        folder("data", &dirs.data, "FOVEA_DATA_DIR"),
        folder("cache", &dirs.cache, "FOVEA_CACHE_DIR"),
        folder("logs", &dirs.state, "FOVEA_STATE_DIR"),
        folder("socket", &dirs.runtime, "FOVEA_RUNTIME_DIR"),
        socket(dirs),
        space(&dirs.data),
        stored(dirs, config),
        handles(),
        memory(config),
        daemon(dirs, root),
        model(dirs, config),
        sandbox(dirs, config),
    ];
    checks.extend(root.map(workspace));
    checks.extend(watches(root, config));
    checks
}

fn ok(name: &str, found: impl Into<String>) -> Check {
    Check { name: name.to_owned(), health: Health::Ok, found: found.into(), hint: None }
}

fn bad(name: &str, health: Health, found: impl Into<String>, hint: impl Into<String>) -> Check {
    Check { name: name.to_owned(), health, found: found.into(), hint: Some(hint.into()) }
}

/// Our folders are made when they are needed; what counts is that they can be made and written.
fn folder(what: &str, path: &Path, variable: &str) -> Check {
    let name = format!("{what} folder");
    let shown = path.display();
    let Some(existing) = path.ancestors().find(|folder| folder.exists()) else {
        return bad(
            &name,
            Health::Error,
            format!("`{shown}` and everything above it is missing"),
            format!("set {variable} to another folder"),
        );
    };
    if !existing.is_dir() {
        return bad(
            &name,
            Health::Error,
            format!("`{}` is not a folder", existing.display()),
            format!("move it away, or set {variable} to another folder"),
        );
    }
    if let Err(err) = tempfile::tempfile_in(existing) {
        return bad(
            &name,
            Health::Error,
            format!("`{}` is not writable: {err}", existing.display()),
            format!("fix its permissions, or set {variable} to another folder"),
        );
    }
    if existing == path && is_open_to_others(path) {
        return bad(
            &name,
            Health::Warning,
            format!("other users can look into `{shown}`"),
            format!("run `chmod 700 '{shown}'`"),
        );
    }
    let state = if existing == path { "" } else { " (not made yet)" };
    ok(&name, format!("{shown}{state}"))
}

fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

fn socket(dirs: &Dirs) -> Check {
    let socket = dirs.socket();
    let n_bytes = socket.as_os_str().len();
    if n_bytes > MAX_SOCKET_BYTES {
        return bad(
            "socket path",
            Health::Error,
            format!("`{}` has {n_bytes} bytes, systems allow {MAX_SOCKET_BYTES}", socket.display()),
            "set FOVEA_RUNTIME_DIR to a shorter folder",
        );
    }
    ok("socket path", format!("{n_bytes} bytes"))
}

fn space(data: &Path) -> Check {
    let name = "disk space";
    let Some(existing) = data.ancestors().find(|folder| folder.exists()) else {
        return bad(name, Health::Warning, "unknown", "see the data folder above");
    };
    match rustix::fs::statvfs(existing) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} free for `{}`", bytes(free), data.display());
            if free < WANTED_BYTES {
                let hint = "free some, or set FOVEA_DATA_DIR to a folder on another disk";
                bad(name, Health::Warning, found, hint)
            } else {
                ok(name, found)
            }
        }
        Err(err) => bad(name, Health::Warning, format!("unknown: {err}"), "check the data folder"),
    }
}

/// How much indexes and facts take, and whether that is kept within its limit.
fn stored(dirs: &Dirs, config: &Config) -> Check {
    let name = "stored indexes";
    let n_bytes = gc::folder_bytes(&dirs.workspaces())
        + fs::metadata(dirs.facts()).map_or(0, |metadata| metadata.len());
    let limit = config.storage.max_bytes;
    let found = match limit {
        0 => format!("{}, no limit (storage.max-bytes)", bytes(n_bytes)),
        limit => format!("{} of at most {}", bytes(n_bytes), bytes(limit)),
    };
    if limit > 0 && n_bytes > limit && !config.storage.collect {
        return bad(name, Health::Warning, found, "run `fovea gc`, or set storage.collect = true");
    }
    ok(name, found)
}

/// Each client, watcher and part of an index needs some.
fn handles() -> Check {
    let name = "file handles";
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(limit) if limit < MIN_HANDLES => bad(
            name,
            Health::Warning,
            format!("{limit} allowed; many clients at once are refused"),
            "raise the limit: `ulimit -n 1024` in the shell's profile, `LimitNOFILE=1024` in a unit",
        ),
        Some(limit) => ok(name, format!("{limit} allowed")),
        None => ok(name, "no limit"),
    }
}

fn memory(config: &Config) -> Check {
    let name = "memory";
    let budget = Budget::new(config.daemon.memory_mb);
    let limit = budget.limit_bytes();
    let found = format!("the daemon may take {} ({})", bytes(limit), budget.source());
    if limit < MIN_MEMORY {
        let hint = "raise daemon.memory-mb or the control group's limit; until then workspaces \
                    that are not used are closed and indexing uses one thread";
        return bad(name, Health::Warning, found, hint);
    }
    ok(name, found)
}

/// Looks only; a daemon is not started, and nothing is opened.
fn daemon(dirs: &Dirs, root: Option<&Path>) -> Check {
    let options = ConnectOptions {
        dirs: dirs.clone(),
        layers: crate::config::Layers::default(),
        no_daemon: false,
        start: false,
        executable: None,
    };
    match Connection::open(&options, |_| {}) {
        Ok(connection) => match connection.call(root, None, Method::Status) {
            Ok((Answer::Status { workspace: Some(workspace), .. }, _))
                if !workspace.warnings.is_empty() =>
            {
                let found = format!("running; {}", workspace.warnings.join("; "));
                bad("daemon", Health::Warning, found, "`fovea status` shows the workspace's state")
            }
            Ok(_) => ok("daemon", "running"),
            Err(err) => bad(
                "daemon",
                Health::Error,
                format!("running, and does not answer: {err}"),
                "end it with `fovea daemon stop`; the next command starts another",
            ),
        },
        Err(ConnectError::NotRunning) => ok("daemon", "not running; the first command starts it"),
        Err(err) => {
            let hint = format!("its log is `{}`", dirs.log_file().display());
            bad("daemon", Health::Error, err.to_string(), hint)
        }
    }
}

fn model(dirs: &Dirs, config: &Config) -> Check {
    let name = "model";
    if !config.model.enabled {
        return ok(name, "switched off (model.enabled)");
    }
    let missing = "run `fovea model pull`, or `fovea model add PATH` with a GGUF file";
    match Models::new(dirs, config.offline).choose(&config.model) {
        Err(err) => bad(name, Health::Error, err.to_string(), missing),
        Ok(None) => {
            let found = "none is installed, so completions come from the index alone";
            bad(name, Health::Warning, found, missing)
        }
        Ok(Some(path)) => match gate(name, &path) {
            check if check.health == Health::Ok => fits(check, &path),
            check => check,
        },
    }
}

/// A model that does not fit in memory makes everything slow.
fn fits(check: Check, path: &Path) -> Check {
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    });
    let wanted = fs::metadata(path).map_or(0, |metadata| metadata.len() / 4 * 5);
    match available {
        Some(available) if wanted > available => bad(
            &check.name,
            Health::Warning,
            format!("{}; it wants {}, {} are free", check.found, bytes(wanted), bytes(available)),
            "close programs, or pull a smaller one: `fovea model list` shows sizes",
        ),
        _ => check,
    }
}

/// A process like the model's tries what it must not be able to do.
fn sandbox(dirs: &Dirs, config: &Config) -> Check {
    let name = "sandbox";
    if !config.model.sandbox {
        let hint = "remove `model.sandbox = false` from the settings";
        return bad(name, Health::Warning, "switched off (model.sandbox)", hint);
    }
    // In a folder of ours, so that what is refused is refused by the sandbox.
    let existing = dirs.cache.ancestors().find(|folder| folder.is_dir()).unwrap_or(&dirs.cache);
    let tried = tempfile::tempdir_in(existing).and_then(|folder| {
        let file = folder.path().join("model");
        fs::write(&file, "GGUF")?;
        let executable = std::env::current_exe()?;
        let mut command = std::process::Command::new(executable);
        command.arg("model-worker").arg(&file).arg("--probe").env_clear().current_dir("/");
        Ok(command.output()?.stdout)
    });
    let report = tried
        .map_err(|err| err.to_string())
        .and_then(|text| serde_json::from_slice::<Report>(&text).map_err(|err| err.to_string()));
    match report {
        Ok(report) => verdict(name, &report),
        Err(reason) => bad(
            name,
            Health::Warning,
            format!("the test process did not answer: {reason}"),
            "`model.sandbox = false` runs the model without",
        ),
    }
}

fn verdict(name: &str, report: &Report) -> Check {
    let n_tried = report.denied.len() + report.worked.len();
    let active = report.active.join(", ");
    let found = format!("{active}; {} of {n_tried} forbidden acts refused", report.denied.len());
    if !report.reads_model {
        let hint = "`model.sandbox = false` runs the model without";
        return bad(name, Health::Warning, format!("{found}; the model cannot be read"), hint);
    }
    if report.worked.is_empty() {
        return ok(name, found);
    }
    let hint = match report.missing.as_slice() {
        [] => format!("possible although forbidden: {}", report.worked.join(", ")),
        missing => format!("partial, for want of {}", missing.join(", ")),
    };
    bad(name, Health::Warning, found, hint)
}

fn gate(name: &str, path: &Path) -> Check {
    match fovea_model::GgufFile::open(path) {
        Ok(file) => ok(name, format!("{} ({})", path.display(), file.architecture())),
        Err(err) => bad(
            name,
            Health::Error,
            format!("`{}` cannot be used: {err}", path.display()),
            "remove it with `fovea model remove NAME` and pull it again",
        ),
    }
}

fn workspace(root: &Path) -> Check {
    match fs::read_dir(root) {
        Ok(_) => ok("workspace", root.display().to_string()),
        Err(err) => bad(
            "workspace",
            Health::Error,
            format!("`{}` cannot be read: {err}", root.display()),
            "fix its permissions",
        ),
    }
}

/// On Linux each watched folder takes one of a limited number of watches.
fn watches(root: Option<&Path>, config: &Config) -> Vec<Check> {
    let name = "file watches";
    let limit = |file: &str| -> Option<usize> {
        let path = Path::new("/proc/sys/fs/inotify").join(file);
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let Some(n_watches) = limit("max_user_watches") else { return Vec::new() };
    if !config.daemon.watch {
        return vec![ok(name, "switched off (daemon.watch)")];
    }
    let mut checks = Vec::new();
    let n_folders = root.map_or(0, count_folders);
    let found = format!("{n_folders} folders, {n_watches} watches allowed");
    checks.push(if n_folders * 2 > n_watches {
        let wanted = (n_folders * 4).next_power_of_two();
        let hint = format!(
            "raise the limit: `sudo sysctl fs.inotify.max_user_watches={wanted}` (in a file below /etc/sysctl.d to keep it); until then changes are found by polling"
        );
        bad(name, Health::Warning, found, hint)
    } else {
        ok(name, found)
    });
    if let Some(n_instances) = limit("max_user_instances")
        && n_instances < 64
    {
        checks.push(bad(
            "watch instances",
            Health::Warning,
            format!("{n_instances} allowed for all programs together"),
            "raise the limit: `sudo sysctl fs.inotify.max_user_instances=512`",
        ));
    }
    checks
}

/// Folders that would be watched: what is ignored is not.
fn count_folders(root: &Path) -> usize {
    ignore::WalkBuilder::new(root)
        .build()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_dir()))
        .take(MAX_FOLDERS)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_way_of_a_folder_is_an_error_with_a_way_out() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let file = temp.path().join("file");
        fs::write(&file, "").expect("written");
        let check = folder("data", &file.join("data"), "FOVEA_DATA_DIR");
        assert_eq!(check.health, Health::Error);
        assert!(check.found.ends_with("is not a folder"), "{}", check.found);
        assert!(check.hint.expect("says what to do").contains("FOVEA_DATA_DIR"));
    }

    #[test]
    fn a_folder_others_can_read_is_a_warning() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().expect("temporary folder");
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        assert_eq!(folder("data", temp.path(), "FOVEA_DATA_DIR").health, Health::Warning);
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o700)).expect("ours");
        assert_eq!(folder("data", temp.path(), "FOVEA_DATA_DIR").health, Health::Ok);
    }

    #[test]
    fn stored_indexes_beyond_their_limit_that_nothing_collects_are_a_warning() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dirs = Dirs::below(temp.path());
        fs::create_dir_all(dirs.workspaces()).expect("made");
        fs::write(dirs.workspaces().join("index"), [0; 2_000]).expect("written");
        let mut config = Config::default();
        config.storage.max_bytes = 1_000;
        assert_eq!(stored(&dirs, &config).health, Health::Ok, "it is collected");
        config.storage.collect = false;
        let check = stored(&dirs, &config);
        assert_eq!(check.health, Health::Warning);
        assert!(check.found.contains("2.0 kB of at most 1.0 kB"), "{}", check.found);
    }

    #[test]
    fn a_budget_below_what_indexing_takes_is_a_warning() {
        let mut config = Config::default();
        config.daemon.memory_mb = 100;
        let check = memory(&config);
        assert_eq!(check.health, Health::Warning);
        assert!(check.found.contains("daemon.memory-mb"), "{}", check.found);
    }

    #[test]
    fn a_damaged_model_is_found() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let path = temp.path().join("model.gguf");
        fs::write(&path, b"GGUF\x03\0\0\0").expect("written");
        let check = gate("model", &path);
        assert_eq!(check.health, Health::Error);
        assert!(check.found.contains("cannot be used"), "{}", check.found);
    }
}
