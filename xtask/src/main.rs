//! Chores of the repository: `cargo run -p xtask -- tidy` checks what neither rustfmt nor clippy do.

mod tidy;

use std::{path::Path, process::ExitCode};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Chores of the repository")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks module docs, file sizes and words that do not belong in the tree.
    Tidy,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
    match Args::parse().task {
        Task::Tidy => match tidy::check(root) {
            Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
            Ok(complaints) => {
                complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
                ExitCode::FAILURE
            }
            Err(err) => {
                eprintln!("tidy failed: {err:#}");
                ExitCode::FAILURE
            }
        },
    }
}
