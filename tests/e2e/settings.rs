//! The settings of the VS Code extension are generated from the server's: one table in Rust, and
//! `cargo run -p xtask -- settings` after a change of it.

use std::{env, fmt::Write, fs};

use fovea_tests::repository;
use serde_json::{Value, json};

/// Settings of the extension itself, before those that the server is told.
fn own_settings() -> Vec<(&'static str, Value)> {
    vec![
        (
            "path",
            json!({
                "type": "string", "default": "", "scope": "machine",
                "markdownDescription": "Path of the `fovea` program. Empty: the one that came with the extension, else the one on the PATH.",
            }),
        ),
        (
            "enable",
            json!({
                "type": "boolean", "default": true, "scope": "window",
                "description": "Start Fovea's language server.",
            }),
        ),
        (
            "yieldToPeers",
            json!({
                "type": "boolean", "default": true, "scope": "window",
                "description": "Where another extension brings a server for a language, keep to ghost text and search there.",
            }),
        ),
    ]
}

/// What VS Code knows of JSON schema, of one of the server's options.
fn setting(schema: &Value, option: &Value) -> Value {
    let mut option = option.clone();
    let fields = option.as_object_mut().expect("an object");
    let default = fields.get("default").cloned().unwrap_or(Value::Null);
    if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
        let name = name.rsplit('/').next().unwrap_or_default();
        // A choice: its words alone; what each means is in the description.
        let choices = &schema["$defs"][name];
        let words = choices["enum"].clone();
        let described = choices["oneOf"]
            .as_array()
            .map(|all| all.iter().map(|choice| choice["const"].clone()).collect::<Vec<_>>());
        let words = described.map_or(words, Value::from);
        assert!(words.is_array(), "{name} is no choice of words: {choices}");
        fields.insert("enum".to_owned(), words);
        fields.insert("type".to_owned(), "string".into());
    }
    let known = ["type", "enum", "minimum", "maximum", "description"];
    let mut kept: serde_json::Map<String, Value> = fields
        .iter()
        .filter(|(key, _)| known.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(text) = kept.get_mut("description") {
        *text = text.as_str().unwrap_or_default().replace('\n', " ").into();
    }
    for bound in ["minimum", "maximum"] {
        if let Some(number) = kept.get_mut(bound)
            && let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0)
        {
            *number = (float as i64).into();
        }
    }
    let whole =
        default.as_f64().filter(|float| float.fract() == 0.0).map(|float| (float as i64).into());
    kept.insert("default".to_owned(), whole.unwrap_or(default));
    kept.insert("scope".to_owned(), "window".into());
    kept.into()
}

/// The block `properties` of the extension's configuration.
fn properties(schema: &Value) -> String {
    let mut settings: Vec<(String, Value)> =
        own_settings().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let options = schema["properties"].as_object().expect("options");
    for (name, option) in options {
        // The extension finds out by itself who else is there.
        if name != "features" && name != "peerLanguages" {
            settings.push((name.clone(), setting(schema, option)));
        }
    }
    let features = schema["$defs"]["Features"]["properties"].as_object().expect("features");
    for (name, feature) in features {
        settings.push((format!("features.{name}"), setting(schema, feature)));
    }
    let mut text = String::from("{\n");
    for (index, (name, value)) in settings.iter().enumerate() {
        let value = serde_json::to_string_pretty(value).expect("plain data");
        let value = value.replace('\n', "\n        ");
        let comma = if index + 1 < settings.len() { "," } else { "" };
        writeln!(text, "        \"fovea.{name}\": {value}{comma}").expect("a string");
    }
    text + "      }"
}

#[test]
fn settings_of_vs_code_are_those_of_the_server() {
    let path = repository().join("editors/vscode/package.json");
    let text = fs::read_to_string(&path).expect("the extension's manifest");
    let begin = text.find("\"properties\": {").expect("settings") + "\"properties\": ".len();
    let end = begin + text[begin..].find("\n      }").expect("their end") + "\n      }".len();
    let schema = fovea_lsp::settings::schema();
    let wanted = format!("{}{}{}", &text[..begin], properties(&schema), &text[end..]);
    serde_json::from_str::<Value>(&wanted).expect("still JSON");
    if env::var_os("FOVEA_WRITE_SETTINGS").is_some() {
        fs::write(&path, &wanted).expect("written");
        return;
    }
    assert!(text == wanted, "package.json is stale; run `cargo run -p xtask -- settings`");

    // The page for authors of clients names each of them.
    let page = fs::read_to_string(repository().join("docs/lsp-extensions.md")).expect("the page");
    let features = schema["$defs"]["Features"]["properties"].as_object().expect("features");
    let options = schema["properties"].as_object().expect("options");
    for name in features.keys().chain(options.keys()) {
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/lsp-extensions.md does not name `{name}`"
        );
    }
}
