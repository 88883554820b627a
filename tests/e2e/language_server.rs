//! A session of the language server as an editor holds it.

use std::fs;

use fovea_tests::{Home, LspSession};
use serde_json::{Value, json};

/// A server on the sample project, initialized.
fn session(home: &Home) -> (LspSession, Value) {
    let mut session = LspSession::start(home.command(&["lsp"]));
    let root = format!("file://{}", home.root().display());
    let reply = session.request(
        "initialize",
        &json!({
            "processId": null,
            "rootUri": root,
            "workspaceFolders": [{ "uri": root, "name": "sample" }],
            "capabilities": { "textDocument": { "inlineCompletion": {} } },
        }),
    );
    session.notify("initialized", &json!({}));
    (session, reply)
}

fn uri(home: &Home, path: &str) -> String {
    format!("file://{}/{path}", home.root().display())
}

fn open(session: &mut LspSession, home: &Home, path: &str, language: &str) -> String {
    let text = fs::read_to_string(home.root().join(path)).expect("sample file");
    session.notify(
        "textDocument/didOpen",
        &json!({ "textDocument": { "uri": uri(home, path), "languageId": language, "version": 1, "text": text } }),
    );
    text
}

/// Zero-based line and UTF-16 column behind `needle`'s first occurrence.
fn behind(text: &str, needle: &str) -> Value {
    let at = text.find(needle).expect("needle is in the text") + needle.len();
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[..line_start].matches('\n').count();
    json!({ "line": line, "character": text[line_start..at].encode_utf16().count() })
}

#[test]
fn inline_completion_is_advertised_statically() {
    let home = Home::with_sample("python");
    let (session, reply) = session(&home);
    let provider = &reply["capabilities"]["inlineCompletionProvider"];
    assert!(provider == &json!(true) || provider.is_object(), "{reply}");
    assert!(session.stop());
}

#[test]
fn definition_leads_to_another_file() {
    let home = Home::with_sample("python");
    let (mut session, _) = session(&home);
    let text = open(&mut session, &home, "larder/cli.py", "python");
    let found = session.request(
        "textDocument/definition",
        &json!({
            "textDocument": { "uri": uri(&home, "larder/cli.py") },
            "position": behind(&text, "stock.expiring_"),
        }),
    );
    assert!(found.to_string().contains("larder/stock.py"), "{found}");
    assert!(session.stop());
}

#[test]
fn unsaved_text_counts_and_is_completed_with_members_of_another_file() {
    let home = Home::with_sample("python");
    let (mut session, _) = session(&home);
    let text = open(&mut session, &home, "larder/cli.py", "python");
    let typed = "    stock = load_stock(path)\n    \u{1F95B} = stock.expi";
    let edited = text.replacen("    stock = load_stock(path)\n", &format!("{typed}\n"), 1);
    session.notify(
        "textDocument/didChange",
        &json!({
            "textDocument": { "uri": uri(&home, "larder/cli.py"), "version": 2 },
            "contentChanges": [{ "text": edited }],
        }),
    );
    let params = json!({
        "textDocument": { "uri": uri(&home, "larder/cli.py") },
        "position": behind(&edited, typed),
        "context": { "triggerKind": 1 },
    });
    let ghost = session.request("textDocument/inlineCompletion", &params);
    assert!(ghost.to_string().contains("ring_within"), "{ghost}");
    let menu = session.request("textDocument/completion", &params);
    assert!(menu.to_string().contains("expiring_within"), "{menu}");
    assert!(session.stop());
}

#[test]
fn symbols_and_references_are_listed() {
    let home = Home::with_sample("rust");
    let (mut session, _) = session(&home);
    let text = open(&mut session, &home, "src/series.rs", "rust");
    let document = json!({ "uri": uri(&home, "src/series.rs") });
    let symbols =
        session.request("textDocument/documentSymbol", &json!({ "textDocument": document }));
    assert!(symbols.to_string().contains("moving_average"), "{symbols}");
    let references = session.request(
        "textDocument/references",
        &json!({
            "textDocument": document,
            "position": behind(&text, "pub fn high"),
            "context": { "includeDeclaration": false },
        }),
    );
    let references = references.to_string();
    assert!(
        references.contains("src/alert.rs") && references.contains("src/report.rs"),
        "{references}"
    );
    let found = session.request("workspace/symbol", &json!({ "query": "Reading" }));
    assert!(found.to_string().contains("src/reading.rs"), "{found}");
    assert!(session.stop());
}
