//! Token for token against the `tokenizers` crate, on this crate's own sources and on hard text.

use std::path::PathBuf;

use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{PreTokenizerWrapper, Tokenizer as Reference};

use super::*;
use crate::gguf::writer::{GgufWriter, Value};

/// The pre-tokenizer of a family as its `tokenizer.json` states it.
fn reference_pre(pre: &str) -> Vec<PreTokenizerWrapper> {
    let split = |pattern: &str| -> PreTokenizerWrapper {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        Split::new(pattern, SplitDelimiterBehavior::Isolated, false).unwrap().into()
    };
    let bytes =
        |use_regex| -> PreTokenizerWrapper { ByteLevel::new(false, false, use_regex).into() };
    let cl100k = |digits: &str| {
        split(&format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ))
    };
    match pre {
        "default" => vec![bytes(true)],
        "smollm" | "starcoder" => vec![Digits::new(true).into(), bytes(true)],
        "qwen2" => vec![cl100k(r"\p{N}"), bytes(false)],
        "llama-bpe" => vec![cl100k(r"\p{N}{1,3}"), bytes(false)],
        "deepseek-coder" => vec![
            split(r"[\r\n]"),
            split(r"\s?\p{L}+"),
            split(r"\s?\p{P}+"),
            split(r"[一-龥ࠀ-一가-퟿]+"),
            Digits::new(true).into(),
            bytes(false),
        ],
        other => panic!("no reference for {other}"),
    }
}

/// A byte-level vocabulary with merges learned from `text`, ranked by frequency: small, but with
/// the same traps as a real one (merges inside words, over blanks, of newlines and indentation).
fn learned_merges(text: &str, n_merges: usize) -> (Vec<String>, Vec<String>) {
    let alphabet = byte_alphabet();
    let mut words: FxHashMap<Vec<String>, usize> = FxHashMap::default();
    Pre::Gpt2.split(text, &mut |piece| {
        let word = piece.bytes().map(|byte| alphabet[usize::from(byte)].to_string()).collect();
        *words.entry(word).or_default() += 1;
    });
    let mut vocabulary: Vec<String> = alphabet.iter().map(char::to_string).collect();
    let mut merges = Vec::new();
    for _ in 0..n_merges {
        let mut pairs: FxHashMap<(&str, &str), usize> = FxHashMap::default();
        for (word, n) in &words {
            for pair in word.windows(2) {
                *pairs.entry((&pair[0], &pair[1])).or_default() += n;
            }
        }
        let Some(((left, right), _)) =
            pairs.iter().max_by_key(|(pair, n)| (**n, std::cmp::Reverse(**pair)))
        else {
            break;
        };
        let (left, right) = ((*left).to_owned(), (*right).to_owned());
        let joined = format!("{left}{right}");
        words = words
            .into_iter()
            .map(|(word, n)| {
                let mut merged: Vec<String> = Vec::with_capacity(word.len());
                let mut at = 0;
                while at < word.len() {
                    if at + 1 < word.len() && word[at] == left && word[at + 1] == right {
                        merged.push(joined.clone());
                        at += 2;
                    } else {
                        merged.push(word[at].clone());
                        at += 1;
                    }
                }
                (merged, n)
            })
            .collect();
        merges.push(format!("{left} {right}"));
        if !vocabulary.contains(&joined) {
            vocabulary.push(joined);
        }
    }
    (vocabulary, merges)
}

fn reference_bpe(vocabulary: &[String], merges: &[String]) -> BPE {
    let vocabulary: tokenizers::models::bpe::Vocab =
        vocabulary.iter().zip(0..).map(|(token, id)| (token.clone(), id)).collect();
    let merges = merges
        .iter()
        .map(|line| {
            let (left, right) = line.split_once(' ').unwrap();
            (left.to_owned(), right.to_owned())
        })
        .collect();
    BPE::builder().vocab_and_merges(vocabulary, merges).build().unwrap()
}

/// Rust sources: this crate's own, and with `FOVEA_TEST_SOURCES` whatever lies below that folder.
fn sources() -> Vec<String> {
    let root = std::env::var_os("FOVEA_TEST_SOURCES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"), PathBuf::from);
    let mut folders = vec![root];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && let Ok(text) = std::fs::read_to_string(entry.path())
            {
                texts.push(text);
            }
        }
    }
    texts
}

/// Text that pre-tokenizers disagree about.
fn hard_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\n",
        "a",
        "  a",
        "\t\tif x:\r\n\t\t\treturn 1\r\n\r\n\r\n",
        "don't I'LL we'Ve 's 'ſx can'T",
        "x=10203 y = 0x1F_u64 ½ Ⅷ ٣٤٥ 一二三 12三",
        "fn main() {\n    let s = \"héllo wörld\";\n}\n",
        "日本語テキスト 한국어 עברית العربية ไทย",
        "e\u{301}a\u{300}\u{200d}👩‍👩‍👧‍👧 🏳️‍🌈 \u{feff}",
        "a\u{a0}b\u{2003}c\u{3000}d\u{85}e\u{2028}f",
        "<|endoftext|><repo_name>x<file_sep>",
        "   \n   \n\n  x   \n",
        "a  \r\n\r b\u{b}c\u{c}d",
        "!!!\n\n\n///---///\n\n",
        "snake_case CamelCase SCREAMING_CASE kebab-case a.b::c->d",
        "$x €100 £5 ±3 ∑∏ ←→ «q» “q”…",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("^".repeat(5_000));
    texts.push("a".repeat(5_000));
    texts.push(" ".repeat(5_000));
    texts.push("ab ".repeat(2_000) + "\n" + &"  ".repeat(50));
    texts
}

fn random_texts(n: usize) -> Vec<String> {
    const PARTS: &[&str] = &[
        "a", "B", "é", "ß", "ſ", "1", "٣", "½", "一", "ࠀ", "한", " ", "  ", "\n", "\r\n", "\t",
        "\r", "\u{a0}", "\u{2028}", "'", "'s", "'LL", "_", "(", ")", "=", "<", "€", "👩",
        "\u{301}", "\u{200d}", "let", "self", "\u{0}", "\u{7f}", "ª", "ⅷ", "…", "\\",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    (0..n).map(|_| (0..next(24)).map(|_| PARTS[next(PARTS.len())]).collect()).collect()
}

fn check_same(name: &str, tokenizer: &Tokenizer, reference: &Reference, texts: &[String]) {
    for text in texts {
        let ours = tokenizer.encode(text);
        let theirs = reference.encode_fast(text.as_str(), false).unwrap();
        if ours != theirs.get_ids() {
            let at = ours.iter().zip(theirs.get_ids()).take_while(|(a, b)| a == b).count();
            let before = tokenizer.decode_bytes(&ours[..at]);
            let names = |ids: &[u32]| -> Vec<String> {
                let ids = ids.iter().skip(at).take(6);
                ids.map(|id| tokenizer.token_name(*id).unwrap_or("?").to_owned()).collect()
            };
            panic!(
                "{name}: after {:?}: ours {:?}, reference {:?}",
                String::from_utf8_lossy(&before[before.len().saturating_sub(60)..]),
                names(&ours),
                names(theirs.get_ids()),
            );
        }
        // What the vocabulary cannot hold is lost in the reference too.
        let lacks = |char: char| char.is_control() && !matches!(char, '\n' | '\t' | '\r');
        if !text.contains(lacks) {
            let decoded = String::from_utf8(tokenizer.decode_bytes(&ours)).unwrap();
            let blank = |text: &str| text.replace(BLANK, " ");
            assert!(blank(&decoded) == blank(text), "{name}: round trip of {text:.60?}");
        }
        assert_eq!(tokenizer.count(text), ours.len());
    }
}

fn gpt2_file(pre: &str, tokens: Vec<String>, types: Vec<i32>, merges: Vec<String>) -> Vec<u8> {
    GgufWriter::new("llama")
        .meta("tokenizer.ggml.model", Value::Str("gpt2".into()))
        .meta("tokenizer.ggml.pre", Value::Str(pre.into()))
        .meta("tokenizer.ggml.tokens", Value::Strings(tokens))
        .meta("tokenizer.ggml.token_type", Value::I32s(types))
        .meta("tokenizer.ggml.merges", Value::Strings(merges))
        .finish()
}

#[test]
fn byte_level_equals_the_reference() {
    let mut texts = hard_texts();
    texts.extend(random_texts(3_000));
    texts.extend(sources());
    let training: String =
        sources().iter().flat_map(|text| text.chars().take(4_000)).take(60_000).collect();
    let (vocabulary, merges) = learned_merges(&training, 300);
    for pre in ["default", "smollm", "starcoder", "qwen2", "llama-bpe", "deepseek-coder"] {
        let types = vec![1; vocabulary.len()];
        let file = gpt2_file(pre, vocabulary.clone(), types, merges.clone());
        let tokenizer = Tokenizer::from_gguf(&GgufFile::from_bytes(file).unwrap()).unwrap();
        let mut reference = Reference::new(reference_bpe(&vocabulary, &merges));
        reference.with_pre_tokenizer(Some(Sequence::new(reference_pre(pre))));
        check_same(pre, &tokenizer, &reference, &texts);
    }
}

/// SentencePiece pieces learned as above, with the merges that converters list for them: every way
/// to cut a piece in two, in the order of the pieces' scores.
#[test]
fn sentence_piece_equals_the_reference() {
    let training: String =
        sources().iter().flat_map(|text| text.chars().take(4_000)).take(60_000).collect();
    let (_, learned) = learned_merges(&training, 400);
    let spell = |token: &str| -> Option<String> {
        // Only what is whole text; a byte-level blank is the stand-in for 0x20.
        token.chars().all(|c| c == 'Ġ' || c.is_ascii_graphic()).then(|| token.replace('Ġ', "▁"))
    };
    let mut pieces: Vec<String> = Vec::new();
    let ascii = (0x21..0x7f).map(|byte| char::from(byte).to_string());
    for piece in learned.iter().filter_map(|line| spell(&line.replace(' ', ""))) {
        if !pieces.contains(&piece) {
            pieces.push(piece);
        }
    }
    let n_learned = pieces.len();
    pieces.extend(ascii.chain(["▁".into(), "é".into(), "日".into()]));

    let mut names: Vec<String> = vec!["<unk>".into(), "<s>".into(), "</s>".into()];
    names.extend((0..=255).map(|byte| format!("<0x{byte:02X}>")));
    let mut types = [vec![2, 3, 3], vec![6; 256]].concat();
    let mut scores = vec![0.0; names.len()];
    for (rank, piece) in pieces.iter().enumerate() {
        names.push(piece.clone());
        types.push(1);
        scores.push(-(rank as f32));
    }
    let file = GgufWriter::new("llama")
        .meta("tokenizer.ggml.model", Value::Str("llama".into()))
        .meta("tokenizer.ggml.tokens", Value::Strings(names.clone()))
        .meta("tokenizer.ggml.token_type", Value::I32s(types))
        .meta("tokenizer.ggml.scores", Value::F32s(scores))
        .meta("tokenizer.ggml.bos_token_id", Value::U32(1))
        .finish();
    let tokenizer = Tokenizer::from_gguf(&GgufFile::from_bytes(file).unwrap()).unwrap();

    let mut merges = Vec::new();
    for piece in &pieces[..n_learned] {
        for (at, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(at);
            if pieces.iter().any(|p| p == left) && pieces.iter().any(|p| p == right) {
                merges.push((left.to_owned(), right.to_owned()));
            }
        }
    }
    let vocabulary: tokenizers::models::bpe::Vocab =
        names.iter().zip(0..).map(|(name, id)| (name.clone(), id)).collect();
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .byte_fallback(true)
        .unk_token("<unk>".into())
        .build()
        .unwrap();
    let mut reference = Reference::new(model);
    reference
        .with_normalizer(Some(tokenizers::normalizers::replace::Replace::new(" ", "▁").unwrap()));
    let mut texts = hard_texts();
    texts.extend(random_texts(2_000));
    texts.extend(sources().into_iter().map(|text| text.chars().take(20_000).collect()));
    check_same("llama", &tokenizer, &reference, &texts);

    assert_eq!(tokenizer.special("<s>"), Some(1));
    assert_eq!(tokenizer.special("a"), None);
    assert!(!tokenizer.encode("<s></s><0x41>").iter().any(|id| tokenizer.is_special(*id)));
    assert_eq!(tokenizer.decode_bytes(&tokenizer.encode_document("ab")), b" ab");
}

#[test]
fn special_tokens_never_come_out_of_text() {
    let (mut tokens, merges) = learned_merges("endoftext fim_prefix", 20);
    let mut types = vec![1; tokens.len()];
    let specials = ["<|endoftext|>", "<fim_prefix>", "<file_sep>", "<|tool|>"];
    for (at, special) in specials.iter().enumerate() {
        tokens.push((*special).to_owned());
        types.push(if at % 2 == 0 { 3 } else { 4 });
    }
    let file = gpt2_file("qwen2", tokens, types, merges);
    let tokenizer = Tokenizer::from_gguf(&GgufFile::from_bytes(file).unwrap()).unwrap();
    for special in specials {
        let id = tokenizer.special(special).expect(special);
        assert!(tokenizer.is_special(id));
        assert_eq!(tokenizer.token_bytes(id), b"");
        let ids = tokenizer.encode(&format!("a{special}b"));
        assert!(!ids.contains(&id), "{special}");
        assert_eq!(tokenizer.decode_bytes(&ids), format!("a{special}b").as_bytes());
    }
}

#[test]
fn a_word_of_a_megabyte_takes_a_moment() {
    let (tokens, merges) = learned_merges(&"aaaa abab ^^^^ ".repeat(50), 40);
    let types = vec![1; tokens.len()];
    let file = gpt2_file("qwen2", tokens, types, merges);
    let tokenizer = Tokenizer::from_gguf(&GgufFile::from_bytes(file).unwrap()).unwrap();
    for text in ["a".repeat(1 << 20), "^".repeat(1 << 20), "ab".repeat(1 << 19)] {
        let start = std::time::Instant::now();
        assert_eq!(tokenizer.decode_bytes(&tokenizer.encode(&text)), text.as_bytes());
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}

#[test]
fn broken_vocabularies_are_refused() {
    let (tokens, merges) = learned_merges("ab ab", 2);
    let build = |tokens: Vec<String>, merges: Vec<String>, pre: &str| {
        let types = vec![1; tokens.len()];
        let file = GgufFile::from_bytes(gpt2_file(pre, tokens, types, merges)).unwrap();
        Tokenizer::from_gguf(&file).map(|_| ()).map_err(|err| err.to_string())
    };
    build(tokens.clone(), merges.clone(), "smollm").unwrap();
    let without = |name: &str| tokens.iter().filter(|token| *token != name).cloned().collect();
    let error = build(without("a"), merges.clone(), "smollm").unwrap_err();
    assert!(error.contains("no token for byte 97"), "{error}");
    build(without("Ā"), merges.clone(), "smollm").expect("no text holds a zero byte");
    let error = build(tokens.clone(), vec!["ab".into()], "smollm").unwrap_err();
    assert!(error.contains("merge 0"), "{error}");
    let error = build(tokens, merges, "klingon").unwrap_err();
    assert!(error.contains("`klingon`"), "{error}");
    let error = build(Vec::new(), Vec::new(), "smollm").unwrap_err();
    assert!(error.contains("empty"), "{error}");
}

/// The real default model where it is installed (`FOVEA_TEST_MODEL`); says so where it is not.
#[test]
fn the_default_model_has_the_vocabulary_that_its_family_names() {
    let Some(path) = std::env::var_os("FOVEA_TEST_MODEL") else {
        eprintln!("FOVEA_TEST_MODEL is not set: the fixtures above stand in for the real model");
        return;
    };
    let file = GgufFile::open(path.as_ref()).unwrap();
    file.check_weights().unwrap();
    let tokenizer = Tokenizer::from_gguf(&file).unwrap();
    let family = crate::family::detect(&file).unwrap();
    assert_eq!(family.name, "smollm2");
    let repo = family.repo.unwrap();
    for name in family.stop.iter().chain(repo.repo_name.iter()).chain([&repo.file_sep]) {
        assert!(tokenizer.special(name).is_some(), "{name}");
    }
    let merges: Vec<String> =
        file.strings("tokenizer.ggml.merges").unwrap().unwrap().map(str::to_owned).collect();
    let names: Vec<String> =
        file.strings("tokenizer.ggml.tokens").unwrap().unwrap().map(str::to_owned).collect();
    let mut reference = Reference::new(reference_bpe(&names, &merges));
    reference.with_pre_tokenizer(Some(Sequence::new(reference_pre("smollm"))));
    let mut texts = hard_texts();
    texts.extend(random_texts(3_000));
    texts.extend(sources());
    let n_lines: usize = texts.iter().map(|text| text.lines().count()).sum();
    check_same("default model", &tokenizer, &reference, &texts);
    eprintln!("{n_lines} lines, token for token");
}
