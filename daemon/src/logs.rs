//! Where messages go: the daemon's to its file, everybody else's to standard error. Never to
//! standard output, which belongs to answers and protocols.

use std::{fs, io};

use tracing_subscriber::{EnvFilter, fmt};

use crate::{cli::Global, config::LogConfig, dirs::Dirs};

/// Old log files kept, one a day.
const N_LOG_FILES: usize = 5;

/// Keeps the writing thread alive; messages still queued are written when it is dropped.
pub type Guard = tracing_appender::non_blocking::WorkerGuard;

/// Installs the subscriber of this process. `None` where messages are not queued.
pub fn start(dirs: &Dirs, config: &LogConfig, global: &Global, is_daemon: bool) -> Option<Guard> {
    if is_daemon && let Some((writer, guard)) = file(dirs) {
        let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
        fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).init();
        return Some(guard);
    }
    // People who run a command want its answer; what they asked to see comes with -v.
    let level = if global.verbose == 0 { "error" } else { &config.level };
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("error"));
    fmt().with_env_filter(filter).with_writer(io::stderr).without_time().init();
    None
}

fn file(dirs: &Dirs) -> Option<(tracing_appender::non_blocking::NonBlocking, Guard)> {
    crate::dirs::ensure_private(&dirs.state, "FOVEA_STATE_DIR").ok()?;
    let log = dirs.log_file();
    let appender = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix(log.file_stem()?.to_str()?)
        .filename_suffix("log")
        .max_log_files(N_LOG_FILES)
        .build(&dirs.state)
        .ok()?;
    // The name that messages to people mention leads to the file of the day.
    link_newest(dirs);
    Some(tracing_appender::non_blocking(appender))
}

/// Points `fovea.log` to the newest dated file.
fn link_newest(dirs: &Dirs) {
    let log = dirs.log_file();
    let Ok(entries) = fs::read_dir(&dirs.state) else { return };
    let newest = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name())
        .filter(|name| {
            name.to_str().is_some_and(|n| n.starts_with("fovea.2") && n.ends_with(".log"))
        })
        .max();
    if let Some(newest) = newest {
        let is_link = fs::symlink_metadata(&log).is_ok_and(|metadata| metadata.is_symlink());
        if is_link || !log.exists() {
            let _ = fs::remove_file(&log);
            let _ = std::os::unix::fs::symlink(newest, &log);
        }
    }
}
