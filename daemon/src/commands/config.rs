//! `fovea config`.

use super::{Context, Local};
use crate::{
    cli::ConfigCommand,
    config::{self, SettingView},
    exit_codes::ExitCode,
    output::{Failure, Style},
};

pub(super) fn run(context: &mut Context, command: &ConfigCommand) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Path => {
            let path = context.dirs.config_file();
            context.show_local(Local::File(Some(path)), |out, local| {
                if let Local::File(Some(path)) = local {
                    out.put(&path.display().to_string()).line();
                }
            });
        }
        ConfigCommand::Show => show(context)?,
    }
    Ok(ExitCode::Ok)
}

fn show(context: &mut Context) -> Result<(), Failure> {
    let layers = match context.root(None) {
        Ok(root) => context.layers.with_root(&root),
        Err(_) => context.layers.clone(),
    };
    let loaded =
        config::load(&layers).map_err(|err| Failure::new(ExitCode::Config, err.to_string()))?;
    for ignored in &loaded.ignored {
        super::note(&crate::output::clean_name(&ignored.to_string()));
    }
    let settings: Vec<SettingView> = loaded
        .values
        .iter()
        .map(|(key, (value, source))| SettingView {
            key: key.clone(),
            value: value.to_string(),
            source: source.to_string(),
        })
        .collect();
    context.show_local(Local::Config(settings), |out, local| {
        let Local::Config(settings) = local else { return };
        for setting in settings {
            out.styled(Style::Name, &setting.key).put(" = ").put(&setting.value);
            out.styled(Style::Dim, &format!("  # {}", setting.source)).line();
        }
    });
    Ok(())
}
