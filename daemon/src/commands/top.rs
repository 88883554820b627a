//! `fovea top`: what the daemon does, drawn again and again on a terminal, printed once elsewhere.

use std::{
    io::IsTerminal,
    thread::sleep,
    time::{Duration, Instant},
};

use fovea_api::{Answer, HitRate, Method, MethodView, TopView};

use super::{Context, daemon, status, unexpected};
use crate::{
    cli::TopArgs,
    connect::{ConnectError, Connection},
    exit_codes::ExitCode,
    output::{Failure, Output, Style, bytes, count},
};

/// Methods shown; the rest is seldom asked.
const N_METHODS: usize = 12;

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";

pub(super) fn run(context: &mut Context, args: &TopArgs) -> Result<ExitCode, Failure> {
    let connection = match daemon::connect(context, false) {
        Err(ConnectError::NotRunning) => {
            daemon::said(context, "not running".to_owned());
            return Ok(ExitCode::Nothing);
        }
        connection => connection?,
    };
    let is_live = !args.once && !context.global.json && std::io::stdout().is_terminal();
    if !is_live {
        let answer = connection.call(None, None, Method::Top)?;
        return context.show(answer, |out, answer| {
            if let Answer::Top(view) = answer {
                draw(out, view, None);
            }
            true
        });
    }
    let interval = Duration::from_secs_f32(args.interval.clamp(0.1, 3_600.0));
    let mut before: Option<(TopView, Instant)> = None;
    loop {
        let view = ask(&connection)?;
        let at = Instant::now();
        context.out.raw(CLEAR);
        draw(&mut context.out, &view, before.as_ref().map(|(view, then)| (view, at - *then)));
        context.out.flush();
        before = Some((view, at));
        // Ended by Ctrl-C, or when the daemon ends.
        sleep(interval);
    }
}

fn ask(connection: &Connection) -> Result<TopView, Failure> {
    match connection.call(None, None, Method::Top)?.0 {
        Answer::Top(view) => Ok(*view),
        other => Err(unexpected(&other)),
    }
}

/// `before` is the view drawn last, and how long ago that was.
fn draw(out: &mut Output, view: &TopView, before: Option<(&TopView, Duration)>) {
    status::daemon(out, &view.daemon, false);
    out.put(&format!(
        "memory {} of {}, {}, {}",
        bytes(view.daemon.rss_bytes),
        bytes(view.daemon.memory_limit_bytes),
        count(view.n_threads, "thread"),
        count(view.n_handles, "file handle"),
    ));
    if let Some((before, elapsed)) = before {
        let cpu_ms = view.cpu_ms.saturating_sub(before.cpu_ms) as f32;
        let percent = cpu_ms / elapsed.as_secs_f32().max(1e-3) / 10.0;
        let n = view.daemon.n_requests.saturating_sub(before.daemon.n_requests) as f32;
        let rate = n / elapsed.as_secs_f32().max(1e-3);
        out.put(&format!(", {percent:.1} % of a core, {rate:.1} requests/s"));
    } else {
        out.put(&format!(", {:.1} s of processor time", view.cpu_ms as f32 / 1e3));
    }
    out.line();
    out.put(&format!("queue {} being answered, {} waiting\n", view.n_running, view.n_queued));
    let hits =
        [("stored facts", view.facts), ("texts", view.texts), ("prompt tokens", view.tokens)];
    let hits: Vec<String> = hits.iter().map(|(name, hits)| rate(name, *hits)).collect();
    out.put(&format!("found without work: {}\n", hits.join(", ")));
    out.line();
    for workspace in &view.workspaces {
        out.styled(Style::Path, &workspace.root.display().to_string()).put("  ");
        out.put(&format!("generation {}, {} pending, ", workspace.generation, workspace.n_pending));
        out.put(&workspace.summary);
        if workspace.n_overlays > 0 {
            let open = count(workspace.n_overlays, "document");
            out.put(&format!(", {open} open in editors"));
        }
        out.put(&format!(", last use {} s ago\n", workspace.unused_s));
    }
    if view.workspaces.is_empty() {
        out.put("no workspace is open\n");
    }
    out.line();
    out.styled(Style::Heading, "request                    n  failed   p50 ms   p99 ms   max ms")
        .line();
    for method in view.methods.iter().take(N_METHODS) {
        self::method(out, method);
    }
}

fn rate(name: &str, hits: HitRate) -> String {
    match hits.n_asked {
        0 => format!("{name} none asked"),
        n => format!("{name} {:.0} % of {n}", 100.0 * hits.n_found as f64 / n as f64),
    }
}

fn method(out: &mut Output, view: &MethodView) {
    let ms = |us: u32| us as f32 / 1e3;
    out.put(&format!(
        "{:<20} {:>8} {:>7} {:>8.2} {:>8.2} {:>8.2}\n",
        view.method,
        view.n,
        view.n_failed,
        ms(view.p50_us),
        ms(view.p99_us),
        ms(view.max_us)
    ));
}
