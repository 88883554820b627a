//! `fovea dump`: the whole index as text, to compare with another one.

use fovea_api::{Answer, Method};

use super::{Context, target, unexpected};
use crate::{
    cli::DumpArgs,
    exit_codes::ExitCode,
    output::{Failure, Output},
};

/// Dumps that a change of the files may interrupt before giving up.
const MAX_TRIES: usize = 5;

pub(super) fn run(context: &mut Context, args: &DumpArgs) -> Result<ExitCode, Failure> {
    let (root, path) = match &args.file {
        Some(path) => {
            let (root, path) = target::locate(context, path)?;
            (root, Some(path))
        }
        None => (context.root(None)?, None),
    };
    let workspace = context.open(&root)?;
    for _ in 0..MAX_TRIES {
        workspace.ask(Method::Sync)?;
        let (mut whole, mut after, mut generation) = (String::new(), None, None);
        loop {
            let (answer, freshness) =
                workspace.ask(Method::Dump { after: after.clone(), path: path.clone() })?;
            let Answer::Dump { text, next } = answer else { return Err(unexpected(&answer)) };
            let of_page = freshness.map(|freshness| freshness.generation);
            if *generation.get_or_insert(of_page) != of_page {
                break;
            }
            whole.push_str(&text);
            after = next;
            if after.is_some() {
                continue;
            }
            return context.show((Answer::Dump { text: whole, next: None }, freshness), show);
        }
    }
    let message = "the files changed while the index was printed; try again when they are quiet";
    Err(Failure::new(ExitCode::Unavailable, message))
}

fn show(out: &mut Output, answer: &Answer) -> bool {
    let Answer::Dump { text, .. } = answer else { return false };
    text.lines().for_each(|line| {
        out.put(line).line();
    });
    !text.is_empty()
}
