//! Rotary position embeddings (Su et al. 2021).

use crate::family::Rope;
use crate::forward::config::Config;

/// Sines and cosines for the positions of a context.
pub(crate) struct RopeTable {
    rope: Rope,
    rope_dim: usize,
    /// `[position][rope_dim / 2]` of (cos, sin)
    table: Vec<(f32, f32)>,
}

impl RopeTable {
    /// `factors` divide the frequencies (`rope_freqs.weight` of Llama 3 files).
    pub(crate) fn new(config: &Config, factors: Option<&[f32]>) -> Self {
        let half = config.rope_dim / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|i| {
                let exponent = -2.0 * i as f64 / config.rope_dim as f64;
                let factor = factors.map_or(1.0, |factors| f64::from(factors[i]));
                f64::from(config.rope_base).powf(exponent) / factor
            })
            .collect();
        let scale = f64::from(config.rope_scale);
        let table = (0..config.n_context)
            .flat_map(|position| {
                frequencies.iter().map(move |frequency| {
                    let (sin, cos) = (position as f64 / scale * frequency).sin_cos();
                    (cos as f32, sin as f32)
                })
            })
            .collect();
        RopeTable { rope: config.rope, rope_dim: config.rope_dim, table }
    }

    /// Rotates one head of a query or key in place.
    #[inline]
    pub(crate) fn rotate(&self, position: usize, head: &mut [f32]) {
        let half = self.rope_dim / 2;
        let angles = &self.table[position * half..(position + 1) * half];
        match self.rope {
            Rope::Interleaved => {
                let (pairs, _) = head.as_chunks_mut::<2>();
                for ([a, b], (cos, sin)) in pairs.iter_mut().zip(angles) {
                    (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                }
            }
            Rope::Halves => {
                let (low, high) = head[..self.rope_dim].split_at_mut(half);
                for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(angles) {
                    (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                }
            }
        }
    }
}
