//! A stronger embedder, chosen by the user: its vectors come behind, and search works without them.

use std::{fs, path::Path, time::Duration};

use fovea_api::{Answer, Method, WorkspaceStatus};
use fovea_daemon::{
    connect::Connection,
    service::{Service, ServiceOptions},
};

use crate::support::{Engine, Repository};

const FILES: &str = r#"
//- /net.py
def connect(address):
    """Opens a socket."""
    return address
//- /menu.py
def bake(cake):
    return cake
"#;

/// A table in which `dial` is `connect`, and all other words are something else.
fn write_embedder(folder: &Path) {
    let words = ["[UNK]", "connect", "dial", "bake", "cake", "return"];
    let vocab: Vec<String> =
        words.iter().enumerate().map(|(id, word)| format!("\"{word}\": {id}")).collect();
    let rows: [[f32; 2]; 6] =
        [[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]];
    let header = r#"{"embeddings":{"dtype":"F32","shape":[6,2],"data_offsets":[0,48]}}"#;
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header.bytes());
    weights.extend(rows.iter().flatten().flat_map(|x| x.to_le_bytes()));
    let tokenizer = format!(
        r###"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {{"type": "BertPreTokenizer"}},
        "post_processor": null, "decoder": null, "model": {{"type": "WordPiece",
        "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": {{{}}}}}}}"###,
        vocab.join(", ")
    );
    fs::create_dir_all(folder).expect("made");
    fs::write(folder.join("model.safetensors"), weights).expect("written");
    fs::write(folder.join("tokenizer.json"), tokenizer).expect("written");
    fs::write(folder.join("config.json"), r#"{"model_type": "model2vec"}"#).expect("written");
}

fn choose(repository: &Repository, embedder: &str) {
    let config = repository.dirs().config_file();
    fs::create_dir_all(config.parent().expect("a folder")).expect("made");
    fs::write(config, format!("[index]\nembedder = \"{embedder}\"\n")).expect("written");
}

/// An engine whose models run in the real executable.
fn open(repository: &Repository) -> Engine<'_> {
    let executable = Some(env!("CARGO_BIN_EXE_fovea").into());
    let (dirs, layers) = (repository.dirs(), repository.layers());
    let service = Service::new(ServiceOptions { dirs, layers, socket: None, executable });
    let connection = Connection::to_service(service, |_| {}).expect("a socket pair");
    let engine = Engine { repository, connection };
    engine.status_when_ready();
    engine
}

fn status(engine: &Engine<'_>) -> WorkspaceStatus {
    engine.sync()
}

fn wait_for(engine: &Engine<'_>, is_reached: impl Fn(&WorkspaceStatus) -> bool) {
    for _ in 0..600 {
        if is_reached(&status(engine)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not reached: {:?}", status(engine));
}

fn is_complete(status: &WorkspaceStatus) -> bool {
    status.n_embedded == Some(status.n_chunks)
}

/// Path and the model's part of the score of the first hit.
fn first(engine: &Engine<'_>, query: &str) -> Option<(String, f32)> {
    let Answer::Search(found) = engine.call(Method::search(query, 5)) else {
        panic!("hits were expected")
    };
    let hit = found.hits.first()?;
    let part = hit.parts.iter().find(|(name, _)| name == "model")?.1;
    Some((hit.location.path.clone(), part))
}

#[test]
fn its_vectors_come_behind_and_again_after_an_edit_and_a_restart() {
    let repository = Repository::new(FILES);
    let folder = repository.temp().join("table");
    write_embedder(&folder);
    choose(&repository, &folder.display().to_string());
    let engine = open(&repository);
    wait_for(&engine, is_complete);
    // The worker may be loading for the first query; the second one has its vector.
    wait_for(&engine, |_| {
        first(&engine, "dial").is_some_and(|(path, part)| path == "net.py" && part > 0.0)
    });

    repository.write("menu.py", "def dial(cake):\n    return cake\n");
    wait_for(&engine, is_complete);
    drop(engine);
    let engine = open(&repository);
    wait_for(&engine, is_complete);
}

#[test]
fn by_default_there_is_none_and_one_that_cannot_be_used_is_named() {
    let repository = Repository::new(FILES);
    let engine = open(&repository);
    assert_eq!(status(&engine).n_embedded, None);
    drop(engine);

    choose(&repository, "not-installed");
    let engine = open(&repository);
    let message = format!("{:?}", status(&engine).warnings);
    assert!(message.contains("not-installed"), "{message}");
    assert_eq!(first(&engine, "bake").expect("found").0, "menu.py");
    drop(engine);

    let folder = repository.temp().join("broken");
    write_embedder(&folder);
    fs::write(folder.join("model.safetensors"), "nothing").expect("written");
    choose(&repository, &folder.display().to_string());
    let engine = open(&repository);
    wait_for(&engine, |status| format!("{:?}", status.warnings).contains("safetensors"));
    assert_eq!(first(&engine, "bake").expect("found").0, "menu.py");
}

#[test]
fn a_repository_cannot_choose_one() {
    let repository = Repository::new(FILES);
    let folder = repository.root.join("table");
    write_embedder(&folder);
    let text = format!("[index]\nembedder = \"{}\"\n", folder.display());
    repository.write(".fovea.toml", text);
    let engine = open(&repository);
    let status = status(&engine);
    assert_eq!(status.n_embedded, None);
    assert!(format!("{:?}", status.warnings).contains("index.embedder"), "{:?}", status.warnings);
}
