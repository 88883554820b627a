//! Literal and regular-expression search over fixtures.

use expect_test::{Expect, expect};

use super::*;
use crate::testing;

const FIXTURE: &str = "\
//- /src/a.rs
fn open_file() {}
// a file, another file; Profile
fn close() {}
//- /docs/b.md
The FILE is opened.
";

fn run(query: &GrepQuery) -> Result<(Snapshot, GrepResults), QueryError> {
    let fixture = fovea_test_support::parse(FIXTURE, "a.rs");
    let files = fixture.files.iter().map(|file| (file.path.as_str(), file.text.as_str()));
    let snapshot = testing::snapshot(files);
    let results = snapshot.grep(query, &Cancel::never())?;
    Ok((snapshot, results))
}

fn pattern(pattern: &str) -> GrepQuery {
    GrepQuery { pattern: pattern.to_owned(), limit: 100, ..GrepQuery::default() }
}

fn check_grep(query: GrepQuery, expect: Expect) {
    let shown = match run(&query) {
        Err(error) => error.to_string(),
        Ok((snapshot, results)) => {
            let line = |line: &GrepLine| {
                let path = snapshot.path(line.file);
                format!("{path}:{}:{} ({})\n", line.line + 1, line.text, line.matches.len())
            };
            results.lines.iter().map(line).collect()
        }
    };
    expect.assert_eq(&shown);
}

#[test]
fn lines_in_path_order_with_every_match() {
    check_grep(
        pattern("file"),
        expect![[r#"
            src/a.rs:1:fn open_file() {} (1)
            src/a.rs:2:// a file, another file; Profile (3)
        "#]],
    );
}

#[test]
fn case_words_literals_and_paths() {
    let query = GrepQuery { ignore_case: true, is_word: true, ..pattern("file") };
    check_grep(
        query,
        expect![[r#"
            docs/b.md:1:The FILE is opened. (1)
            src/a.rs:2:// a file, another file; Profile (2)
        "#]],
    );
    let query = GrepQuery { is_literal: true, ..pattern("()") };
    check_grep(
        query,
        expect![[r#"
            src/a.rs:1:fn open_file() {} (1)
            src/a.rs:3:fn close() {} (1)
        "#]],
    );
    let query = GrepQuery { path: Some("*.md".to_owned()), ..pattern("open") };
    check_grep(query, expect!["docs/b.md:1:The FILE is opened. (1)\n"]);
}

#[test]
fn nothing_matches_across_lines() {
    check_grep(pattern(r"\{\}\s+//"), expect![""]);
    check_grep(pattern(r"^fn close\(\) \{\}$"), expect!["src/a.rs:3:fn close() {} (1)\n"]);
}

#[test]
fn hostile_patterns_are_refused_with_a_reason() {
    check_grep(pattern(""), expect!["query is empty; type words, a symbol name or a path"]);
    check_grep(pattern("(a"), expect!["regex `(a` is not valid: unclosed group"]);
    let message = run(&pattern("(((a{1000}){1000}){1000})")).unwrap_err().to_string();
    assert!(message.ends_with("bytes compiled; shorten its repetitions"), "{message}");
    assert!(matches!(run(&pattern(&"a".repeat(1 << 20))), Err(QueryError::TooLong { .. })));
}

#[test]
fn a_limit_cuts_and_says_so() {
    let (_, results) = run(&GrepQuery { limit: 1, ..pattern("fn") }).unwrap();
    assert_eq!((results.lines.len(), results.is_cut), (1, true));
}

#[test]
fn the_filter_changes_no_answer_also_after_an_edit() {
    let source = std::sync::Arc::new(testing::MapSource::default());
    source.set("a.rs", Some("fn first_name() {}\n"));
    source.set("b.rs", Some("fn second_name() {}\n"));
    let facts = std::sync::Arc::new(crate::writer::NoFacts);
    let embedder = std::sync::Arc::new(testing::WordVotes);
    let files = source.saved();
    let mut writer =
        crate::IndexWriter::open(crate::Storage::Memory, facts, source, embedder).unwrap();
    writer.apply(files, &mut |_| {}, &Cancel::never()).unwrap();
    let found = |snapshot: &Snapshot, text: &str| -> Vec<String> {
        let lines = snapshot.grep(&pattern(text), &Cancel::never()).unwrap().lines;
        lines.into_iter().map(|line| line.text).collect()
    };
    let snapshot = writer.snapshot();
    for _ in 0..2 {
        assert_eq!(found(&snapshot, "second_name"), ["fn second_name() {}"]);
        assert_eq!(found(&snapshot, "third_name"), Vec::<String>::new());
    }
    let edit =
        crate::FileChange::Edited { path: "a.rs".to_owned(), text: "fn third_name() {}\n".into() };
    let snapshot = writer.apply(vec![edit], &mut |_| {}, &Cancel::never()).unwrap();
    assert_eq!(found(&snapshot, "third_name"), ["fn third_name() {}"]);
    assert_eq!(found(&snapshot, "first_name"), Vec::<String>::new());
}
