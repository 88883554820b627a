//! `fovea secrets`: where secrets were overwritten, and by which rule; never the secret.

use fovea_api::{Answer, Method};

use super::{Context, unexpected};
use crate::{
    exit_codes::ExitCode,
    output::{Failure, Style, count},
};

pub(super) fn run(context: &mut Context) -> Result<ExitCode, Failure> {
    let workspace = context.open(&context.root(None)?)?;
    let answer = workspace.ask(Method::Secrets)?;
    if !matches!(answer.0, Answer::Secrets(_)) {
        return Err(unexpected(&answer.0));
    }
    context.show(answer, |out, answer| {
        let Answer::Secrets(view) = answer else { return false };
        for secret in &view.secrets {
            let place = format!("{}:{}:{}", secret.path, secret.line + 1, secret.column + 1);
            out.styled(Style::Path, &place).put("  ").styled(Style::Name, &secret.rule);
            if secret.is_unsaved {
                out.styled(Style::Dim, "  (open in an editor)");
            }
            out.line();
        }
        if view.n_secrets > view.secrets.len() {
            let more = view.n_secrets - view.secrets.len();
            out.styled(Style::Dim, &format!("… and {more} more")).line();
        }
        if view.n_secrets == 0 {
            out.put("no secrets were found in the indexed files\n");
        } else {
            let (secrets, files) = (count(view.n_secrets, "secret"), count(view.n_files, "file"));
            out.put(&format!("{secrets} in {files}, overwritten before anything was stored\n"));
        }
        true
    })
}
