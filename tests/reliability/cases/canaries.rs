//! Row I03: many secrets, each of them unique, in contents and names; then everything that is answered,
//! logged and stored is looked through for any of them.

use std::{collections::HashSet, fs, path::Path};

use anyhow::{Result, ensure};
use fovea_api::{At, Encoding, Method, Preset};
use serde_json::json;

use crate::{
    agent::Agent,
    client::{grep, search},
    daemon::{Daemon, wrapped},
    rng::Rng,
    sandbox::text,
    suite::Suite,
    tree::{Tree, all_files},
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("I03", "1,000 secrets in contents and names, looked for everywhere", (1, 3), sweep);
}

/// Where a secret stands, as it is.
const PLACES: [&str; 12] = [
    "code",
    "comment",
    "url",
    "json",
    "notebook",
    "page",
    "environment",
    "key",
    "ignored",
    "name",
    "folder",
    "link",
];
const N_EACH: usize = 65;
/// How else it may be written. No rule reads these; what is assigned to a telling name is found.
const FORMS: [&str; 5] = ["base64", "hex", "utf-16", "escapes", "split"];
const N_EACH_FORM: usize = 44;
/// The end of a secret by which it is known.
const N_TAIL: usize = 12;

struct Canary {
    secret: String,
    path: String,
}

fn sweep(_: usize, rng: &mut Rng) -> Result<String> {
    let (tree, home) = (Tree::generate(5, rng)?, tempfile::tempdir()?);
    tree.write(".gitignore", "ignored/\n")?;
    let mut canaries = Vec::new();
    for place in PLACES {
        for index in 0..N_EACH {
            let secret = secret(index, rng);
            let path = plant(&tree, place, index, &secret)?;
            canaries.push(Canary { secret, path });
        }
    }
    let mut encoded = Vec::new();
    for form in FORMS {
        for index in 0..N_EACH_FORM {
            let (path, secret) = (format!("encoded/{form}_{index}.py"), secret(index, rng));
            let (written, probe) = write_as(form, &secret);
            tree.write(&path, written)?;
            encoded.push((form, path, probe));
        }
    }
    fs::create_dir_all(home.path().join("config"))?;
    let settings = "[log]\nlevel = \"trace\"\n[index]\nhidden = true\n";
    fs::write(home.path().join("config/config.toml"), settings)?;
    let daemon = Daemon::start(home.path())?;
    let client = daemon.client(&tree.root)?;
    client.open()?;
    let n_found = client.grep("planted_word", 5_000)?.len();
    ensure!(n_found >= 5 * N_EACH, "the files are not indexed: {n_found}");
    let mut said = client.dump()?;
    let ask = |method: Method| -> Result<String> { Ok(format!("{:?}", client.try_ask(method)?)) };
    for canary in &canaries {
        said += &ask(grep(&canary.secret[..8], false, 50))?;
        said += &ask(Method::Why { path: canary.path.clone() })?;
    }
    for index in 0..N_EACH {
        said += &ask(search(format!("planted word {index}"), 50))?;
        let at = At {
            path: format!("code/code_{index}.py"),
            line: 1,
            column: 0,
            encoding: Encoding::Utf32,
        };
        said += &ask(Method::Lines { path: at.path.clone(), first: 0, last: 9 })?;
        said += &ask(Method::Context { at, preset: Preset::Deep, budget_tokens: Some(4_000) })?;
    }
    for method in [
        Method::Outline { budget_tokens: 50_000, focus: None },
        Method::Symbols { query: "planted".into(), limit: 1_000 },
        Method::Secrets,
        Method::Status,
        Method::Open { wait: false },
    ] {
        said += &ask(method)?;
    }
    let mut agent = Agent::start(home.path(), &tree.root)?;
    for (tool, arguments) in [
        ("search", json!({ "query": "planted word", "limit": 100, "budget": 50_000 })),
        ("outline", json!({ "budget": 50_000 })),
        ("status", json!({ "budget": 50_000 })),
    ] {
        said += &agent.tool(tool, &arguments)?;
    }
    for args in
        [&["status"][..], &["secrets"], &["outline"], &["grep", "planted_word"], &["doctor"]]
    {
        let all = [&["--root", text(&tree.root)], args].concat();
        let output = wrapped(&[], home.path(), &all).output()?;
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
    }
    let mut n_hidden = Vec::new();
    for form in FORMS {
        let mut n = 0;
        for (_, _, probe) in encoded.iter().filter(|(other, _, _)| *other == form) {
            n += usize::from(client.grep(probe, 5)?.is_empty());
        }
        n_hidden.push(format!("{form} {n}/{N_EACH_FORM}"));
    }
    daemon.wait_until_quiet()?;
    daemon.stop()?;
    let tails: HashSet<Vec<u8>> = canaries.iter().map(|canary| tail(&canary.secret)).collect();
    let in_answers = leaks(said.as_bytes(), &tails);
    let leaked = |tail: &Vec<u8>| {
        let canary = canaries.iter().find(|canary| self::tail(&canary.secret) == *tail);
        canary.map_or_else(String::new, |canary| canary.path.chars().take(12).collect::<String>())
    };
    let n = in_answers.len();
    ensure!(n == 0, "{n} in answers, one from {:?}", in_answers.iter().map(leaked).next());
    for file in all_files(home.path()) {
        let found = leaks(&fs::read(&file)?, &tails);
        let name = file.strip_prefix(home.path()).unwrap_or(Path::new(""));
        ensure!(
            found.is_empty(),
            "{} in {}, one from {:?}",
            found.len(),
            name.display(),
            found.iter().map(leaked).next()
        );
    }
    Ok(format!("{} as they are: none; hidden otherwise: {}", canaries.len(), n_hidden.join(", ")))
}

/// A token of one of several issuers.
fn secret(index: usize, rng: &mut Rng) -> String {
    const ALPHANUMERIC: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let mut text = |n: usize| -> String {
        (0..n).map(|_| char::from(ALPHANUMERIC[rng.below(ALPHANUMERIC.len())])).collect()
    };
    match index % 5 {
        0 => format!("ghp_{}", text(36)),
        1 => format!("glpat-{}", text(24)),
        2 => format!("sk_live_{}", text(24)),
        3 => format!("npm_{}", text(36)),
        _ => format!("xoxb-104938475610-593847561029-{}", text(24)),
    }
}

fn plant(tree: &Tree, place: &str, index: usize, secret: &str) -> Result<String> {
    let code = format!("def planted_word_{index}(x):\n    return x\n");
    let (path, content) = match place {
        "code" => {
            let path = format!("code/code_{index}.py");
            (path, format!("{code}\n\nclient = connect(\"{secret}\")\n"))
        }
        "comment" => {
            (format!("code/comment_{index}.py"), format!("# Run with {secret} here.\n{code}"))
        }
        "url" => {
            let path = format!("code/url_{index}.py");
            (path, format!("{code}URL = \"https://robot:{secret}@git.internal/x.git\"\n"))
        }
        "json" => {
            let path = format!("data/planted_{index}.json");
            (path, format!("{{\"planted_word\": {index}, \"text\": \"a\\n{secret}\\n\"}}\n"))
        }
        "notebook" => {
            let cell = json!({
                "cell_type": "code",
                "metadata": {},
                "outputs": [{ "output_type": "stream", "name": "stdout", "text": [format!("{secret}\n")] }],
                "execution_count": 1,
                "source": [format!("planted_word = {index}\n"), format!("login('{secret}')")],
            });
            let book =
                json!({ "cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5 });
            (format!("books/book_{index}.ipynb"), book.to_string())
        }
        "page" => {
            let path = format!("docs/page_{index}.md");
            (path, format!("# Page {index}\n\nplanted_word: log in with `{secret}`.\n"))
        }
        "environment" => (format!("config/.env.{index}"), format!("VALUE={secret}\n{code}")),
        "key" => (format!("deploy/server_{index}.pem"), format!("{secret}\n{code}")),
        "ignored" => (format!("ignored/code_{index}.py"), format!("{code}# {secret}\n")),
        "name" => (format!("names/{secret}.py"), code),
        "folder" => (format!("folders/{secret}/code.py"), code),
        _ => {
            let path = format!("links/{secret}");
            fs::create_dir_all(tree.root.join("links"))?;
            std::os::unix::fs::symlink("../code", tree.root.join(&path))?;
            return Ok(path);
        }
    };
    tree.write(&path, content)?;
    Ok(path)
}

/// A file with the secret in another form, and what of it would be found.
fn write_as(form: &str, secret: &str) -> (Vec<u8>, String) {
    let line = |value: &str| format!("API_TOKEN = \"{value}\"\n").into_bytes();
    match form {
        "base64" => {
            let value = base64(secret.as_bytes());
            (line(&value), value)
        }
        "hex" => {
            let value: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            (line(&value), value)
        }
        "utf-16" => {
            let wide = format!("\u{feff}API_TOKEN = \"{secret}\"\n");
            (wide.encode_utf16().flat_map(u16::to_le_bytes).collect(), secret.to_owned())
        }
        "escapes" => {
            let value: String =
                secret.chars().map(|character| format!("\\u{:04x}", character as u32)).collect();
            (line(&value), value)
        }
        _ => {
            let (head, end) = secret.split_at(secret.len() / 2);
            let code = format!("API_TOKEN = (\n    \"{head}\"\n    \"{end}\"\n)\n");
            (code.into_bytes(), end.to_owned())
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text + &"=".repeat((3 - bytes.len() % 3) % 3)
}

/// In lower case: words of the index are.
fn tail(secret: &str) -> Vec<u8> {
    secret.as_bytes()[secret.len() - N_TAIL..].to_ascii_lowercase()
}

/// The tails that `bytes` hold, as they are or in UTF-16.
fn leaks(bytes: &[u8], tails: &HashSet<Vec<u8>>) -> Vec<Vec<u8>> {
    let plain = bytes.to_ascii_lowercase();
    let wide: [Vec<u8>; 2] =
        [0, 1].map(|at| plain.iter().skip(at).step_by(2).copied().collect::<Vec<u8>>());
    let texts = [&plain, &wide[0], &wide[1]];
    let windows = texts.into_iter().flat_map(|text| text.windows(N_TAIL));
    windows.filter(|window| tails.contains(*window)).map(<[u8]>::to_vec).collect()
}
