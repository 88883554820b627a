use super::writer::{GgufWriter, Value};
use super::*;

fn tiny() -> GgufWriter {
    GgufWriter::new("llama")
        .meta("llama.block_count", Value::U32(1))
        .meta("llama.rope.freq_base", Value::F32(10_000.0))
        .meta("tokenizer.ggml.tokens", Value::Strings(vec!["a".into(), "b".into()]))
        .meta("tokenizer.ggml.scores", Value::F32s(vec![0.0, -1.0]))
        .tensor_f32("token_embd.weight", &[32, 2], &[0.5; 64])
        .tensor("blk.0.w", &[32, 1], DType::Q8_0, vec![0; 34])
}

#[test]
fn a_written_file_reads_back() {
    let file = GgufFile::from_bytes(tiny().finish()).unwrap();
    assert_eq!(file.architecture(), "llama");
    assert_eq!(file.u32("llama.block_count").unwrap(), Some(1));
    assert_eq!(file.f32("llama.rope.freq_base").unwrap(), Some(10_000.0));
    assert_eq!(file.u32("no such key").unwrap(), None);
    let tokens: Vec<_> = file.strings("tokenizer.ggml.tokens").unwrap().unwrap().collect();
    assert_eq!(tokens, ["a", "b"]);
    let tensor = file.tensor("token_embd.weight").unwrap();
    assert_eq!((tensor.info.shape.as_slice(), tensor.bytes.len()), (&[32, 2][..], 256));
    assert_eq!(tensor.bytes[..4], 0.5f32.to_le_bytes());
    assert_eq!(file.tensor("blk.0.w").unwrap().bytes.len(), 34);
    file.check_weights().unwrap();
}

#[test]
fn every_truncation_is_refused() {
    let bytes = tiny().finish();
    for len in 0..bytes.len() {
        GgufFile::from_bytes(bytes[..len].to_vec()).unwrap_err();
    }
}
