//! The gate on files that our own writer makes, and on damaged ones.

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

fn refusal(bytes: Vec<u8>) -> String {
    match GgufFile::from_bytes(bytes) {
        Ok(file) => panic!("accepted: {:?}", file.tensors),
        Err(err) => err.to_string(),
    }
}

fn check_refused(bytes: Vec<u8>, names: &str) {
    let message = refusal(bytes);
    assert!(message.contains(names), "`{names}` is not in: {message}");
}

/// A header with raw metadata and tensor bytes behind it.
fn raw(n_tensors: u64, n_keys: u64, rest: &[&[u8]]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(n_tensors.to_le_bytes());
    out.extend(n_keys.to_le_bytes());
    rest.iter().for_each(|part| out.extend_from_slice(part));
    out
}

fn text(text: &str) -> Vec<u8> {
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend_from_slice(text.as_bytes());
    out
}

fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    [text(name), kind.to_le_bytes().to_vec(), value.to_vec()].concat()
}

fn architecture() -> Vec<u8> {
    key("general.architecture", 8, &text("llama"))
}

fn tensor(name: &str, dims: &[u64], dtype: u32, offset: u64) -> Vec<u8> {
    let mut out = text(name);
    out.extend((dims.len() as u32).to_le_bytes());
    dims.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
    out.extend(dtype.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out
}

/// One tensor entry, then 4 KiB that could be its data.
fn one_tensor(dims: &[u64], dtype: u32, offset: u64) -> Vec<u8> {
    raw(1, 1, &[&architecture(), &tensor("w", dims, dtype, offset), &[0; 4096]])
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

#[test]
fn headers_that_lie_are_refused_with_the_field() {
    check_refused(b"GGML\x03\0\0\0".to_vec(), "magic");
    for version in [0u32, 1, 4, 3 << 24] {
        let mut bytes = tiny().finish();
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        check_refused(bytes, "version");
    }
    check_refused(raw(u64::MAX, 0, &[]), "tensor count");
    check_refused(raw(0, u64::MAX, &[]), "metadata count");
    check_refused(raw(0, 0, &[]), "general.architecture");
    check_refused(raw(0, 1, &[&u64::MAX.to_le_bytes()]), "metadata key 0");
    check_refused(raw(0, 1, &[&(1u64 << 30).to_le_bytes()]), "metadata key 0");
}

#[test]
fn metadata_that_lies_is_refused_with_the_key() {
    let with = |value: Vec<u8>| raw(0, 2, &[&architecture(), &value]);
    check_refused(with(key("k", 8, &u64::MAX.to_le_bytes())), "`k`");
    check_refused(with(key("k", 8, &(1u64 << 30).to_le_bytes())), "`k`");
    check_refused(with(key("k", 99, &[])), "value type 99");
    check_refused(with(key("k", 7, &[2])), "boolean");
    check_refused(with(key("k", 8, &[&1u64.to_le_bytes()[..], &[0xff]].concat())), "not UTF-8");
    check_refused(with(key("", 4, &[0; 4])), "the key is empty");
    check_refused(with(key("a\x1b[2J", 4, &[0; 4])), "control characters");
    check_refused(with(architecture()), "appears twice");
    let array = |kind: u32, len: u64| [&kind.to_le_bytes()[..], &len.to_le_bytes()].concat();
    check_refused(with(key("k", 9, &array(4, u64::MAX))), "count");
    check_refused(with(key("k", 9, &array(12, 1 << 24))), "`k`");
    check_refused(with(key("k", 9, &array(8, 1 << 24))), "`k`");
    check_refused(with(key("k", 9, &array(9, 65))), "arrays of arrays");
}

#[test]
fn alignments_that_divide_by_zero_or_run_away_are_refused() {
    for alignment in [0u32, 1, 3, 4, 33, 1 << 17, 1 << 31, u32::MAX] {
        let bytes = tiny().meta("general.alignment", Value::U32(alignment)).finish();
        check_refused(bytes, "general.alignment");
    }
    check_refused(
        tiny().meta("general.alignment", Value::Str("32".into())).finish(),
        "general.alignment",
    );
    GgufFile::from_bytes(tiny().meta("general.alignment", Value::U32(32)).finish()).unwrap();
}

#[test]
fn tensors_that_lie_are_refused_by_name() {
    GgufFile::from_bytes(one_tensor(&[32], 0, 0)).unwrap();
    for dims in [&[][..], &[1; 5], &[0], &[32, 0]] {
        check_refused(one_tensor(dims, 0, 0), "`w` shape");
    }
    for dims in [
        &[1 << 32][..],
        &[u64::MAX],
        &[1 << 31, 1 << 31, 1 << 31],
        &[u64::from(u32::MAX), u64::from(u32::MAX), 2],
        &[1 << 16, 1 << 16, 1 << 16, 1 << 16],
    ] {
        check_refused(one_tensor(dims, 0, 0), "`w`");
    }
    check_refused(one_tensor(&[33], 8, 0), "do not fill Q8_0 blocks");
    check_refused(one_tensor(&[128], 12, 0), "do not fill Q4_K blocks");
    for dtype in [4, 5, 9, 15, 16, 24, 29, 31, u32::MAX] {
        check_refused(one_tensor(&[256], dtype, 0), "is not supported");
    }
    for offset in [1, 31, 33] {
        check_refused(one_tensor(&[32], 0, offset), "multiple of the alignment");
    }
    for offset in [1 << 20, 1 << 63, u64::MAX - 31] {
        check_refused(one_tensor(&[32], 0, offset), "past the end");
    }
    check_refused(one_tensor(&[1 << 20], 0, 0), "past the end");

    let two = |second: Vec<u8>| {
        raw(2, 1, &[&architecture(), &tensor("w", &[32], 0, 0), &second, &[0; 4096]])
    };
    check_refused(two(tensor("w", &[32], 0, 128)), "appears twice");
    check_refused(two(tensor("v", &[32], 0, 96)), "overlap");
    check_refused(two(tensor("v", &[32], 0, 0)), "overlap");
    GgufFile::from_bytes(two(tensor("v", &[32], 0, 128))).unwrap();
}

#[test]
fn known_keys_must_make_sense_together() {
    let with = |key: &str, value| tiny().meta(key, value).finish();
    check_refused(with("llama.attention.head_count", Value::U32(0)), "head_count");
    check_refused(with("llama.embedding_length", Value::U32(0)), "embedding_length");
    check_refused(with("llama.context_length", Value::Str("long".into())), "context_length");
    check_refused(with("tokenizer.ggml.token_type", Value::I32s(vec![1])), "token_type");
    let many = Value::Strings(vec!["x".into(); 3]);
    let file = GgufWriter::new("llama").meta("tokenizer.ggml.tokens", many).tensor_f32(
        "token_embd.weight",
        &[32, 2],
        &[0.5; 64],
    );
    check_refused(file.finish(), "2 rows for a vocabulary of 3");
}

#[test]
fn values_that_are_no_numbers_are_found() {
    let with = |dtype: DType, n: usize, bytes: Vec<u8>| {
        let file = GgufWriter::new("llama").tensor("w", &[n], dtype, bytes).finish();
        GgufFile::from_bytes(file).unwrap().check_weights()
    };
    with(DType::F32, 1, f32::NAN.to_le_bytes().to_vec()).unwrap_err();
    with(DType::F32, 1, f32::INFINITY.to_le_bytes().to_vec()).unwrap_err();
    with(DType::F32, 1, f32::MAX.to_le_bytes().to_vec()).unwrap();
    with(DType::F16, 1, 0x7c00u16.to_le_bytes().to_vec()).unwrap_err();
    with(DType::BF16, 1, 0x7fc0u16.to_le_bytes().to_vec()).unwrap_err();
    for (dtype, _) in DType::ALL {
        for at in dtype.scale_offsets() {
            let mut block = vec![0; dtype.block_bytes()];
            with(dtype, dtype.block_elements(), block.clone()).unwrap();
            block[at + 1] = 0xfc; // minus infinity
            with(dtype, dtype.block_elements(), block).unwrap_err();
        }
    }
}

#[test]
fn wrong_types_are_errors_that_name_both_types() {
    let file = GgufFile::from_bytes(tiny().finish()).unwrap();
    let message = file.str("llama.block_count").unwrap_err().to_string();
    assert!(message.contains("an unsigned integer, expected a string"), "{message}");
    file.u32("llama.rope.freq_base").unwrap_err();
    file.bool("llama.block_count").unwrap_err();
    file.strings("tokenizer.ggml.scores").unwrap_err();
    assert!(file.numbers("tokenizer.ggml.tokens").is_err());
}

/// Whatever is changed in the file, opening and reading all of it neither panics nor overreaches.
#[test]
fn mutants_are_refused_or_readable() {
    let original = tiny().finish();
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let (mut n_refused, mut n_accepted) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = original.clone();
        for _ in 0..1 + next() % 3 {
            let at = next() % bytes.len();
            match next() % 4 {
                0 => bytes[at] = next() as u8,
                1 => bytes[at] ^= 1 << (next() % 8),
                2 => {
                    let field = [0, 1, u64::MAX, 1 << 63, 1 << 31, 255][next() % 6].to_le_bytes();
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].copy_from_slice(&field[..end - at]);
                }
                _ => {
                    let len = (next() % 16).min(bytes.len() - at);
                    bytes.drain(at..at + len);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let Ok(file) = GgufFile::from_bytes(bytes) else {
            n_refused += 1;
            continue;
        };
        n_accepted += 1;
        for key in file.keys() {
            let _ = (file.str(key), file.u32(key), file.f32(key), file.bool(key));
            let _ = file.strings(key).map(|strings| strings.map(Iterator::count));
            let _ = file.numbers(key).map(|numbers| numbers.map(Iterator::count));
        }
        for tensor in file.tensors() {
            let info = tensor.info;
            let blocks = info.n_elements() / info.dtype.block_elements();
            assert_eq!(tensor.bytes.len(), blocks * info.dtype.block_bytes());
        }
        let _ = file.check_weights();
        let _ = crate::Tokenizer::from_gguf(&file);
        let _ = crate::family::detect(&file);
    }
    assert!(n_refused > 1_000 && n_accepted > 100, "{n_refused} refused, {n_accepted} accepted");
}

#[cfg(unix)]
#[test]
fn what_is_not_a_plain_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let message = GgufFile::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("not a regular file"), "{message}");
    let message = GgufFile::open(&folder.path().join("none")).unwrap_err().to_string();
    assert!(message.contains("none"), "{message}");
    let short = folder.path().join("short.gguf");
    std::fs::write(&short, b"GG").unwrap();
    let message = GgufFile::open(&short).unwrap_err().to_string();
    assert!(message.contains("only 2 bytes"), "{message}");
}
