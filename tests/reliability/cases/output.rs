//! Section K: text of a repository cannot act on a terminal, nor pass for something else.

use std::fs;

use anyhow::{Result, ensure};

use crate::{
    daemon::wrapped,
    rng::Rng,
    sandbox::{self, text},
    suite::Suite,
    tree::Tree,
};

pub(crate) fn run(suite: &mut Suite) {
    suite.row("K01", "every command on hostile text, into a pipe", (1, 5), |_, rng| {
        commands(false, rng)
    });
    suite.row("K01t", "every command on hostile text, on a terminal", (1, 5), |_, rng| {
        commands(true, rng)
    });
    super::injection::markdown(suite);
}

/// What acts on terminals, or hides.
fn payloads() -> Vec<String> {
    let mut all: Vec<String> = [
        "\x1b[2J",
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\link",
        "\x1b]52;c;eA==\x07",
        "\x1bP$q\x1b\\",
        "\x1b_apc\x1b\\",
        "\x1b^pm\x1b\\",
        "\x1bPtmux;\x1b\x1b[2J\x1b\\",
        "\u{9b}2J",
        "\u{9d}0;t\u{9c}",
        "over\rwritten",
        "back\x08\x08\x08\x08gone",
        "bell\x07",
        "\x0b\x0c",
        "\x7f",
        "\x0e\x0f",
        "\u{202e}desrever\u{202c}",
        "\u{2066}isolate\u{2069}",
        "zero\u{200b}width",
        "join\u{200d}er",
        "\u{feff}mark",
        "tag\u{e0041}\u{e007f}",
        "soft\u{ad}hyphen",
        "sep\u{2028}line\u{2029}par",
        "\u{3164}filler",
        "\u{61c}alm",
        "\u{85}nel",
    ]
    .map(str::to_owned)
    .to_vec();
    all.extend(
        (1..32u8)
            .filter(|byte| !b"\n\t\r".contains(byte))
            .map(|byte| format!("c{}", char::from(byte))),
    );
    all
}

fn commands(on_terminal: bool, rng: &mut Rng) -> Result<String> {
    if on_terminal {
        sandbox::need("script")?;
    }
    let (tree, home) = (Tree::generate(3, rng)?, tempfile::tempdir()?);
    let payloads = payloads();
    let mut body = String::from("def hostile_value(x):\n    return x\n\n\n");
    for (index, payload) in payloads.iter().enumerate() {
        body.push_str(&format!(
            "def hostile_{index}(x):\n    \"\"\"Doc {payload} hostile.\"\"\"\n    # hostile {payload} value\n    \
             return hostile_value(\"{payload}\" + x)\n\n\n"
        ));
        let name = format!("names/h{index}{}.py", payload.replace('/', "_"));
        // Names as the system allows them.
        let _ = tree.write(&name, format!("def in_name_{index}(): hostile_value(1)\n"));
    }
    tree.write("hostile.py", &body)?;
    tree.write("names/\x1b[2J/.env", "x")?;
    tree.write(".fovea.toml", "[\"index\\u001b[2J\"]\n\"key\\u202e\" = 1\n")?;
    let big = vec![b'a'; 2 << 20];
    tree.write("names/big\x1b[2J\u{202e}.py", big)?;
    let root = text(&tree.root);
    let all: [&[&str]; 26] = [
        &["index"],
        &["index", "--force"],
        &["search", "hostile value"],
        &["search", "\x1b[2J\u{202e}"],
        &["search", "hostile", "--explain"],
        &["search", "hostile", "--budget", "2000"],
        &["search", "--like", "hostile.py:6"],
        &["grep", "hostile", "-n", "500"],
        &["grep", "."],
        &["def", "hostile.py:8:14"],
        &["def", "hostile_3"],
        &["refs", "hostile_value"],
        &["callers", "hostile_value"],
        &["callees", "hostile_7"],
        &["symbols", "hostile"],
        &["symbols", "--file", "hostile.py"],
        &["outline", "--budget", "9000"],
        &["context", "hostile.py:9"],
        &["complete", "hostile.py:9", "--no-model"],
        &["explain", "hostile.py:9", "--no-model"],
        &["status"],
        &["status", "--why", "names/big\x1b[2J\u{202e}.py"],
        &["secrets"],
        &["sync"],
        &["dump"],
        &["doctor"],
    ];
    let mut n_bytes = 0;
    for args in all.into_iter().chain([
        &["config", "show"][..],
        &["def", "no\x1b[2Jsuch"],
        &["symbols", "\u{202e}"],
    ]) {
        let args = [&["--root", root], args].concat();
        let mut command = if on_terminal {
            let quoted: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
            let line = format!("{} {}", crate::daemon::binary().display(), quoted.join(" "));
            let mut command = crate::daemon::command(std::path::Path::new("script"), home.path());
            command.args(["-qec", &line, "/dev/null"]);
            command
        } else {
            wrapped(&[], home.path(), &args)
        };
        command.current_dir(&tree.root);
        let output = command.output()?;
        let shown = [output.stdout, output.stderr].concat();
        n_bytes += shown.len();
        let shown = String::from_utf8(shown)?;
        let shown = if on_terminal { without_colors(&shown) } else { shown };
        if let Some(at) = shown.find(acts) {
            let around: String =
                shown[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
            anyhow::bail!(
                "{:?} lets {:?} through after {around:?}",
                &args[2..],
                shown[at..].chars().next()
            );
        }
    }
    let _ = wrapped(&[], home.path(), &["daemon", "stop"]).output()?;
    ensure!(n_bytes > 10_000, "the commands say little: {n_bytes} bytes");
    for file in crate::tree::all_files(&home.path().join("state")) {
        let log = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
        ensure!(log.find(acts).is_none(), "a log lets something through");
    }
    Ok(format!("29 commands, {} payloads in 4 places", payloads.len()))
}

/// Our own colors, line ends of the terminal, and the progress line.
fn without_colors(shown: &str) -> String {
    let mut clean = shown.replace("\r\n", "\n");
    for code in ["0", "1", "2", "31", "32", "33", "35"] {
        clean = clean.replace(&format!("\x1b[{code}m"), "");
    }
    clean
}

pub(super) fn acts(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        _ if character.is_control() => true,
        '\u{ad}' | '\u{61c}' | '\u{3164}' | '\u{feff}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{e0000}'..='\u{e01ef}' => true,
        _ => false,
    }
}
