//! The main job on projects that Fovea has never seen: nine published packages, ten cursors each.
//!
//! Packages are fetched by name with pip and cargo, at the versions of `projects.toml`; the program
//! is asked as a user would ask it, through its command line and a daemon of its own.

mod fetch;
mod program;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use program::Program;

#[derive(Deserialize)]
struct Table {
    /// Cut lines that have to go on with the name that was written, over all projects.
    completes: usize,
    project: Vec<Project>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Project {
    name: String,
    version: String,
    from: fetch::Registry,
    floors: Floors,
    cursors: Vec<Cursor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    at: String,
    name: String,
    is: String,
    #[serde(default)]
    ask: Option<String>,
}

/// How many cursors have to do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Floors {
    defines: usize,
    finds: usize,
    asks: usize,
}

/// How many cursors did.
#[derive(Default)]
struct Counts {
    /// `def` answers the right file and line first, and `refs` lists the cursor itself.
    defines: usize,
    /// `search NAME` has that definition, or one of the same name, among its first five hits.
    finds: usize,
    /// `search` in words has the definition among its first five hits.
    asks: usize,
    /// `complete` continues the cut line with the name that was written.
    completes: usize,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The program to ask.
    #[arg(long, default_value = "target/release/fovea")]
    program: PathBuf,
    /// Where packages are kept between runs [default: a temporary folder].
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Print every question with its answer, for the eye.
    #[arg(long)]
    show: bool,
    /// Only projects with these names.
    names: Vec<String>,
}

/// Runs all cursors; prints one row a project.
///
/// # Errors
/// If a package cannot be fetched, the program fails, or a project stays below its floors.
pub(crate) fn run(args: &Args, root: &Path) -> Result<()> {
    let table: Table = toml::from_str(&fs::read_to_string(root.join("xtask/projects.toml"))?)
        .context("reading xtask/projects.toml")?;
    let scratch = tempfile::tempdir()?;
    let cache = args.cache.clone().unwrap_or_else(|| scratch.path().join("packages"));
    let program = Program::new(&args.program, scratch.path())?;
    let mut complaints = Vec::new();
    let (mut n_completed, mut n_cursors) = (0, 0);
    println!(
        "{:<18} {:>6} {:>7} {:>8} {:>9} {:>7} {:>6} {:>10}",
        "project", "files", "MB", "index s", "defines", "finds", "asks", "completes"
    );
    for project in &table.project {
        if !args.names.is_empty() && !args.names.contains(&project.name) {
            continue;
        }
        let folder = fetch::package(project.from, &project.name, &project.version, &cache)?;
        let indexed = program.index(&folder)?;
        let (counts, n_asks) = answers(&program, project, &folder, args.show, &mut complaints)?;
        println!(
            "{:<18} {:>6} {:>7.1} {:>8.2} {:>6}/{} {:>4}/{} {:>4}/{} {:>7}/{}",
            project.name,
            indexed.n_files,
            indexed.source_bytes as f64 / 1e6,
            indexed.seconds,
            counts.defines,
            project.cursors.len(),
            counts.finds,
            project.cursors.len(),
            counts.asks,
            n_asks,
            counts.completes,
            project.cursors.len(),
        );
        n_completed += counts.completes;
        n_cursors += project.cursors.len();
        for (what, count, floor) in [
            ("defines", counts.defines, project.floors.defines),
            ("finds", counts.finds, project.floors.finds),
            ("asks", counts.asks, project.floors.asks),
        ] {
            if count < floor {
                complaints.push(format!("{}: {what} {count}, at least {floor}", project.name));
            }
        }
    }
    println!("{n_completed} of {n_cursors} cut lines go on with the name that was written");
    if args.names.is_empty() && n_completed < table.completes {
        complaints.push(format!("completes {n_completed}, at least {}", table.completes));
    }
    if complaints.iter().any(|complaint| complaint.contains("at least")) {
        bail!("some answers are worse than recorded:\n  {}", complaints.join("\n  "));
    }
    complaints.iter().for_each(|complaint| println!("  {complaint}"));
    Ok(())
}

fn answers(
    program: &Program,
    project: &Project,
    folder: &Path,
    show: bool,
    complaints: &mut Vec<String>,
) -> Result<(Counts, usize)> {
    let mut counts = Counts::default();
    let mut n_asks = 0;
    for cursor in &project.cursors {
        let (file, line, column) = position(&cursor.at)?;
        let text = fs::read_to_string(folder.join(file))
            .with_context(|| format!("reading {file} of {}", project.name))?;
        let (before, after) = cut(&text, line, column)
            .filter(|(_, after)| after.starts_with(&cursor.name))
            .with_context(|| format!("{}: no `{}` at {}", project.name, cursor.name, cursor.at))?;
        let rest = after.lines().next().unwrap_or_default();

        let definition = program.definition(folder, &cursor.at)?;
        let is_listed = program.references(folder, &cursor.at)?.contains(&cursor.at);
        if definition.first() == Some(&cursor.is) && is_listed {
            counts.defines += 1;
        } else {
            complaints.push(format!(
                "{} {} `{}`: defined in {}, answered {} (the cursor is among the references: {is_listed})",
                project.name,
                cursor.at,
                cursor.name,
                cursor.is,
                definition.first().map_or("nothing", String::as_str),
            ));
        }
        let first_column = format!("{}:1", cursor.is);
        let (is, line_of_definition, _) = position(&first_column)?;
        let hits = program.search(folder, &cursor.name)?;
        counts.finds += usize::from(
            hits.iter()
                .take(5)
                .any(|hit| hit.symbol == cursor.name || hit.covers(is, line_of_definition)),
        );
        let mut asked = String::new();
        if let Some(words) = &cursor.ask {
            n_asks += 1;
            let hits = program.search(folder, words)?;
            let rank = hits.iter().take(5).position(|hit| hit.covers(is, line_of_definition));
            counts.asks += usize::from(rank.is_some());
            asked =
                format!(" | ask {words:?}: {}", rank.map_or("-".into(), |at| (at + 1).to_string()));
        }
        let cut_text = format!("{before}{}", &after[rest.len()..]);
        let continued = program.complete(folder, &cursor.at, &cut_text)?;
        counts.completes += usize::from(continued.starts_with(&cursor.name));
        if show {
            println!(
                "  {} `{}`{asked} | wrote {rest:?} | completes {continued:?}",
                cursor.at, cursor.name
            );
        }
    }
    Ok((counts, n_asks))
}

/// `file:line:column`, both from 1.
fn position(at: &str) -> Result<(&str, usize, usize)> {
    let mut parts = at.rsplitn(3, ':');
    let column = parts.next().and_then(|part| part.parse().ok());
    let line = parts.next().and_then(|part| part.parse().ok());
    match (parts.next(), line, column) {
        (Some(file), Some(line), Some(column)) => Ok((file, line, column)),
        _ => bail!("`{at}` is no file:line:column"),
    }
}

/// The text before and after a position; columns count characters.
fn cut(text: &str, line: usize, column: usize) -> Option<(&str, &str)> {
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let offset = text[start..].char_indices().nth(column - 1)?.0;
    Some(text.split_at(start + offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_its_position() {
        assert_eq!(cut("a\nbç d\n", 2, 3), Some(("a\nbç", " d\n")));
        assert_eq!(position("a/b.rs:3:14").expect("three parts"), ("a/b.rs", 3, 14));
        assert!(position("a.rs:3").is_err());
    }

    #[test]
    fn the_table_holds_ten_cursors_a_project() {
        let table: Table = toml::from_str(include_str!("../../projects.toml")).expect("a table");
        for project in &table.project {
            assert_eq!(project.cursors.len(), 10, "{}", project.name);
        }
        assert_eq!(table.project.len(), 9);
    }
}
