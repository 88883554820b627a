//! Chooses the next token from logits.

use crate::Sampling;
use crate::kernels::{Isa, fused};

/// A small deterministic generator (SplitMix64, Steele et al. 2014); the same seed gives the same
/// text.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// In 0..1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// The most probable token; the lowest id among equals. NaN never wins.
pub(crate) fn argmax(logits: &[f32]) -> u32 {
    let mut best = (f32::NEG_INFINITY, 0);
    for (token, &logit) in logits.iter().enumerate() {
        if logit > best.0 {
            best = (logit, token);
        }
    }
    best.1 as u32
}

/// The `n` most probable tokens, best first.
pub(crate) fn top(logits: &[f32], n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..logits.len() as u32).collect();
    let by_logit =
        |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if n < order.len() {
        order.select_nth_unstable_by(n, by_logit);
        order.truncate(n);
    }
    order.sort_unstable_by(by_logit);
    order
}

/// Log-probability of `token`.
pub(crate) fn logprob(isa: Isa, logits: &[f32], token: u32) -> f32 {
    logits[token as usize] - fused::log_sum_exp(isa, logits)
}

/// Greedy at temperature 0, otherwise a draw from what top-p and min-p leave.
pub(crate) fn sample(sampling: &Sampling, rng: &mut Rng, logits: &[f32]) -> u32 {
    // The negation also sends NaN to greedy.
    if sampling.temperature.is_nan() || sampling.temperature <= 0.0 {
        return argmax(logits);
    }
    // Beyond a few hundred candidates only noise is left.
    let candidates = top(logits, 256);
    let largest = logits[candidates[0] as usize];
    let weights: Vec<f32> = candidates
        .iter()
        .map(|&token| ((logits[token as usize] - largest) / sampling.temperature).exp())
        .collect();
    let total: f32 = weights.iter().sum();
    let mut kept = 0;
    let mut mass = 0.0;
    for &weight in &weights {
        let enough = mass >= sampling.top_p * total || weight < sampling.min_p;
        if kept > 0 && enough {
            break;
        }
        mass += weight;
        kept += 1;
    }
    let mut point = rng.next() * mass;
    for (&token, weight) in candidates[..kept].iter().zip(&weights) {
        point -= weight;
        if point < 0.0 {
            return token;
        }
    }
    candidates[kept - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_best_and_ignores_nan() {
        assert_eq!(argmax(&[1.0, f32::NAN, 3.0, 3.0]), 2);
        assert_eq!(sample(&Sampling::default(), &mut Rng::new(1), &[0.0, 2.0, 1.0]), 1);
    }

    #[test]
    fn top_is_sorted() {
        assert_eq!(top(&[0.0, 5.0, 3.0, 5.0], 3), [1, 3, 2]);
        assert_eq!(top(&[1.0, 2.0], 9), [1, 0]);
    }

    #[test]
    fn draws_follow_the_distribution() {
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        let logits = [0.7f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
        let mut rng = Rng::new(42);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[sample(&sampling, &mut rng, &logits) as usize] += 1;
        }
        assert!((6_800..7_200).contains(&counts[0]), "{counts:?}");
        assert!((800..1_200).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn top_p_and_min_p_cut_the_tail() {
        let logits = [0.7f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
        let mut rng = Rng::new(3);
        let top_p = Sampling { temperature: 1.0, top_p: 0.8, ..Sampling::default() };
        let min_p = Sampling { temperature: 1.0, min_p: 0.5, ..Sampling::default() };
        for _ in 0..500 {
            assert_ne!(sample(&top_p, &mut rng, &logits), 2);
            assert_eq!(sample(&min_p, &mut rng, &logits), 0);
        }
    }
}
