//! Row-wise steps between the matrix products.

use super::simd::{Isa, Kernel, LANES, Simd};

/// `to = x / rms(x) * weight`. Lengths are equal.
pub(crate) fn rms_norm(isa: Isa, x: &[f32], weight: &[f32], epsilon: f32, to: &mut [f32]) {
    isa.run(RmsNorm { x, weight, epsilon, to });
}

/// `to = silu(gate) * up`, where `gate_up` alternates 16 gates and 16 ups.
pub(crate) fn swiglu(isa: Isa, gate_up: &[f32], to: &mut [f32]) {
    isa.run(SwiGlu { gate_up, to });
}

/// `to += x`
pub(crate) fn add(isa: Isa, x: &[f32], to: &mut [f32]) {
    isa.run(Add { x, to });
}

/// `x = (x - mean) / deviation * weight + bias`. Lengths are equal.
pub(crate) fn layer_norm(isa: Isa, weight: &[f32], bias: &[f32], epsilon: f32, x: &mut [f32]) {
    isa.run(LayerNorm { weight, bias, epsilon, x });
}

/// `x = x * cdf(x)` of the normal distribution (Hendrycks and Gimpel 2016).
pub(crate) fn gelu(isa: Isa, x: &mut [f32]) {
    isa.run(Gelu { x });
}

/// [`gelu`] by its approximation with a hyperbolic tangent.
pub(crate) fn gelu_tanh(isa: Isa, x: &mut [f32]) {
    isa.run(GeluTanh { x });
}

/// Log of the sum of exponentials.
pub(crate) fn log_sum_exp(isa: Isa, x: &[f32]) -> f32 {
    isa.run(LogSumExp { x })
}

struct RmsNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    epsilon: f32,
    to: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (x, rest) = self.x.as_chunks::<LANES>();
        let sum = x.iter().fold(simd.splat(0.0), |sum, x| {
            let x = simd.load(x);
            simd.fma(x, x, sum)
        });
        let sum = simd.sum(sum) + rest.iter().map(|x| x * x).sum::<f32>();
        let factor = 1.0 / (sum / self.x.len() as f32 + self.epsilon).sqrt();
        let (weight, rest_weight) = self.weight.as_chunks::<LANES>();
        let (to, rest_to) = self.to.as_chunks_mut::<LANES>();
        let factors = simd.splat(factor);
        for ((x, weight), to) in x.iter().zip(weight).zip(to) {
            simd.store(simd.mul(simd.mul(simd.load(x), factors), simd.load(weight)), to);
        }
        for ((x, weight), to) in rest.iter().zip(rest_weight).zip(rest_to) {
            *to = x * factor * weight;
        }
    }
}

struct SwiGlu<'a> {
    gate_up: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for SwiGlu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (gate_up, _) = self.gate_up.as_chunks::<LANES>();
        let (one, limit) = (simd.splat(1.0), simd.splat(-87.0));
        for (pair, to) in gate_up.chunks_exact(2).zip(self.to.chunks_mut(LANES)) {
            let (gate, up) = (simd.load(&pair[0]), simd.load(&pair[1]));
            // Below the limit the result is zero anyway, and the exponential would overflow.
            let exp = simd.exp(simd.sub(simd.splat(0.0), simd.max(gate, limit)));
            let value = simd.div(simd.mul(gate, up), simd.add(one, exp));
            let mut lanes = [0.0; LANES];
            simd.store(value, &mut lanes);
            to.copy_from_slice(&lanes[..to.len()]);
        }
    }
}

struct LayerNorm<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
    x: &'a mut [f32],
}

impl Kernel for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let n = self.x.len() as f32;
        let (x, rest) = self.x.as_chunks_mut::<LANES>();
        let sum = x.iter().fold(simd.splat(0.0), |sum, x| simd.add(sum, simd.load(x)));
        let mean = (simd.sum(sum) + rest.iter().sum::<f32>()) / n;
        let means = simd.splat(mean);
        let squares = x.iter().fold(simd.splat(0.0), |sum, x| {
            let x = simd.sub(simd.load(x), means);
            simd.fma(x, x, sum)
        });
        let rest_squares = rest.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>();
        let factor = 1.0 / ((simd.sum(squares) + rest_squares) / n + self.epsilon).sqrt();
        let factors = simd.splat(factor);
        let (weight, rest_weight) = self.weight.as_chunks::<LANES>();
        let (bias, rest_bias) = self.bias.as_chunks::<LANES>();
        for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
            let value = simd.mul(simd.sub(simd.load(x), means), factors);
            simd.store(simd.fma(value, simd.load(weight), simd.load(bias)), x);
        }
        for ((x, weight), bias) in rest.iter_mut().zip(rest_weight).zip(rest_bias) {
            *x = (*x - mean) * factor * weight + bias;
        }
    }
}

struct Gelu<'a> {
    x: &'a mut [f32],
}

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        each(simd, self.x, |x| {
            // erf by Abramowitz and Stegun 7.1.26, for the positive half; x erf(x) is even.
            let abs = simd.max(x, simd.sub(simd.splat(0.0), x));
            let u = simd.mul(abs, simd.splat(std::f32::consts::FRAC_1_SQRT_2));
            let one = simd.splat(1.0);
            let t = simd.div(one, simd.fma(u, simd.splat(0.327_591_1), one));
            let mut p = simd.splat(1.061_405_4);
            for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
                p = simd.fma(p, t, simd.splat(c));
            }
            let exp = simd.exp(simd.sub(simd.splat(0.0), simd.mul(u, u)));
            let erf = simd.sub(one, simd.mul(simd.mul(p, t), exp));
            simd.mul(simd.splat(0.5), simd.fma(abs, erf, x))
        });
    }
}

struct GeluTanh<'a> {
    x: &'a mut [f32],
}

impl Kernel for GeluTanh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        each(simd, self.x, |x| {
            // 0.5 x (1 + tanh(v)) is x / (1 + exp(-2 v)); the limit keeps the exponential finite.
            let cubed = simd.mul(simd.mul(x, x), x);
            let v = simd.fma(cubed, simd.splat(0.044_715), x);
            let v = simd.mul(v, simd.splat(2.0 * 0.797_884_6));
            let exp = simd.exp(simd.sub(simd.splat(0.0), simd.max(v, simd.splat(-87.0))));
            simd.div(x, simd.add(simd.splat(1.0), exp))
        });
    }
}

/// Replaces each value by `f` of it; what does not fill a vector is padded.
#[inline(always)]
fn each<S: Simd>(simd: S, values: &mut [f32], f: impl Fn(S::V) -> S::V) {
    let (chunks, rest) = values.as_chunks_mut::<LANES>();
    for chunk in chunks {
        simd.store(f(simd.load(chunk)), chunk);
    }
    if !rest.is_empty() {
        let mut padded = [0.0; LANES];
        padded[..rest.len()].copy_from_slice(rest);
        simd.store(f(simd.load(&padded)), &mut padded);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

struct Add<'a> {
    x: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        for (to, x) in self.to.iter_mut().zip(self.x) {
            *to += x;
        }
    }
}

struct LogSumExp<'a> {
    x: &'a [f32],
}

impl Kernel for LogSumExp<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let (chunks, rest) = self.x.as_chunks::<LANES>();
        let largest = self.x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !largest.is_finite() {
            return largest;
        }
        let shift = simd.splat(largest);
        let sum = chunks
            .iter()
            .fold(simd.splat(0.0), |sum, x| simd.add(sum, simd.exp(simd.sub(simd.load(x), shift))));
        let sum = simd.sum(sum) + rest.iter().map(|x| (x - largest).exp()).sum::<f32>();
        largest + sum.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(n: usize, from: f32, to: f32) -> Vec<f32> {
        (0..n).map(|i| from + (to - from) * i as f32 / (n - 1) as f32).collect()
    }

    #[track_caller]
    fn check_close(found: &[f32], expected: &[f32], isa: Isa) {
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            let tolerance = 2e-6 * expected.abs().max(1e-6);
            assert!(
                (found - expected).abs() <= tolerance,
                "{} lane {i}: {found} {expected}",
                isa.name()
            );
        }
    }

    #[test]
    fn rms_norm_is_the_formula_at_any_length() {
        for n in [1, 15, 16, 33, 576] {
            let (x, weight) = (ramp(n.max(2), -3.0, 5.0), ramp(n.max(2), 0.5, 1.5));
            let mean = x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32;
            let expected: Vec<f32> =
                x.iter().zip(&weight).map(|(x, w)| x / (mean + 1e-5).sqrt() * w).collect();
            for isa in Isa::available() {
                let mut to = vec![0.0; x.len()];
                rms_norm(isa, &x, &weight, 1e-5, &mut to);
                check_close(&to, &expected, isa);
            }
        }
    }

    #[test]
    fn swiglu_is_the_formula_from_far_negative_to_far_positive() {
        let gates = ramp(64, -200.0, 60.0);
        let ups = ramp(64, -2.0, 2.0);
        let expected: Vec<f32> =
            gates.iter().zip(&ups).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
        let gate_up: Vec<f32> = gates
            .chunks(LANES)
            .zip(ups.chunks(LANES))
            .flat_map(|(g, u)| g.iter().chain(u).copied())
            .collect();
        for isa in Isa::available() {
            let mut to = vec![0.0; 64];
            swiglu(isa, &gate_up, &mut to);
            check_close(&to, &expected, isa);
        }
    }

    #[test]
    fn layer_norm_is_the_formula_at_any_length() {
        for n in [2, 15, 16, 33, 384] {
            let (x, weight, bias) = (ramp(n, -3.0, 5.0), ramp(n, 0.5, 1.5), ramp(n, 2.0, -1.0));
            let mean = x.iter().sum::<f32>() / n as f32;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n as f32;
            let deviation = (variance + 1e-5).sqrt();
            for isa in Isa::available() {
                let mut found = x.clone();
                layer_norm(isa, &weight, &bias, 1e-5, &mut found);
                for i in 0..n {
                    let expected = (x[i] - mean) / deviation * weight[i] + bias[i];
                    assert!((found[i] - expected).abs() < 2e-5, "{} {n} {i}", isa.name());
                }
            }
        }
    }

    #[test]
    fn both_gelus_follow_the_normal_distribution() {
        // x times the distribution function, from tables.
        let known =
            [(0.0, 0.0), (1.0, 0.841_345), (-1.0, -0.158_655), (2.5, 2.484_476), (-3.0, -0.004_05)];
        for isa in Isa::available() {
            let x: Vec<f32> = known.iter().map(|(x, _)| *x).chain(ramp(30, -60.0, 60.0)).collect();
            let (mut exact, mut tanh) = (x.clone(), x.clone());
            gelu(isa, &mut exact);
            gelu_tanh(isa, &mut tanh);
            for (i, (_, expected)) in known.iter().enumerate() {
                assert!((exact[i] - expected).abs() < 2e-5, "{} {}", isa.name(), exact[i]);
            }
            for (i, x) in x.iter().enumerate() {
                assert!((exact[i] - tanh[i]).abs() < 2e-3, "{} at {x}", isa.name());
            }
        }
    }

    #[test]
    fn log_sum_exp_survives_extremes() {
        for (x, expected) in [
            (vec![0.0; 40], 40f32.ln()),
            (vec![1e4, -1e4, 0.0], 1e4),
            (vec![-1e30; 17], -1e30),
            (vec![f32::NEG_INFINITY; 3], f32::NEG_INFINITY),
        ] {
            for isa in Isa::available() {
                let found = log_sum_exp(isa, &x);
                assert!(found == expected || (found - expected).abs() <= 1e-6 * expected.abs());
            }
        }
    }
}
