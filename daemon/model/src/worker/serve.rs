//! The worker's side: one thread reads commands, one runs the model.

use super::{Command, CommandBody, Confinement, Reply, ReplyBody, frame};
use crate::{EmbedModel, ModelError, Session};
use rustc_hash::FxHashMap;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// Commands that are waiting or running, with their cancellation flags.
type Flags = Arc<Mutex<FxHashMap<u64, Arc<AtomicBool>>>>;

/// Answers commands until `from` ends. A model is loaded by a command, not at start. `confinement` is
/// what this process was put under.
///
/// # Errors
/// If `to` cannot be written: the client is gone.
pub fn serve(
    mut from: impl Read + Send,
    mut to: impl Write,
    confinement: &Confinement,
) -> io::Result<()> {
    let flags = Flags::default();
    let (sender, commands) = mpsc::channel::<(Command, Arc<AtomicBool>)>();
    std::thread::scope(|scope| {
        let reader_flags = Arc::clone(&flags);
        scope.spawn(move || {
            read_commands(&mut from, &reader_flags, &sender);
            // The client is gone: whatever still runs has no reader.
            let flags = reader_flags.lock().unwrap_or_else(PoisonError::into_inner);
            flags.values().for_each(|flag| flag.store(true, Ordering::Relaxed));
        });
        let (mut session, mut embedder) = (None, None);
        for (command, cancel) in commands {
            let id = command.id;
            if matches!(command.body, CommandBody::Confinement) {
                let body = ReplyBody::Confinement(confinement.clone());
                frame::write(&mut to, &Reply { id, body })?;
            } else {
                run(command, &cancel, &mut session, &mut embedder, &mut to)?;
            }
            flags.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
        Ok(())
    })
}

fn read_commands(
    from: &mut impl Read,
    flags: &Flags,
    sender: &mpsc::Sender<(Command, Arc<AtomicBool>)>,
) {
    loop {
        let command: Command = match frame::read(from) {
            Ok(Some(command)) => command,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "unreadable command, ending");
                return;
            }
        };
        let mut flags = flags.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(command.body, CommandBody::Cancel) {
            if let Some(flag) = flags.get(&command.id) {
                flag.store(true, Ordering::Relaxed);
            }
            continue;
        }
        let flag = Arc::new(AtomicBool::new(false));
        flags.insert(command.id, Arc::clone(&flag));
        drop(flags);
        if sender.send((command, flag)).is_err() {
            return;
        }
    }
}

fn run(
    command: Command,
    cancel: &AtomicBool,
    session: &mut Option<Session>,
    embedder: &mut Option<EmbedModel>,
    to: &mut impl Write,
) -> io::Result<()> {
    let id = command.id;
    let mut broken = None;
    let body = catch_unwind(AssertUnwindSafe(|| {
        execute(command.body, cancel, session, embedder, &mut |text| {
            let body = ReplyBody::Text(text.to_owned());
            match frame::write(to, &Reply { id, body }) {
                Ok(()) => true,
                Err(error) => {
                    broken = Some(error);
                    false
                }
            }
        })
    }));
    if let Some(error) = broken {
        return Err(error);
    }
    let body = body.unwrap_or_else(|_| {
        // A bug in one request must not poison the next: start over with an empty memory.
        if let Some(session) = session {
            session.clear();
        }
        ReplyBody::Failed(ModelError::Protocol("the request hit a bug in the worker".to_owned()))
    });
    frame::write(to, &Reply { id, body })
}

fn execute(
    body: CommandBody,
    cancel: &AtomicBool,
    session: &mut Option<Session>,
    embedder: &mut Option<EmbedModel>,
    on_text: &mut dyn FnMut(&str) -> bool,
) -> ReplyBody {
    let answer = match body {
        CommandBody::Load { path, options } => {
            // The old model goes first: both at once may not fit.
            *session = None;
            Session::open(&path, &options).map(|loaded| {
                let status = loaded.status();
                *session = Some(loaded);
                ReplyBody::Status(Some(status))
            })
        }
        CommandBody::Generate(request) => with(session, |session| {
            let generated = session.generate(&request, cancel, on_text)?;
            Ok(ReplyBody::Generated(Box::new(generated)))
        }),
        CommandBody::Score(request) => {
            with(session, |session| session.score(&request, cancel).map(ReplyBody::Scored))
        }
        CommandBody::LoadEmbedder { folder, options } => {
            *embedder = None;
            EmbedModel::open(&folder, &options).map(|loaded| {
                let info = loaded.info().clone();
                *embedder = Some(loaded);
                ReplyBody::Embedder(info)
            })
        }
        CommandBody::Embed { texts } => {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let embedder = embedder.as_mut().ok_or(ModelError::NotLoaded);
            embedder.and_then(|embedder| embedder.embed(&texts)).map(ReplyBody::Vectors)
        }
        CommandBody::Status => Ok(ReplyBody::Status(session.as_ref().map(Session::status))),
        CommandBody::Unload => {
            (*session, *embedder) = (None, None);
            Ok(ReplyBody::Status(None))
        }
        // Answered before.
        CommandBody::Cancel | CommandBody::Confinement => Ok(ReplyBody::Status(None)),
    };
    answer.unwrap_or_else(ReplyBody::Failed)
}

fn with(
    session: &mut Option<Session>,
    f: impl FnOnce(&mut Session) -> Result<ReplyBody, ModelError>,
) -> Result<ReplyBody, ModelError> {
    f(session.as_mut().ok_or(ModelError::NotLoaded)?)
}
