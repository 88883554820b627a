//! The HNSW graph over int8 rows, for sets too large to scan. `hnsw_rs` only inserts: dead nodes
//! stay and are filtered out, until the owner starts a new graph.

use std::sync::RwLock;

use hnsw_rs::prelude::{Distance, FilterT};

use crate::{ChunkId, vector::index::dot};

/// Links a node, candidates while building, layers: the usual values for some 100,000 nodes.
const MAX_LINKS: usize = 16;
const EF_CONSTRUCTION: usize = 100;
const MAX_LAYERS: usize = 16;

/// One minus the cosine of two int8 rows of length 127.
struct Int8Cosine;

impl Distance<i8> for Int8Cosine {
    fn eval(&self, a: &[i8], b: &[i8]) -> f32 {
        // Rounding may push a row's length a little over 127; distances must not be negative.
        (1.0 - dot(a, b) as f32 / (127.0 * 127.0)).max(0.0)
    }
}

pub(super) struct Hnsw {
    graph: hnsw_rs::prelude::Hnsw<'static, i8, Int8Cosine>,
    /// Block and chunk of each node, by node id.
    nodes: RwLock<Vec<(u64, ChunkId)>>,
}

impl Hnsw {
    pub(super) fn new(n_expected: usize) -> Self {
        let graph = hnsw_rs::prelude::Hnsw::new(
            MAX_LINKS,
            n_expected,
            MAX_LAYERS,
            EF_CONSTRUCTION,
            Int8Cosine,
        );
        Self { graph, nodes: RwLock::new(Vec::new()) }
    }

    /// Nodes, dead ones included.
    pub(super) fn len(&self) -> usize {
        self.nodes.read().expect("no panic while locked").len()
    }

    pub(super) fn insert(&self, block: u64, chunk: ChunkId, row: &[i8]) {
        let node = {
            let mut nodes = self.nodes.write().expect("no panic while locked");
            nodes.push((block, chunk));
            nodes.len() - 1
        };
        self.graph.insert((row, node));
    }

    /// Some more than the `k` nearest nodes that are `live`, with their similarity.
    pub(super) fn search(
        &self,
        query: &[i8],
        k: usize,
        live: &dyn Fn(u64, ChunkId) -> bool,
    ) -> Vec<(ChunkId, f32)> {
        let nodes = self.nodes.read().expect("no panic while locked");
        let filter = Live { nodes: &nodes, live };
        let wanted = k + k / 2;
        self.graph
            .search_filter(query, wanted, wanted.max(64) * 2, Some(&filter))
            .into_iter()
            .filter_map(|neighbor| Some((nodes.get(neighbor.d_id)?.1, 1.0 - neighbor.distance)))
            .collect()
    }
}

struct Live<'a> {
    nodes: &'a [(u64, ChunkId)],
    live: &'a dyn Fn(u64, ChunkId) -> bool,
}

impl FilterT for Live<'_> {
    fn hnsw_filter(&self, node: &usize) -> bool {
        self.nodes.get(*node).is_some_and(|(block, chunk)| (self.live)(*block, *chunk))
    }
}
