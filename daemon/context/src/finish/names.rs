//! Members that do not exist: repaired where the right one is plain, reported where it is not.
//!
//! Only what the graph is sure of counts: a receiver whose type is `exact` and whose members are
//! known. Everything else is left alone.

use fovea_indexer::{Snapshot, graph::Certainty};

use super::Repair;
use crate::{lex, request::PlanRequest};

/// Shorter names have too many neighbors within one edit.
const MIN_NAME: usize = 4;
/// Members checked in one suggestion; each is one look-up in the graph.
const MAX_CHECKED: usize = 6;

/// What was found in one suggestion.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) repairs: Vec<Repair>,
    pub(super) unknown: Vec<String>,
}

/// Checks `text`, a suggestion at the request's cursor, and repairs it in place.
pub(super) fn check(text: &mut String, request: &PlanRequest, snapshot: &Snapshot) -> Checked {
    let mut checked = Checked::default();
    let Some(file) = snapshot.file(&request.path) else { return checked };
    let graph = snapshot.graph();
    let mut from = 0;
    for _ in 0..MAX_CHECKED {
        let before = request.prefix();
        let buffer = format!("{before}{text}");
        let Some((start, end)) = next_member(&buffer, before.len(), from) else { break };
        from = end;
        // Ask with the name cut off, as if the cursor stood right behind the dot.
        let asked = format!("{}{}", &buffer[..start], request.suffix());
        let offers = graph.offers(file, start as u32, &asked);
        let sure = offers.receiver.first().is_some_and(|r| r.certainty == Certainty::Exact);
        let name = &buffer[start..end];
        if !offers.is_member
            || !sure
            || offers.items.is_empty()
            || offers.items.iter().any(|offer| offer.name == name)
        {
            continue;
        }
        let typed = before.len().saturating_sub(start);
        let nearest = nearest(name, offers.items.iter().map(|offer| offer.name.as_str()))
            .filter(|found| found.starts_with(&name[..typed.min(name.len())]));
        let Some(found) = nearest else {
            checked.unknown.push(name.to_owned());
            continue;
        };
        let receiver = offers
            .receiver
            .first()
            .and_then(|candidate| graph.symbol(candidate.symbol))
            .map_or_else(|| "the receiver".to_owned(), |symbol| format!("`{}`", symbol.name));
        checked.repairs.push(Repair {
            from: name.to_owned(),
            to: found.to_owned(),
            reason: format!("{receiver} has no `{name}`; the nearest member is `{found}`"),
        });
        let at = start.max(before.len()) - before.len();
        from = start + found.len();
        text.replace_range(at..end - before.len(), &found[typed.min(found.len())..]);
    }
    checked
}

/// The next name behind a single `.` or `::` that ends in the suggestion, from `from` on.
fn next_member(buffer: &str, cursor: usize, from: usize) -> Option<(usize, usize)> {
    let line = buffer[..cursor].rfind('\n').map_or(0, |at| at + 1);
    let bytes = buffer.as_bytes();
    let mut at = from.max(line);
    while let Some(found) = buffer[at..].find(['.', ':']) {
        let mark = at + found;
        let start = match bytes[mark] {
            b':' if bytes.get(mark + 1) == Some(&b':') => mark + 2,
            b'.' if mark > 0 && bytes[mark - 1] != b'.' => mark + 1,
            _ => {
                at = mark + 1;
                continue;
            }
        };
        let rest = &buffer[start..];
        let end = start + rest.find(|c| !lex::is_identifier(c)).unwrap_or(rest.len());
        let is_name = rest.starts_with(|c: char| c == '_' || c.is_alphabetic());
        if is_name && end > cursor && start >= from {
            return Some((start, end));
        }
        at = end.max(mark + 1);
    }
    None
}

/// The one member within a third of the name's length in edits; `None` if there are two.
fn nearest<'n>(name: &str, members: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() < MIN_NAME {
        return None;
    }
    let limit = (name.len() / 3).min(2);
    let mut best: Option<(usize, &str)> = None;
    let mut is_tie = false;
    for member in members {
        if member.len().abs_diff(name.len()) > limit {
            continue;
        }
        let distance = distance(name, member);
        match best {
            Some((least, _)) if distance > least => {}
            Some((least, other)) if distance == least => is_tie |= other != member,
            _ => (best, is_tie) = (Some((distance, member)), false),
        }
    }
    best.filter(|(distance, _)| *distance <= limit && !is_tie).map(|(_, member)| member)
}

/// Levenshtein distance over characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, &y) in b.iter().enumerate() {
            let above = row[column + 1];
            let replaced = diagonal + usize::from(x != y);
            row[column + 1] = replaced.min(above + 1).min(row[column] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_member_is_found_and_a_tie_is_not() {
        let members = ["send", "send_all", "close", "closed"];
        assert_eq!(nearest("sends", members.into_iter()), Some("send"));
        assert_eq!(nearest("closes", members.into_iter()), None, "close and closed are as near");
        assert_eq!(nearest("unrelated", members.into_iter()), None);
        assert_eq!(nearest("cls", members.into_iter()), None, "too short to tell");
    }

    #[test]
    fn members_are_found_behind_the_cursor_only() {
        let buffer = "x.old(); y.ne";
        assert_eq!(next_member(buffer, 10, 0), Some((11, 13)));
        assert_eq!(next_member("a..b", 0, 0), None, "a range is no member");
        assert_eq!(next_member("A::new(", 1, 0), Some((3, 6)));
        assert_eq!(next_member("1.5 + z", 0, 0), None);
    }
}
