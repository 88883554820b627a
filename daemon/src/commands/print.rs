//! The pieces of text that several commands print.

use fovea_api::{Health, Location, PlanView, SegmentView, SymbolView, WorkspaceStatus};

use crate::output::{Output, Style, bytes, count};

/// `path:line:column`, from 1. Columns are UTF-16 units, which editors and people count alike but
/// for characters outside the basic plane.
pub(super) fn location(out: &mut Output, location: &Location) {
    out.styled(Style::Path, &location.path).put(&format!(
        ":{}:{}",
        location.start_line + 1,
        location.start_column + 1
    ));
}

/// One line: where, what, how sure.
pub(super) fn symbol(out: &mut Output, symbol: &SymbolView) {
    location(out, &symbol.location);
    out.put("  ").styled(Style::Dim, &symbol.kind).put(" ");
    if !symbol.container.is_empty() {
        out.styled(Style::Dim, &format!("{} › ", symbol.container));
    }
    out.styled(Style::Name, &symbol.name);
    certainty(out, &symbol.certainty);
    out.line();
}

/// Nothing for what is certain.
pub(super) fn certainty(out: &mut Output, certainty: &str) {
    if certainty != "exact" && !certainty.is_empty() {
        out.put("  ").styled(Style::Warn, certainty);
    }
}

/// Some lines of a text, indented.
pub(super) fn excerpt(out: &mut Output, text: &str, n_lines: usize) {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    for line in lines.by_ref().take(n_lines) {
        let short: String = line.chars().take(160).collect();
        out.put("    ").put(&short).line();
    }
    if lines.next().is_some() {
        out.styled(Style::Dim, "    …").line();
    }
}

pub(super) fn workspace(out: &mut Output, status: &WorkspaceStatus) {
    let style = match status.health {
        Health::Ok => Style::Good,
        Health::Warning => Style::Warn,
        Health::Error => Style::Bad,
    };
    out.styled(Style::Path, &status.root.display().to_string()).put("  ");
    out.styled(style, &status.summary).line();
    out.put(&format!(
        "  {}, {}, {}; {} of source, {} of index\n",
        count(status.n_files, "file"),
        count(status.n_symbols, "symbol"),
        count(status.n_chunks, "chunk"),
        bytes(status.source_bytes),
        bytes(status.index_bytes),
    ));
    if !status.languages.is_empty() {
        let languages: Vec<String> =
            status.languages.iter().map(|(name, n)| format!("{name} {n}")).collect();
        out.put(&format!("  {}\n", languages.join(", ")));
    }
    if let Some(ms) = status.last_index_ms {
        let what = if status.reopened { "reopened" } else { "indexed" };
        out.put(&format!("  {what} in {ms} ms, generation {}\n", status.generation));
    }
    if let Some(n) = status.n_embedded {
        out.put(&format!(
            "  {n} of {} embedded by the chosen model\n",
            count(status.n_chunks, "chunk")
        ));
    }
    if !status.watching.is_empty() {
        let pending = match status.n_pending {
            0 => "nothing pending".to_owned(),
            n => format!("{} pending", count(n, "file")),
        };
        out.put(&format!("  watching: {}, {pending}", status.watching));
        out.put(if status.kept == "disk" { "" } else { ", not kept on disk" }).line();
    }
    if status.n_secrets > 0 {
        out.put(&format!(
            "  {} overwritten in {}; `fovea secrets` says where\n",
            count(status.n_secrets, "secret"),
            count(status.n_files_with_secrets, "file"),
        ));
    }
    for skipped in &status.skipped {
        out.styled(Style::Dim, &format!("  skipped {}: {}", skipped.path, skipped.reason)).line();
    }
    if status.n_skipped > status.skipped.len() {
        let more = status.n_skipped - status.skipped.len();
        out.styled(Style::Dim, &format!("  … and {more} more")).line();
    }
    for warning in &status.warnings {
        out.styled(Style::Warn, &format!("  {warning}")).line();
    }
}

/// The segments of a plan, one line each, and what each ring cost.
pub(super) fn plan(out: &mut Output, plan: &PlanView) {
    for segment in &plan.segments {
        self::segment(out, segment);
    }
    for ring in &plan.rings {
        let cached = ring.n_cached.map_or(String::new(), |n| format!(", {n} cached"));
        let line =
            format!("  {:<10} {:>5} tokens{cached}, {:.1} ms", ring.ring, ring.n_tokens, ring.ms);
        out.styled(Style::Dim, &line).line();
    }
    out.put(&format!(
        "  {} of {} tokens, format {}\n",
        plan.n_tokens, plan.budget_tokens, plan.format
    ));
    if !plan.gate.is_empty() {
        out.put("  gate: ").put(&plan.gate).line();
    }
    if !plan.candidates.is_empty() {
        let names: Vec<&str> = plan.candidates.iter().take(12).map(String::as_str).collect();
        out.put("  names offered: ").put(&names.join(", ")).line();
    }
}

pub(super) fn segment(out: &mut Output, segment: &SegmentView) {
    out.put(&format!("  {:<10} {:<13} ", segment.ring, segment.source));
    let (first, behind) = segment.lines;
    out.styled(Style::Path, &segment.path).put(&format!(
        ":{}-{}  {:>4} tokens  ",
        first + 1,
        behind.max(first + 1),
        segment.n_tokens
    ));
    out.styled(Style::Dim, &segment.reason);
    if !segment.shared.is_empty() {
        out.put("  ").styled(Style::Good, &segment.shared.join(", "));
    }
    out.line();
}
