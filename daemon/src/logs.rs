//! Where messages go: the daemon's to its file, everybody else's to standard error. Never to
//! standard output, which belongs to answers and protocols.

mod lines;
mod rotate;

use std::io;

use lines::OneLine;
use tracing_subscriber::{EnvFilter, fmt};

use crate::{cli::Global, config::LogConfig, dirs::Dirs};

/// A full log file is renamed, and so many of those are kept.
const MAX_LOG_BYTES: u64 = 4 << 20;
const N_OLD_LOGS: usize = 4;

/// Keeps the writing thread alive; messages still queued are written when it is dropped.
pub type Guard = tracing_appender::non_blocking::WorkerGuard;

/// Installs the subscriber of this process. `None` where messages are not queued.
pub fn start(dirs: &Dirs, config: &LogConfig, global: &Global, is_daemon: bool) -> Option<Guard> {
    if is_daemon && let Some((writer, guard)) = file(dirs) {
        let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
        let writer = move || OneLine(writer.clone());
        fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).init();
        return Some(guard);
    }
    // People who run a command want its answer; what they asked to see comes with -v.
    let level = if global.verbose == 0 { "error" } else { &config.level };
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("error"));
    let writer = || OneLine(io::stderr());
    // Colors are escapes like any others, which the writer shows as text.
    fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).without_time().init();
    None
}

fn file(dirs: &Dirs) -> Option<(tracing_appender::non_blocking::NonBlocking, Guard)> {
    crate::dirs::ensure_private(&dirs.state, "FOVEA_STATE_DIR").ok()?;
    let log = rotate::Rotating::open(&dirs.log_file(), MAX_LOG_BYTES, N_OLD_LOGS).ok()?;
    Some(tracing_appender::non_blocking(log))
}
