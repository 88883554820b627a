//! One sequence of keys and values, contiguous by position.

use crate::forward::config::Config;
use crate::kernels::Isa;
use crate::kernels::pool::Pool;
use crate::kernels::simd::{Kernel, LANES, Simd};

/// Positions that storage grows by.
const GROW: usize = 256;

/// Keys and values of all layers for positions `0..len`.
pub(crate) struct KvCache {
    layers: Vec<LayerCache>,
    head_dim: usize,
    len: usize,
    capacity: usize,
}

/// One layer's share.
pub(crate) struct LayerCache {
    heads: Vec<HeadCache>,
}

/// Half precision bits, laid out for [`crate::kernels::attention`].
#[derive(Default)]
struct HeadCache {
    /// `[position / 16][dim][position % 16]`, rotated
    keys: Vec<u16>,
    /// `[position][dim]`
    values: Vec<u16>,
}

impl KvCache {
    pub(crate) fn new(config: &Config) -> Self {
        let heads = || (0..config.n_kv_heads).map(|_| HeadCache::default()).collect();
        KvCache {
            layers: (0..config.n_layers).map(|_| LayerCache { heads: heads() }).collect(),
            head_dim: config.head_dim,
            len: 0,
            capacity: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        self.layers
            .iter()
            .flat_map(|layer| &layer.heads)
            .map(|head| (head.keys.len() + head.values.len()) * size_of::<u16>())
            .sum()
    }

    /// Forgets all positions from `len` on.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Makes room for `n` positions in all.
    pub(crate) fn reserve(&mut self, n: usize) {
        if n <= self.capacity {
            return;
        }
        self.capacity = n.div_ceil(GROW) * GROW;
        for head in self.layers.iter_mut().flat_map(|layer| &mut layer.heads) {
            head.keys.resize(self.capacity * self.head_dim, 0);
            head.values.resize(self.capacity * self.head_dim, 0);
        }
    }

    /// The layer, to write positions from `len` on; [`KvCache::advance`] makes them count.
    pub(crate) fn layer_mut(&mut self, layer: usize) -> &mut LayerCache {
        &mut self.layers[layer]
    }

    pub(crate) fn advance(&mut self, n: usize) {
        self.len += n;
        debug_assert!(self.len <= self.capacity);
    }
}

impl LayerCache {
    /// A layer alone, for encoders; [`LayerCache::reserve`] makes room.
    pub(crate) fn new(n_heads: usize) -> Self {
        LayerCache { heads: (0..n_heads).map(|_| HeadCache::default()).collect() }
    }

    /// Makes room for positions `0..n`.
    pub(crate) fn reserve(&mut self, n: usize, head_dim: usize) {
        let len = n.div_ceil(LANES) * LANES * head_dim;
        for head in self.heads.iter_mut().filter(|head| head.keys.len() < len) {
            head.keys.resize(len, 0);
            head.values.resize(len, 0);
        }
    }

    pub(crate) fn head(&self, head: usize) -> (&[u16], &[u16]) {
        (&self.heads[head].keys, &self.heads[head].values)
    }

    /// Stores keys and values of positions `first..first + n_rows`; `fill(row, head, key, value)`
    /// produces them.
    pub(crate) fn write(
        &mut self,
        isa: Isa,
        pool: &Pool,
        first: usize,
        n_rows: usize,
        head_dim: usize,
        fill: impl Fn(usize, usize, &mut [f32], &mut [f32]) + Sync,
    ) {
        pool.chunks(
            (&mut self.heads, 1),
            || (vec![0.0; head_dim], vec![0.0; head_dim]),
            |(key, value), head, cache| {
                for row in 0..n_rows {
                    fill(row, head, key, value);
                    isa.run(Put { key, value, position: first + row, cache: &mut cache[0] });
                }
            },
        );
    }
}

struct Put<'a> {
    key: &'a [f32],
    value: &'a [f32],
    position: usize,
    cache: &'a mut HeadCache,
}

impl Kernel for Put<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let dim = self.key.len();
        let tile = &mut self.cache.keys[self.position / LANES * dim * LANES..][..dim * LANES];
        let values = &mut self.cache.values[self.position * dim..][..dim];
        // Half precision ends at 65504; an activation beyond that is already meaningless.
        let (top, bottom) = (simd.splat(65_504.0), simd.splat(-65_504.0));
        let clamp = |v: S::V| {
            let v = simd.max(v, bottom);
            let zero = simd.splat(0.0);
            simd.sub(zero, simd.max(simd.sub(zero, v), simd.sub(zero, top)))
        };
        let lane = self.position % LANES;
        for (i, key) in self.key.as_chunks::<LANES>().0.iter().enumerate() {
            let mut half = [0; LANES];
            simd.store_f16(clamp(simd.load(key)), &mut half);
            for (d, half) in half.into_iter().enumerate() {
                tile[(i * LANES + d) * LANES + lane] = half;
            }
        }
        let (values, _) = values.as_chunks_mut::<LANES>();
        for (value, to) in self.value.as_chunks::<LANES>().0.iter().zip(values) {
            simd.store_f16(clamp(simd.load(value)), to);
        }
    }
}
