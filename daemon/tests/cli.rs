//! The real executable, with a home of its own and without a daemon.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// A home folder and a small repository.
struct Machine {
    temp: tempfile::TempDir,
}

const PYTHON: &str = r#"
//- /shop/prices.py
"""Prices."""

TAX = 0.19


def with_tax(net: float) -> float:
    """Adds the tax to a net price."""
    return net * (1 + TAX)
//- /shop/cart.py
from shop.prices import with_tax


def total(prices):
    return sum(with_tax(price) for price in prices)
//- /shop/__init__.py

//- /.foveaignore
secret.py
//- /secret.py
KEY = "not shown"
"#;

impl Machine {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("temporary folder");
        let repository = temp.path().join("repository");
        for file in fovea_test_support::parse(PYTHON, "a.py").files {
            let path = repository.join(file.path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("below the repository")).expect("made");
            fs::write(path, &file.text).expect("written");
        }
        fs::create_dir_all(repository.join(".git")).expect("made");
        Self { temp }
    }

    fn repository(&self) -> PathBuf {
        self.temp.path().join("repository")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fovea"));
        command
            .args(arguments)
            .current_dir(self.repository())
            .env_clear()
            .env("HOME", self.temp.path())
            .env("PATH", "/usr/bin:/bin")
            .env("FOVEA_HOME", self.temp.path().join("fovea"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run(self.command(arguments).output().expect("starts"))
    }

    /// In process, offline: the way every query is tested here.
    fn ask(&self, arguments: &[&str]) -> Run {
        let mut all = vec!["--no-daemon", "--offline"];
        all.extend(arguments);
        self.run(&all)
    }
}

struct Run(Output);

impl Run {
    fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).expect("text")
    }

    fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).expect("text")
    }

    #[track_caller]
    fn code(&self, expected: i32) -> &Self {
        let code = self.0.status.code();
        assert_eq!(code, Some(expected), "{}{}", self.stdout(), self.stderr());
        self
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout)
            .unwrap_or_else(|err| panic!("{err}: {}{}", self.stdout(), self.stderr()))
    }
}

#[test]
fn a_wrong_command_line_says_how_it_is_meant() {
    let machine = Machine::new();
    let run = machine.run(&["serach", "x"]);
    run.code(2);
    assert!(run.stderr().contains("'search'"), "{}", run.stderr());
    assert_eq!(run.stdout(), "");
    machine.ask(&["complete", "shop/cart.py"]).code(2);
}

#[test]
fn a_file_or_position_that_is_not_there_is_named() {
    let machine = Machine::new();
    let run = machine.ask(&["complete", "shop/gone.py:1:1"]);
    assert_eq!(run.code(3).stderr(), "fovea: `shop/gone.py` does not exist; check the path\n");
    let run = machine.ask(&["def", "shop/cart.py:99:1"]);
    assert!(run.code(3).stderr().contains("there is no line 99"), "{}", run.stderr());
    let run = machine.ask(&["def", "shop/cart.py:1:99", "--json"]);
    let json = run.code(3).json();
    assert_eq!(json["error"]["exit_code"], 3);
    assert!(json["error"]["message"].as_str().expect("text").contains("there is no column 99"));
    let run = machine.ask(&["status", "--root", "/nowhere/at/all"]);
    assert!(run.code(3).stderr().contains("`/nowhere/at/all` does not exist"));
}

#[test]
fn settings_are_shown_with_their_source() {
    let machine = Machine::new();
    let run = machine.run(&["config", "show", "--offline"]);
    assert!(run.code(0).stdout().contains("offline = true  # flag\n"), "{}", run.stdout());
    let path = machine.run(&["config", "path"]);
    let path = Path::new(path.code(0).stdout().trim()).to_owned();
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(&path, "[model]\nmax-tokens = 9\n").expect("written");
    let json = machine.run(&["config", "show", "--json"]).code(0).json();
    let setting = json["value"].as_array().expect("a list").iter();
    let setting = setting.clone().find(|s| s["key"] == "model.max-tokens").expect("there");
    assert_eq!(setting["value"], "9");
    assert_eq!(setting["source"], path.to_str().expect("text"));
    fs::write(&path, "[model]\nmax-tokns = 9\n").expect("written");
    let run = machine.run(&["config", "show"]);
    assert!(run.code(6).stderr().contains("model.max-tokns"), "{}", run.stderr());
}

#[test]
fn without_a_model_the_model_commands_say_so() {
    let machine = Machine::new();
    let run = machine.run(&["model", "path"]);
    assert!(run.code(1).stderr().contains("fovea model pull"), "{}", run.stderr());
    let json = machine.run(&["model", "list", "--json"]).code(0).json();
    assert_eq!(json["kind"], "models");
    assert_eq!(json["value"]["installed"], Value::Array(Vec::new()));
    machine.run(&["model", "pull", "--offline"]).code(7);
    let run = machine.run(&["model", "remove", "nothing"]);
    assert!(run.code(3).stderr().contains("no model named `nothing`"), "{}", run.stderr());
    let file = machine.repository().join("bad.gguf");
    fs::write(&file, b"GGUF but not really").expect("written");
    let run = machine.run(&["model", "add", "bad.gguf"]);
    assert!(run.code(7).stderr().contains("bad.gguf"), "{}", run.stderr());
}

#[test]
fn a_daemon_that_is_not_there_is_not_started_to_be_asked_or_stopped() {
    let machine = Machine::new();
    assert_eq!(machine.run(&["daemon", "status"]).code(1).stdout(), "daemon not running\n");
    assert_eq!(machine.run(&["daemon", "stop"]).code(1).stdout(), "daemon not running\n");
}

#[test]
fn generated_texts_come_from_the_definitions() {
    let machine = Machine::new();
    let schema = machine.run(&["schema"]).code(0).json();
    assert!(schema["$defs"]["SearchHit"].is_object(), "{schema}");
    assert!(machine.run(&["completions", "bash"]).code(0).stdout().contains("_fovea"));
    assert!(machine.run(&["man"]).code(0).stdout().contains(".TH fovea"));
}

#[test]
fn the_doctor_finds_a_folder_it_cannot_use() {
    let machine = Machine::new();
    let run = machine.run(&["doctor", "--json"]);
    let names = |json: &Value, health: &str| -> Vec<String> {
        let checks = json["value"].as_array().expect("a list").iter();
        let checks = checks.filter(|check| check["health"] == health);
        checks.map(|check| check["name"].as_str().expect("named").to_owned()).collect()
    };
    let json = run.code(0).json();
    assert_eq!(names(&json, "error"), Vec::<String>::new());
    assert!(names(&json, "warning").contains(&"model".to_owned()), "{json}");
    let blocked = machine.repository().join("shop/cart.py/data");
    let run = machine
        .command(&["doctor", "--json"])
        .env("FOVEA_DATA_DIR", blocked)
        .output()
        .map(Run)
        .expect("starts");
    assert!(names(&run.code(8).json(), "error").contains(&"data folder".to_owned()));
}

#[test]
fn questions_about_a_repository_are_answered_in_process() {
    let machine = Machine::new();
    let run = machine.ask(&["index"]);
    assert!(run.code(0).stdout().contains("symbol"), "{}", run.stdout());

    let run = machine.ask(&["def", "shop/cart.py:5:16"]);
    assert!(run.code(0).stdout().starts_with("shop/prices.py:6:5"), "{}", run.stdout());
    let run = machine.ask(&["def", "with_tax"]);
    assert!(run.code(0).stdout().starts_with("shop/prices.py:6:5"), "{}", run.stdout());

    let run = machine.ask(&["refs", "with_tax"]);
    assert!(run.code(0).stdout().contains("shop/cart.py:5:16"), "{}", run.stdout());

    let json = machine.ask(&["search", "adds the tax", "--json"]).code(0).json();
    assert_eq!(json["kind"], "search");
    assert_eq!(json["value"]["hits"][0]["location"]["path"], "shop/prices.py");

    let run = machine.ask(&["grep", "return s.m"]);
    assert!(run.code(0).stdout().starts_with("shop/cart.py:5:"), "{}", run.stdout());
    machine.ask(&["grep", "-F", "return s.m"]).code(1);

    let run = machine.ask(&["symbols", "--file", "shop/prices.py"]);
    assert!(run.code(0).stdout().contains("with_tax"), "{}", run.stdout());
}

#[test]
fn what_is_excluded_is_neither_found_nor_read() {
    let machine = Machine::new();
    machine.ask(&["grep", "not shown"]).code(1);
    let run = machine.ask(&["status", "--why", "secret.py"]);
    assert!(run.stdout().contains("skipped"), "{}{}", run.stdout(), run.stderr());
    assert!(!run.stdout().contains("not shown"));
}

#[test]
fn a_completion_without_a_model_names_what_the_index_knows() {
    let machine = Machine::new();
    let text = "from shop.prices import with_tax\n\n\ndef total(prices):\n    return with_\n";
    let position = "shop/cart.py:5:17";
    let mut child = machine
        .command(&["--no-daemon", "--offline", "complete", position, "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("read");
    let run = Run(child.wait_with_output().expect("ends"));
    assert!(run.code(0).stdout().contains("tax"), "{}{}", run.stdout(), run.stderr());
    // A note about files still being indexed may stand beside it.
    let notices = run.stderr().lines().filter(|line| line.contains("fovea model pull")).count();
    assert_eq!(notices, 1, "one line about the model: {}", run.stderr());
}
