//! Ranked search over fixtures.

use expect_test::{Expect, expect};

use super::*;
use crate::{Cancel, FileId, Snapshot, testing};

const FIXTURE: &str = "\
//- /src/session.py
class Session:
    '''Keeps cookies between requests.'''

    def send(self, request):
        return request

def open_session(timeout):
    return Session()
//- /src/adapters.py
from session import Session

def connect(session):
    # Session is kept in the session pool
    return Session
//- /tests/test_session.py
from session import Session

def test_session_send():
    session = Session()
    assert session.send(1) == 1
//- /docs/session.md
# Session
How a session sends requests: Session, session, sessions.
";

fn index() -> Snapshot {
    let fixture = fovea_test_support::parse(FIXTURE, "a.py");
    let files = fixture.files.iter().map(|file| (file.path.as_str(), file.text.as_str()));
    testing::snapshot(files)
}

fn search(text: &str, limit: usize) -> Result<Vec<Hit>, QueryError> {
    let query = SearchQuery { text: text.to_owned(), limit, ..SearchQuery::default() };
    index().search(&query, &Cancel::never()).map(|results| results.hits)
}

fn check_search(text: &str, expect: Expect) {
    let snapshot = index();
    let shown = match search(text, 3) {
        Err(error) => error.to_string(),
        Ok(hits) => {
            let hit = |hit: &Hit| {
                let path = snapshot.path(hit.chunk.file);
                format!("{path}:{}-{}\n", hit.lines.0 + 1, hit.lines.1)
            };
            hits.iter().map(hit).collect()
        }
    };
    expect.assert_eq(&shown);
}

#[test]
fn a_definition_beats_mentions_tests_and_docs() {
    for text in ["Session", "open_session", "opensession"] {
        let hits = search(text, 3).unwrap();
        assert_eq!(index().path(hits[0].chunk.file), "src/session.py", "{text}");
    }
    let hits = search("session tests", 3).unwrap();
    assert_eq!(index().path(hits[0].chunk.file), "tests/test_session.py", "asked for");
}

#[test]
fn filters_and_phrases_narrow() {
    check_search("session path:docs", expect!["docs/session.md:1-2\n"]);
    check_search("session test:only", expect!["tests/test_session.py:1-5\n"]);
    check_search("\"session pool\"", expect!["src/adapters.py:1-5\n"]);
    check_search(
        "session color:red",
        expect!["unknown filter `color:`; known are lang:, path:, kind:, test:, changed:"],
    );
}

#[test]
fn parts_sum_to_the_score() {
    for hit in search("how a session sends requests", 10).unwrap() {
        let sum = hit.parts.sum();
        assert!((sum - hit.score).abs() < 1e-3, "{sum} {}", hit.score);
    }
}

#[test]
fn pages_follow_each_other_without_overlap() {
    let page = |offset| {
        let query =
            SearchQuery { text: "session".to_owned(), limit: 2, offset, ..SearchQuery::default() };
        index().search(&query, &Cancel::never()).unwrap()
    };
    let whole: Vec<_> = search("session", 4).unwrap().iter().map(|hit| hit.chunk).collect();
    let (first, second) = (page(0), page(2));
    let chunks: Vec<_> = first.hits.iter().chain(&second.hits).map(|hit| hit.chunk).collect();
    assert_eq!(chunks, whole);
    assert!(first.has_more);
    assert!(page(1_000_000_000).hits.is_empty());
}

#[test]
fn code_like_that_at_a_place_is_found_without_itself() {
    let snapshot = index();
    let file = snapshot.file("src/session.py").unwrap();
    let query = SearchQuery {
        like: Some(FilePosition { file, offset: 10 }),
        limit: 3,
        ..SearchQuery::default()
    };
    let hits = snapshot.search(&query, &Cancel::never()).unwrap().hits;
    assert!(!hits.is_empty());
    assert!(hits.iter().all(|hit| hit.chunk.file != file || hit.range.start > 10));
    let narrowed = SearchQuery { text: "path:adapters".to_owned(), ..query.clone() };
    let hits = snapshot.search(&narrowed, &Cancel::never()).unwrap().hits;
    assert_eq!(snapshot.path(hits[0].chunk.file), "src/adapters.py");
    let wrong = SearchQuery { text: "color:red".to_owned(), ..query };
    assert!(matches!(
        snapshot.search(&wrong, &Cancel::never()),
        Err(QueryError::UnknownFilter { .. })
    ));
}

#[test]
fn changed_files_can_be_asked_for() {
    let snapshot = index();
    let file = snapshot.file("src/adapters.py").unwrap();
    let mut query =
        SearchQuery { text: "session changed:only".to_owned(), limit: 9, ..SearchQuery::default() };
    assert!(asks_for_changes(&query.text) && !asks_for_changes("what changed: nothing"));
    let error = snapshot.search(&query, &Cancel::never()).unwrap_err();
    assert_eq!(error, QueryError::NoChanges);
    query.changed = Some(Arc::new(HashSet::from([file])));
    let of = |query: &SearchQuery| -> Vec<FileId> {
        let hits = snapshot.search(query, &Cancel::never()).unwrap().hits;
        hits.iter().map(|hit| hit.chunk.file).collect()
    };
    assert_eq!(of(&query), [file]);
    query.text = "session changed:no".to_owned();
    let others = of(&query);
    assert!(!others.is_empty() && !others.contains(&file));
}

#[test]
fn a_billion_hits_are_not_more_than_there_are() {
    let hits = search("session", 1_000_000_000).unwrap();
    assert!(!hits.is_empty() && hits.len() <= MAX_HITS);
    assert!(search("the of and", 10).map(|hits| hits.len()).is_ok());
}

#[test]
fn typos_find_symbols() {
    let snapshot = index();
    let found = snapshot.symbols_matching("Sesion", 5);
    let (symbol, _) = found.first().expect("a symbol");
    assert_eq!(snapshot.facts(symbol.file).unwrap().symbols[symbol.index as usize].name, "Session");
}
