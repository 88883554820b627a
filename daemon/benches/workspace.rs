//! What a workspace costs: cold index against bare parsing of the same files, reopen, queries over the
//! connection, save to searchable, memory.
//!
//! `cargo bench -p fovea --bench workspace -- ROOT...` prints one table row a root.

use std::{
    fs,
    path::Path,
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

fn main() {
    let roots: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    eprintln!(
        "root | files | MB | parse CPU s | index CPU s | ratio | files/s wall | index/source | reopen ms | query p50/p99 ms | save p50/p95 ms | RSS peak/idle MB"
    );
    for root in roots {
        measure(Path::new(&root));
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
    assert!(reopened.is_some_and(|status| status.reopened));

    let mut queries = Vec::new();
    for _ in 0..N_ROUNDS {
        for query in QUERIES {
            let method = Method::search(query, 10);
            let started = Instant::now();
            connection.call(Some(&root), None, method).expect("hits");
            queries.push(started.elapsed());
        }
    }
    let saves = saves(&connection, &root);
    drop(connection);
    let mega = |bytes: u64| bytes as f64 / 1e6;
    eprintln!(
        "{} | {} | {:.1} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} | {:.0} | {:.2}/{:.2} | {:.0}/{:.0} | {:.0}/{:.0}",
        root.file_name().unwrap_or_default().to_string_lossy(),
        status.n_files,
        mega(status.source_bytes),
        parse_cpu.as_secs_f64(),
        index_cpu.as_secs_f64(),
        index_cpu.as_secs_f64() / parse_cpu.as_secs_f64(),
        status.n_files as f64 / index_wall.as_secs_f64(),
        status.index_bytes as f64 / status.source_bytes as f64,
        reopen.as_secs_f64() * 1e3,
        percentile(&mut queries, 50),
        percentile(&mut queries, 99),
        percentile(&mut saves.clone(), 50),
        percentile(&mut saves.clone(), 95),
        mega(memory("VmHWM:")),
        mega(memory("VmRSS:")),
    );
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

fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
