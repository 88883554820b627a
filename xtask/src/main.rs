//! Chores of the repository: `cargo run -p xtask -- tidy` checks what neither rustfmt nor clippy do,
//! `cargo run -p xtask -- projects` runs the main job on published projects.
#![expect(clippy::print_stdout, reason = "its tables are its output")]

mod gate;
mod planted;
mod projects;
mod release;
mod settings;
mod supply;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

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
    /// Checks licenses, sources, checksums and grammars of everything we build from.
    Supply,
    /// Writes the bill of materials (CycloneDX, JSON).
    Sbom { out: PathBuf },
    /// Builds a release that can be compared bit by bit.
    Release(release::Args),
    /// Writes the settings of the VS Code extension from those of the language server.
    Settings,
    /// Builds the daemon with bugs and shows that the reliability harness notices each of them.
    Planted(planted::Args),
    /// Asks the program about ten cursors in each of nine published projects.
    Projects(projects::Args),
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
    let outcome = match Args::parse().task {
        Task::Tidy => tidy::run(root),
        Task::Supply => supply::check(root),
        Task::Sbom { out } => supply::sbom(root, &out),
        Task::Release(args) => release::run(&args, root),
        Task::Settings => settings::write(root),
        Task::Planted(args) => planted::run(&args, root),
        Task::Projects(args) => projects::run(&args, root),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("{err:#}");
            ExitCode::FAILURE
        }
    }
}
