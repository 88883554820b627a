//! `fovea demo`: completions with and without project context, in two sample projects.
//!
//! The projects are part of the binary and are written to a temporary folder; the index lives there
//! too, so nothing but the model stays behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fovea_api::{
    Answer, At, CompletionSource, Encoding, Method, PlanView, SegmentView, Suggestion, Timings,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Context, Local, ignore_events, note, print, unavailable, unexpected};
use crate::{
    cli::DemoArgs,
    connect::Connection,
    dirs::Dirs,
    exit_codes::ExitCode,
    models::{Models, Terminal},
    output::{Failure, Output, Style, count},
    service::{Service, ServiceOptions},
};

/// Path below `examples/projects`, and text.
const PROJECTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/projects.rs"));
const CURSORS: &str = "demo.toml";

/// Lines of the file shown above the cursor.
const N_LINES_ABOVE: usize = 3;
/// Width of one of the two columns.
const COLUMN_WIDTH: usize = 44;
/// Segments listed; the window around the cursor is not.
const N_SEGMENTS: usize = 8;

#[derive(Debug, Deserialize)]
struct Cursors {
    cursor: Vec<Cursor>,
}

/// One cursor of the demonstration.
#[derive(Clone, Debug, Deserialize)]
struct Cursor {
    project: String,
    file: String,
    /// The line up to the cursor; the rest is taken out before completing.
    line: String,
    /// The symbol of another file that belongs there.
    shows: String,
}

/// `demo`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DemoView {
    /// File of the model; `null` if the index answered alone.
    pub model: Option<PathBuf>,
    pub cursors: Vec<CursorView>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct CursorView {
    pub project: String,
    pub file: String,
    /// From 1.
    pub line: u32,
    /// The line up to the cursor.
    pub before: String,
    /// What the repository's author wrote there.
    pub original: String,
    /// The symbol of another file that belongs there.
    pub shows: String,
    pub without_context: Option<SideView>,
    pub with_context: Option<SideView>,
    /// What the completion with context was conditioned on.
    pub plan: PlanView,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct SideView {
    pub text: String,
    pub source: CompletionSource,
    pub timings: Timings,
    /// The text has the symbol that belongs there.
    pub shows_symbol: bool,
}

pub(super) fn run(context: &mut Context, args: &DemoArgs) -> Result<ExitCode, Failure> {
    let model = if args.no_model { None } else { fetch_model(context) };
    let temp = tempfile::Builder::new()
        .prefix("fovea-demo-")
        .tempdir()
        .map_err(|err| unavailable(format!("cannot make a temporary folder: {err}")))?;
    let projects = temp.path().join("projects");
    write_projects(&projects)?;
    let cursors = cursors()?;

    let connection = engine(context, &temp.path().join("fovea"), model.as_deref())?;
    let mut view = DemoView { model, cursors: Vec::new() };
    let mut root_before = None;
    for cursor in &cursors {
        let root = projects
            .join(&cursor.project)
            .canonicalize()
            .map_err(|err| unavailable(format!("cannot read the sample project: {err}")))?;
        if root_before.as_ref() != Some(&root) {
            open(context, &connection, &root, &cursor.project)?;
            root_before = Some(root.clone());
        }
        let one = complete(&connection, &root, cursor, view.model.is_some())?;
        if !context.out.is_json() {
            show(&mut context.out, &one);
            context.out.flush();
        }
        view.cursors.push(one);
    }
    let n_shown = view
        .cursors
        .iter()
        .filter(|cursor| cursor.with_context.as_ref().is_some_and(|side| side.shows_symbol))
        .count();
    let has_model = view.model.is_some();
    context.show_local(Local::Demo(view), |out, _| {
        out.put(&format!(
            "With context, {n_shown} of {} completions use a symbol of another file.\n",
            cursors.len()
        ));
        if !has_model {
            out.put("They come from the index alone; `fovea model pull` fetches a model.\n");
        }
        out.put("Next: `fovea complete FILE:LINE:COL` in a repository of yours, or an editor.\n");
    });
    Ok(ExitCode::Ok)
}

/// The model's file: the one that is there, else the default one, fetched now.
fn fetch_model(context: &Context) -> Option<PathBuf> {
    let config = &context.loaded.config;
    let models = Models::new(&context.dirs, config.offline);
    let outcome = match models.choose(&config.model) {
        Ok(None) if config.model.enabled => {
            models.pull("", &mut Terminal::default()).map(|installed| Some(installed.path))
        }
        found => found,
    };
    outcome.unwrap_or_else(|err| {
        note(&format!("going on with the index alone: {err}"));
        None
    })
}

fn write_projects(folder: &Path) -> Result<(), Failure> {
    for (name, text) in PROJECTS {
        let path = folder.join(name);
        let written = fs::create_dir_all(path.parent().unwrap_or(folder))
            .and_then(|()| fs::write(&path, text));
        written.map_err(|err| unavailable(format!("cannot write `{}`: {err}", path.display())))?;
    }
    Ok(())
}

fn cursors() -> Result<Vec<Cursor>, Failure> {
    let missing = || Failure::new(ExitCode::Internal, "this build carries no sample projects");
    let (_, text) = PROJECTS.iter().find(|(name, _)| *name == CURSORS).ok_or_else(missing)?;
    let cursors: Cursors = toml::from_str(text)
        .map_err(|err| Failure::new(ExitCode::Internal, format!("{CURSORS}: {err}")))?;
    Ok(cursors.cursor)
}

/// An engine of this process with an index of its own and the user's model.
fn engine(context: &Context, home: &Path, model: Option<&Path>) -> Result<Connection, Failure> {
    let mut layers = context.layers.clone();
    let mut set = |key: &str, value: String| layers.flags.push((key.to_owned(), value));
    set("daemon.watch", "false".to_owned());
    match model {
        Some(path) => set("model.path", path.display().to_string()),
        None => set("model.enabled", "false".to_owned()),
    }
    let service = Service::new(ServiceOptions {
        dirs: Dirs::below(home),
        layers,
        socket: None,
        executable: None,
    });
    Ok(Connection::to_service(service, ignore_events)?)
}

fn open(
    context: &mut Context,
    connection: &Connection,
    root: &Path,
    project: &str,
) -> Result<(), Failure> {
    let (answer, _) = connection.call(Some(root), None, Method::Open { wait: true })?;
    let Answer::Workspace(status) = answer else { return Err(unexpected(&answer)) };
    if !context.out.is_json() {
        let out = &mut context.out;
        out.styled(Style::Heading, &format!("sample project {project}")).put(&format!(
            ": {}, {}, indexed in {} ms\n\n",
            count(status.n_files, "file"),
            count(status.n_symbols, "symbol"),
            status.last_index_ms.unwrap_or_default()
        ));
        out.flush();
    }
    Ok(())
}

/// The file with the rest of the cursor's line taken out.
struct Prepared {
    text: String,
    line: u32,
    original: String,
}

fn prepare(text: &str, cursor: &Cursor) -> Option<Prepared> {
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if let Some(rest) = line.strip_prefix(&*cursor.line) {
            let original = rest.trim_end_matches(['\r', '\n']);
            let cut = start + cursor.line.len();
            let mut buffer = text.to_owned();
            buffer.replace_range(cut..cut + original.len(), "");
            let line = number as u32;
            return Some(Prepared { text: buffer, line, original: original.to_owned() });
        }
        start += line.len();
    }
    None
}

fn complete(
    connection: &Connection,
    root: &Path,
    cursor: &Cursor,
    use_model: bool,
) -> Result<CursorView, Failure> {
    let file = root.join(&cursor.file);
    let text = fs::read_to_string(&file)
        .map_err(|err| unavailable(format!("cannot read `{}`: {err}", file.display())))?;
    let prepared = prepare(&text, cursor).ok_or_else(|| {
        let message =
            format!("{CURSORS}: no line of {} starts with {:?}", cursor.file, cursor.line);
        Failure::new(ExitCode::Internal, message)
    })?;
    let ask = |method| Ok::<_, Failure>(connection.call(Some(root), None, method)?.0);
    let (path, text) = (cursor.file.clone(), prepared.text.clone());
    ask(Method::Edited { path, version: 1, text })?;
    let side = |with_context| -> Result<Option<Suggestion>, Failure> {
        let at = At {
            path: cursor.file.clone(),
            line: prepared.line,
            column: cursor.line.chars().count() as u32,
            encoding: Encoding::Utf32,
        };
        let method = Method::Complete {
            at,
            preset: Default::default(),
            budget_tokens: None,
            max_tokens: None,
            with_context,
            multi_line: false,
            use_model,
        };
        match ask(method)? {
            Answer::Suggestion(suggestion) => Ok(suggestion),
            other => Err(unexpected(&other)),
        }
    };
    // Loading the model belongs to neither of the two that are compared.
    side(false)?;
    let without_context = side(false)?;
    let with_context = side(true)?;
    ask(Method::Closed { path: cursor.file.clone() })?;
    let plan = with_context.as_ref().map(|s| s.plan.clone()).unwrap_or_default();
    let view = |suggestion: Option<Suggestion>| {
        suggestion.map(|suggestion| SideView {
            shows_symbol: suggestion.text.contains(&cursor.shows),
            text: suggestion.text,
            source: suggestion.source,
            timings: suggestion.timings,
        })
    };
    Ok(CursorView {
        project: cursor.project.clone(),
        file: cursor.file.clone(),
        line: prepared.line + 1,
        before: above(&prepared),
        original: prepared.original,
        shows: cursor.shows.clone(),
        without_context: view(without_context),
        with_context: view(with_context),
        plan,
    })
}

/// The cursor's line and some lines above it.
fn above(prepared: &Prepared) -> String {
    let lines: Vec<&str> = prepared.text.lines().take(prepared.line as usize + 1).collect();
    lines[lines.len().saturating_sub(N_LINES_ABOVE + 1)..].join("\n")
}

fn show(out: &mut Output, cursor: &CursorView) {
    out.styled(Style::Path, &cursor.file).put(&format!(":{}", cursor.line)).line();
    let n_above = cursor.before.lines().count();
    for (at, line) in cursor.before.lines().enumerate() {
        let number = cursor.line as usize + 1 + at - n_above;
        out.styled(Style::Dim, &format!("  {number:>4} │ ")).put(line);
        if at + 1 == n_above {
            out.styled(Style::Good, "▏");
        }
        out.line();
    }
    out.line();
    columns(
        out,
        &side(cursor.without_context.as_ref(), "without context"),
        &side(cursor.with_context.as_ref(), "with project context"),
    );
    let used: Vec<&SegmentView> = cursor
        .plan
        .segments
        .iter()
        .filter(|segment| segment.source != "window" && segment.ring != "fovea")
        .collect();
    if !used.is_empty() {
        out.styled(Style::Heading, "  context used").line();
        for segment in used.iter().take(N_SEGMENTS) {
            print::segment(out, segment);
        }
        if used.len() > N_SEGMENTS {
            out.styled(Style::Dim, &format!("  … and {} more", used.len() - N_SEGMENTS)).line();
        }
    }
    if let Some(side) = &cursor.with_context
        && side.shows_symbol
    {
        out.styled(Style::Good, &format!("  uses `{}` of another file", cursor.shows)).line();
    }
    out.line();
}

/// Heading, text and cost of one completion.
fn side(side: Option<&SideView>, heading: &str) -> Vec<(Style, String)> {
    let mut lines = vec![(Style::Heading, heading.to_owned())];
    let Some(side) = side else {
        lines.push((Style::Dim, "(nothing)".to_owned()));
        return lines;
    };
    for line in side.text.lines() {
        lines.extend(wrap(line).into_iter().map(|line| (Style::Name, line)));
    }
    let source = match side.source {
        CompletionSource::Model => "model",
        CompletionSource::Index => "index",
        CompletionSource::Remote => "remote",
    };
    let timings = &side.timings;
    lines.push((
        Style::Dim,
        format!(
            "{source}, {} tokens in, {} out, {:.0} ms",
            timings.n_prompt_tokens, timings.n_generated_tokens, timings.total_ms
        ),
    ));
    lines
}

fn wrap(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.replace('\t', "    ").chars().collect();
    characters.chunks(COLUMN_WIDTH).map(|chunk| chunk.iter().collect()).collect()
}

fn columns(out: &mut Output, left: &[(Style, String)], right: &[(Style, String)]) {
    let nothing = (Style::Dim, String::new());
    for at in 0..left.len().max(right.len()) {
        let (style, text) = left.get(at).unwrap_or(&nothing);
        out.put("  ").styled(*style, text);
        let width = crate::output::clean(text).chars().count();
        out.put(&" ".repeat((COLUMN_WIDTH + 2).saturating_sub(width)));
        let (style, text) = right.get(at).unwrap_or(&nothing);
        out.styled(*style, text).line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cursor_is_in_its_file_and_its_symbol_is_of_another_file() {
        for cursor in cursors().expect("valid") {
            let name = format!("{}/{}", cursor.project, cursor.file);
            let (_, text) =
                PROJECTS.iter().find(|(file, _)| *file == name).expect("the file is embedded");
            let prepared = prepare(text, &cursor).expect("the line is there");
            assert!(prepared.original.contains(&cursor.shows), "{name}: {}", prepared.original);
            // An import may name it; code that uses it would only have to be copied.
            let uses = |line: &&str| {
                line.contains(&cursor.shows) && !line.contains("import ") && !line.contains("use ")
            };
            assert_eq!(prepared.text.lines().find(uses), None, "{name} gives it away");
            let elsewhere = PROJECTS.iter().filter(|(file, _)| *file != name);
            assert!(elsewhere.into_iter().any(|(_, text)| text.contains(&cursor.shows)), "{name}");
        }
    }

    #[test]
    fn the_rest_of_the_line_is_taken_out() {
        let cursor = Cursor {
            project: String::new(),
            file: String::new(),
            line: "  x = s.".to_owned(),
            shows: String::new(),
        };
        let prepared = prepare("a\r\n  x = s.load(1)\r\nb\r\n", &cursor).expect("there");
        assert_eq!(prepared.text, "a\r\n  x = s.\r\nb\r\n");
        assert_eq!((prepared.line, &*prepared.original), (1, "load(1)"));
    }
}
