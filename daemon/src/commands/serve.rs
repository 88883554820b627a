//! `fovea serve --openai`: completions for editors that ask over HTTP.

use super::{Context, unavailable};
use crate::{
    cli::ServeArgs,
    exit_codes::ExitCode,
    openai::Endpoint,
    output::{Failure, clean},
    root,
};

pub(super) fn run(context: &mut Context, args: &ServeArgs) -> Result<ExitCode, Failure> {
    let roots = if args.roots.is_empty() {
        vec![context.root(None)?]
    } else {
        args.roots.iter().map(|folder| root::check(folder)).collect::<Result<_, _>>()?
    };
    let options = context.connect_options();
    let endpoint = Endpoint::bind(&context.dirs, options, roots, args.port).map_err(unavailable)?;
    let key = clean(&endpoint.token_file().display().to_string());
    context.out.put(&format!("listening on {}\n", endpoint.url()));
    context.out.put(&format!("the key is in {key}\n"));
    context.out.flush();
    endpoint.serve()
}
