//! Every kind of question, and every kind of bad input.

use std::process::Command;

use expect_test::expect;
use fovea_api::{Answer, At, Encoding, ErrorCode, Health, Method, Preset, SearchHit};

use crate::support::Repository;

const SHAPES: &str = "\
//- /shape.py
class Shape:
    def area(self) -> float:
        return 0.0


class Square(Shape):
    def __init__(self, side: float):
        self.side = side

    def area(self) -> float:
        return self.side * self.side
//- /main.py
from shape import Square


def total(sides):
    squares = [Square(side) for side in sides]
    first = Square$0(1.0)
    return first.$0area()
";

#[test]
fn questions_are_answered_from_the_index() {
    let repository = Repository::new(SHAPES);
    let engine = repository.open();
    let Answer::Search(found) = engine.call(Method::search("Square", 5)) else {
        panic!("hits were expected")
    };
    assert_eq!(found.hits[0].location.path, "shape.py");
    assert_eq!(engine.symbols("main.py").expect("indexed")[0], "total");
    let Answer::Search(lines) = engine.call(Method::Grep {
        pattern: "self.side".into(),
        regex: false,
        ignore_case: false,
        limit: 10,
        word: false,
        path: None,
    }) else {
        panic!("lines were expected")
    };
    let place = |hit: &SearchHit| (hit.at.start_line + 1, hit.at.start_column + 1);
    assert_eq!(lines.hits.iter().map(place).collect::<Vec<_>>(), [(8, 9), (11, 16)]);
    let Answer::Symbols(symbols) = engine.call(Method::Symbols { query: "area".into(), limit: 5 })
    else {
        panic!("symbols were expected")
    };
    assert_eq!(symbols[0].container, "Shape");
}

#[test]
fn a_plan_and_a_completion_come_without_a_model() {
    let repository = Repository::new(SHAPES);
    let engine = repository.open();
    let at = repository.at(1);
    let Answer::Plan(plan) = engine.call(Method::Context {
        at: at.clone(),
        preset: Preset::Balanced,
        budget_tokens: Some(600),
    }) else {
        panic!("a plan was expected")
    };
    assert!(plan.n_tokens <= 600 && plan.prompt.contains("first."), "{plan:?}");
    let answer = engine.call(Method::Complete {
        at,
        preset: Preset::Balanced,
        budget_tokens: None,
        max_tokens: None,
        with_context: true,
        multi_line: false,
        use_model: false,
    });
    let Answer::Suggestion(suggestion) = answer else { panic!("a suggestion was expected") };
    if let Some(suggestion) = suggestion {
        assert_eq!(suggestion.source, fovea_api::CompletionSource::Index);
    }
}

#[test]
fn a_cursor_outside_the_file_is_a_bad_request() {
    let repository = Repository::new(SHAPES);
    let engine = repository.open();
    let at = At { path: "main.py".into(), line: 90, column: 0, encoding: Encoding::Utf32 };
    let error = engine.error(Method::Definition { at });
    assert_eq!(error.code, ErrorCode::BadRequest);
    expect!["line 91 is past the end of `main.py`, which has 8 lines"].assert_eq(&error.message);
}

#[test]
fn paths_that_are_not_indexed_say_why() {
    let repository = Repository::new(
        "//- /.gitignore\n*.log\n//- /a.py\nx = 1\n//- /a.log\nx\n//- /notes.xyz\nplain words\n",
    );
    repository.write("image.bin", [0, 159, 146, 150]);
    repository.write("latin.txt", [b'a', 0xE9, b'\n']);
    repository.write("big.py", "x = 1\n".repeat(300_000));
    let engine = repository.open();
    let why = |path: &str| match engine.call(Method::Why { path: path.into() }) {
        Answer::Path(path) => {
            format!("{}: {} {}\n", path.path, path.outcome, path.reason.unwrap_or_default())
        }
        answer => panic!("an outcome was expected: {answer:?}"),
    };
    let paths =
        ["a.py", "a.log", "notes.xyz", "image.bin", "latin.txt", "big.py", "none.py", ".git/x"];
    expect![[r"
        a.py: indexed 
        a.log: skipped `.gitignore` has `*.log`
        notes.xyz: indexed 
        image.bin: skipped it is binary
        latin.txt: skipped it is not UTF-8 text
        big.py: skipped it has 1800000 bytes, the limit is 1048576 (index.max-file-bytes)
        none.py: unknown there is no such file
        .git/x: skipped `.git` is never indexed
    "]]
    .assert_eq(&paths.map(why).concat());
    let error = engine.symbols("a.log").expect_err("excluded");
    assert_eq!(error.code, ErrorCode::Refused);
    expect!["`a.log` is not indexed: `.gitignore` has `*.log`"].assert_eq(&error.message);
    assert_eq!(engine.symbols("none.py").expect_err("missing").code, ErrorCode::NotFound);
    assert_eq!(engine.symbols("../h/x").expect_err("outside").code, ErrorCode::Refused);
}

#[test]
fn a_repository_without_text_is_no_error() {
    let repository = Repository::new("");
    repository.write("one.bin", [0, 1, 2]);
    repository.write("two.bin", [0, 1, 2]);
    let status = repository.connect().status_when_ready();
    assert_eq!((status.health, status.n_files, status.n_skipped), (Health::Ok, 0, 2));
    expect![
        "nothing to index: all 2 files are skipped, `fovea status --why PATH` says by which rule"
    ]
    .assert_eq(&status.summary);
}

#[test]
fn an_empty_repository_answers() {
    let repository = Repository::new("");
    let engine = repository.connect();
    let status = engine.status_when_ready();
    expect!["nothing to index: there are no files, or ignore rules exclude all of them"]
        .assert_eq(&status.summary);
    let Answer::Search(found) = engine.call(Method::search("anything", 5)) else {
        panic!("an empty list was expected")
    };
    assert!(found.hits.is_empty());
}

#[test]
fn what_is_no_folder_is_named() {
    let repository = Repository::new("//- /a.py\nx = 1\n");
    let engine = repository.connect();
    for (root, expected) in [
        (repository.root.join("a.py"), "is not a directory; give the folder it is in"),
        (repository.root.join("none"), "does not exist; give the folder of a repository"),
    ] {
        let answer = engine.connection.call(Some(&root), None, Method::Open { wait: true });
        let message = answer.expect_err("no folder").to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_repositorys_settings_only_narrow() {
    let repository = Repository::new(
        "//- /.fovea.toml\n[index]\nexclude = [\"gen/\"]\nhidden = true\n[model]\npath = \"/bin/sh\"\n\
         //- /a.py\nx = 1\n//- /gen/b.py\ny = 1\n//- /.hidden.py\nz = 1\n",
    );
    let status = repository.connect().status_when_ready();
    assert_eq!((status.n_files, status.health), (1, Health::Warning));
    let warnings = status.warnings.join("\n").replace(&repository.root.display().to_string(), "");
    expect![[r"
        `index.hidden` in `/.fovea.toml` is ignored: a repository can only switch this off
        `model.path` in `/.fovea.toml` is ignored: a repository cannot set it; use the user configuration"]]
    .assert_eq(&warnings);
}

/// Tricky texts: line endings, a byte order mark, no final line feed, long lines, other scripts.
const LINES: &str = "\
//- /src/a.rs
fn open_file(path: &str) -> Result<File> {}
// a file, another file; Profile, FILE and fil\u{212a}e
    let x = \"tab\there\"; // trailing space
//- /docs/b.md
The FILE is opened. Größe, größe, ΣΑΣ σας

- open_file, open-file, open file
//- /lib/c.py
def open_file(path):
    return open(path).read()  # openopenopen
";

#[test]
fn grep_finds_the_lines_and_columns_that_ripgrep_finds() {
    let repository = Repository::new(LINES);
    repository.write("src/crlf.rs", "fn a() {}\r\n\r\nfn open_file() {}\r\n");
    repository.write("src/bom.rs", "\u{feff}fn first() {}\nfn open_file() {}");
    repository.write("src/long.py", format!("x = '{}open_file'\n", "é".repeat(2_000)));
    repository.write("src/empty.py", "");
    let engine = repository.open();
    let sources = ["questions.rs", "support.rs", "freshness.rs"];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon");
    for name in sources {
        let text = std::fs::read_to_string(folder.join(name)).expect("our own sources");
        repository.write(&format!("own/{name}"), text);
    }
    engine.sync();
    let has_ripgrep = Command::new("rg").arg("--version").output().is_ok();
    // Pattern and flags: F literal, i ignore case, w whole words.
    let cases = [
        ("open_file", "F"),
        ("file", "w"),
        ("file", "i"),
        ("FILE", "iw"),
        ("()", "F"),
        ("größe", "i"),
        ("σας", "i"),
        ("^fn", ""),
        (r"\}$", ""),
        ("^$", ""),
        (r"\s+$", ""),
        (r"open.file", ""),
        (r"\bopen\b", ""),
        ("x*", ""),
        (r"(open){2,}", ""),
        (r"[[:upper:]]{4}", ""),
        ("é{3}open", ""),
        (r"\bfn\s+\w+\(", ""),
        ("let|fn|def", "w"),
        (r"#\[test\]", ""),
        ("no such text here", "F"),
        (r"\t", ""),
        (".", ""),
        (r"assert_eq!\(.*, ", ""),
        ("file", "iwF"),
    ];
    let mut n_lines = 0;
    for (pattern, flags) in cases {
        let Answer::Search(found) = engine.call(Method::Grep {
            pattern: pattern.into(),
            regex: !flags.contains('F'),
            ignore_case: flags.contains('i'),
            limit: 100_000,
            word: flags.contains('w'),
            path: None,
        }) else {
            panic!("lines were expected")
        };
        let ours: Vec<String> = found
            .hits
            .iter()
            .map(|hit| {
                let column = hit.at.start_byte - hit.location.start_byte + 1;
                let (path, line) = (&hit.at.path, hit.at.start_line + 1);
                format!("{path}:{line}:{column}:{}", hit.text)
            })
            .collect();
        n_lines += ours.len();
        if has_ripgrep {
            assert_eq!(ours, ripgrep(&repository, pattern, flags), "{pattern} {flags}");
        }
    }
    assert!(n_lines > 1_000, "{n_lines}");
    if !has_ripgrep {
        eprintln!("ripgrep is not installed: its answers were not compared");
    }
}

/// `path:line:column:text` by path and line.
fn ripgrep(repository: &Repository, pattern: &str, flags: &str) -> Vec<String> {
    let mut command = Command::new("rg");
    command.args(["--no-config", "-n", "--column", "--no-heading", "--color=never", "--sort=path"]);
    for flag in flags.chars() {
        command.arg(format!("-{flag}"));
    }
    let output = command.arg("--").arg(pattern).current_dir(&repository.root).output();
    let output = output.expect("starts");
    let text = String::from_utf8(output.stdout).expect("text");
    // By line feeds: `lines` would hide what ripgrep does with a carriage return.
    let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| line.strip_suffix('\r').unwrap_or(line).trim_start_matches("./").to_owned())
        .collect()
}
