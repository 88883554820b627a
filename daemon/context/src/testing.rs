//! Fixtures as snapshots, for this crate's tests.

use std::{collections::BTreeMap, sync::Arc};

use fovea_indexer::{
    Cancel, IndexWriter, Snapshot, vector,
    vfs::TextSource,
    writer::{FileChange, MemoryFacts, Storage},
};

use crate::request::PlanRequest;

struct Texts(BTreeMap<String, Arc<str>>);

impl TextSource for Texts {
    fn read(&self, path: &str) -> Option<Arc<str>> {
        self.0.get(path).cloned()
    }
}

/// Indexes the fixture and asks at its `$0`.
pub(crate) fn load(fixture: &str) -> (Snapshot, PlanRequest) {
    let fixture = fovea_test_support::parse(fixture, "main.py");
    let (file, offset) = fixture.cursor();
    let request = PlanRequest::new(file.path.as_str(), file.text.as_str(), offset);
    let texts: BTreeMap<String, Arc<str>> =
        fixture.files.iter().map(|file| (file.path.clone(), file.text.as_str().into())).collect();
    let changes = texts
        .iter()
        .map(|(path, text)| FileChange::Saved { path: path.clone(), text: Arc::clone(text) })
        .collect();
    let mut writer = IndexWriter::open(
        Storage::Memory,
        Arc::new(MemoryFacts::default()),
        Arc::new(Texts(texts)),
        vector::embedded(),
    )
    .expect("an index in memory opens");
    let snapshot =
        writer.apply(changes, &mut |_| {}, &Cancel::never()).expect("a small fixture is indexed");
    (snapshot, request)
}
