//! What leaves a file and what does not: secrets are listed, never shown.

use fovea_tests::Home;

/// Made when the test runs, so that no file of ours looks like a leak.
fn token(seed: u64) -> String {
    let word = b"0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sTuVwXyZ";
    let mut state = seed;
    let random = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(word[(state >> 33) as usize % word.len()])
    });
    format!("{}_{}", "ghp", random.take(36).collect::<String>())
}

#[test]
fn secrets_are_listed_and_counted_but_never_shown() {
    let home = Home::with_sample("python");
    let (first, second) = (token(1), token(2));
    home.write("larder/remote.py", &format!("A = \"é\"\nB = \"é{first}\"\n"));
    home.write("larder/other.py", &format!("def f():\n    return \"{second}\"\n"));

    let listed = home.json(&["secrets"]);
    let value = &listed["value"];
    assert_eq!((&value["n_secrets"], &value["n_files"]), (&2.into(), &2.into()), "{listed}");
    let secret = &value["secrets"][1];
    assert_eq!(secret["path"], "larder/remote.py", "{listed}");
    assert_eq!((&secret["line"], &secret["column"]), (&1.into(), &6.into()), "{listed}");
    assert_eq!(secret["rule"], "github-token", "{listed}");

    let text = String::from_utf8(home.run(&["secrets"]).stdout).expect("text");
    assert!(text.contains("larder/other.py:2:13  github-token\n"), "{text}");
    assert!(text.contains("2 secrets in 2 files"), "{text}");
    let status = String::from_utf8(home.run(&["status"]).stdout).expect("text");
    assert!(status.contains("2 secrets overwritten in 2 files"), "{status}");

    // Known again by a new daemon that reads no file, and gone with the secret.
    assert!(home.run(&["daemon", "stop"]).status.success());
    assert_eq!(home.json(&["secrets"])["value"]["n_secrets"], 2);
    home.write("larder/other.py", "def f():\n    return 1\n");
    assert!(home.run(&["sync"]).status.success());
    assert_eq!(home.json(&["secrets"])["value"]["n_secrets"], 1);

    for args in [&["secrets"][..], &["grep", "ghp_"], &["search", "remote"], &["dump"]] {
        let shown = String::from_utf8_lossy(&home.run(args).stdout).into_owned();
        assert!(!shown.contains(&first) && !shown.contains(&second), "{args:?}: {shown}");
    }
}

/// From inside the model's process: what a hostile model file would try.
#[test]
fn the_models_process_can_do_nothing_but_read_its_model() {
    let home = Home::with_sample("python");
    home.write("model.gguf", "GGUF");
    let model = home.root().join("model.gguf");
    let output = home.run(&["model-worker", model.to_str().expect("plain"), "--probe"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    let list = |key: &str| report[key].as_array().expect("a list").clone();
    assert_eq!(report["reads_model"], true, "{report}");
    let (n_denied, worked) = (list("denied").len(), list("worked"));
    eprintln!("sandbox: {n_denied}/{} cases passed / cases run", n_denied + worked.len());
    let has =
        |what: &str| list("active").iter().any(|s| s.as_str().is_some_and(|s| s.starts_with(what)));
    // Elsewhere the status says what is missing.
    if has("Landlock") && has("seccomp") {
        assert!(worked.is_empty() && n_denied >= 20, "{report}");
        for left in ["new", "dir", "link", "hard", "fifo", "moved"] {
            assert!(!home.root().join(format!(".fovea-{left}")).exists(), "{left}");
        }
    } else {
        assert!(!list("missing").is_empty(), "{report}");
    }
    let doctor = home.json(&["doctor"]);
    let checks = doctor["value"].as_array().expect("checks");
    let sandbox = checks.iter().find(|check| check["name"] == "sandbox").expect("is checked");
    assert!(
        sandbox["found"].as_str().expect("text").contains("forbidden acts refused"),
        "{sandbox}"
    );
}
