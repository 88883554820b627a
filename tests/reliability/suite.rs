//! Rows of cases: runs each as often as the tier wants, with a seed of its own, and counts.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use crate::rng::Rng;

/// What the command line says.
#[derive(Clone, Default)]
pub(crate) struct Options {
    pub(crate) list: bool,
    pub(crate) ignored: bool,
    pub(crate) long: bool,
    /// Each row, with a quarter of its rounds.
    quick: bool,
    seed: u64,
    /// Sections or rows; empty means all.
    names: Vec<String>,
    /// One round of a row.
    round: Option<usize>,
}

impl Options {
    pub(crate) fn from_args() -> Self {
        let mut options = Self { seed: 1, ..Self::default() };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => options.list = true,
                "--ignored" => options.ignored = true,
                "--long" => options.long = true,
                "--quick" => options.quick = true,
                "--seed" => options.seed = number(args.next()),
                "--round" => options.round = Some(number(args.next()) as usize),
                "--format" => drop(args.next()),
                name if !name.starts_with('-') => options.names.push(name.to_owned()),
                _ => {}
            }
        }
        options
    }

    /// `A`, `A_crash_safety` and `A01` all want section A.
    pub(crate) fn wants_section(&self, section: &str) -> bool {
        self.names.is_empty()
            || self.names.iter().any(|name| section == name || name[..1] == section[..1])
    }

    fn wants_row(&self, id: &str) -> bool {
        let rows: Vec<&String> = self
            .names
            .iter()
            .filter(|name| name.len() > 1 && name[1..2].parse::<u8>().is_ok())
            .collect();
        rows.is_empty() || rows.iter().any(|row| id.starts_with(row.as_str()))
    }
}

fn number(arg: Option<String>) -> u64 {
    arg.and_then(|arg| arg.parse().ok()).unwrap_or(1)
}

/// The reason why this machine cannot run a row.
#[derive(Debug)]
pub(crate) struct NotHere(pub(crate) String);

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotHere {}

/// One section.
pub(crate) struct Suite {
    section: &'static str,
    options: Options,
    n_passed: usize,
    n_run: usize,
    n_rows_not_here: usize,
    started: Instant,
}

impl Suite {
    pub(crate) fn new(section: &'static str, options: &Options) -> Self {
        println!("{section}");
        let (n_passed, n_run, n_rows_not_here) = (0, 0, 0);
        let (options, started) = (options.clone(), Instant::now());
        Self { section, options, n_passed, n_run, n_rows_not_here, started }
    }

    /// Rounds of the current tier.
    pub(crate) fn n(&self, short: usize, long: usize) -> usize {
        match &self.options {
            Options { long: true, .. } => long,
            Options { quick: true, .. } => short.div_ceil(4),
            _ => short,
        }
    }

    /// One row: `n_short` rounds, or `n_long` in the long tier. `run` gets the round and random
    /// numbers of its own, and returns what there is to tell.
    pub(crate) fn row(
        &mut self,
        id: &str,
        what: &str,
        (n_short, n_long): (usize, usize),
        mut run: impl FnMut(usize, &mut Rng) -> anyhow::Result<String>,
    ) {
        if !self.options.wants_row(id) {
            return;
        }
        let (started, n) = (Instant::now(), self.n(n_short, n_long));
        let (mut n_passed, mut n_run, mut last) = (0, 0, String::new());
        for round in (0..n).filter(|round| self.options.round.is_none_or(|only| only == *round)) {
            let name = id.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
            let mut rng = Rng::new(self.options.seed ^ name << 20 ^ (round as u64) << 40);
            let outcome = catch_unwind(AssertUnwindSafe(|| run(round, &mut rng)))
                .unwrap_or_else(|panic| Err(anyhow::anyhow!("panicked: {}", text_of(&panic))));
            match outcome {
                Ok(note) => (n_passed, last) = (n_passed + 1, note),
                Err(err) if err.is::<NotHere>() => {
                    println!("  {id}  {what}: not run here: {err}");
                    self.n_rows_not_here += 1;
                    return;
                }
                Err(err) => {
                    let seed = self.options.seed;
                    println!("  {id} FAILED with --seed {seed} --round {round}: {err:#}");
                }
            }
            n_run += 1;
        }
        let n_strays = crate::daemon::end_strays();
        if n_strays > 0 {
            println!("  {id} FAILED: {n_strays} processes were left running");
            n_run += 1;
        }
        let note = if last.is_empty() { last } else { format!("  {last}") };
        let seconds = started.elapsed().as_secs_f32();
        println!("  {id}  {what}: {n_passed}/{n_run}  {seconds:.1} s{note}");
        self.n_passed += n_passed;
        self.n_run += n_run;
    }

    /// Prints the sum; returns the number of failures.
    pub(crate) fn finish(self) -> usize {
        let not_here = match self.n_rows_not_here {
            0 => String::new(),
            n => format!(", {n} rows not run here"),
        };
        println!(
            "{}: {}/{} cases passed / cases run in {:.0} s{not_here}",
            self.section,
            self.n_passed,
            self.n_run,
            self.started.elapsed().as_secs_f32()
        );
        self.n_run - self.n_passed
    }
}

fn text_of(panic: &Box<dyn std::any::Any + Send>) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}
