//! `fovea model`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, Local};
use crate::{
    cli::ModelCommand,
    exit_codes::ExitCode,
    models::{Installed, Models, Terminal, manifest},
    output::{Failure, Output, Style, bytes},
};

/// `model list`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ModelsView {
    pub installed: Vec<Installed>,
    /// Names that `model pull` knows, with size in bytes and licence.
    pub can_be_pulled: Vec<Pullable>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Pullable {
    pub name: String,
    pub n_bytes: u64,
    pub licence: String,
}

pub(super) fn run(context: &mut Context, command: ModelCommand) -> Result<ExitCode, Failure> {
    let models = Models::new(&context.dirs, context.loaded.config.offline);
    match command {
        ModelCommand::Pull { name } => {
            let name = name.unwrap_or_default();
            let installed = models.pull(&name, &mut Terminal::default())?;
            context.show_local(Local::Model(installed), show_one("installed"));
        }
        ModelCommand::Add { path, name } => {
            let installed = models.add(&path, name.as_deref(), &mut Terminal::default())?;
            context.show_local(Local::Model(installed), show_one("installed"));
        }
        ModelCommand::Remove { name } => {
            let removed = models.remove(&name)?;
            context.show_local(Local::Model(removed), show_one("removed"));
        }
        ModelCommand::List => {
            let view = list(&models)?;
            context.show_local(Local::Models(view), |out, local| {
                if let Local::Models(view) = local {
                    show_list(out, view);
                }
            });
        }
        ModelCommand::Path => {
            let path = models.choose(&context.loaded.config.model)?;
            let is_there = path.is_some();
            context.show_local(Local::File(path), |out, local| match local {
                Local::File(Some(path)) => {
                    out.put(&path.display().to_string()).line();
                }
                _ => super::note(crate::models::NO_MODEL_HINT),
            });
            return Ok(if is_there { ExitCode::Ok } else { ExitCode::Nothing });
        }
    }
    Ok(ExitCode::Ok)
}

fn list(models: &Models) -> Result<ModelsView, Failure> {
    let installed = models.list()?;
    let can_be_pulled = manifest::MANIFEST
        .iter()
        .filter(|entry| installed.iter().all(|model| model.name != entry.name))
        .map(|entry| Pullable {
            name: entry.name.to_owned(),
            n_bytes: entry.n_bytes,
            licence: entry.licence.to_owned(),
        })
        .collect();
    Ok(ModelsView { installed, can_be_pulled })
}

fn show_list(out: &mut Output, view: &ModelsView) {
    for model in &view.installed {
        one(out, model);
    }
    for entry in &view.can_be_pulled {
        out.styled(
            Style::Dim,
            &format!("{}  {}  {}", entry.name, bytes(entry.n_bytes), entry.licence),
        );
        out.styled(Style::Dim, &format!("  not installed; `fovea model pull {}`", entry.name))
            .line();
    }
}

fn show_one(what: &'static str) -> impl FnOnce(&mut Output, &Local) {
    move |out, local| {
        if let Local::Model(model) = local {
            out.put(what).put(" ");
            one(out, model);
        }
    }
}

fn one(out: &mut Output, model: &Installed) {
    out.styled(Style::Name, &model.name);
    out.put(&format!("  {}  {}  {}", model.family, bytes(model.n_bytes), model.licence));
    if model.is_default {
        out.styled(Style::Good, "  default");
    }
    out.line();
    if !model.licence_note.is_empty() {
        out.styled(Style::Dim, &format!("    {}", model.licence_note)).line();
    }
    out.styled(Style::Dim, &format!("    {} (from {})", model.path.display(), model.source)).line();
}
