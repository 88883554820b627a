//! The forward pass once more, in the plainest way, on candle's tensors and dequantized weights.

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{D, Device, Tensor};
use fovea_model::GgufFile;
use std::borrow::Cow;

/// Log-probabilities of every token of `tokens` but the first.
pub(crate) fn logprobs(file: &GgufFile, tokens: &[u32]) -> Vec<f32> {
    let logits = logits(file, tokens);
    logits[..tokens.len() - 1]
        .iter()
        .zip(&tokens[1..])
        .map(|(row, &next)| {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|x| f64::from(x - largest).exp()).sum();
            row[next as usize] - largest - sum.ln() as f32
        })
        .collect()
}

fn logits(file: &GgufFile, tokens: &[u32]) -> Vec<Vec<f32>> {
    let arch = file.architecture().to_owned();
    let number = |key: &str| file.u32(&format!("{arch}.{key}")).unwrap().map(|n| n as usize);
    let real = |key: &str| file.f32(&format!("{arch}.{key}")).unwrap();
    let n_heads = number("attention.head_count").unwrap();
    let n_kv_heads = number("attention.head_count_kv").unwrap();
    let dim = number("embedding_length").unwrap();
    let head_dim = dim / n_heads;
    let epsilon = f64::from(real("attention.layer_norm_rms_epsilon").unwrap());
    let base = f64::from(real("rope.freq_base").unwrap());
    let scale = f64::from(real("rope.scaling.factor").unwrap_or(1.0));
    let halves = arch == "qwen2";
    let n = tokens.len();

    let embedding = tensor(file, "token_embd.weight").unwrap();
    let ids = Tensor::from_slice(tokens, n, &Device::Cpu).unwrap();
    let mut x = embedding.index_select(&ids, 0).unwrap();
    for layer in 0..number("block_count").unwrap() {
        let get = |name: &str| tensor(file, &format!("blk.{layer}.{name}"));
        let linear = |x: &Tensor, name: &str| {
            let y = x.matmul(&get(&format!("{name}.weight")).unwrap().t().unwrap()).unwrap();
            match get(&format!("{name}.bias")) {
                Some(bias) => y.broadcast_add(&bias).unwrap(),
                None => y,
            }
        };
        let h = norm(&x, &get("attn_norm.weight").unwrap(), epsilon);
        let rotated = |name: &str, heads: usize| {
            let mut rows: Vec<Vec<f32>> = linear(&h, name).to_vec2().unwrap();
            for (position, row) in rows.iter_mut().enumerate() {
                for head in row.chunks_mut(head_dim) {
                    rotate(head, position as f64 / scale, base, halves);
                }
            }
            let flat: Vec<f32> = rows.into_iter().flatten().collect();
            Tensor::from_vec(flat, (n, heads, head_dim), &Device::Cpu).unwrap()
        };
        let q = rotated("attn_q", n_heads);
        let k = rotated("attn_k", n_kv_heads);
        let v = linear(&h, "attn_v").reshape((n, n_kv_heads, head_dim)).unwrap();
        let heads: Vec<Tensor> = (0..n_heads)
            .map(|head| {
                let of = |t: &Tensor, head: usize| {
                    t.narrow(1, head, 1).unwrap().squeeze(1).unwrap().contiguous().unwrap()
                };
                let kv_head = head / (n_heads / n_kv_heads);
                let (q, k, v) = (of(&q, head), of(&k, kv_head), of(&v, kv_head));
                let scores =
                    (q.matmul(&k.t().unwrap()).unwrap() / (head_dim as f64).sqrt()).unwrap();
                let mask: Vec<f32> = (0..n * n)
                    .map(|i| if i % n > i / n { f32::NEG_INFINITY } else { 0.0 })
                    .collect();
                let mask = Tensor::from_vec(mask, (n, n), &Device::Cpu).unwrap();
                softmax(&(scores + mask).unwrap()).matmul(&v).unwrap()
            })
            .collect();
        let attended = Tensor::cat(&heads, 1).unwrap();
        x = (x + linear(&attended, "attn_output")).unwrap();
        let h = norm(&x, &get("ffn_norm.weight").unwrap(), epsilon);
        let gate = linear(&h, "ffn_gate").silu().unwrap();
        let inner = (gate * linear(&h, "ffn_up")).unwrap();
        x = (x + linear(&inner, "ffn_down")).unwrap();
    }
    let x = norm(&x, &tensor(file, "output_norm.weight").unwrap(), epsilon);
    let output = tensor(file, "output.weight").unwrap_or(embedding);
    x.matmul(&output.t().unwrap()).unwrap().to_vec2().unwrap()
}

fn rotate(head: &mut [f32], position: f64, base: f64, halves: bool) {
    let n = head.len();
    for i in 0..n / 2 {
        let angle = position * base.powf(-2.0 * i as f64 / n as f64);
        let (a, b) = if halves { (i, i + n / 2) } else { (2 * i, 2 * i + 1) };
        let (x, y) = (f64::from(head[a]), f64::from(head[b]));
        head[a] = (x * angle.cos() - y * angle.sin()) as f32;
        head[b] = (x * angle.sin() + y * angle.cos()) as f32;
    }
}

fn norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Tensor {
    let mean = x.sqr().unwrap().mean_keepdim(D::Minus1).unwrap();
    let x = x.broadcast_div(&(mean + epsilon).unwrap().sqrt().unwrap()).unwrap();
    x.broadcast_mul(weight).unwrap()
}

fn softmax(x: &Tensor) -> Tensor {
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1).unwrap()).unwrap();
    let exp = shifted.exp().unwrap();
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1).unwrap()).unwrap()
}

fn tensor(file: &GgufFile, name: &str) -> Option<Tensor> {
    let tensor = file.tensor(name)?;
    let dtype = match tensor.info.dtype.id() {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        8 => GgmlDType::Q8_0,
        other => panic!("the reference does not read type {other}"),
    };
    let storage = QStorage::from_data(Cow::Borrowed(tensor.bytes), &Device::Cpu, dtype).unwrap();
    let shape: Vec<usize> = tensor.info.shape.iter().rev().copied().collect();
    Some(QTensor::new(storage, shape).unwrap().dequantize(&Device::Cpu).unwrap())
}
