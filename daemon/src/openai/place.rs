//! Which file an excerpt was cut from, and the whole file as the editor has it.
//!
//! Clients of this kind of endpoint send no path. The excerpt's longest lines are looked up in the
//! served folders; in the file that has most of them, the lines that both have tell where the excerpt
//! goes, so that imports above it and definitions around it are there again.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use fovea_api::{Answer, Method};

use super::{Shared, prompt::Excerpt};

/// Lines that are looked up.
const N_LOOKED_UP: usize = 4;
/// Shorter ones stand in every file.
const MIN_TELLING_CHARS: usize = 10;
const MAX_HITS: usize = 200;

/// A cursor in a file as the editor has it.
pub(super) struct Placed<'a> {
    pub(super) root: &'a Path,
    pub(super) path: String,
    pub(super) text: String,
    pub(super) line: u32,
    /// In characters.
    pub(super) column: u32,
}

/// `Ok(None)` if no served file has a line of the excerpt: a new file, or one of another folder.
pub(super) fn find<'a>(
    shared: &'a Shared,
    excerpt: &Excerpt,
    path: Option<&str>,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<Option<Placed<'a>>, String> {
    let found = match path {
        Some(path) => Some(shared.engine.locate(None, path)?),
        None => look_up(shared, excerpt, is_unwanted)?,
    };
    let Some((root, path)) = found else { return Ok(None) };
    let lines = Method::Lines { path: path.clone(), first: 0, last: u32::MAX };
    // A file that is not indexed yet is what was sent of it.
    let known = match shared.engine.ask(root, lines, is_unwanted) {
        Ok((Answer::Lines(view), _)) => view.text,
        _ => String::new(),
    };
    let (text, line, column) = put_back(&known, excerpt);
    Ok(Some(Placed { root, path, text, line, column }))
}

/// The file that has most of the excerpt's telling lines.
fn look_up<'a>(
    shared: &'a Shared,
    excerpt: &Excerpt,
    is_unwanted: &dyn Fn() -> bool,
) -> Result<Option<(&'a Path, String)>, String> {
    let mut votes: BTreeMap<(&Path, String), usize> = BTreeMap::new();
    for pattern in telling_lines(excerpt) {
        for root in &shared.roots {
            let grep = Method::Grep {
                pattern: pattern.to_owned(),
                regex: false,
                ignore_case: false,
                limit: MAX_HITS,
                word: false,
                path: None,
            };
            let (Answer::Search(found), _) = shared.engine.ask(root, grep, is_unwanted)? else {
                continue;
            };
            let mut paths: Vec<String> = found.hits.into_iter().map(|hit| hit.at.path).collect();
            paths.sort_unstable();
            paths.dedup();
            for path in paths {
                *votes.entry((root, path)).or_default() += 1;
            }
        }
    }
    Ok(votes.into_iter().max_by_key(|(_, n_votes)| *n_votes).map(|(found, _)| found))
}

/// The longest lines of the excerpt, without that of the cursor, which is being written, and without
/// its first and last, which may be cut.
fn telling_lines(excerpt: &Excerpt) -> Vec<&str> {
    let above = excerpt.prefix.split('\n').rev().skip(1);
    let below = excerpt.suffix.split('\n').skip(1);
    let lines = above.chain(below).map(str::trim);
    let mut lines: Vec<&str> =
        lines.filter(|line| line.chars().count() >= MIN_TELLING_CHARS).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
    lines.dedup();
    lines.truncate(N_LOOKED_UP);
    lines
}

/// `known` with the excerpt in the place it was cut from; the excerpt alone if there is none. The
/// cursor's line and column follow.
fn put_back(known: &str, excerpt: &Excerpt) -> (String, u32, u32) {
    let known: Vec<&str> =
        known.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let above: Vec<&str> = excerpt.prefix.split('\n').collect();
    let below: Vec<&str> = excerpt.suffix.split('\n').collect();
    let n_above = above.len() - 1;
    let column = above[n_above].chars().count() as u32;
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, line) in known.iter().enumerate() {
        places.entry(line).or_default().push(at);
    }
    // The first line may begin in the middle; the cursor's is not as it was.
    let start = agreed(&places, above[..n_above].iter().enumerate().skip(1));
    let end = agreed(&places, below.iter().enumerate().skip(1));
    let alone = || (format!("{}{}", excerpt.prefix, excerpt.suffix), n_above as u32, column);
    let (first, behind) = match (start, end) {
        // `end` is where the cursor's line would stand if only the text behind it counted.
        (Some(start), Some(end)) if start + n_above as isize <= end + 1 => {
            (start, end + below.len() as isize)
        }
        (Some(start), _) => (start, start + (n_above + below.len()) as isize),
        (None, Some(end)) => (end - n_above as isize, end + below.len() as isize),
        (None, None) => return alone(),
    };
    let (first, behind) = (first.max(0) as usize, behind.max(0) as usize);
    if first > known.len() {
        return alone();
    }
    let mut lines: Vec<&str> = known[..first].to_vec();
    lines.extend(&above[..n_above]);
    // What was cut off the first line and the last is in the file.
    if n_above > 0
        && let Some(whole) = known.get(first)
        && whole.ends_with(above[0])
    {
        lines[first] = whole;
    }
    let cursor_line = format!("{}{}", above[n_above], below[0]);
    lines.push(&cursor_line);
    lines.extend(&below[1..]);
    let behind = behind.min(known.len());
    if below.len() > 1
        && let Some(last) = lines.last_mut()
        && let Some(whole) = behind.checked_sub(1).and_then(|at| known.get(at))
        && whole.starts_with(*last)
    {
        *last = whole;
    }
    let line = first + n_above;
    lines.extend(&known[behind.max(first)..]);
    (lines.join("\n"), line as u32, column)
}

/// Where the excerpt's line 0 stands in the file, as most of its lines have it.
fn agreed<'a>(
    places: &HashMap<&str, Vec<usize>>,
    lines: impl Iterator<Item = (usize, &'a &'a str)>,
) -> Option<isize> {
    let mut votes: BTreeMap<isize, usize> = BTreeMap::new();
    for (index, line) in lines.filter(|(_, line)| line.trim().len() > 3) {
        // A line that stands everywhere says nothing about where.
        for at in places.get(*line).into_iter().flatten().take(8) {
            *votes.entry(*at as isize - index as isize).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(_, n_votes)| *n_votes).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "import a\nimport b\n\ndef first():\n    one = a.load()\n    return one\n\n\
                        def second():\n    two = b.load()\n    return two\n";

    fn check(prefix: &str, suffix: &str, text: &str, at: (u32, u32)) {
        let excerpt = Excerpt { prefix: prefix.to_owned(), suffix: suffix.to_owned() };
        let (found, line, column) = put_back(FILE, &excerpt);
        assert_eq!(found, text);
        assert_eq!((line, column), at);
    }

    #[test]
    fn an_excerpt_goes_back_to_where_it_was_cut() {
        // Unchanged.
        check(
            "def first():\n    one = a.load()\n    ret",
            "urn one\n\ndef second():\n    two = b.load()\n",
            FILE,
            (5, 7),
        );
        // A line more, and one that differs.
        check(
            "def first():\n    one = a.load()\n    three = a.",
            "\n    return one\n\ndef second():\n",
            &FILE.replace("    return one\n", "    three = a.\n    return one\n"),
            (5, 14),
        );
        // Cut in the middle of its first line and of its last.
        check(
            "rst():\n    one = a.load()\n    return one",
            "\n\ndef second():\n    two = b.lo",
            FILE,
            (5, 14),
        );
        // Nothing of it is in the file.
        check("x = 1\n", "\ny = 2\n", "x = 1\n\ny = 2\n", (1, 0));
    }

    #[test]
    fn the_longest_lines_tell_a_file() {
        let excerpt = Excerpt {
            prefix: "    short\n    a line that is long\n    being writ".to_owned(),
            suffix: "ten\n    and another long line\n}\n".to_owned(),
        };
        assert_eq!(telling_lines(&excerpt), ["and another long line", "a line that is long"]);
    }
}
