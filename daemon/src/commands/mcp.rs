//! `fovea mcp`: the way from an agent to the daemon.

use super::{Context, unavailable};
use crate::{cli::McpArgs, exit_codes::ExitCode, mcp, output::Failure, root};

pub(super) fn run(context: &mut Context, args: &McpArgs) -> Result<ExitCode, Failure> {
    let roots = if args.roots.is_empty() {
        vec![context.root(None)?]
    } else {
        args.roots.iter().map(|folder| root::check(folder)).collect::<Result<_, _>>()?
    };
    mcp::serve_stdio(context.connect_options(), roots).map_err(unavailable)?;
    Ok(ExitCode::Ok)
}
