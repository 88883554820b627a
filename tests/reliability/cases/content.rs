//! Section D: hostile and odd file contents. Each file has an outcome with a name, and everything
//! beside it is indexed as if it were not there.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    client::Client,
    daemon::PATIENCE,
    rng::Rng,
    suite::Suite,
    tree::{self, Tree},
};

/// No odd file may hold up the others for longer.
const LIMIT: Duration = PATIENCE;

const EXTENSIONS: [&str; 12] =
    ["rs", "py", "js", "ts", "tsx", "go", "java", "c", "cpp", "md", "toml", "txt"];

pub(crate) fn run(suite: &mut Suite) {
    let mut engine = None;
    let depth = suite.n(20_000, 100_000);
    let shapes = shapes(depth);
    let n_shapes = shapes.len();
    suite.row("D06", "deep nesting, in every language", (n_shapes, n_shapes), |round, _| {
        let (name, text) = &shapes[round];
        let files = EXTENSIONS
            .iter()
            .map(|extension| (format!("odd/{name}.{extension}"), text.clone().into_bytes()));
        check(&mut engine, &files.collect::<Vec<_>>())
    });
    suite.row("D01", "mutants that are not UTF-8", (40, 1_000), |round, rng| {
        let mut files = Vec::new();
        for (index, extension) in EXTENSIONS.iter().enumerate() {
            let path = format!("odd/mutant_{round}_{index}.{extension}");
            let mut bytes = tree::text(&path, rng).into_bytes();
            for _ in 0..1 + rng.below(6) {
                let at = rng.below(bytes.len());
                bytes[at] = (128 + rng.below(128)) as u8;
            }
            files.push((path, bytes));
        }
        check(&mut engine, &files)
    });
    let encodings = encodings();
    suite.row(
        "D02",
        "encodings, marks and line ends",
        (encodings.len(), encodings.len()),
        |round, _| check(&mut engine, std::slice::from_ref(&encodings[round])),
    );
    suite.row("D08", "random ASCII, and files cut anywhere", (12, 400), |round, rng| {
        let extension = EXTENSIONS[round % EXTENSIONS.len()];
        let random: Vec<u8> = (0..100_000).map(|_| (32 + rng.below(95)) as u8).collect();
        let path = format!("odd/cut.{extension}");
        let mut cut = tree::text(&path, rng);
        while cut.len() < 2_000 {
            cut.push_str(&tree::text(&path, rng));
        }
        cut.truncate(rng.below(cut.len()));
        check(&mut engine, &[(format!("odd/random.{extension}"), random), (path, cut.into_bytes())])
    });
    let odd = odd_files();
    suite.row(
        "D10",
        "long names, many names, many lines, bundles, archives",
        (odd.len(), odd.len()),
        |round, _| check(&mut engine, std::slice::from_ref(&odd[round])),
    );
    suite.row("D15", "random edits of an open document", (40, 5_000), |_, rng| {
        edits_and_back(&mut engine, rng)
    });
}

type Engine = Option<(tempfile::TempDir, Client, Tree, String)>;

fn engine(made: &mut Engine) -> Result<&(tempfile::TempDir, Client, Tree, String)> {
    if made.is_none() {
        let (home, tree) = (tempfile::tempdir()?, Tree::generate(40, &mut Rng::new(4))?);
        let client = Client::in_process(home.path(), &tree.root)?;
        client.open()?;
        let dump = blocks(&client.dump()?);
        *made = Some((home, client, tree, dump));
    }
    Ok(made.as_ref().expect("made above"))
}

/// The dump without the table of names, which odd files add to.
fn blocks(dump: &str) -> String {
    let is_odd = |line: &str| line.starts_with("file odd/");
    let mut text = String::new();
    let mut is_skipped = false;
    for line in dump.lines() {
        if line.starts_with("file ") {
            is_skipped = is_odd(line);
        }
        if line.starts_with("name ") {
            break;
        }
        // What a name means may well change when another file defines it too.
        if !is_skipped && !line.starts_with("  resolved") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn check(made: &mut Engine, files: &[(String, Vec<u8>)]) -> Result<String> {
    let (_, client, tree, before) = engine(made)?;
    for (path, bytes) in files {
        tree.write(path, bytes)?;
    }
    let started = Instant::now();
    client.sync()?;
    let took = started.elapsed();
    ensure!(took < LIMIT, "{:.100} took {} ms", files[0].0, took.as_millis());
    for (path, _) in files {
        let (outcome, reason) = client.why(path)?;
        ensure!(
            matches!(outcome.as_str(), "indexed" | "cut")
                || outcome == "skipped" && !reason.is_empty(),
            "{path} is {outcome} ({reason})"
        );
        // Every question about it is answered, whatever it holds.
        if outcome != "skipped" {
            client.symbols(path).with_context(|| path.clone())?;
        }
    }
    let after = blocks(&client.dump()?);
    crate::oracle::compare(&after, before).context("the other files")?;
    client.search("parse store")?;
    fs::remove_dir_all(tree.root.join("odd"))?;
    client.sync()?;
    Ok(String::new())
}

fn shapes(depth: usize) -> Vec<(String, String)> {
    let pairs = [
        ("parens", "(", ")"),
        ("brackets", "[", "]"),
        ("braces", "{", "}"),
        ("angles", "<", ">"),
        ("comments", "/*", "*/"),
        ("templates", "`${", "}`"),
        ("tags", "<div>", "</div>"),
        ("blocks", "if x {\n", "}\n"),
        ("indents", "if x:\n ", ""),
        ("minus", "-", "1"),
        ("not", "!", "1"),
        ("calls", "f(", ")"),
        ("members", "a.", "b"),
        ("quotes", "> ", "x"),
        ("lists", "- ", "x"),
        ("lambdas", "lambda:", "0"),
        ("generics", "A<", ">"),
        ("pragmas", "#if 1\n", "#endif\n"),
    ];
    let mut shapes = Vec::new();
    for (name, open, close) in pairs {
        shapes.push((format!("{name}_open"), open.repeat(depth)));
        shapes.push((format!("{name}_closed"), open.repeat(depth) + &close.repeat(depth)));
    }
    shapes
}

fn encodings() -> Vec<(String, Vec<u8>)> {
    let text = "def größe(x):\n    return x\n";
    let utf16 = |big: bool, mark: bool| {
        let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("odd/utf16le.py".into(), utf16(false, true)),
        ("odd/utf16be.py".into(), utf16(true, true)),
        ("odd/utf16le_unmarked.py".into(), utf16(false, false)),
        ("odd/utf16be_unmarked.py".into(), utf16(true, false)),
        ("odd/utf32.py".into(), text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect()),
        ("odd/mark.py".into(), [b"\xEF\xBB\xBF", text.as_bytes()].concat()),
        ("odd/latin1.py".into(), text.chars().map(|c| c as u32 as u8).collect()),
        ("odd/shift_jis.py".into(), b"# \x83e\x83X\x83g\ndef f(): pass\n".to_vec()),
        ("odd/nul_first.py".into(), [b"\0", text.as_bytes()].concat()),
        ("odd/nul_last.py".into(), [text.as_bytes(), b"\0"].concat()),
        ("odd/nul_far.py".into(), ["# x\n".repeat(2_048).as_bytes(), b"\0\n"].concat()),
        ("odd/nuls.py".into(), vec![0; 900_000]),
        ("odd/empty.py".into(), Vec::new()),
        ("odd/newline.py".into(), b"\n".to_vec()),
    ];
    for (name, end) in [
        ("crlf", "\r\n"),
        ("cr", "\r"),
        ("ls", "\u{2028}"),
        ("ps", "\u{2029}"),
        ("nel", "\u{85}"),
        ("vt", "\u{b}"),
        ("ff", "\u{c}"),
        ("mixed", "\r\n\n\r"),
    ] {
        files.push((format!("odd/{name}.py"), text.replace('\n', end).into_bytes()));
    }
    let naughty = "\u{202e}evil\u{202c} \u{200b}zero\u{feff} 𝕬𝖘𝖙𝖗𝖆𝖑 👩‍👩‍👧‍👦 a\u{301}\u{301}\u{301} \x1b[31mred\x07 \
                   %s%n {{7*7}} $(id) `id` ' OR 1=1 -- \u{fffd}\n";
    for extension in EXTENSIONS {
        files.push((format!("odd/naughty.{extension}"), naughty.repeat(20).into_bytes()));
    }
    files
}

fn odd_files() -> Vec<(String, Vec<u8>)> {
    let names: String = (0..60_000).map(|index| format!("n{index} = {index}\n")).collect();
    let gzip = [b"\x1f\x8b\x08\0".to_vec(), vec![7; 5_000]].concat();
    let zip = [b"PK\x03\x04".to_vec(), vec![9; 5_000]].concat();
    vec![
        ("odd/long_name.py".into(), format!("def {}(): pass\n", "a".repeat(65_536)).into_bytes()),
        ("odd/longer_name.rs".into(), format!("fn {}() {{}}\n", "b".repeat(900_000)).into_bytes()),
        ("odd/many_names.py".into(), names.into_bytes()),
        ("odd/many_lines.py".into(), "\n".repeat(1_000_000).into_bytes()),
        ("odd/many_words.txt".into(), "word ".repeat(200_000).into_bytes()),
        ("odd/one_class.py".into(), {
            let methods =
                (0..8_000).map(|i| format!("    def m{i}(self): return self.m{}()\n", i / 2));
            ["class A:\n".to_owned(), methods.collect()].concat().into_bytes()
        }),
        (
            "odd/bundle.min.js".into(),
            "!function(e,t){return e(t)}(a,b);".repeat(30_000).into_bytes(),
        ),
        ("odd/bundle.js.map".into(), "{\"mappings\":\"AAAA\"}".repeat(40_000).into_bytes()),
        ("odd/Cargo.lock".into(), "[[package]]\nname = \"x\"\n\n".repeat(20_000).into_bytes()),
        (
            "odd/note.ipynb".into(),
            format!("{{\"png\":\"{}\"}}", "iVBOR".repeat(150_000)).into_bytes(),
        ),
        ("odd/table.csv".into(), "1,2,3,4\n".repeat(120_000).into_bytes()),
        ("odd/gzip.rs".into(), gzip),
        ("odd/zip.py".into(), zip),
        (
            "odd/cargo/Cargo.toml".into(),
            "[workspace]\nmembers = [\"..\", \"../..\", \".\"]\n".into(),
        ),
        ("odd/broken/Cargo.toml".into(), "[package\nname = \n[[[[".into()),
        ("odd/self_import.py".into(), "from . import self_import\nimport odd.self_import\n".into()),
        (
            "odd/cycle.rs".into(),
            "mod cycle;\npub use self::cycle::*;\npub use crate::cycle::*;\n".into(),
        ),
        (
            "odd/inherit.py".into(),
            "class A(B): pass\nclass B(A): pass\nclass C(C): pass\nA().x.y.z()\n".into(),
        ),
        ("odd/alias.py".into(), "a = b\nb = c\nc = a\na.b.c()\nimport a as b, b as a\n".into()),
    ]
}

/// A document edited at random and put back: the facts are those of a fresh parse each time.
fn edits_and_back(made: &mut Engine, rng: &mut Rng) -> Result<String> {
    let (_, client, tree, before) = engine(made)?;
    let file = rng.pick(&tree.files()).clone();
    let saved = fs::read_to_string(tree.root.join(&file))?;
    let mut text = saved.clone();
    for _ in 0..5 {
        let at = |rng: &mut Rng, text: &str| {
            let mut at = rng.below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (a, b) = (at(rng, &text), at(rng, &text));
        let insert = *rng.pick(&["", "(", "}", "\n", "def x():\n", "\"", "é", "/*", "'''", "fn a"]);
        text.replace_range(a.min(b)..a.max(b).min(a.min(b) + 40), if a == b { insert } else { "" });
        if a != b {
            let start = a.min(b).min(text.len());
            if text.is_char_boundary(start) {
                text.insert_str(start, insert);
            }
        }
        client.edit(&file, &text)?;
        client.symbols(&file)?;
    }
    client.edit(&file, &saved)?;
    client.sync()?;
    client.close(&file)?;
    client.sync()?;
    crate::oracle::compare(&blocks(&client.dump()?), before)?;
    Ok(String::new())
}
