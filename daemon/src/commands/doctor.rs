//! `fovea doctor`: shows what was checked and found; the checks are in [`crate::doctor`].

use fovea_api::Health;

use super::{Context, Local};
pub use crate::doctor::Check;
use crate::{
    doctor,
    exit_codes::ExitCode,
    output::{Failure, Style},
};

pub(super) fn run(context: &mut Context) -> Result<ExitCode, Failure> {
    let root = context.root(None).ok();
    let checks = doctor::checks(&context.dirs, &context.loaded.config, root.as_deref());
    let worst = checks.iter().map(|check| check.health).max().unwrap_or_default();
    context.show_local(Local::Doctor(checks), |out, local| {
        let Local::Doctor(checks) = local else { return };
        for check in checks {
            let (style, sign) = match check.health {
                Health::Ok => (Style::Good, "ok     "),
                Health::Warning => (Style::Warn, "warning"),
                Health::Error => (Style::Bad, "error  "),
            };
            out.styled(style, sign).put("  ").styled(Style::Name, &check.name);
            out.put(": ").put(&check.found).line();
            if let Some(hint) = &check.hint {
                out.put("         → ").put(hint).line();
            }
        }
    });
    Ok(if worst == Health::Error { ExitCode::Unhealthy } else { ExitCode::Ok })
}
