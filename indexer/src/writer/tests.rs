//! The writer through changes, reopening, damage and cut-off saves.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{rank::SearchQuery, vector::Embedder};

/// Files as a map.
#[derive(Default)]
struct Files(Mutex<BTreeMap<String, Arc<str>>>);

impl TextSource for Files {
    fn read(&self, path: &str) -> Option<Arc<str>> {
        self.0.lock().unwrap().get(path).cloned()
    }
}

/// A deterministic embedder: each word votes for one dimension. Counts what it embeds.
#[derive(Default)]
struct Words(AtomicUsize);

impl Embedder for Words {
    fn model_id(&self) -> &str {
        "words-16"
    }

    fn dim(&self) -> usize {
        16
    }

    fn fusion_weight(&self) -> f32 {
        0.5
    }

    fn embed(&self, texts: &[&str]) -> Vec<f32> {
        self.0.fetch_add(texts.len(), Ordering::Relaxed);
        let mut out = Vec::new();
        for text in texts {
            let mut row = [0.0f32; 16];
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                row[ContentHash::of(word.as_bytes()).0[0] as usize % 16] += 1.0;
            }
            let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-9);
            out.extend(row.map(|value| value / norm));
        }
        out
    }
}

/// A workspace whose files, facts and index outlive the writer.
struct Workspace {
    files: Arc<Files>,
    facts: Arc<MemoryFacts>,
    embedder: Arc<Words>,
    dir: tempfile::TempDir,
}

impl Workspace {
    fn new(fixture: &str) -> Self {
        let files = Files::default();
        for file in fovea_test_support::parse(fixture, "main.rs").files {
            files.0.lock().unwrap().insert(file.path, file.text.into());
        }
        Self {
            files: Arc::new(files),
            facts: Arc::default(),
            embedder: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn open(&self) -> IndexWriter {
        self.open_in(Storage::Directory(self.dir.path().to_owned()))
    }

    fn open_in(&self, storage: Storage) -> IndexWriter {
        let source = Arc::clone(&self.files) as _;
        IndexWriter::open(
            storage,
            Arc::clone(&self.facts) as _,
            source,
            Arc::clone(&self.embedder) as _,
        )
        .unwrap()
    }

    fn set(&self, path: &str, text: &str) -> FileChange {
        self.files.0.lock().unwrap().insert(path.to_owned(), text.into());
        FileChange::Saved { path: path.to_owned(), text: text.into() }
    }

    fn saved(&self) -> Vec<FileChange> {
        let files = self.files.0.lock().unwrap();
        let saved = |(path, text): (&String, &Arc<str>)| FileChange::Saved {
            path: path.clone(),
            text: Arc::clone(text),
        };
        files.iter().map(saved).collect()
    }

    fn indexed(&self) -> IndexWriter {
        let mut writer = self.open();
        apply(&mut writer, self.saved());
        writer
    }
}

fn apply(writer: &mut IndexWriter, changes: Vec<FileChange>) -> Snapshot {
    writer.apply(changes, &mut |_| {}, &Cancel::never()).unwrap()
}

/// Everything a search can observe: paths, ranges, exact scores.
fn answers(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    for text in ["parse the config file", "Config", "load_config", "retry timeout", "src/net.rs"] {
        let query = SearchQuery { text: text.to_owned(), limit: 20, ..SearchQuery::default() };
        for hit in snapshot.search(&query, &Cancel::never()).unwrap().hits {
            let path = snapshot.path(hit.chunk.file);
            out += &format!("{text}: {path} {:?} {:.3}\n", hit.lines, hit.score);
        }
    }
    out
}

const FIXTURE: &str = r#"
//- /src/config.rs
/// Settings.
pub struct Config { pub retries: u32 }
/// Reads the configuration file.
pub fn load_config(path: &str) -> Config { Config { retries: path.len() as u32 } }
//- /src/net.rs
use crate::config::Config;
/// Sends with a timeout, and again on failure.
pub fn send_with_retry(config: &Config) -> bool { config.retries > 0 }
//- /README.md
# Tool
Parse the config file, then retry with a timeout.
"#;

#[test]
fn reopening_answers_the_same_and_derives_nothing() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    writer.commit().unwrap();
    let before = answers(&writer.snapshot());
    assert!(before.contains("Config: src/config.rs"), "{before}");
    drop(writer);
    let n_embedded = workspace.embedder.0.load(Ordering::Relaxed);

    let writer = workspace.open();
    let expected = Opened { n_files: 3, ..Opened::default() };
    assert_eq!(writer.opened(), &expected);
    assert_eq!(workspace.embedder.0.load(Ordering::Relaxed), n_embedded);
    assert_eq!(answers(&writer.snapshot()), before);
    assert_eq!(
        writer.manifest().hash("src/net.rs"),
        writer.snapshot().hash(writer.snapshot().file("src/net.rs").unwrap())
    );
}

#[test]
fn committed_and_uncommitted_terms_score_alike() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    let uncommitted = answers(&writer.snapshot());
    assert_eq!(writer.snapshot().stats().n_overlay, 3);
    writer.commit().unwrap();
    assert_eq!(writer.snapshot().stats().n_overlay, 0);
    assert_eq!(answers(&writer.snapshot()), uncommitted);
}

#[test]
fn without_a_commit_nothing_is_durable() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    writer.commit().unwrap();
    let change = workspace.set("src/net.rs", "pub fn rewritten() {}\n");
    apply(&mut writer, vec![change]);
    assert!(found(&writer.snapshot(), "rewritten"));
    drop(writer);
    // The manifest still names the old text, which is gone: the file is dropped, not misread.
    let writer = workspace.open();
    assert_eq!(writer.manifest().files.len(), 3);
    assert!(!found(&writer.snapshot(), "rewritten"));
}

fn found(snapshot: &Snapshot, name: &str) -> bool {
    let query = SearchQuery { text: name.to_owned(), limit: 5, ..SearchQuery::default() };
    let hits = snapshot.search(&query, &Cancel::never()).unwrap().hits;
    hits.iter().any(|hit| hit.matched.iter().any(|word| word == name))
}

#[test]
fn unsaved_text_hides_the_saved_one_until_closed() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    writer.commit().unwrap();
    let before = answers(&writer.snapshot());
    let path = "src/net.rs".to_owned();
    let edited = FileChange::Edited { path: path.clone(), text: "fn unsaved_thing() {}\n".into() };
    let snapshot = apply(&mut writer, vec![edited]);
    let file = snapshot.file(&path).unwrap();
    assert!(snapshot.is_overlay(file));
    assert_eq!(snapshot.text(file).as_deref(), Some("fn unsaved_thing() {}\n"));
    assert!(found(&snapshot, "unsaved_thing"));
    assert!(!found(&snapshot, "send_with_retry"));

    writer.commit().unwrap();
    assert!(found(&writer.snapshot(), "unsaved_thing"), "a commit keeps the overlay");
    let snapshot = apply(&mut writer, vec![FileChange::Closed { path }]);
    assert!(!found(&snapshot, "unsaved_thing"));
    assert_eq!(answers(&snapshot), before);
}

#[test]
fn steps_equal_a_rebuild() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    for step in 0..6 {
        let path = format!("src/part{}.rs", step % 4);
        let text = format!("/// Retry number {step}.\npub fn part_{step}(config: &Config) {{}}\n");
        let change = workspace.set(&path, &text);
        apply(&mut writer, vec![change]);
        if step % 2 == 1 {
            writer.commit().unwrap();
        }
    }
    workspace.files.0.lock().unwrap().remove("src/part0.rs");
    apply(&mut writer, vec![FileChange::Removed { path: "src/part0.rs".into() }]);
    let stepwise = answers(&writer.snapshot());
    writer.commit().unwrap();
    drop(writer);

    let fresh = Workspace { dir: tempfile::tempdir().unwrap(), ..workspace };
    let by_path = |text: String| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(by_path(answers(&fresh.indexed().snapshot())), by_path(stepwise));
}

#[test]
fn a_large_batch_goes_to_tantivy_and_answers_the_same() {
    let workspace = Workspace::new(FIXTURE);
    for file in 0..200 {
        let body = format!("pub fn filler_{file}() {{ let config = 1; }}\n").repeat(900);
        workspace.set(&format!("gen/f{file}.rs"), &body);
    }
    let writer = workspace.indexed();
    let stats = writer.snapshot().stats();
    assert_eq!(stats.n_overlay, 0, "bulk");
    assert!(stats.n_chunks > 2_000);
    assert!(found(&writer.snapshot(), "load_config"));
}

#[test]
fn touched_files_and_unknown_removals_cost_no_generation() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    let generation = writer.snapshot().generation();
    let gone = FileChange::Removed { path: "never.rs".into() };
    let closed = FileChange::Closed { path: "src/net.rs".into() };
    let mut changes = workspace.saved();
    changes.extend([gone, closed]);
    assert_eq!(apply(&mut writer, changes).generation(), generation);
}

#[test]
fn a_cancelled_batch_publishes_what_is_done_and_can_be_resumed() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.open();
    let stop = Cancel::when(|| true);
    let error = writer.apply(workspace.saved(), &mut |_| {}, &stop).unwrap_err();
    assert!(matches!(error, IndexError::Cancelled { n_done: 0, n_total: 3 }));
    let snapshot = apply(&mut writer, workspace.saved());
    assert_eq!(snapshot.files().count(), 3);
}

#[test]
fn a_second_writer_is_refused_with_the_folder() {
    let workspace = Workspace::new(FIXTURE);
    let _writer = workspace.open();
    let storage = Storage::Directory(workspace.dir.path().to_owned());
    let source = Arc::clone(&workspace.files) as _;
    let second = IndexWriter::open(
        storage,
        Arc::clone(&workspace.facts) as _,
        source,
        Arc::clone(&workspace.embedder) as _,
    );
    let message = second.err().unwrap().to_string();
    assert!(message.contains("is open in another process"), "{message}");
}

#[test]
fn a_copy_answers_beside_the_writer_and_leaves_the_folder_alone() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    writer.commit().unwrap();
    let before = answers(&writer.snapshot());
    let n_embedded = workspace.embedder.0.load(Ordering::Relaxed);
    let manifest = Manifest::read(workspace.dir.path()).unwrap();

    let mut copy = workspace.open_in(Storage::Copy(workspace.dir.path().to_owned()));
    let expected = Opened { n_files: 3, ..Opened::default() };
    assert_eq!(copy.opened(), &expected);
    assert_eq!(workspace.embedder.0.load(Ordering::Relaxed), n_embedded);
    assert_eq!(answers(&copy.snapshot()), before);

    let change = workspace.set("src/net.rs", "pub fn only_in_the_copy() {}\n");
    assert!(found(&apply(&mut copy, vec![change]), "only_in_the_copy"));
    copy.commit().unwrap();
    assert!(found(&copy.snapshot(), "only_in_the_copy"));
    assert_eq!(Manifest::read(workspace.dir.path()).unwrap(), manifest);
    assert_eq!(answers(&writer.snapshot()), before);
}

#[test]
fn a_copy_of_a_damaged_index_is_built_from_the_files() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    writer.commit().unwrap();
    let before = answers(&writer.snapshot());
    drop(writer);
    let segment = |path: &PathBuf| path.extension().is_some_and(|name| name == "term");
    for path in lexical_files(workspace.dir.path()).iter().filter(|path| segment(path)) {
        flip_a_byte(path);
    }
    let copy = workspace.open_in(Storage::Copy(workspace.dir.path().to_owned()));
    assert!(copy.opened().rebuilt.is_some());
    assert_eq!(answers(&copy.snapshot()), before);
}

/// Damages the index by `damage`, and expects the answers of the undamaged one.
fn check_recovers(damage: impl Fn(&Path), keeps_manifest: bool) {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    writer.commit().unwrap();
    let before = answers(&writer.snapshot());
    drop(writer);
    damage(workspace.dir.path());
    let mut writer = workspace.open();
    assert!(writer.opened().rebuilt.is_some(), "{:?}", writer.opened());
    assert_eq!(writer.opened().n_files, if keeps_manifest { 3 } else { 0 });
    apply(&mut writer, workspace.saved());
    assert_eq!(answers(&writer.snapshot()), before);
    writer.commit().unwrap();
    drop(writer);
    assert_eq!(workspace.open().opened(), &Opened { n_files: 3, ..Opened::default() });
}

fn lexical_files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("lexical")).unwrap();
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

fn flip_a_byte(path: &Path) {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::open(path).unwrap(), &mut bytes).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_manifest_starts_over() {
    check_recovers(|dir| flip_a_byte(&dir.join("manifest")), false);
    check_recovers(|dir| std::fs::write(dir.join("manifest"), b"FOVE").unwrap(), false);
}

#[test]
fn damaged_lexical_files_are_built_again() {
    check_recovers(
        |dir| {
            for path in lexical_files(dir) {
                if path.extension().is_some_and(|extension| extension == "term") {
                    flip_a_byte(&path);
                }
            }
        },
        true,
    );
    check_recovers(|dir| std::fs::remove_dir_all(dir.join("lexical")).unwrap(), true);
    check_recovers(|dir| std::fs::write(dir.join("lexical/meta.json"), b"{").unwrap(), true);
}

#[test]
fn a_lexical_commit_without_its_manifest_is_not_trusted() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    writer.commit().unwrap();
    let manifest = workspace.dir.path().join("manifest");
    let kept = workspace.dir.path().join("kept");
    std::fs::copy(&manifest, &kept).unwrap();
    let before = answers(&writer.snapshot());
    let change =
        FileChange::Saved { path: "src/new.rs".into(), text: "pub fn brand_new() {}\n".into() };
    apply(&mut writer, vec![change]);
    writer.commit().unwrap();
    drop(writer);
    // As after a crash between the two steps of the second commit.
    std::fs::rename(&kept, &manifest).unwrap();
    let writer = workspace.open();
    assert!(writer.opened().rebuilt.is_some());
    assert_eq!(answers(&writer.snapshot()), before);
}

#[test]
fn lost_facts_are_derived_again() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    writer.commit().unwrap();
    let before = answers(&writer.snapshot());
    drop(writer);
    let workspace = Workspace { facts: Arc::default(), ..workspace };
    let writer = workspace.open();
    assert_eq!(writer.opened().n_parsed, 3);
    assert_eq!(answers(&writer.snapshot()), before);
    assert_eq!(workspace.facts.len(), 6, "facts and vectors are stored again");
}

#[test]
fn the_same_content_is_embedded_once_whatever_its_path() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    let n_embedded = || workspace.embedder.0.load(Ordering::Relaxed);
    let before = n_embedded();
    let text = workspace.files.read("src/net.rs").unwrap();
    // A copy, a move, and an edit that is taken back.
    let copied = workspace.set("src/copy.rs", &text);
    apply(&mut writer, vec![copied, FileChange::Removed { path: "src/net.rs".into() }]);
    assert_eq!(n_embedded(), before, "a copy costs nothing");
    let edited = workspace.set("src/copy.rs", "pub fn another() {}\n");
    apply(&mut writer, vec![edited]);
    assert_eq!(n_embedded(), before + 1);
    let undone = workspace.set("src/copy.rs", &text);
    let snapshot = apply(&mut writer, vec![undone]);
    assert_eq!(n_embedded(), before + 1, "a text that was seen before costs nothing");
    let n_chunks: usize =
        snapshot.files().map(|file| snapshot.facts(file).unwrap().chunks.len()).sum();
    assert_eq!(snapshot.data().vectors.len(), n_chunks, "no vector of a removed chunk is left");
}

#[test]
fn without_an_embedder_search_goes_by_words() {
    let workspace = Workspace::new(FIXTURE);
    let open = || {
        let storage = Storage::Directory(workspace.dir.path().to_owned());
        let source = Arc::clone(&workspace.files) as _;
        let facts = Arc::clone(&workspace.facts) as _;
        IndexWriter::open(storage, facts, source, crate::vector::none()).unwrap()
    };
    let mut writer = open();
    let snapshot = apply(&mut writer, workspace.saved());
    assert!(found(&snapshot, "load_config"));
    assert_eq!(snapshot.stats().vector_bytes, 0);
    assert_eq!(workspace.embedder.0.load(Ordering::Relaxed), 0);
    writer.commit().unwrap();
    drop(writer);
    let writer = open();
    assert_eq!(writer.opened(), &Opened { n_files: 3, ..Opened::default() }, "nothing is parsed");
    assert!(found(&writer.snapshot(), "load_config"));
    drop(writer);
    // Switched on again: embedded at the next open.
    let snapshot = workspace.open().snapshot();
    assert!(snapshot.stats().vector_bytes > 0 && found(&snapshot, "load_config"));
}

/// Fills in all missing vectors of the stronger embedder; returns how many chunks were embedded.
fn fill(writer: &mut IndexWriter, facts: &MemoryFacts) -> usize {
    let snapshot = writer.snapshot();
    let known = snapshot.upgrade_known(&snapshot.upgrade_order(&[]), facts);
    let snapshot = writer.add_vectors(known);
    let mut n_embedded = 0;
    let mut embed = |text: &str| {
        n_embedded += 1;
        Some(Words::default().embed(&[text]))
    };
    let files = snapshot.upgrade_order(&[]);
    let vectors: Vec<_> =
        files.iter().filter_map(|file| snapshot.upgrade_file(*file, facts, &mut embed)).collect();
    writer.add_vectors(vectors);
    n_embedded
}

#[test]
fn a_stronger_embedder_fills_in_behind_and_embeds_nothing_twice() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    let store = MemoryFacts::default();
    assert_eq!(fill(&mut writer, &store), 0, "there is none yet");
    writer.set_upgrade(Some(Arc::new(Words::default())));
    let progress = |writer: &IndexWriter| {
        let progress = writer.snapshot().upgrade_progress().unwrap();
        (progress.n_done, progress.n_total)
    };
    let n_chunks = progress(&writer).1;
    assert_eq!(fill(&mut writer, &store), n_chunks);
    assert_eq!(progress(&writer), (n_chunks, n_chunks));

    // An edit drops the file's vectors; only what it changed is embedded again.
    let text = workspace.files.read("README.md").unwrap();
    let change = workspace.set("README.md", &format!("{text}\n# More\nAnother section.\n"));
    apply(&mut writer, vec![change]);
    assert!(progress(&writer).0 < n_chunks);
    let n_new = progress(&writer).1 - n_chunks;
    assert!(fill(&mut writer, &store) <= n_new + 1, "unchanged chunks are known");
    assert_eq!(progress(&writer).0, progress(&writer).1);

    // Another clone of the same texts embeds nothing.
    drop(writer);
    let mut other = workspace.open();
    apply(&mut other, workspace.saved());
    other.set_upgrade(Some(Arc::new(Words::default())));
    assert_eq!(fill(&mut other, &store), 0);
    assert_eq!(progress(&other).0, progress(&other).1);
}

#[test]
fn vectors_of_another_text_or_length_are_not_taken() {
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    let snapshot = writer.set_upgrade(Some(Arc::new(Words::default())));
    let file = snapshot.file("src/net.rs").unwrap();
    let (hash, n) = (snapshot.hash(file).unwrap(), snapshot.facts(file).unwrap().chunks.len());
    let other = ContentHash::of(b"another text");
    let row = vec![1i8; 16];
    for (hash, rows) in
        [(other, vec![row.clone(); n]), (hash, vec![row.clone(); n + 1]), (hash, vec![vec![1]; n])]
    {
        let snapshot = writer.add_vectors(vec![FileVectors { file, hash, rows }]);
        assert_eq!(snapshot.upgrade_progress().unwrap().n_done, 0);
    }
    let snapshot = writer.add_vectors(vec![FileVectors { file, hash, rows: vec![row; n] }]);
    assert_eq!(snapshot.upgrade_progress().unwrap().n_done, n);
}

#[test]
fn open_texts_and_used_code_get_vectors_first() {
    let workspace = Workspace::new(
        r#"
//- /docs/guide.md
# Guide
//- /src/used.rs
pub fn used() {}
//- /src/unused.rs
pub fn unused() { used(); used(); }
//- /src/recent.rs
pub fn recent() {}
//- /src/open.rs
pub fn open() {}
//- /tests/it.rs
fn it() { used(); }
"#,
    );
    let mut writer = workspace.indexed();
    let edit = FileChange::Edited { path: "src/open.rs".into(), text: "pub fn o() {}".into() };
    apply(&mut writer, vec![edit]);
    let snapshot = writer.set_upgrade(Some(Arc::new(Words::default())));
    let recent = [snapshot.file("src/recent.rs").unwrap()];
    let order = snapshot.upgrade_order(&recent);
    let paths: Vec<&str> = order.iter().map(|file| snapshot.path(*file)).collect();
    let expected = ["src/open.rs", "src/recent.rs", "src/used.rs", "src/unused.rs", "tests/it.rs"];
    assert_eq!(paths[..5], expected);
    assert_eq!(paths[5], "docs/guide.md");
}

#[test]
fn a_similar_chunk_without_any_word_in_common_is_found_by_the_stronger_vectors() {
    /// Sees one subject where words differ.
    struct Subject;
    impl Embedder for Subject {
        fn model_id(&self) -> &str {
            "subject"
        }
        fn dim(&self) -> usize {
            2
        }
        fn fusion_weight(&self) -> f32 {
            1.0
        }
        fn embed(&self, texts: &[&str]) -> Vec<f32> {
            let row = |text: &&str| {
                let is_it = text.contains("send_with_retry") || text.contains("perseverance");
                if is_it { [1.0, 0.0] } else { [0.0, 1.0] }
            };
            texts.iter().flat_map(row).collect()
        }
    }
    let workspace = Workspace::new(FIXTURE);
    let mut writer = workspace.indexed();
    let hits = |snapshot: &Snapshot| {
        let text = "perseverance".to_owned();
        let query = SearchQuery { text, limit: 1, ..SearchQuery::default() };
        let hit = snapshot.search(&query, &Cancel::never()).unwrap().hits.into_iter().next();
        hit.map(|hit| (snapshot.path(hit.chunk.file).to_owned(), hit.parts.model))
    };
    let snapshot = writer.set_upgrade(Some(Arc::new(Subject)));
    let store = MemoryFacts::default();
    let mut embed = |text: &str| Some(Subject.embed(&[text]));
    let files = snapshot.upgrade_order(&[]);
    let vectors = files.iter().filter_map(|f| snapshot.upgrade_file(*f, &store, &mut embed));
    let snapshot = writer.add_vectors(vectors.collect());
    let (path, model) = hits(&snapshot).expect("found");
    assert_eq!(path, "src/net.rs");
    assert!(model > 0.0);
}
