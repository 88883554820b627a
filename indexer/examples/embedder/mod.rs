//! Which vectors an evaluation uses: `--table FILE` reads another static table, `--embedder FOLDER` a
//! stronger model beside it.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use fovea_indexer::{
    IndexWriter,
    vector::{self, Embedder, SharedEmbedder, StaticModel},
    writer::MemoryFacts,
};
use fovea_model::{EmbedKind, EmbedModel, EmbedOptions};

/// The embedders of one run.
pub(crate) struct Embedders {
    pub(crate) table: SharedEmbedder,
    pub(crate) stronger: Option<Arc<Model>>,
}

/// A model in this process.
pub(crate) struct Model {
    model: Mutex<EmbedModel>,
    id: String,
    dim: usize,
    weight: f32,
    /// Kept over indexes of the same texts.
    facts: MemoryFacts,
}

impl Embedders {
    /// Takes its own options out of `arguments`.
    pub(crate) fn take(arguments: &mut Vec<String>) -> Self {
        let mut option = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            let value = arguments.drain(at..at + 2).nth(1);
            Some(value.expect("the option has a value"))
        };
        let table = option("--table").map_or_else(vector::embedded, |file| {
            let bytes = fs::read(&file).expect("a table");
            Arc::new(StaticModel::from_bytes(&bytes).expect("a whole table")) as SharedEmbedder
        });
        let stronger = option("--embedder").map(|folder| {
            let options = EmbedOptions { n_threads: 2, ..EmbedOptions::default() };
            let model = EmbedModel::open(Path::new(&folder), &options).expect("a model");
            let info = model.info().clone();
            let weight = match info.kind {
                EmbedKind::Transformer => vector::TRANSFORMER_WEIGHT,
                EmbedKind::Table => vector::TABLE_WEIGHT,
            };
            let (model, facts) = (Mutex::new(model), MemoryFacts::default());
            Arc::new(Model { model, id: info.id, dim: info.dim, weight, facts })
        });
        Self { table, stronger }
    }

    /// Gives every chunk of `writer` its vector of the stronger model.
    pub(crate) fn fill(&self, writer: &mut IndexWriter) {
        let Some(model) = &self.stronger else { return };
        let snapshot = writer.set_upgrade(Some(Arc::clone(model) as SharedEmbedder));
        let mut embed = |text: &str| Some(model.embed(&[text]));
        let files = snapshot.upgrade_order(&[]);
        let vectors =
            files.iter().filter_map(|f| snapshot.upgrade_file(*f, &model.facts, &mut embed));
        writer.add_vectors(vectors.collect());
    }
}

impl Embedder for Model {
    fn model_id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn fusion_weight(&self) -> f32 {
        self.weight
    }

    fn embed(&self, texts: &[&str]) -> Vec<f32> {
        let mut model = self.model.lock().expect("no panic while locked");
        model.embed(texts).expect("texts have tokens")
    }
}
