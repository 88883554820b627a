//! `fovea symbols`.

use fovea_api::{Answer, Method};

use super::{Context, print, target};
use crate::{cli::SymbolsArgs, exit_codes::ExitCode, output::Failure};

pub(super) fn run(context: &mut Context, args: &SymbolsArgs) -> Result<ExitCode, Failure> {
    let (root, method) = match &args.file {
        Some(file) => {
            let (root, path) = target::locate(context, file)?;
            (root, Method::DocumentSymbols { path })
        }
        None => {
            let query = args.query.clone().unwrap_or_default();
            (context.root(None)?, Method::Symbols { query, limit: args.limit })
        }
    };
    let is_outline = args.file.is_some();
    let answer = context.open(&root)?.ask(method)?;
    context.show(answer, |out, answer| {
        let Answer::Symbols(symbols) = answer else { return false };
        for symbol in symbols {
            if is_outline {
                out.put(&"  ".repeat(symbol.depth as usize));
            }
            print::symbol(out, symbol);
        }
        !symbols.is_empty()
    })
}
