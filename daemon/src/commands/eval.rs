//! `fovea eval`: how much project context improves completions.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter},
    path::Path,
};

use anyhow::Context as _;
use fovea_context::{Preset, Tuning};

use super::{Context, note, unavailable};
use crate::{
    cli::{EvalArgs, EvalCommand, EvalCompletionArgs},
    complete::Decoding,
    eval::{
        self, Options,
        completer::{Completer, IndexOnly},
        model::OnDevice,
        points::{self, Arm, Point, Report},
    },
    exit_codes::ExitCode,
    models::{Models, NO_MODEL_HINT},
    output::Failure,
};

pub(super) fn run(context: &mut Context, args: &EvalArgs) -> Result<ExitCode, Failure> {
    let failed = |err: anyhow::Error| unavailable(format!("{err:#}"));
    match &args.command {
        Some(EvalCommand::Serve { budget_tokens, no_model }) => {
            let mut options = Options::default();
            if let Some(budget_tokens) = budget_tokens {
                options.budget_tokens = *budget_tokens;
            }
            let completer = completer(context, *no_model, 0, None).map_err(failed)?;
            // The answers are the output; each is written when it is known.
            eval::serve(io::stdin().lock(), io::stdout().lock(), &options, &*completer)
                .map_err(failed)?;
        }
        Some(EvalCommand::Completion(args)) => completion(context, args).map_err(failed)?,
        Some(EvalCommand::Names { dirs, lines, seed, model: true, points, .. }) => {
            let completer = completer(context, false, 1, None).map_err(failed)?;
            let report = match points {
                None => eval::names::balance(dirs, *lines, *seed, &*completer),
                Some(points) => checkouts(context).and_then(|root| {
                    eval::names::balance_points(&points::read(points)?, &root, &*completer)
                }),
            };
            let report = report.map_err(failed)?;
            show(context, &report, &report).map_err(failed)?;
        }
        Some(EvalCommand::Names { dirs, lines, seed, fit, .. }) => {
            let examples = eval::names::collect(dirs, *lines, *seed).map_err(failed)?;
            let report = eval::names::report(&examples, *fit);
            show(context, &report, &report).map_err(failed)?;
        }
        None => repository(context, args).map_err(failed)?,
    }
    Ok(ExitCode::Ok)
}

/// The user's own repository.
fn repository(context: &mut Context, args: &EvalArgs) -> anyhow::Result<()> {
    let dir = args.dir.clone().or_else(|| context.global.root.clone());
    let dir = match dir {
        Some(dir) => dir,
        None => std::env::current_dir().context("cannot tell the current folder")?,
    };
    let dir = dir.canonicalize().with_context(|| format!("cannot open `{}`", dir.display()))?;
    let completer = completer(context, false, 0, None)?;
    let options = Options::default();
    let report = eval::repository::compare(&dir, args.lines, args.seed, &options, &*completer)?;
    show(context, &report, &report)
}

fn completion(context: &mut Context, args: &EvalCompletionArgs) -> anyhow::Result<()> {
    let root = checkouts(context)?;
    let points = select(points::read(&args.points)?, args);
    let arms = match &args.arms {
        Some(path) => {
            let failed = || format!("cannot read the ways to complete in `{}`", path.display());
            serde_json::from_str(&fs::read_to_string(path).with_context(failed)?)
                .with_context(failed)?
        }
        None => default_arms(&args.budgets),
    };
    let completer = completer(context, args.no_model, args.threads, args.cache.as_deref())?;
    let mut files: BTreeMap<String, BufWriter<File>> = BTreeMap::new();
    if let Some(dir) = &args.out {
        fs::create_dir_all(dir).with_context(|| format!("cannot create `{}`", dir.display()))?;
        for arm in &arms {
            let path = dir.join(format!("{}.jsonl", arm.name));
            let file = File::create(&path)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            files.insert(arm.name.clone(), BufWriter::new(file));
        }
    }
    let (n_rows, mut n_done) = (points.len() * arms.len(), 0);
    let rows = points::run(&points, &root, &arms, &*completer, &mut |row| {
        n_done += 1;
        if n_done % 100 == 0 {
            note(&format!("{n_done} of {n_rows} completions"));
        }
        match files.get_mut(&row.arm) {
            Some(file) => points::write_prediction(file, row),
            None => Ok(()),
        }
    })?;
    let report = Report::of(&rows);
    show(context, &report, &report)
}

fn checkouts(context: &Context) -> anyhow::Result<std::path::PathBuf> {
    context.global.root.clone().context("--root names the folder of the checkouts")
}

/// Points of the wanted checkouts, a few of each kind.
fn select(points: Vec<Point>, args: &EvalCompletionArgs) -> Vec<Point> {
    let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
    let keep = |point: &Point| {
        let n = taken.entry((point.repo.clone(), point.kind.clone())).or_default();
        *n += 1;
        (args.only.is_empty() || args.only.contains(&point.repo))
            && args.per_kind.is_none_or(|limit| *n <= limit)
    };
    points.into_iter().filter(keep).collect()
}

/// Prefix alone, with what follows the cursor, with the graph, with retrieved text, with both, and
/// the plain builder.
fn default_arms(budgets: &[usize]) -> Vec<Arm> {
    let mut arms = Vec::new();
    for &budget_tokens in budgets {
        let mut add = |name: &str, windows: bool, preset, near_field, periphery| {
            let decoding = Options::default().decoding;
            let options = Options {
                preset,
                budget_tokens,
                tuning: Tuning { near_field, periphery, ..Tuning::default() },
                decoding: match near_field {
                    true => decoding,
                    false => Decoding { n_names: 0, ..decoding },
                },
                ..Options::default()
            };
            arms.push(Arm { name: format!("{name}-{budget_tokens}"), windows, options });
        };
        add("none", false, Preset::None, false, false);
        add("windows", true, Preset::None, false, false);
        add("local", false, Preset::Balanced, false, false);
        add("graph", false, Preset::Balanced, true, false);
        add("retrieved", false, Preset::Balanced, false, true);
        add("full", false, Preset::Balanced, true, true);
    }
    arms
}

fn completer(
    context: &Context,
    no_model: bool,
    n_threads: usize,
    cache: Option<&Path>,
) -> anyhow::Result<Box<dyn Completer>> {
    if no_model {
        return Ok(Box::new(IndexOnly::default()));
    }
    let models = Models::new(&context.dirs, context.loaded.config.offline);
    let path = models.choose(&context.loaded.config.model)?.context(NO_MODEL_HINT)?;
    let model = OnDevice::open(&path, n_threads)?;
    Ok(match cache {
        Some(cache) => Box::new(model.with_cache(cache)?),
        None => Box::new(model),
    })
}

fn show(
    context: &mut Context,
    report: &impl std::fmt::Display,
    json: &impl serde::Serialize,
) -> anyhow::Result<()> {
    let text = match context.global.json {
        true => serde_json::to_string_pretty(json)?,
        false => report.to_string(),
    };
    context.out.text(&text).line();
    Ok(())
}
