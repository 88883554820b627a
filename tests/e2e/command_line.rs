//! Queries on the sample projects, through a daemon that the first of them starts.

use std::process::{Command, Stdio};

use fovea_tests::Home;
use serde_json::Value;

/// All strings below `value` under the key `key`.
fn strings<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let (true, Value::String(text)) = (name == key, field) {
                    found.push(text);
                }
                strings(field, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, found)),
        _ => {}
    }
}

fn under<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    strings(value, key, &mut found);
    found
}

#[test]
fn queries_answer_from_other_files_of_a_python_project() {
    let home = Home::with_sample("python");

    let found = home.json(&["search", "items that expire soon"]);
    assert!(under(&found, "path").contains(&"larder/stock.py"), "{found}");

    // `for item in stock.expiring_within(days, today):` in cli.py, the method's name.
    let definition = home.json(&["def", "larder/cli.py:17:26"]);
    assert!(under(&definition, "path").contains(&"larder/stock.py"), "{definition}");
    assert!(under(&definition, "name").contains(&"expiring_within"), "{definition}");

    let references = home.json(&["refs", "larder/recipe.py:17:6"]);
    let paths = under(&references, "path");
    assert!(
        paths.contains(&"larder/planner.py") && paths.contains(&"tests/test_stock.py"),
        "{references}"
    );

    let symbols = home.json(&["symbols", "Quantity"]);
    assert!(under(&symbols, "path").contains(&"larder/quantity.py"), "{symbols}");
}

#[test]
fn queries_answer_from_other_files_of_a_rust_project() {
    let home = Home::with_sample("rust");

    // `let Some(peak) = series.highest()` in alert.rs, the method's name.
    let definition = home.json(&["def", "src/alert.rs:17:30"]);
    assert!(under(&definition, "path").contains(&"src/series.rs"), "{definition}");

    let outline = home.run(&["outline", "--budget", "400"]);
    let outline = String::from_utf8_lossy(&outline.stdout).into_owned();
    assert!(outline.contains("moving_average"), "{outline}");
}

#[test]
fn the_graph_is_walked_from_the_command_line() {
    let home = Home::with_sample("python");

    let path = home.json(&["path", "main", "expiring_within"]);
    assert!(under(&path, "name").contains(&"expiring_within"), "{path}");

    let tests = home.json(&["tests", "minus"]);
    assert!(under(&tests, "path").iter().any(|path| path.starts_with("tests/")), "{tests}");

    let near = home.json(&["near", "larder/cli.py:17:26", "--limit", "20"]);
    assert!(under(&near, "path").contains(&"larder/stock.py"), "{near}");

    let members = home.json(&["names", "Stock"]);
    assert!(under(&members, "name").contains(&"expiring_within"), "{members}");

    home.write("larder/attic.py", "def _forgotten():\n    return 1\n");
    assert!(home.run(&["sync"]).status.success());
    let dead = home.json(&["dead", "attic", "--private"]);
    assert_eq!(under(&dead, "name"), ["_forgotten"], "{dead}");

    home.write("NOTES.md", "# Notes\n\nThe `Stock` counts what is there.\n");
    assert!(home.run(&["sync"]).status.success());
    let mentions = home.json(&["mentions", "Stock"]);
    assert!(under(&mentions, "path").contains(&"NOTES.md"), "{mentions}");

    // Nothing is found in no time, and the answer says that the time was up.
    let cut = home.run(&["dead", "--deadline-ms", "0", "--json"]);
    let cut: Value = serde_json::from_slice(&cut.stdout).expect("an answer");
    assert_eq!(cut["freshness"]["cut"], true, "{cut}");
}

#[test]
fn a_saved_file_is_searched_at_once() {
    let home = Home::with_sample("python");
    let before = home.json(&["search", "pantry_temperature"]);
    assert!(!under(&before, "path").contains(&"larder/cellar.py"), "{before}");
    home.write("larder/cellar.py", "def pantry_temperature() -> float:\n    return 8.5\n");
    let after = home.json(&["search", "pantry_temperature"]);
    assert!(under(&after, "path").contains(&"larder/cellar.py"), "{after}");
}

#[test]
fn completion_without_a_model_offers_what_the_index_knows_and_says_so() {
    let home = Home::with_sample("python");
    home.write(
        "larder/cellar.py",
        "from larder.stock import Stock\n\n\ndef soon(stock: Stock, today):\n    return stock.exp\n",
    );
    let output = home.run(&["complete", "larder/cellar.py:5:21"]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("iring_within"), "{stdout}");
    assert!(
        stderr.contains("fovea model pull") || stdout.contains("fovea model pull"),
        "{stdout}{stderr}"
    );
}

#[test]
fn a_killed_daemon_is_replaced_and_nothing_is_lost() {
    let home = Home::with_sample("python");
    let first = home.json(&["status"]);
    let pid = first["daemon"]["pid"].as_u64().or_else(|| first["value"]["daemon"]["pid"].as_u64());
    let pid = pid.unwrap_or_else(|| panic!("status names the daemon's pid: {first}"));
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let found = home.json(&["search", "missing_ingredients"]);
    assert!(under(&found, "path").contains(&"larder/recipe.py"), "{found}");
}

#[test]
fn bad_input_is_answered_with_what_to_do() {
    let home = Home::with_sample("python");
    for (args, says) in [
        (&["def", "larder/cli.py:9999:1"][..], "larder/cli.py"),
        (&["def", "larder/nothing.py:1:1"][..], "larder/nothing.py"),
        (&["def", "no-position"][..], "LINE"),
        (&["search", ""][..], "empty"),
        (&["index", "README.md"][..], "README.md"),
        (&["index", "no-such-folder"][..], "no-such-folder"),
    ] {
        let output = home.run(args);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "fovea {args:?} succeeded");
        assert!(message.contains(says), "fovea {args:?} said: {message}");
        assert!(!message.contains("panicked"), "fovea {args:?} said: {message}");
    }
}
