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

/// A cursor in a document.
fn cursor(home: &Home, path: &str, position: Value) -> Value {
    json!({ "textDocument": { "uri": uri(home, path) }, "position": position })
}

#[test]
fn hierarchies_name_callers_bases_and_what_implements_them() {
    let home = Home::with_sample("rust");
    home.write(
        "src/shape.rs",
        "pub trait Shape {\n    fn area(&self) -> u32;\n}\n\npub struct Square(pub u32);\n\nimpl Shape for Square {\n    fn area(&self) -> u32 {\n        helper(self.0)\n    }\n}\n\nfn helper(side: u32) -> u32 {\n    side * side\n}\n",
    );
    let library = fs::read_to_string(home.root().join("src/lib.rs")).expect("sample file");
    home.write("src/lib.rs", &format!("{library}\npub mod shape;\n"));
    let (mut session, _) = session(&home);
    let text = open(&mut session, &home, "src/shape.rs", "rust");
    let at = |needle: &str| cursor(&home, "src/shape.rs", behind(&text, needle));

    let items = session.request("textDocument/prepareCallHierarchy", &at("fn hel"));
    let item = &items[0];
    assert_eq!(item["name"], "helper", "{items}");
    let calls = session.request("callHierarchy/incomingCalls", &json!({ "item": item }));
    assert_eq!(calls[0]["from"]["name"], "area", "{calls}");
    assert_eq!(calls[0]["fromRanges"][0]["start"]["line"], 8, "{calls}");
    let calls =
        session.request("callHierarchy/outgoingCalls", &json!({ "item": calls[0]["from"] }));
    assert_eq!(calls[0]["to"]["name"], "helper", "{calls}");

    let types = session.request("textDocument/prepareTypeHierarchy", &at("trait Sha"));
    assert_eq!(types[0]["name"], "Shape", "{types}");
    let below = session.request("typeHierarchy/subtypes", &json!({ "item": types[0] }));
    assert!(below.to_string().contains("Square"), "{below}");
    let declared = session.request("textDocument/declaration", &at("Square {\n    fn ar"));
    assert_eq!(declared[0]["range"]["start"]["line"], 1, "{declared}");
    assert!(session.stop());
}

#[test]
fn rename_changes_every_file_or_says_why_not() {
    let home = Home::with_sample("python");
    let (mut session, _) = session(&home);
    let text = open(&mut session, &home, "larder/stock.py", "python");
    let at = cursor(&home, "larder/stock.py", behind(&text, "class OutOf"));
    let prepared = session.request("textDocument/prepareRename", &at);
    assert_eq!(prepared["placeholder"], "OutOfStock", "{prepared}");
    let mut params = at;
    params["newName"] = json!("NotEnough");
    let edit = session.request("textDocument/rename", &params);
    let changes = edit["changes"].as_object().expect("changes by file");
    let mut n_edits = 0;
    for (uri, edits) in changes {
        let path = uri.strip_prefix("file://").expect("a file");
        let before = fs::read_to_string(path).expect("a file of the project");
        let lines: Vec<&str> = before.lines().collect();
        for edit in edits.as_array().expect("edits") {
            let (start, end) = (&edit["range"]["start"], &edit["range"]["end"]);
            let line = lines[start["line"].as_u64().expect("a line") as usize];
            let from = start["character"].as_u64().expect("a column") as usize;
            let to = end["character"].as_u64().expect("a column") as usize;
            assert_eq!(&line[from..to], "OutOfStock", "{uri}");
            n_edits += 1;
        }
    }
    let written: usize =
        ["larder/stock.py", "larder/cli.py", "larder/planner.py", "tests/test_stock.py"]
            .iter()
            .map(|path| fs::read_to_string(home.root().join(path)).expect("sample file"))
            .map(|text| text.lines().filter(|l| !l.contains("Raises")).collect::<String>())
            .map(|text| text.matches("OutOfStock").count())
            .sum();
    assert_eq!(n_edits, written, "{edit}");

    params["newName"] = json!("no name");
    let refused = session.try_request("textDocument/rename", &params).expect_err("no identifier");
    assert!(refused["message"].as_str().is_some_and(|m| m.contains("no name")), "{refused}");
    assert!(session.stop());
}

#[test]
fn help_while_writing_a_call_and_names_that_have_to_be_imported() {
    let home = Home::with_sample("python");
    let (mut session, _) = session(&home);
    let text = open(&mut session, &home, "larder/quantity.py", "python");
    let call = "\n\ndef f(stock: Stock):\n    return OutOfS";
    let edited = format!("from larder.stock import Stock\n{text}{call}");
    let change = |text: &str, version: i32| {
        json!({
            "textDocument": { "uri": uri(&home, "larder/quantity.py"), "version": version },
            "contentChanges": [{ "text": text }],
        })
    };
    session.notify("textDocument/didChange", &change(&edited, 2));
    let at = cursor(&home, "larder/quantity.py", behind(&edited, call));
    let menu = session.request("textDocument/completion", &at);
    let items = menu["items"].as_array().expect("a list").clone();
    let item = items.iter().find(|item| item["label"] == "OutOfStock").expect("offered");
    let import = &item["additionalTextEdits"][0];
    assert_eq!(import["newText"], "from larder.stock import OutOfStock\n", "{item}");
    let resolved = session.request("completionItem/resolve", item);
    let documentation = resolved["documentation"].to_string();
    assert!(documentation.contains("More was asked for"), "{resolved}");

    let call = "\n\ndef f(stock: Stock):\n    stock.expiring_within(1, ";
    let edited = format!("from larder.stock import Stock\n{text}{call}");
    session.notify("textDocument/didChange", &change(&edited, 3));
    let at = cursor(&home, "larder/quantity.py", behind(&edited, call));
    let help = session.request("textDocument/signatureHelp", &at);
    let signature = &help["signatures"][0];
    assert!(signature["label"].to_string().contains("expiring_within"), "{help}");
    assert_eq!(signature["parameters"][1]["label"], "today: date", "{help}");
    assert_eq!(help["activeParameter"], 1, "{help}");
    assert!(session.stop());
}

#[test]
fn ranges_of_the_syntax_tree() {
    let home = Home::with_sample("rust");
    let (mut session, _) = session(&home);
    let text = open(&mut session, &home, "src/series.rs", "rust");
    let document = json!({ "uri": uri(&home, "src/series.rs") });
    let folds = session.request("textDocument/foldingRange", &json!({ "textDocument": document }));
    assert!(folds.as_array().is_some_and(|folds| folds.len() > 3), "{folds}");
    let positions = [behind(&text, "pub fn high")];
    let ranges = session.request(
        "textDocument/selectionRange",
        &json!({ "textDocument": document, "positions": positions }),
    );
    let (mut range, mut n) = (&ranges[0], 0);
    while range["parent"].is_object() {
        range = &range["parent"];
        n += 1;
    }
    assert!(n >= 3 && range["range"]["start"]["line"] == 0, "{ranges}");
    let marks = session.request(
        "textDocument/documentHighlight",
        &cursor(&home, "src/series.rs", behind(&text, "pub struct Ser")),
    );
    assert!(marks.as_array().is_some_and(|marks| marks.len() >= 2), "{marks}");
    assert!(session.stop());
}

#[test]
fn where_a_peer_serves_the_language_only_ghost_text_and_search_are_left() {
    let home = Home::with_sample("python");
    let (mut session, _) = session(&home);
    let text = open(&mut session, &home, "larder/cli.py", "python");
    let at = cursor(&home, "larder/cli.py", behind(&text, "stock.expiring_"));
    assert!(session.request("textDocument/definition", &at).to_string().contains("stock.py"));
    session.notify(
        "workspace/didChangeConfiguration",
        &json!({ "settings": { "fovea": { "peerLanguages": ["python"] } } }),
    );
    assert_eq!(session.request("textDocument/definition", &at), Value::Null);
    assert_eq!(session.request("textDocument/hover", &at), Value::Null);
    let found = session.request("workspace/symbol", &json!({ "query": "OutOfStock" }));
    assert!(found.to_string().contains("larder/stock.py"), "{found}");
    session.notify(
        "workspace/didChangeConfiguration",
        &json!({ "settings": { "fovea": { "features": { "hover": false } } } }),
    );
    assert!(session.request("textDocument/definition", &at).to_string().contains("stock.py"));
    assert_eq!(session.request("textDocument/hover", &at), Value::Null);
    assert!(session.stop());
}

#[test]
fn workspace_symbols_have_names_and_are_no_locals() {
    let home = Home::with_sample("python");
    let (mut session, _) = session(&home);
    // `limit` is a variable of a method, `days` a parameter.
    for query in ["limit", "days", "larder"] {
        let found = session.request("workspace/symbol", &json!({ "query": query }));
        for symbol in found.as_array().expect("a list") {
            assert!(symbol["name"].as_str().is_some_and(|name| name != "<unnamed>"), "{symbol}");
            assert!(!matches!(symbol["name"].as_str(), Some("limit" | "days")), "{symbol}");
        }
    }
    assert!(session.stop());
}
