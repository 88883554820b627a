//! Stable pieces of context, encoded once, independently of what stands before them.
//!
//! A segment is encoded behind a single start token whose own keys and values are dropped: without
//! that attention sink (Xiao et al. 2023) the segment's first token would become one, and joined
//! segments would each pull attention to their start. Keys are kept before rotation, so a segment
//! can be placed at any position.

use crate::forward::config::Config;
use crate::forward::rope::RopeTable;
use crate::kernels::Isa;
use crate::kernels::pool::Pool;
use crate::kernels::simd::{Kernel, LANES, Simd};
use crate::kv::cache::KvCache;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Keys (not rotated) and values of a run of tokens, half precision.
pub(crate) struct SegmentKv {
    pub(crate) tokens: Vec<u32>,
    kv_dim: usize,
    /// Per layer `[token][kv head][dim]`.
    layers: Vec<(Vec<u16>, Vec<u16>)>,
}

impl SegmentKv {
    pub(crate) fn new(config: &Config) -> Self {
        SegmentKv {
            tokens: Vec::new(),
            kv_dim: config.n_kv_heads * config.head_dim,
            layers: (0..config.n_layers).map(|_| (Vec::new(), Vec::new())).collect(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let halves: usize = self.layers.iter().map(|(k, v)| k.len() + v.len()).sum();
        halves * size_of::<u16>() + size_of_val(self.tokens.as_slice())
    }

    /// Adds `n_rows` tokens of one layer; `row` gives their keys and values.
    pub(crate) fn append<'a>(
        &mut self,
        isa: Isa,
        layer: usize,
        n_rows: usize,
        row: impl Fn(usize) -> (&'a [f32], &'a [f32]),
    ) {
        let (keys, values) = &mut self.layers[layer];
        for i in 0..n_rows {
            let (key, value) = row(i);
            for (from, to) in [(key, &mut *keys), (value, &mut *values)] {
                let start = to.len();
                to.resize(start + from.len(), 0);
                isa.run(Narrow { from, to: &mut to[start..] });
            }
        }
    }

    /// Drops the first `n` tokens (the sink).
    pub(crate) fn drop_front(&mut self, n: usize) {
        for (keys, values) in &mut self.layers {
            keys.drain(..n * self.kv_dim);
            values.drain(..n * self.kv_dim);
            keys.shrink_to_fit();
            values.shrink_to_fit();
        }
    }

    /// Appends the segment to `cache`, rotated for its new positions.
    pub(crate) fn place(
        &self,
        isa: Isa,
        pool: &Pool,
        rope: &RopeTable,
        cache: &mut KvCache,
        head_dim: usize,
    ) {
        let (first, n) = (cache.len(), self.tokens.len());
        cache.reserve(first + n);
        for (index, (keys, values)) in self.layers.iter().enumerate() {
            cache.layer_mut(index).write(isa, pool, first, n, head_dim, |row, head, key, value| {
                let at = row * self.kv_dim + head * head_dim;
                isa.run(Widen { from: &keys[at..][..head_dim], to: key });
                isa.run(Widen { from: &values[at..][..head_dim], to: value });
                rope.rotate(first + row, key);
            });
        }
        cache.advance(n);
    }
}

struct Narrow<'a> {
    from: &'a [f32],
    to: &'a mut [u16],
}

impl Kernel for Narrow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (to, _) = self.to.as_chunks_mut::<LANES>();
        for (from, to) in self.from.as_chunks::<LANES>().0.iter().zip(to) {
            simd.store_f16(simd.load(from), to);
        }
    }
}

struct Widen<'a> {
    from: &'a [u16],
    to: &'a mut [f32],
}

impl Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (to, _) = self.to.as_chunks_mut::<LANES>();
        for (from, to) in self.from.as_chunks::<LANES>().0.iter().zip(to) {
            simd.store(simd.load_f16(from), to);
        }
    }
}

/// Encoded segments within a memory budget; the least recently used go first.
pub(crate) struct SegmentStore {
    budget_bytes: usize,
    bytes: usize,
    clock: u64,
    entries: FxHashMap<[u8; 32], (Arc<SegmentKv>, u64)>,
}

impl SegmentStore {
    pub(crate) fn new(budget_bytes: usize) -> Self {
        SegmentStore { budget_bytes, bytes: 0, clock: 0, entries: FxHashMap::default() }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// The segment of that key, if its tokens are these: a key that lies is not believed.
    pub(crate) fn get(&mut self, key: &[u8; 32], tokens: &[u32]) -> Option<Arc<SegmentKv>> {
        self.clock += 1;
        let (segment, used) = self.entries.get_mut(key)?;
        if segment.tokens != tokens {
            return None;
        }
        *used = self.clock;
        Some(Arc::clone(segment))
    }

    /// Keeps `segment`, making room for it.
    pub(crate) fn put(&mut self, key: [u8; 32], segment: Arc<SegmentKv>) {
        self.clock += 1;
        self.bytes += segment.bytes();
        if let Some((old, _)) = self.entries.insert(key, (segment, self.clock)) {
            self.bytes -= old.bytes();
        }
        while self.bytes > self.budget_bytes {
            let Some(oldest) =
                self.entries.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key)
            else {
                return;
            };
            if let Some((segment, _)) = self.entries.remove(&oldest) {
                self.bytes -= segment.bytes();
            }
        }
    }
}
