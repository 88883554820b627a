//! What a workspace costs: cold index against bare parsing of the same files, reopen, queries over the
//! connection, save to searchable; with `FOVEA_BENCH_MODEL` naming a GGUF file also completions through
//! the real program, and the memory of daemon and model worker.
//!
//! `cargo bench -p fovea --bench workspace -- ROOT...` prints one table row a root. A probe file is
//! written into each root: use copies.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use fovea_api::{Answer, Method, WorkspaceStatus};
use fovea_daemon::{
    config::{IndexConfig, Layers},
    connect::Connection,
    dirs::Dirs,
    service::{Service, ServiceOptions},
    walk::{Rules, Visit},
};
use fovea_indexer::Language;
use rayon::prelude::*;
use serde_json::Value;

const QUERIES: [&str; 8] = [
    "send request",
    "parse config file",
    "Session",
    "error handling",
    "read_to_string",
    "where are headers set",
    "test client",
    "spawn task",
];
const N_ROUNDS: usize = 25;
const N_SAVES: usize = 40;

/// Prompt of the measured completions.
const PROMPT_TOKENS: &str = "1500";
/// Cursors asked about in each workspace.
const N_CURSORS: usize = 12;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let first = args.next();
    if first.as_deref() == Some("--one") {
        return measure(Path::new(&args.next().expect("a root")));
    }
    eprintln!(
        "root | files | MB | parse CPU s | index CPU s | ratio | MB/s | files/s | index/source | reopen ms | query p50/p99 ms | save p50/p95 ms | first token p50/p95 ms | total p50/p95 ms | prompt tokens | asked again first/total ms | daemon MB | worker MB"
    );
    // Each root has a process of its own, so that one workspace's memory is not another's.
    let me = std::env::current_exe().expect("the benchmark's own path");
    for root in first.into_iter().chain(args) {
        let status = Command::new(&me).arg("--one").arg(&root).status().expect("started");
        assert!(status.success(), "{root}");
    }
}

fn measure(root: &Path) {
    let root = root.canonicalize().expect("a folder");
    let texts = texts(&root);
    let (parse_cpu, _) = timed(|| {
        texts.par_iter().for_each(|(language, text)| {
            std::hint::black_box(fovea_indexer::parse::parse(*language, text));
        });
    });
    drop(texts);

    let home = tempfile::tempdir().expect("temporary folder");
    let (index_cpu, index_wall, status) = {
        let connection = open(home.path());
        let mut status = None;
        let (cpu, wall) = timed(|| status = Some(ready(&connection, &root)));
        (cpu, wall, status.expect("indexed"))
    };
    assert!(!status.reopened && status.n_files > 0, "{}", status.summary);

    let connection = open(home.path());
    let mut reopened = None;
    let (_, reopen) = timed(|| reopened = Some(ready(&connection, &root)));
    let reopened = reopened.expect("reopened");
    assert!(reopened.reopened);

    let mut queries = Vec::new();
    for _ in 0..N_ROUNDS {
        for query in QUERIES {
            let method = Method::search(query, 10);
            let started = Instant::now();
            connection.call(Some(&root), None, method).expect("hits");
            queries.push(started.elapsed());
        }
    }
    let mut saves = saves(&connection, &root);
    drop(connection);
    let mega = |bytes: u64| bytes as f64 / 1e6;
    let wall = index_wall.as_secs_f64();
    eprint!(
        "{} | {} | {:.1} | {:.2} | {:.2} | {:.2} | {:.1} | {:.0} | {:.2} | {:.0} | {:.2}/{:.2} | {:.0}/{:.0}",
        root.file_name().unwrap_or_default().to_string_lossy(),
        status.n_files,
        mega(status.source_bytes),
        parse_cpu.as_secs_f64(),
        index_cpu.as_secs_f64(),
        index_cpu.as_secs_f64() / parse_cpu.as_secs_f64(),
        mega(status.source_bytes) / wall,
        status.n_files as f64 / wall,
        // What was written is counted at the next start: the first commit comes after the answer.
        reopened.index_bytes as f64 / status.source_bytes as f64,
        reopen.as_secs_f64() * 1e3,
        percentile(&mut queries, 50),
        percentile(&mut queries, 99),
        percentile(&mut saves, 50),
        percentile(&mut saves, 95),
    );
    match std::env::var_os("FOVEA_BENCH_MODEL") {
        Some(model) => completions(&root, home.path(), Path::new(&model)),
        None => eprintln!(" | no FOVEA_BENCH_MODEL"),
    }
}

/// The real program with its daemon and model worker, at cursors of the workspace's largest files.
fn completions(root: &Path, home: &Path, model: &Path) {
    let fovea = |args: &[&str]| -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_fovea"))
            .args(args)
            .arg("--json")
            .arg("--root")
            .arg(root)
            .env("FOVEA_HOME", home)
            // Cursors are given relative to the root.
            .current_dir(root)
            .output()
            .expect("fovea starts");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|err| {
            panic!("fovea {args:?}: {err} {}", String::from_utf8_lossy(&output.stderr))
        });
        assert!(answer.get("error").is_none(), "fovea {args:?}: {answer}");
        answer
    };
    fovea(&["model", "add", &model.to_string_lossy()]);
    let cursors = cursors(root);
    // The first answer waits for the worker to load the model.
    let ask = |cursor: &str| {
        fovea(&["complete", cursor, "--single-line", "--budget-tokens", PROMPT_TOKENS])
    };
    ask(&cursors[0]);
    let [mut first, mut total, mut tokens, mut next_first, mut next_total] =
        [const { Vec::new() }; 5];
    for cursor in &cursors {
        let timings = ask(cursor)["value"]["timings"].clone();
        let Some(n_prompt) = timings["n_prompt_tokens"].as_f64() else { continue };
        first.push(timings["first_token_ms"].as_f64().unwrap_or(f64::NAN));
        total.push(timings["total_ms"].as_f64().unwrap_or(f64::NAN));
        tokens.push(n_prompt);
        let again = ask(cursor)["value"]["timings"].clone();
        next_first.push(again["first_token_ms"].as_f64().unwrap_or(f64::NAN));
        next_total.push(again["total_ms"].as_f64().unwrap_or(f64::NAN));
    }
    let daemon = fovea(&["status"])["value"]["daemon"].clone();
    let bytes = |value: &Value| value.as_f64().unwrap_or(f64::NAN) / 1e6;
    eprintln!(
        " | {:.0}/{:.0} | {:.0}/{:.0} | {:.0} | {:.0}/{:.0} | {:.0} | {:.0}",
        middle(&mut first, 50),
        middle(&mut first, 95),
        middle(&mut total, 50),
        middle(&mut total, 95),
        middle(&mut tokens, 50),
        middle(&mut next_first, 50),
        middle(&mut next_total, 50),
        bytes(&daemon["rss_bytes"]),
        bytes(&daemon["model"]["worker_rss_bytes"]),
    );
    fovea(&["daemon", "stop"]);
}

/// Cursors in the middle of the last lines of code of the largest files, as `FILE:LINE:COL`.
fn cursors(root: &Path) -> Vec<String> {
    let (rules, _) = Rules::new(root, &IndexConfig::default());
    let mut files = Vec::new();
    rules.walk("", false, &mut |visit| {
        if let Visit::File { path, metadata } = visit
            && matches!(Language::of_path(&path), Some(Language::Rust | Language::Python))
        {
            files.push((metadata.len(), path));
        }
    });
    files.sort_by(|a, b| b.cmp(a));
    let mut cursors = Vec::new();
    for (_, path) in files {
        let text = fs::read_to_string(root.join(&path)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len() * 2 / 3;
        let found = lines.iter().enumerate().skip(from).find_map(|(number, line)| {
            let dot = line.find('.').filter(|at| line.is_ascii() && line.len() > at + 8)?;
            line.starts_with("    ").then_some((number + 1, dot + 2))
        });
        cursors.extend(found.map(|(line, col)| format!("{path}:{line}:{col}")));
        if cursors.len() == N_CURSORS {
            break;
        }
    }
    cursors
}

fn middle(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.is_empty() { f64::NAN } else { values[(values.len() - 1) * percent / 100] }
}

/// Time from a save to the answer that shows it, without `sync`: watcher, quiet time, index.
fn saves(connection: &Connection, root: &Path) -> Vec<Duration> {
    let file = root.join("fovea_bench_probe.py");
    let mut times = Vec::new();
    for round in 0..N_SAVES {
        let name = format!("probe_{round}");
        fs::write(&file, format!("def {name}():\n    return {round}\n")).expect("written");
        let started = Instant::now();
        loop {
            let method = Method::DocumentSymbols { path: "fovea_bench_probe.py".into() };
            if let Ok((Answer::Symbols(symbols), _)) = connection.call(Some(root), None, method)
                && symbols.first().is_some_and(|symbol| symbol.name == name)
            {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "the save is not noticed");
            std::thread::sleep(Duration::from_millis(1));
        }
        times.push(started.elapsed());
    }
    fs::remove_file(file).expect("removed");
    times
}

fn open(home: &Path) -> Connection {
    let dirs = Dirs::below(home);
    let service = Service::new(ServiceOptions {
        dirs,
        layers: Layers::default(),
        socket: None,
        executable: None,
    });
    Connection::to_service(service, |_| {}).expect("a socket pair")
}

fn ready(connection: &Connection, root: &Path) -> WorkspaceStatus {
    match connection.call(Some(root), None, Method::Open { wait: true }).expect("indexed").0 {
        Answer::Workspace(status) => status,
        answer => panic!("a status was expected: {answer:?}"),
    }
}

fn texts(root: &Path) -> Vec<(Language, String)> {
    let (rules, _) = Rules::new(root, &IndexConfig::default());
    let mut texts = Vec::new();
    rules.walk("", false, &mut |visit| {
        if let Visit::File { path, metadata } = visit
            && metadata.len() <= IndexConfig::default().max_file_bytes
            && let Ok(text) = fs::read_to_string(root.join(&path))
            && !text.contains('\0')
        {
            texts.push((Language::of_path(&path).unwrap_or(Language::Text), text));
        }
    });
    texts
}

/// CPU time of the whole process, and wall time.
fn timed(work: impl FnOnce()) -> (Duration, Duration) {
    let (cpu, started) = (cpu_time(), Instant::now());
    work();
    (cpu_time() - cpu, started.elapsed())
}

/// User and system time, in the kernel's ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3
}
