//! The reliability harness: faults, hostile files and rude clients against the real daemon, each
//! followed by a comparison of the live index with one built from scratch.
//!
//! `cargo build --workspace` makes the daemon under test; `cargo test --workspace --test reliability`
//! then runs the short tier and prints `cases passed / cases run` for each row; with `-- --long` the
//! long one, with `-- --quick` every row with a quarter of its rounds. `-- B` runs one section, `-- A01 --seed 7` one row with another seed. It is run by name
//! only. What a machine cannot do (no root, no strace) is listed as not run.

#![allow(clippy::print_stdout, reason = "the table is this program's output")]

mod agent;
mod cases;
mod client;
mod daemon;
mod editor;
mod oracle;
mod rng;
mod sandbox;
mod suite;
mod tree;

use std::process::ExitCode;

use suite::{Options, Suite};

type Section = (&'static str, fn(&mut Suite));

const SECTIONS: [Section; 11] = [
    ("A_crash_safety", cases::crash::run),
    ("B_freshness", cases::freshness::run),
    ("C_resources", cases::resources::run),
    ("D_odd_content", cases::content::run),
    ("E_odd_files", cases::files::run),
    ("F_clients", cases::clients::run),
    ("G_protocols", cases::protocols::run),
    ("H_trust", cases::trust::run),
    ("I_exclusion", cases::exclusion::run),
    ("J_models", cases::models::run),
    ("K_output", cases::output::run),
];

fn main() -> ExitCode {
    let options = Options::from_args();
    if options.list {
        // What a test runner asks; there are no tests it may leave out by default.
        if !options.ignored {
            SECTIONS.iter().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let mut n_failed = 0;
    for (name, run) in SECTIONS {
        if options.wants_section(name) {
            let mut suite = Suite::new(name, &options);
            run(&mut suite);
            n_failed += suite.finish();
        }
    }
    if n_failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
