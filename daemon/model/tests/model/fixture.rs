//! Tiny model files.

use fovea_model::gguf::DType;
use fovea_model::gguf::writer::{GgufWriter, Value};
use fovea_model::{GgufFile, LoadOptions, Session};
use std::path::PathBuf;

/// Shape of a tiny model.
pub(crate) struct Tiny {
    pub(crate) architecture: &'static str,
    pub(crate) dtype: DType,
    pub(crate) tied: bool,
    pub(crate) rope_scale: Option<f32>,
}

impl Default for Tiny {
    fn default() -> Self {
        Tiny { architecture: "llama", dtype: DType::Q8_0, tied: true, rope_scale: None }
    }
}

const DIM: usize = 64;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const FFN: usize = 96;
const LAYERS: usize = 2;

impl Tiny {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let names = vocabulary();
        let n_vocab = names.len();
        let arch = self.architecture;
        let mut types = vec![1; n_vocab];
        types[0] = 3;
        types[1] = 3;
        let mut noise = Noise(11);
        let mut writer = GgufWriter::new(arch)
            .meta(&format!("{arch}.block_count"), Value::U32(LAYERS as u32))
            .meta(&format!("{arch}.context_length"), Value::U32(512))
            .meta(&format!("{arch}.embedding_length"), Value::U32(DIM as u32))
            .meta(&format!("{arch}.feed_forward_length"), Value::U32(FFN as u32))
            .meta(&format!("{arch}.attention.head_count"), Value::U32(HEADS as u32))
            .meta(&format!("{arch}.attention.head_count_kv"), Value::U32(KV_HEADS as u32))
            .meta(&format!("{arch}.attention.layer_norm_rms_epsilon"), Value::F32(1e-5))
            .meta(&format!("{arch}.rope.freq_base"), Value::F32(10_000.0))
            .meta("tokenizer.ggml.model", Value::Str("gpt2".to_owned()))
            .meta("tokenizer.ggml.pre", Value::Str("smollm".to_owned()))
            .meta("tokenizer.ggml.tokens", Value::Strings(names))
            .meta("tokenizer.ggml.token_type", Value::I32s(types))
            .meta("tokenizer.ggml.merges", Value::Strings(merges()))
            .meta("tokenizer.ggml.bos_token_id", Value::U32(0))
            .meta("tokenizer.ggml.eos_token_id", Value::U32(1));
        if let Some(scale) = self.rope_scale {
            writer = writer
                .meta(&format!("{arch}.rope.scaling.type"), Value::Str("linear".to_owned()))
                .meta(&format!("{arch}.rope.scaling.factor"), Value::F32(scale));
        }
        let kv_dim = DIM / HEADS * KV_HEADS;
        let mut matrix = |writer: GgufWriter, name: &str, width: usize, rows: usize, size: f32| {
            let values = noise.take(width * rows, size);
            writer.tensor(name, &[width, rows], self.dtype, quantize(self.dtype, &values))
        };
        writer = matrix(writer, "token_embd.weight", DIM, n_vocab, 0.25);
        if !self.tied {
            writer = matrix(writer, "output.weight", DIM, n_vocab, 0.25);
        }
        for layer in 0..LAYERS {
            for (name, width, rows) in [
                ("attn_q", DIM, DIM),
                ("attn_k", DIM, kv_dim),
                ("attn_v", DIM, kv_dim),
                ("attn_output", DIM, DIM),
                ("ffn_gate", DIM, FFN),
                ("ffn_up", DIM, FFN),
                ("ffn_down", FFN, DIM),
            ] {
                writer = matrix(writer, &format!("blk.{layer}.{name}.weight"), width, rows, 0.3);
            }
        }
        let mut noise = Noise(5);
        let mut vector = |writer: GgufWriter, name: &str, len: usize, base: f32| {
            let values: Vec<f32> = noise.take(len, 0.3).iter().map(|x| base + x).collect();
            writer.tensor_f32(name, &[len], &values)
        };
        for layer in 0..LAYERS {
            for name in ["attn_norm", "ffn_norm"] {
                writer = vector(writer, &format!("blk.{layer}.{name}.weight"), DIM, 1.0);
            }
            if arch == "qwen2" {
                for (name, len) in [("attn_q", DIM), ("attn_k", kv_dim), ("attn_v", kv_dim)] {
                    writer = vector(writer, &format!("blk.{layer}.{name}.bias"), len, 0.0);
                }
            }
        }
        vector(writer, "output_norm.weight", DIM, 1.0).finish()
    }

    pub(crate) fn file(&self) -> GgufFile {
        GgufFile::from_bytes(self.bytes()).unwrap()
    }

    pub(crate) fn session(&self) -> Session {
        Session::new(&self.file(), &options()).unwrap()
    }
}

pub(crate) fn options() -> LoadOptions {
    LoadOptions { n_threads: 2, ..LoadOptions::default() }
}

/// The real model, if the environment names one.
pub(crate) fn real_model() -> Option<PathBuf> {
    let path = std::env::var_os("FOVEA_TEST_MODEL").map(PathBuf::from).filter(|p| p.is_file());
    if path.is_none() {
        eprintln!("FOVEA_TEST_MODEL names no file: using the fixture only");
    }
    path
}

/// Two special tokens, 256 bytes, and what the merges make.
fn vocabulary() -> Vec<String> {
    let mut names = vec!["<|endoftext|>".to_owned(), "<|im_end|>".to_owned()];
    names.extend((0..=255u8).map(|byte| byte_name(byte).to_string()));
    names.extend(merges().iter().map(|merge| merge.replace(' ', "")));
    names
}

fn merges() -> Vec<String> {
    let (space, newline) = (byte_name(b' '), byte_name(b'\n'));
    vec![
        format!("{space} {space}"),
        format!("{newline} {space}{space}"),
        format!("{space} r"),
        "s e".to_owned(),
        "se l".to_owned(),
        "sel f".to_owned(),
        "a r".to_owned(),
        "ar e".to_owned(),
        "are a".to_owned(),
    ]
}

/// GPT-2's printable stand-in for a byte.
fn byte_name(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let index = (0..byte).filter(|&b| !printable(b)).count() as u32;
    char::from_u32(256 + index).unwrap()
}

struct Noise(u32);

impl Noise {
    fn take(&mut self, n: usize, size: f32) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..n).map(|_| next() * size).collect()
    }
}

fn quantize(dtype: DType, values: &[f32]) -> Vec<u8> {
    use candle_core::quantized::{GgmlDType, QTensor};
    let theirs = match dtype {
        DType::F32 => GgmlDType::F32,
        DType::F16 => GgmlDType::F16,
        DType::Q4_0 => GgmlDType::Q4_0,
        DType::Q4_1 => GgmlDType::Q4_1,
        _ => GgmlDType::Q8_0,
    };
    let tensor =
        candle_core::Tensor::from_slice(values, values.len(), &candle_core::Device::Cpu).unwrap();
    QTensor::quantize(&tensor, theirs).unwrap().data().unwrap().into_owned()
}
