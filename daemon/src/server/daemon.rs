//! `fovea daemon run`: the whole life of a daemon process.

use std::{io::Write, sync::Arc, thread, time::Duration};

use super::{Server, ServerError, Stop};
use crate::{
    config::{self, ConfigError, Layers},
    connect::{READY, RUNNING},
    dirs::Dirs,
    service::{Service, ServiceOptions},
};

/// The daemon ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("cannot write to stdout: {0}")]
    Stdout(#[from] std::io::Error),
}

/// Serves until stopped; says on stdout, in one line, that it listens or why it does not.
///
/// # Errors
/// [`DaemonError`], also printed for the client that started the process.
pub fn run(dirs: &Dirs, layers: &Layers) -> Result<(), DaemonError> {
    // Of its own session, so that closing the terminal of the first client does not end it. Fails if
    // it is one already.
    let _ = rustix::process::setsid();
    match start(dirs, layers) {
        Ok((server, service, config)) => {
            // Whoever reads that line may end us at once.
            stop_on_signals(server.stopper());
            say(READY)?;
            tracing::info!(socket = %server.socket().display(), "daemon listens");
            let idle_exit = Duration::from_secs(config.daemon.idle_exit_s);
            server.run(&service, idle_exit, config.daemon.max_clients);
            tracing::info!("daemon ended");
            Ok(())
        }
        Err(DaemonError::Server(ServerError::AlreadyRunning { pid })) => {
            say(&format!("{RUNNING} (pid {pid})"))?;
            Ok(())
        }
        Err(err) => {
            say(&err.to_string())?;
            Err(err)
        }
    }
}

fn start(
    dirs: &Dirs,
    layers: &Layers,
) -> Result<(Server, Arc<Service>, config::Config), DaemonError> {
    let config = config::load(layers)?.config;
    let server = Server::bind(dirs)?;
    let service = Service::new(ServiceOptions {
        dirs: dirs.clone(),
        layers: layers.clone(),
        socket: Some(server.socket().to_owned()),
        executable: None,
    });
    Ok((server, service, config))
}

fn say(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Interrupt, terminate and hang-up save and end, from when this returns.
fn stop_on_signals(stop: Stop) {
    let listen = || -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        drop(guard);
        let wait = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            stop.stop();
        };
        thread::Builder::new().name("fovea-signals".into()).spawn(wait).map(drop)
    };
    if let Err(err) = listen() {
        tracing::warn!(%err, "signals end the daemon without saving");
    }
}
