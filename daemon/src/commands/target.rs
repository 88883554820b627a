//! What people type for a place: `FILE:LINE:COL` or a symbol's name.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use fovea_api::{Answer, At, Encoding, Method, SymbolView};

use super::{Context, Workspace, note, unavailable};
use crate::{
    exit_codes::ExitCode,
    guard::{self, Refused},
    output::{Failure, clean_name},
};

/// More than any file that is indexed.
const MAX_BYTES: u64 = 64 << 20;

/// Names that are looked at for an exact match.
const N_CANDIDATES: usize = 64;

/// A position as typed; numbers from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) file: PathBuf,
    pub(crate) line: u32,
    /// `None` means the end of the line.
    pub(crate) column: Option<u32>,
}

/// A position in an open workspace.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) root: PathBuf,
    pub(crate) at: At,
    pub(crate) text: String,
}

/// `FILE:LINE` or `FILE:LINE:COL`; `None` if `text` does not end in a number.
pub(crate) fn parse(text: &str) -> Option<Typed> {
    let (head, last) = text.rsplit_once(':')?;
    let last: u32 = last.parse().ok()?;
    if let Some((file, line)) = head.rsplit_once(':')
        && let Ok(line) = line.parse()
        && !file.is_empty()
    {
        return Some(Typed { file: file.into(), line, column: Some(last) });
    }
    (!head.is_empty()).then(|| Typed { file: head.into(), line: last, column: None })
}

/// Checks a typed position against the file's text (`text`, or what is on disk).
pub(crate) fn place(
    context: &Context,
    typed: &str,
    text: Option<String>,
) -> Result<Place, Failure> {
    let Some(position) = parse(typed) else {
        let message = format!("`{typed}` is not a position; write FILE:LINE:COL, both from 1");
        return Err(Failure::new(ExitCode::Usage, message));
    };
    let (root, path) = locate(context, &position.file)?;
    let text = match text {
        Some(text) => text,
        None => read(&root, &path)?,
    };
    let at = resolve(&path, &position, &text)?;
    Ok(Place { root, at, text })
}

/// Root of an existing file, and its path below.
pub(crate) fn locate(context: &Context, file: &Path) -> Result<(PathBuf, String), Failure> {
    let root = context.root(Some(file)).map_err(|failure| match fs::metadata(file) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => missing(file),
        _ => failure,
    })?;
    let real = file.canonicalize().map_err(|_| missing(file))?;
    let below = real.strip_prefix(&root).map_err(|_| {
        let message = format!(
            "`{}` lies outside the workspace `{}`; give another --root",
            file.display(),
            root.display()
        );
        Failure::new(ExitCode::Refused, message)
    })?;
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    let path = parts.join("/");
    Ok((root, path))
}

fn missing(file: &Path) -> Failure {
    let message = format!("`{}` does not exist; check the path", file.display());
    Failure::new(ExitCode::NotFound, message)
}

/// The text as the index has it, secrets overwritten in place.
fn read(root: &Path, path: &str) -> Result<String, Failure> {
    guard::read(root, path, MAX_BYTES).map(|guarded| guarded.text.to_string()).map_err(|refused| {
        let (path, is_folder) = (clean_name(path), root.join(path).is_dir());
        match refused {
            Refused::NotAFile if is_folder => {
                Failure::new(ExitCode::NotFound, format!("`{path}` is a folder; give a file"))
            }
            Refused::Gone => missing(Path::new(&*path)),
            Refused::Unreadable(err) => unavailable(format!("cannot read `{path}`: {err}")),
            refused => {
                Failure::new(ExitCode::Refused, format!("`{path}` is not indexed: {refused}"))
            }
        }
    })
}

fn resolve(path: &str, position: &Typed, text: &str) -> Result<At, Failure> {
    let outside = |message: String| Failure::new(ExitCode::NotFound, message);
    if position.line == 0 || position.column == Some(0) {
        let message = "lines and columns count from 1".to_owned();
        return Err(Failure::new(ExitCode::Usage, message));
    }
    let line = position.line - 1;
    let Some(content) = text.split('\n').nth(line as usize) else {
        let n_lines = text.lines().count();
        let message = format!("`{path}` has {n_lines} lines, there is no line {}", position.line);
        return Err(outside(message));
    };
    let n_columns = content.strip_suffix('\r').unwrap_or(content).chars().count() as u32;
    let column = position.column.map_or(n_columns, |column| column - 1);
    if column > n_columns {
        let message = format!(
            "line {} of `{path}` ends at column {}, there is no column {}",
            position.line,
            n_columns + 1,
            column + 1
        );
        return Err(outside(message));
    }
    Ok(At { path: path.to_owned(), line, column, encoding: Encoding::Utf32 })
}

/// Opens the workspace of a target, and says where the target is. A name stands for its definition;
/// of several the best one, with a note.
pub(crate) fn open(context: &Context, target: &str) -> Result<(Workspace, At), Failure> {
    if parse(target).is_some() {
        let place = place(context, target, None)?;
        let workspace = context.open(&place.root)?;
        return Ok((workspace, place.at));
    }
    let workspace = context.open(&context.root(None)?)?;
    let at = of_name(&workspace, target)?;
    Ok((workspace, at))
}

/// A further target in a workspace that is open.
pub(crate) fn place_in(
    context: &Context,
    workspace: &Workspace,
    target: &str,
) -> Result<At, Failure> {
    if parse(target).is_none() {
        return of_name(workspace, target);
    }
    let place = place(context, target, None)?;
    if place.root == workspace.root {
        return Ok(place.at);
    }
    let message = format!(
        "`{target}` lies in another workspace, `{}`; give one --root for both",
        place.root.display()
    );
    Err(Failure::new(ExitCode::Usage, message))
}

fn of_name(workspace: &Workspace, target: &str) -> Result<At, Failure> {
    let symbols = named(workspace, target)?;
    let Some(symbol) = symbols.first() else {
        let message = format!(
            "no symbol is named `{target}` in `{}`; `fovea search` finds similar names",
            workspace.root.display()
        );
        return Err(Failure::new(ExitCode::NotFound, message));
    };
    if symbols.len() > 1 {
        let location = &symbol.location;
        note(&clean_name(&format!(
            "{} definitions of `{target}`; taking {}:{}",
            symbols.len(),
            location.path,
            location.start_line + 1
        )));
    }
    let location = &symbol.location;
    Ok(At {
        path: location.path.clone(),
        line: location.start_line,
        column: location.start_column,
        encoding: Encoding::Utf16,
    })
}

/// The definitions of a name, best first. `Type.method` and `module::function` narrow by container.
pub(crate) fn named(workspace: &Workspace, name: &str) -> Result<Vec<SymbolView>, Failure> {
    let (container, last) = match name.rfind(['.', ':']) {
        Some(at) => (name[..at].trim_end_matches(':'), &name[at + 1..]),
        None => ("", name),
    };
    let method = Method::Symbols { query: last.to_owned(), limit: N_CANDIDATES };
    match workspace.ask(method)?.0 {
        Answer::Symbols(symbols) => Ok(symbols
            .into_iter()
            .filter(|symbol| symbol.name == last)
            .filter(|symbol| container.is_empty() || symbol.container.ends_with(container))
            .collect()),
        other => Err(super::unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_from_the_right() {
        let typed = |file: &str, line, column| Some(Typed { file: file.into(), line, column });
        assert_eq!(parse("src/a.py:3:7"), typed("src/a.py", 3, Some(7)));
        assert_eq!(parse("src/a.py:3"), typed("src/a.py", 3, None));
        assert_eq!(parse("C:\\a.py:3:7"), typed("C:\\a.py", 3, Some(7)));
        assert_eq!(parse("module::function"), None);
        assert_eq!(parse("a.py"), None);
        assert_eq!(parse(":3"), None);
    }

    fn check(text: &str, line: u32, column: Option<u32>) -> Result<(u32, u32), String> {
        let typed = Typed { file: "a.py".into(), line, column };
        let at = resolve("a.py", &typed, text).map_err(|failure| failure.message)?;
        Ok((at.line, at.column))
    }

    #[test]
    fn columns_count_characters_and_the_end_of_a_line_is_a_place() {
        assert_eq!(check("é\u{1F600}b\r\nx\n", 1, Some(4)), Ok((0, 3)));
        assert_eq!(check("é\u{1F600}b\r\nx\n", 1, None), Ok((0, 3)));
        assert_eq!(check("a\n", 2, Some(1)), Ok((1, 0)));
    }

    #[test]
    fn places_outside_the_file_are_named() {
        let line = check("a\nb\n", 9, Some(1)).expect_err("outside");
        assert_eq!(line, "`a.py` has 2 lines, there is no line 9");
        let column = check("abc\n", 1, Some(9)).expect_err("outside");
        assert_eq!(column, "line 1 of `a.py` ends at column 4, there is no column 9");
        let zero = check("abc\n", 0, Some(1)).expect_err("outside");
        assert_eq!(zero, "lines and columns count from 1");
    }
}
