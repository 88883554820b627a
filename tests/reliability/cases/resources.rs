//! Section C: memory, processor, disk, handles.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Result, ensure};
use fovea_api::Method;

use crate::{
    client,
    daemon::{self, Daemon, PATIENCE},
    oracle,
    rng::Rng,
    sandbox,
    suite::Suite,
    tree::{self, Tree},
};

pub(crate) fn run(suite: &mut Suite) {
    let (n_files, cap) = if suite.n(0, 1) == 1 { (10_000, "600") } else { (600, "400") };
    suite.row("C01", "address space capped while a repository is indexed", (1, 3), |_, rng| {
        capped(n_files, cap, rng)
    });
    suite.row("C02", "files too large, sparse, endless lines", (1, 3), large_files);
    suite.row("C06", "64 file handles", (1, 5), few_handles);
    let n_seconds = suite.n(4, 600);
    suite.row("C08", "idle: processor and disk", (1, 1), |_, rng| idle(n_seconds, rng));
    let n_edits = suite.n(150, 100_000);
    suite.row("C09", "memory, handles and threads after many edits", (1, 1), |_, rng| {
        many_edits(n_edits, rng)
    });
    suite.row("C11", "costly questions", (1, 5), costly_questions);
    suite.row("C12", "a memory budget that cannot be kept", (1, 5), small_budget);
    suite.row("C13", "saves without a pause become durable", (1, 3), steady_saves);
}

fn capped(n_files: usize, megabytes: &str, rng: &mut Rng) -> Result<String> {
    sandbox::need("prlimit")?;
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(n_files, rng)?);
    // Writable memory: mapped code and index files do not count.
    let data = format!("--data={}", megabytes.parse::<u64>()? << 20);
    let mut daemon = Daemon::start_in(&["prlimit", &data], home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    Ok(format!("{n_files} files, peak {} MiB resident", daemon.proc("status", "VmHWM:") >> 10))
}

/// Over its budget from the start: slower, said so, and never wrong.
fn small_budget(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(200, rng)?);
    let mut command = daemon::wrapped(&[], home.path(), &["daemon", "run"]);
    command.env("FOVEA_DAEMON_MEMORY_MB", "8");
    let mut daemon = Daemon::spawn(command, home.path())?;
    let client = daemon.client(&tree.root)?;
    let status = client.open()?;
    let is_said = |status: &fovea_api::WorkspaceStatus| {
        status.warnings.iter().any(|warning| warning.contains("over the memory budget of 8 MiB"))
    };
    ensure!(is_said(&status), "the status does not say so: {:?}", status.warnings);
    for _ in 0..3 {
        tree.change(rng)?;
        oracle::check(&client, &tree.root)?;
    }
    daemon.check_alive()?;
    Ok(String::new())
}

fn steady_saves(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(20, rng)?);
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let committed = |after: SystemTime| {
        let mut manifests = tree::all_files(&home.path().join("data/workspaces"));
        manifests.retain(|path| path.ends_with("index/manifest"));
        manifests.iter().any(|path| {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
            modified.is_ok_and(|modified| modified > after)
        })
    };
    // The commit of the first scan is over.
    daemon.wait_until_quiet()?;
    let (from, started) = (SystemTime::now(), Instant::now());
    while !committed(from) {
        ensure!(started.elapsed() < PATIENCE, "nothing is durable");
        tree.write("steady.py", format!("def at_{}(): pass\n", started.elapsed().as_millis()))?;
        sleep(Duration::from_millis(150));
    }
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    Ok(format!("durable after {} ms of saves every 150 ms", started.elapsed().as_millis()))
}

fn large_files(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(30, rng)?);
    for extension in ["js", "json", "css", "sql", "py"] {
        tree.write(&format!("one_line.{extension}"), "a=1;".repeat(5_000_000))?;
        tree.write(&format!("near_limit.{extension}"), "a=1;".repeat(250_000))?;
    }
    fs::File::create(tree.root.join("sparse.rs"))?.set_len(50 << 30)?;
    fs::File::create(tree.root.join("disk.iso"))?.set_len(4 << 30)?;
    let mut daemon = Daemon::start(home.path())?;
    let before = daemon.proc("io", "rchar:");
    let client = daemon.client(&tree.root)?;
    let started = Instant::now();
    client.open()?;
    let took = started.elapsed();
    for path in ["one_line.js", "one_line.json", "sparse.rs", "disk.iso"] {
        let (outcome, reason) = client.why(path)?;
        ensure!(outcome == "skipped" && reason.contains("bytes"), "{path}: {outcome}, {reason}");
    }
    let (outcome, _) = client.why("near_limit.js")?;
    ensure!(outcome == "indexed" || outcome == "cut", "near_limit.js is {outcome}");
    let read = daemon.proc("io", "rchar:") - before;
    ensure!(read < 60_000_000, "{read} bytes read of files that are too large");
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    let peak = daemon.proc("status", "VmHWM:") >> 10;
    ensure!(peak < 700, "{peak} MiB resident for files near the limit");
    Ok(format!("ready in {} ms, peak {peak} MiB", took.as_millis()))
}

fn few_handles(_: usize, rng: &mut Rng) -> Result<String> {
    sandbox::need("prlimit")?;
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(150, rng)?);
    let mut daemon = Daemon::start_in(&["prlimit", "--nofile=64"], home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let (mut clients, mut n_refused) = (Vec::new(), 0);
    for _ in 0..40 {
        match daemon.client(&tree.root) {
            Ok(client) => clients.push(client),
            Err(_) => n_refused += 1,
        }
    }
    let mut n_served = 0;
    for client in &clients {
        // Those beyond the handles wait in the system's queue; enough others must be served.
        let patience = if n_served < 5 { PATIENCE } else { Duration::from_secs(2) };
        let pending = client.api().send(None, None, Method::Status);
        let answer = pending.and_then(|pending| pending.wait_for(patience));
        if matches!(answer, Ok(Some(_))) {
            n_served += 1;
        } else {
            n_refused += 1;
        }
    }
    drop(clients);
    ensure!(n_served >= 5, "{n_served} of 40 clients served");
    tree.change(rng)?;
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    Ok(format!("{n_served} of 40 clients served, {n_refused} refused"))
}

fn idle(n_seconds: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(200, rng)?);
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    client.sync()?;
    // The last commit is due half a second after the last change.
    daemon.wait_until_quiet()?;
    let (cpu, written) = (daemon.cpu(), daemon.proc("io", "write_bytes:"));
    let called = daemon.proc("io", "syscw:");
    let wakes = daemon.proc("status", "voluntary_ctxt_switches:");
    sleep(Duration::from_secs(n_seconds as u64));
    let cpu = daemon.cpu() - cpu;
    let written = daemon.proc("io", "write_bytes:") - written;
    let n_writes = daemon.proc("io", "syscw:") - called;
    let n_wakes = daemon.proc("status", "voluntary_ctxt_switches:") - wakes;
    ensure!(written == 0 && n_writes == 0, "{written} bytes in {n_writes} writes while idle");
    // The kernel counts in ticks of 10 ms.
    let limit = Duration::from_millis(10).max(Duration::from_secs(n_seconds as u64) / 1_000);
    ensure!(cpu <= limit, "{} ms of processor in {n_seconds} s", cpu.as_millis());
    daemon.check_alive()?;
    Ok(format!(
        "{n_seconds} s: {} ms of processor, {n_wakes} wakes of the main thread, 0 writes, {} MiB resident",
        cpu.as_millis(),
        daemon.proc("status", "VmRSS:") >> 10
    ))
}

fn many_edits(n_edits: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(80, rng)?);
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let files = tree.files();
    let round = |n: usize, rng: &mut Rng| -> Result<()> {
        for index in 0..n {
            let file = rng.pick(&files);
            if index % 3 == 0 {
                tree.write(file, tree::text(file, rng))?;
                client.sync()?;
            } else {
                client.edit(file, &tree::text(file, rng))?;
                client.search("parse store")?;
                client.close(file)?;
            }
        }
        Ok(())
    };
    round(n_edits, rng)?;
    let measure = |daemon: &Daemon| {
        (daemon.proc("status", "VmRSS:"), daemon.n_fds(), daemon.proc("status", "Threads:"))
    };
    let before = measure(&daemon);
    round(n_edits, rng)?;
    let after = measure(&daemon);
    ensure!(after.1 <= before.1 + 8, "{} handles, {} before", after.1, before.1);
    ensure!(after.2 <= before.2 + 2, "{} threads, {} before", after.2, before.2);
    ensure!(after.0 <= before.0 + 40_000, "{} KiB resident, {} before", after.0, before.0);
    oracle::check(&client, &tree.root)?;
    daemon.check_alive()?;
    Ok(format!(
        "{n_edits} edits after {n_edits}: {:+} KiB, {} handles, {} threads",
        after.0 as i64 - before.0 as i64,
        after.1,
        after.2
    ))
}

fn costly_questions(_: usize, rng: &mut Rng) -> Result<String> {
    let (home, tree) = (tempfile::tempdir()?, Tree::generate(200, rng)?);
    let mut daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let regex = |pattern: &str| client::grep(pattern, true, 1_000);
    let search = client::search;
    let words: Vec<String> = (0..10_000).map(|index| format!("word{index}")).collect();
    let questions = vec![
        ("a query of 1 MB", search("parse ".repeat(170_000), 10)),
        ("a word of 1 MB", search("x".repeat(1 << 20), 10)),
        ("10,000 words", search(words.join(" "), 10)),
        ("10^9 hits", search("parse".into(), 1_000_000_000)),
        ("nested repetition", regex("((a{1,100}){1,100}){1,100}")),
        ("a{1000}{1000}", regex("a{1000}{1000}")),
        ("backtracking", regex("(x+x+)+y")),
        ("everything", regex(".*")),
        ("an unclosed group", regex("((((")),
        ("a class of everything", regex(r"[\w\W]{500}")),
        ("10^9 symbols", Method::Symbols { query: "a".into(), limit: 1_000_000_000 }),
        ("a symbol of 1 MB", Method::Symbols { query: "ab".repeat(1 << 19), limit: 10 }),
        ("an endless outline", Method::Outline { budget_tokens: 1_000_000_000, focus: None }),
        ("no outline", Method::Outline { budget_tokens: 0, focus: None }),
    ];
    let before = daemon.proc("status", "VmRSS:");
    let mut dearest = (Duration::ZERO, "");
    for (what, question) in questions {
        let before = daemon.cpu();
        // An answer or a refusal; time of the processor, which other programs do not change.
        let _ = client.try_ask(question)?;
        let took = daemon.cpu() - before;
        ensure!(took < Duration::from_secs(3), "{what} took {} ms", took.as_millis());
        dearest = dearest.max((took, what));
    }
    daemon.check_alive()?;
    let grown = daemon.proc("status", "VmRSS:").saturating_sub(before);
    ensure!(grown < 200_000, "{grown} KiB more after costly questions");
    Ok(format!("dearest: {}, {} ms of processor", dearest.1, dearest.0.as_millis()))
}
