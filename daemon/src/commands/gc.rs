//! `fovea gc`: removes indexes and facts that nobody used for long; what and why is in [`crate::gc`].

use fovea_api::{Answer, CollectedView, Method};

use super::{Context, ignore_events};
use crate::{
    cli::GcArgs,
    connect::Connection,
    exit_codes::ExitCode,
    output::{Failure, Output, Style, bytes, count},
};

pub(super) fn run(context: &mut Context, args: &GcArgs) -> Result<ExitCode, Failure> {
    let connection = Connection::open(&context.connect_options(), ignore_events)?;
    let GcArgs { dry_run, max_bytes, unused_days } = *args;
    let answer =
        connection.call(None, None, Method::Collect { dry_run, max_bytes, unused_days })?;
    context.show(answer, |out, answer| {
        if let Answer::Collected(view) = answer {
            show(out, view);
        }
        true
    })
}

fn show(out: &mut Output, view: &CollectedView) {
    for index in &view.indexes {
        let name = index.root.as_ref().unwrap_or(&index.folder).display().to_string();
        let why = match index.reason.as_str() {
            "gone" => "the folder is gone",
            "space" => "to save space",
            _ => "not used",
        };
        out.put("index of ").styled(Style::Path, &name);
        let days = count(index.unused_days as usize, "day");
        out.put(&format!(": {}, {why}, last use {days} ago\n", bytes(index.n_bytes)));
    }
    if view.n_facts > 0 {
        let n_facts = count(view.n_facts as usize, "stored fact");
        out.put(&format!("{n_facts}: {}\n", bytes(view.facts_bytes)));
    }
    if view.n_leftovers > 0 {
        out.put(&format!("{} of daemons that ended\n", count(view.n_leftovers, "leftover")));
    }
    let verb = if view.is_dry_run { "would be" } else { "are" };
    out.put(&format!(
        "{} of {} and {} of {} indexes {verb} left\n",
        bytes(view.n_bytes_after),
        bytes(view.n_bytes_before),
        view.n_indexes_before - view.indexes.len(),
        view.n_indexes_before,
    ));
}
