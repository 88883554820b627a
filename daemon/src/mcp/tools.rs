//! The tools: what each takes, asks and shows.

use std::sync::Arc;

use fovea_api::{
    Answer, Freshness, HitState, Location, Method, Preset, SegmentView, SkippedFile, SymbolView,
    WorkspaceStatus,
};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    engine::{Engine, Refusal},
    page::{self, Page, name},
    place::{Asking, unexpected},
};
use crate::output::{bytes, count};

/// Runs a tool; the last argument tells whether the agent still wants the answer.
pub(super) type Run = fn(&Engine, Value, &dyn Fn() -> bool) -> Result<String, Refusal>;

/// Items of one answer, at most.
const MAX_ITEMS: usize = 100;

/// Finds code, documentation and tests by words, name, path or error message.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Search {
    /// Words in any language of the code, a symbol's name, a path, an error message, or a piece of
    /// code. Inline filters: lang:rust path:src/*.rs -path:vendor kind:function test:only test:no
    /// changed:only (differs from the last commit); a "quoted part" must be in the text.
    #[serde(default)]
    query: String,
    /// Instead of a query: find code like that at this place, FILE:LINE.
    like: Option<String>,
    /// Prefer what is close to this place in the symbol graph, FILE:LINE:COL.
    near: Option<String>,
    /// Most hits [default: 10].
    limit: Option<usize>,
    /// Best hits to leave out, to see the next ones.
    offset: Option<usize>,
    /// Tokens of the answer [default: 4000].
    budget: Option<usize>,
    /// Which of the served folders, if there are several.
    root: Option<String>,
}

/// Shows where a symbol is defined, with its code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Definition {
    /// A place FILE:LINE:COL where the symbol is used, or its name (`Type.method` narrows).
    target: String,
    /// Tokens of the answer [default: 4000].
    budget: Option<usize>,
    /// Which of the served folders, if there are several.
    root: Option<String>,
}

/// Lists where a symbol is used, resolved by the symbol graph, not by name alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct References {
    /// A place FILE:LINE:COL, the line FILE:LINE of its definition, or its name.
    target: String,
    /// Tokens of the answer [default: 4000].
    budget: Option<usize>,
    /// Which of the served folders, if there are several.
    root: Option<String>,
}

/// Lists what a change of a symbol may reach: its users, their users, and so on; tests marked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Impact {
    /// A place FILE:LINE:COL, the line FILE:LINE of its definition, or its name.
    target: String,
    /// Most symbols [default: 60].
    limit: Option<usize>,
    /// Tokens of the answer [default: 4000].
    budget: Option<usize>,
    /// Which of the served folders, if there are several.
    root: Option<String>,
}

/// Draws the map of the repository, or lists the symbols of one file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Outline {
    /// A file whose symbols are wanted; without it, the map.
    path: Option<String>,
    /// Draw the map around this place, FILE:LINE:COL.
    near: Option<String>,
    /// Tokens of the answer [default: 4000].
    budget: Option<usize>,
    /// Which of the served folders, if there are several.
    root: Option<String>,
}

/// Collects what is relevant at a cursor: contracts of the names in scope, usages, similar code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Context {
    /// The cursor, FILE:LINE:COL; without a column, the end of the line.
    at: String,
    /// Tokens of the answer [default: 4000].
    budget: Option<usize>,
    /// Which of the served folders, if there are several.
    root: Option<String>,
}

/// Says what is indexed, what is pending or skipped and why.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Status {
    /// Say what became of this file: indexed, pending, or skipped by which rule.
    path: Option<String>,
    /// Tokens of the answer [default: 4000].
    budget: Option<usize>,
    /// Which of the served folders, if there are several.
    root: Option<String>,
}

/// Every tool, as the agent sees it.
pub(super) fn all() -> Vec<Tool> {
    vec![
        tool::<Search>("search", "Search the repository"),
        tool::<Definition>("definition", "Go to definition"),
        tool::<References>("references", "Find references"),
        tool::<Outline>("outline", "Map of the repository"),
        tool::<Context>("context", "Context at a cursor"),
        tool::<Impact>("impact", "Reach of a change"),
        tool::<Status>("status", "State of the index"),
    ]
}

pub(super) fn named(name: &str) -> Option<Run> {
    Some(match name {
        "search" => search,
        "definition" => definition,
        "references" => references,
        "outline" => outline,
        "context" => context,
        "impact" => impact,
        "status" => status,
        _ => return None,
    })
}

fn tool<Arguments: JsonSchema>(name: &'static str, title: &str) -> Tool {
    let schema = schemars::schema_for!(Arguments).to_value();
    let mut schema: JsonObject = match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    };
    // The type's own description is the tool's.
    let description = schema.remove("description");
    schema.remove("title");
    schema.remove("$schema");
    let description = description.and_then(|text| text.as_str().map(str::to_owned));
    Tool::new(name, description.unwrap_or_default(), Arc::new(schema)).with_annotations(
        ToolAnnotations::with_title(title)
            .read_only(true)
            .destructive(false)
            .idempotent(true)
            .open_world(false),
    )
}

fn read<Arguments: DeserializeOwned>(arguments: Value) -> Result<Arguments, Refusal> {
    serde_json::from_value(arguments)
        .map_err(|err| format!("bad arguments: {}", name(&err.to_string())))
}

fn search(
    engine: &Engine,
    arguments: Value,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<String, Refusal> {
    let Search { query, like, near, limit, offset, budget, root } = read(arguments)?;
    let asking = Asking { engine, is_unwanted };
    let cursor = |typed: &Option<String>| {
        typed.as_deref().map(|typed| asking.cursor(root.as_deref(), typed)).transpose()
    };
    let (near, like) = (cursor(&near)?, cursor(&like)?);
    let root = match near.as_ref().or(like.as_ref()) {
        Some((root, _)) => *root,
        None => engine.root(root.as_deref())?,
    };
    let mut page = Page::new(budget);
    let offset = offset.unwrap_or(0);
    let method = Method::Search {
        query,
        limit: limit.unwrap_or(10).clamp(1, MAX_ITEMS),
        near: near.map(|(_, at)| at),
        offset,
        like: like.map(|(_, at)| at),
        budget_tokens: Some(page.left()),
    };
    let (Answer::Search(view), freshness) = asking.ask(root, method)? else {
        return Err(unexpected());
    };
    if view.hits.is_empty() {
        page.line("Nothing found. Try fewer or other words, or drop a filter.");
    }
    let mut n_shown = 0;
    for (index, hit) in view.hits.iter().enumerate() {
        let symbol = match (&hit.symbol, &hit.symbol_kind) {
            (Some(symbol), Some(kind)) => format!("  {} `{}`", name(kind), name(symbol)),
            _ => String::new(),
        };
        let head = format!(
            "{}. {}{symbol}{}\n   why: {}",
            offset + index + 1,
            lines(&hit.location),
            state(hit.state),
            name(&hit.why)
        );
        n_shown += usize::from(page.item(&head, &hit.text));
    }
    let more = format!("raise `budget`, or give `offset`: {}", offset + n_shown);
    Ok(page.finish(view.has_more, &more, &fresh(freshness)))
}

fn definition(
    engine: &Engine,
    arguments: Value,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<String, Refusal> {
    let Definition { target, budget, root } = read(arguments)?;
    let asking = Asking { engine, is_unwanted };
    let mut page = Page::new(budget);
    let (root, at, others) = asking.symbol(root.as_deref(), &target)?;
    let answer = asking.ask(root, Method::Definition { at })?;
    let (Answer::Definitions { mut symbols, external }, freshness) = answer else {
        return Err(unexpected());
    };
    for other in others {
        if !symbols.iter().any(|symbol| symbol.location == other.location) {
            symbols.push(other);
        }
    }
    if symbols.is_empty() {
        page.line(&match external {
            Some(external) => {
                format!("`{}` is defined outside of this workspace.", name(&external))
            }
            None => "No definition is known for what is at that place.".to_owned(),
        });
    }
    for symbol in &symbols {
        let enclosing = &symbol.enclosing;
        let method = Method::Lines {
            path: enclosing.path.clone(),
            first: enclosing.start_line,
            last: enclosing.end_line + 1,
        };
        let text = match asking.ask(root, method)? {
            (Answer::Lines(view), _) => view.text,
            _ => return Err(unexpected()),
        };
        page.item(&symbol_line(symbol), &text);
    }
    Ok(page.finish(false, "raise `budget`", &fresh(freshness)))
}

fn references(
    engine: &Engine,
    arguments: Value,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<String, Refusal> {
    let References { target, budget, root } = read(arguments)?;
    let asking = Asking { engine, is_unwanted };
    let mut page = Page::new(budget);
    let (root, at, others) = asking.symbol(root.as_deref(), &target)?;
    let answer = asking.ask(root, Method::References { at, include_definition: true })?;
    let (Answer::References { of, references }, freshness) = answer else {
        return Err(unexpected());
    };
    about(&mut page, of.as_ref(), &others);
    page.line(&format!("{}:", count(references.len(), "reference")));
    // One quotation a file: marks are not free.
    for of_file in references.chunk_by(|a, b| a.location.path == b.location.path) {
        let text: String = of_file
            .iter()
            .map(|reference| {
                let at = &reference.location;
                let sure = match reference.certainty.as_str() {
                    "exact" | "" => String::new(),
                    other => format!(" ({other})"),
                };
                let (line, column) = (at.start_line + 1, at.start_column + 1);
                let (role, code) = (&reference.role, reference.line_text.trim());
                format!("{line}:{column} {role}{sure}: {code}\n")
            })
            .collect();
        page.item(&page::place(&of_file[0].location.path, ""), &text);
    }
    Ok(page.finish(false, "raise `budget`", &fresh(freshness)))
}

fn impact(
    engine: &Engine,
    arguments: Value,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<String, Refusal> {
    let Impact { target, limit, budget, root } = read(arguments)?;
    let asking = Asking { engine, is_unwanted };
    let mut page = Page::new(budget);
    let (root, at, others) = asking.symbol(root.as_deref(), &target)?;
    let limit = limit.unwrap_or(60).clamp(1, 1_000);
    let answer = asking.ask(root, Method::Impact { at, limit })?;
    let (Answer::Impact { of, reached, has_more }, freshness) = answer else {
        return Err(unexpected());
    };
    about(&mut page, of.as_ref(), &others);
    let n_tests = reached.iter().filter(|reached| reached.is_test).count();
    page.line(&format!(
        "A change may reach {} ({} of them tests), nearest first:",
        count(reached.len(), "symbol"),
        n_tests
    ));
    for reached in &reached {
        let test = if reached.is_test { "  test" } else { "" };
        let steps = count(reached.n_steps as usize, "step");
        page.line(&format!("{}{test}  {steps}", symbol_line(&reached.symbol)));
    }
    Ok(page.finish(has_more, "raise `limit` and `budget`", &fresh(freshness)))
}

fn outline(
    engine: &Engine,
    arguments: Value,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<String, Refusal> {
    let Outline { path, near, budget, root } = read(arguments)?;
    let asking = Asking { engine, is_unwanted };
    let mut page = Page::new(budget);
    if let Some(path) = path {
        let (root, path) = engine.locate(root.as_deref(), &path)?;
        let answer = asking.ask(root, Method::DocumentSymbols { path: path.clone() })?;
        let (Answer::Symbols(symbols), freshness) = answer else { return Err(unexpected()) };
        let text: String = symbols
            .iter()
            .map(|symbol| {
                let indent = "  ".repeat(symbol.depth.min(8) as usize);
                let line = symbol.location.start_line + 1;
                let what =
                    if symbol.signature.is_empty() { &symbol.name } else { &symbol.signature };
                format!("{line}: {indent}{} {}\n", symbol.kind, what.trim())
            })
            .collect();
        let head = format!("{}, {}", page::place(&path, ""), count(symbols.len(), "symbol"));
        page.item(&head, &text);
        return Ok(page.finish(false, "raise `budget`", &fresh(freshness)));
    }
    let focus = near.as_deref().map(|near| asking.cursor(root.as_deref(), near)).transpose()?;
    let root = match &focus {
        Some((root, _)) => *root,
        None => engine.root(root.as_deref())?,
    };
    let budget_tokens = page.left().saturating_sub(60);
    let method = Method::Outline { budget_tokens, focus: focus.map(|(_, at)| at) };
    let (Answer::Outline(outline), freshness) = asking.ask(root, method)? else {
        return Err(unexpected());
    };
    let head = format!("{} of {} shown", outline.n_files_shown, count(outline.n_files, "file"));
    page.item(&head, &outline.text);
    let is_cut = outline.n_files_shown < outline.n_files;
    Ok(page.finish(is_cut, "raise `budget`, or give `near` or `path`", &fresh(freshness)))
}

fn context(
    engine: &Engine,
    arguments: Value,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<String, Refusal> {
    let Context { at, budget, root } = read(arguments)?;
    let asking = Asking { engine, is_unwanted };
    let mut page = Page::new(budget);
    let (root, at) = asking.cursor(root.as_deref(), &at)?;
    let budget_tokens = Some(page.left());
    let method = Method::Context { at, preset: Preset::Deep, budget_tokens };
    let (Answer::Plan(plan), freshness) = asking.ask(root, method)? else {
        return Err(unexpected());
    };
    // What surrounds the cursor comes last: the agent can read that file itself.
    let is_window = |segment: &&SegmentView| segment.ring == "fovea";
    let (windows, others): (Vec<_>, Vec<_>) = plan.segments.iter().partition(is_window);
    if others.is_empty() {
        page.line("Nothing beside the file itself is relevant here.");
    }
    for segment in others.into_iter().chain(windows) {
        let (first, behind) = segment.lines;
        if segment.path.is_empty() {
            // Drawn of many files, whose paths stand in it.
            let what = (name(&segment.source), name(&segment.reason));
            page.item(&format!("{} of the repository: {} shown", what.0, what.1), &segment.text);
            continue;
        }
        let head = format!(
            "{}  {}\n   why: {}",
            page::place(&segment.path, &format!(":{}-{}", first + 1, behind.max(first + 1))),
            name(&segment.source),
            name(&segment.reason)
        );
        page.item(&head, &segment.text);
    }
    if !plan.candidates.is_empty() {
        let names: Vec<String> =
            plan.candidates.iter().take(20).map(|text| format!("`{}`", name(text))).collect();
        page.line(&format!("names that may follow: {}", names.join(", ")));
    }
    Ok(page.finish(false, "raise `budget`", &fresh(freshness)))
}

fn status(
    engine: &Engine,
    arguments: Value,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<String, Refusal> {
    let Status { path, budget, root } = read(arguments)?;
    let asking = Asking { engine, is_unwanted };
    let mut page = Page::new(budget);
    if let Some(path) = path {
        let (root, path) = engine.locate(root.as_deref(), &path)?;
        let (Answer::Path(outcome), freshness) = asking.ask(root, Method::Why { path })? else {
            return Err(unexpected());
        };
        let reason = outcome.reason.map(|reason| format!(": {}", name(&reason)));
        page.line(&format!(
            "{} is {}{}; {}, {}",
            page::place(&outcome.path, ""),
            outcome.outcome,
            reason.unwrap_or_default(),
            count(outcome.n_symbols, "symbol"),
            count(outcome.n_chunks, "chunk"),
        ));
        return Ok(page.finish(false, "", &fresh(freshness)));
    }
    let root = engine.root(root.as_deref())?;
    let (Answer::Workspace(status), freshness) = asking.ask(root, Method::Open { wait: false })?
    else {
        return Err(unexpected());
    };
    workspace(&mut page, &status);
    Ok(page.finish(false, "raise `budget`", &fresh(freshness)))
}

fn workspace(page: &mut Page, status: &WorkspaceStatus) {
    let root = page::place(&status.root.display().to_string(), "");
    page.line(&format!("{root}: {}", name(&status.summary)));
    page.line(&format!(
        "{}, {}, {}; {} of source, {} of index",
        count(status.n_files, "file"),
        count(status.n_symbols, "symbol"),
        count(status.n_chunks, "chunk"),
        bytes(status.source_bytes),
        bytes(status.index_bytes),
    ));
    let languages: Vec<String> =
        status.languages.iter().map(|(language, n)| format!("{language} {n}")).collect();
    page.line(&format!("languages: {}", languages.join(", ")));
    // Names and keys of the repository make up most of these.
    if !status.warnings.is_empty() {
        let warnings: Vec<String> = status.warnings.iter().map(|text| name(text)).collect();
        page.item(&format!("{} shown:", count(warnings.len(), "warning")), &warnings.join("\n"));
    }
    if status.n_skipped > 0 {
        let line =
            |skipped: &SkippedFile| format!("{}: {}\n", name(&skipped.path), name(&skipped.reason));
        let skipped: String = status.skipped.iter().map(line).collect();
        let n_shown = status.skipped.len();
        page.item(
            &format!("{} skipped, {n_shown} shown:", count(status.n_skipped, "file")),
            &skipped,
        );
    }
}

/// Which symbol the answer is about, and which others have its name.
fn about(page: &mut Page, of: Option<&SymbolView>, others: &[SymbolView]) {
    match of {
        Some(of) => page.line(&symbol_line(of)),
        None => page.line("No symbol is known at that place."),
    };
    if !others.is_empty() {
        let places: Vec<String> =
            others.iter().take(5).map(|other| place(&other.location)).collect();
        page.line(&format!("others of that name: {}", places.join(", ")));
    }
}

/// One line: where, what, how sure.
fn symbol_line(symbol: &SymbolView) -> String {
    let container = match symbol.container.as_str() {
        "" => String::new(),
        container => format!(" in `{}`", name(container)),
    };
    let sure = match symbol.certainty.as_str() {
        "exact" | "" => String::new(),
        other => format!("  ({other})"),
    };
    let (place, kind) = (place(&symbol.location), &symbol.kind);
    format!("{place}  {kind} `{}`{container}{sure}", name(&symbol.name))
}

fn place(location: &Location) -> String {
    let behind = format!(":{}:{}", location.start_line + 1, location.start_column + 1);
    page::place(&location.path, &behind)
}

/// `path:first-last` in quotes, from 1.
fn lines(location: &Location) -> String {
    let last = location.end_line + u32::from(location.end_column > 0);
    let first = location.start_line + 1;
    page::place(&location.path, &format!(":{first}-{}", last.max(first)))
}

fn state(state: HitState) -> &'static str {
    match state {
        HitState::Saved => "",
        HitState::Unsaved => "  (unsaved text of an editor)",
        HitState::Stale => "  (changed on disk since it was indexed)",
    }
}

fn fresh(freshness: Option<Freshness>) -> String {
    match freshness {
        Some(freshness) if freshness.fresh => "(index: current)\n".to_owned(),
        Some(freshness) => format!(
            "(index: {} not in it yet; ask again in a moment)\n",
            match freshness.n_pending {
                0 => "some files are".to_owned(),
                n => format!("{} are", count(n, "changed file")),
            }
        ),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_read_only_takes_a_budget_and_runs() {
        for tool in all() {
            assert!(named(&tool.name).is_some(), "{}", tool.name);
            let annotations = tool.annotations.as_ref().expect("annotated");
            assert_eq!(annotations.read_only_hint, Some(true), "{}", tool.name);
            let properties = tool.input_schema["properties"].as_object().expect("an object");
            assert!(properties.contains_key("budget"), "{}", tool.name);
            assert_eq!(tool.input_schema["additionalProperties"], false, "{}", tool.name);
            assert!(tool.description.as_ref().is_some_and(|text| text.len() > 20));
        }
        assert!(named("delete").is_none());
    }

    #[test]
    fn line_ranges_are_inclusive() {
        let mut location = Location::at_start_of("a.rs");
        (location.start_line, location.end_line) = (2, 5);
        assert_eq!(lines(&location), "`a.rs:3-5`");
        location.end_column = 1;
        assert_eq!(lines(&location), "`a.rs:3-6`");
    }
}
