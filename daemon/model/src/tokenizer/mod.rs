//! Text to token ids and back, from the vocabulary that the GGUF file carries.
//!
//! Two kinds of vocabulary cover the families in [`crate::family`]: byte-level byte pair encoding
//! with ranked merges (`gpt2`) and SentencePiece byte pair encoding with scored pieces (`llama`).
//!
//! Repository text never turns into a special token: [`Tokenizer::encode`] knows ordinary tokens
//! only, and special tokens are reached by name through [`Tokenizer::special`], which the prompt
//! renderer calls with names from the family table.

mod class;
mod merge;
mod split;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use crate::gguf::{GgufError, GgufFile};
use merge::Merge;
use split::Pre;

/// Why no tokenizer could be built.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error(transparent)]
    Gguf(#[from] GgufError),
    #[error("tokenizer of kind `{kind}` is not supported (known: gpt2, llama); pick another model")]
    Kind { kind: String },
    #[error("pre-tokenizer `{name}` is not supported; pick another model or file an issue")]
    Pre { name: String },
    #[error("tokenizer refused: {reason}; fetch the model again or pick another one")]
    Refused { reason: String },
}

/// Immutable and cheap to share; encoding allocates only its result.
pub struct Tokenizer {
    /// What each token stands for; empty for special tokens.
    bytes: Vec<Box<[u8]>>,
    /// The vocabulary entry as written in the file.
    names: Vec<Box<str>>,
    special: Vec<bool>,
    by_name: FxHashMap<Box<str>, u32>,
    encoder: Encoder,
    /// Ordinary text that is a token of its own outside all merging, longest first.
    verbatim: Vec<(Box<str>, u32)>,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
    space_prefix: bool,
}

enum Encoder {
    ByteLevel { pre: Pre, byte_ids: Box<[u32; 256]>, merges: FxHashMap<(u32, u32), Merge> },
    SentencePiece(SentencePiece),
}

struct SentencePiece {
    /// Pieces by text, `▁` for a blank.
    ids: FxHashMap<Box<str>, u32>,
    merges: FxHashMap<(u32, u32), Merge>,
    byte_ids: Box<[u32; 256]>,
}

/// `tokenizer.ggml.token_type`.
const NORMAL: u8 = 1;
const UNKNOWN: u8 = 2;
const CONTROL: u8 = 3;
const USER_DEFINED: u8 = 4;
const UNUSED: u8 = 5;
const BYTE: u8 = 6;

/// Vocabularies learned from text may lack bytes that never occurred, such as control characters
/// (SmolLM2 lacks 21). The reference drops them, and so do we.
const NO_TOKEN: u32 = u32::MAX;

const MAX_TOKEN_BYTES: usize = 4096;
const BLANK: char = '▁';

impl Tokenizer {
    /// Reads `tokenizer.ggml.*`.
    ///
    /// # Errors
    /// Names the metadata that is missing, of the wrong type or contradictory.
    pub fn from_gguf(file: &GgufFile) -> Result<Self, TokenizerError> {
        let kind = file.require_str("tokenizer.ggml.model", "the tokenizer")?;
        let tokens = file.strings("tokenizer.ggml.tokens")?.ok_or_else(|| GgufError::Missing {
            key: "tokenizer.ggml.tokens".to_owned(),
            needed_for: "the tokenizer",
        })?;
        let names: Vec<Box<str>> = tokens.map(Box::from).collect();
        if names.is_empty() {
            return Err(refused("the vocabulary is empty"));
        }
        if let Some(id) = names.iter().position(|name| name.len() > MAX_TOKEN_BYTES) {
            return Err(refused(format!("token {id} has over {MAX_TOKEN_BYTES} bytes")));
        }
        let types: Vec<u8> = match file.numbers("tokenizer.ggml.token_type")? {
            Some(types) => types.map(|kind| kind as u8).collect(),
            None => vec![NORMAL; names.len()],
        };
        let special: Vec<bool> = names
            .iter()
            .zip(&types)
            .map(|(name, kind)| match *kind {
                CONTROL | UNKNOWN | UNUSED => true,
                USER_DEFINED => looks_special(name),
                _ => false,
            })
            .collect();
        let mut by_name = FxHashMap::default();
        for (id, name) in names.iter().enumerate() {
            by_name.entry(name.clone()).or_insert(id as u32);
        }

        let (bytes, encoder) = match kind {
            "gpt2" => byte_level(file, &names, &types, &special, &by_name)?,
            "llama" => sentence_piece(file, &names, &types, &special)?,
            _ => return Err(TokenizerError::Kind { kind: kind.to_owned() }),
        };
        let mut verbatim: Vec<(Box<str>, u32)> = (0..names.len())
            .filter(|id| types[*id] == USER_DEFINED && !special[*id] && !names[*id].is_empty())
            .filter(|id| kind == "llama" || names[*id].trim().is_empty())
            .filter_map(|id| Some((std::str::from_utf8(&bytes[id]).ok()?.into(), id as u32)))
            .collect();
        verbatim.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));

        let id = |key: &str| -> Result<Option<u32>, TokenizerError> {
            match file.u32(key)? {
                Some(id) if id as usize >= names.len() => {
                    Err(refused(format!("`{key}` is {id}, the vocabulary has {}", names.len())))
                }
                id => Ok(id),
            }
        };
        let bos = id("tokenizer.ggml.bos_token_id")?;
        let eos = id("tokenizer.ggml.eos_token_id")?;
        let add_bos = file.bool("tokenizer.ggml.add_bos_token")?.unwrap_or(kind == "llama");
        let space_prefix =
            kind == "llama" && file.bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
        Ok(Self {
            bytes,
            names,
            special,
            by_name,
            encoder,
            verbatim,
            bos,
            eos,
            add_bos,
            space_prefix,
        })
    }

    /// Ordinary tokens of `text`, whatever it spells: `<|endoftext|>` in a source file is text.
    ///
    /// Encodes a continuation: nothing is put in front, so `decode_bytes` gives `text` back, save
    /// what the vocabulary cannot hold (bytes it lacks; SentencePiece takes `▁` for a blank). A
    /// document's first piece may want [`Self::encode_document`].
    #[must_use]
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::with_capacity(text.len() / 3 + 1);
        self.encode_into(text, &mut out);
        out
    }

    /// [`Self::encode`] with the blank in front that SentencePiece families train documents with.
    #[must_use]
    pub fn encode_document(&self, text: &str) -> Vec<u32> {
        if self.space_prefix && !text.is_empty() {
            self.encode(&format!(" {text}"))
        } else {
            self.encode(text)
        }
    }

    fn encode_into(&self, mut text: &str, out: &mut Vec<u32>) {
        if self.verbatim.is_empty() {
            return self.encode_ordinary(text, out);
        }
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            match self.verbatim.iter().find(|(token, _)| rest.starts_with(&**token)) {
                Some((token, id)) => {
                    self.encode_ordinary(&text[..at], out);
                    out.push(*id);
                    text = &rest[token.len()..];
                    at = 0;
                }
                None => at += rest.chars().next().map_or(1, char::len_utf8),
            }
        }
        self.encode_ordinary(text, out);
    }

    fn encode_ordinary(&self, text: &str, out: &mut Vec<u32>) {
        match &self.encoder {
            Encoder::ByteLevel { pre, byte_ids, merges } => {
                let mut symbols = Vec::new();
                pre.split(text, &mut |piece| {
                    symbols.clear();
                    let ids = piece.bytes().map(|byte| byte_ids[usize::from(byte)]);
                    symbols.extend(ids.filter(|id| *id != NO_TOKEN));
                    merge::merge(&mut symbols, |left, right| merges.get(&(left, right)).copied());
                    out.extend_from_slice(&symbols);
                });
            }
            Encoder::SentencePiece(pieces) => pieces.encode(text, out),
        }
    }

    /// The number of tokens of [`Self::encode`].
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.encode(text).len()
    }

    /// The special token of that name, as the vocabulary spells it (`<|endoftext|>`, `▁<PRE>`).
    ///
    /// `None` for ordinary tokens: names come from the family table, and a table entry that names
    /// ordinary text would be a mistake.
    #[must_use]
    pub fn special(&self, name: &str) -> Option<u32> {
        let id = *self.by_name.get(name)?;
        (self.special[id as usize] || looks_special(name)).then_some(id)
    }

    /// Whether the token controls the model instead of standing for text.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }

    /// The text a token stands for, as bytes: a token may end inside a character. Empty for special
    /// and unknown ids.
    #[must_use]
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// The vocabulary entry as the file spells it, for people and for tables.
    #[must_use]
    pub fn token_name(&self, id: u32) -> Option<&str> {
        self.names.get(id as usize).map(|name| &**name)
    }

    #[must_use]
    pub fn decode_bytes(&self, ids: &[u32]) -> Vec<u8> {
        ids.iter().flat_map(|id| self.token_bytes(*id)).copied().collect()
    }

    #[must_use]
    pub fn n_vocab(&self) -> usize {
        self.names.len()
    }

    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Whether prompts of this model start with [`Self::bos`].
    #[must_use]
    pub fn add_bos(&self) -> bool {
        self.add_bos
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("n_vocab", &self.n_vocab()).finish_non_exhaustive()
    }
}

type Parts = (Vec<Box<[u8]>>, Encoder);

fn byte_level(
    file: &GgufFile,
    names: &[Box<str>],
    types: &[u8],
    special: &[bool],
    by_name: &FxHashMap<Box<str>, u32>,
) -> Result<Parts, TokenizerError> {
    let pre = file.str("tokenizer.ggml.pre")?.unwrap_or("default");
    let pre = Pre::from_name(pre).ok_or_else(|| TokenizerError::Pre { name: pre.to_owned() })?;

    let alphabet = byte_alphabet();
    let by_char: FxHashMap<char, u8> =
        (0..=255u8).map(|byte| (alphabet[usize::from(byte)], byte)).collect();
    let bytes = (0..names.len())
        .map(|id| {
            if special[id] {
                return Box::default();
            }
            let mapped: Option<Vec<u8>> = match types[id] {
                USER_DEFINED => None, // written as plain text
                _ => names[id].chars().map(|char| by_char.get(&char).copied()).collect(),
            };
            mapped.unwrap_or_else(|| names[id].as_bytes().to_vec()).into()
        })
        .collect();

    let mut byte_ids = Box::new([NO_TOKEN; 256]);
    for (byte, char) in alphabet.iter().enumerate() {
        if let Some(id) = by_name.get(char.encode_utf8(&mut [0; 4]) as &str) {
            byte_ids[byte] = *id;
        } else if matches!(byte as u8, b'\t' | b'\n' | b' '..=b'~') {
            return Err(refused(format!("the vocabulary has no token for byte {byte}")));
        }
    }

    let lines = file.strings("tokenizer.ggml.merges")?.ok_or_else(|| GgufError::Missing {
        key: "tokenizer.ggml.merges".to_owned(),
        needed_for: "the tokenizer",
    })?;
    let mut merges = FxHashMap::default();
    merges.reserve(lines.len());
    let mut joined = String::new();
    for (rank, line) in lines.enumerate() {
        // The first blank may be part of the left side only at its start.
        let cut = line.char_indices().skip(1).find(|(_, char)| *char == ' ').map(|(at, _)| at);
        let Some((left, right)) = cut.map(|at| (&line[..at], &line[at + 1..])) else {
            return Err(refused(format!("merge {rank} is not two tokens")));
        };
        joined.clear();
        joined.push_str(left);
        joined.push_str(right);
        // Converters keep merges whose tokens were pruned from the vocabulary: they never apply.
        let (Some(&left), Some(&right), Some(&id)) =
            (by_name.get(left), by_name.get(right), by_name.get(&*joined))
        else {
            continue;
        };
        if special[id as usize] {
            return Err(refused(format!("merge {rank} makes the special token `{joined}`")));
        }
        merges.entry((left, right)).or_insert(Merge { priority: rank as u32, id });
    }
    Ok((bytes, Encoder::ByteLevel { pre, byte_ids, merges }))
}

fn sentence_piece(
    file: &GgufFile,
    names: &[Box<str>],
    types: &[u8],
    special: &[bool],
) -> Result<Parts, TokenizerError> {
    let scores: Vec<f64> = file
        .numbers("tokenizer.ggml.scores")?
        .ok_or_else(|| GgufError::Missing {
            key: "tokenizer.ggml.scores".to_owned(),
            needed_for: "the tokenizer",
        })?
        .collect();
    if scores.iter().any(|score| score.is_nan()) {
        return Err(refused("a score is not a number"));
    }

    let mut byte_ids = Box::new([NO_TOKEN; 256]);
    let mut bytes: Vec<Box<[u8]>> = Vec::with_capacity(names.len());
    let mut ids: FxHashMap<Box<str>, u32> = FxHashMap::default();
    for (id, name) in names.iter().enumerate() {
        bytes.push(if types[id] == BYTE {
            let byte = name
                .strip_prefix("<0x")
                .and_then(|hex| u8::from_str_radix(hex.strip_suffix('>')?, 16).ok())
                .ok_or_else(|| refused(format!("byte token {id} is not of the form `<0x00>`")))?;
            byte_ids[usize::from(byte)] = id as u32;
            Box::new([byte])
        } else if special[id] {
            Box::default()
        } else {
            ids.entry(name.clone()).or_insert(id as u32);
            name.replace(BLANK, " ").into_bytes().into()
        });
    }
    if let Some(byte) = byte_ids.iter().position(|id| *id == NO_TOKEN) {
        return Err(refused(format!("the vocabulary has no token for byte {byte}")));
    }

    // Priority of a piece: the best score first. Equal scores share a priority, then the left wins.
    let mut order: Vec<u32> = ids.values().copied().collect();
    let score = |id: u32| scores[id as usize];
    order.sort_by(|a, b| score(*b).total_cmp(&score(*a)));
    let mut priority = vec![0; names.len()];
    let mut rank = 0;
    for (at, id) in order.iter().enumerate() {
        if at > 0 && score(order[at - 1]) > score(*id) {
            rank += 1;
        }
        priority[*id as usize] = rank;
    }
    // Every way to cut a piece into two pieces is a merge.
    let mut merges = FxHashMap::default();
    for (name, id) in &ids {
        for (at, _) in name.char_indices().skip(1) {
            if let (Some(left), Some(right)) = (ids.get(&name[..at]), ids.get(&name[at..])) {
                let merge = Merge { priority: priority[*id as usize], id: *id };
                merges.insert((*left, *right), merge);
            }
        }
    }
    Ok((bytes, Encoder::SentencePiece(SentencePiece { ids, merges, byte_ids })))
}

impl SentencePiece {
    fn encode(&self, text: &str, out: &mut Vec<u32>) {
        // A character outside the vocabulary merges with nothing: it splits the text, and becomes
        // its bytes.
        let mut symbols = Vec::new();
        let flush = |symbols: &mut Vec<u32>, out: &mut Vec<u32>| {
            merge::merge(symbols, |left, right| self.merges.get(&(left, right)).copied());
            out.append(symbols);
        };
        let mut buffer = [0; 4];
        for char in text.chars() {
            let written = if char == ' ' { BLANK } else { char };
            match self.ids.get(written.encode_utf8(&mut buffer) as &str) {
                Some(id) => symbols.push(*id),
                None => {
                    flush(&mut symbols, out);
                    let raw = char.encode_utf8(&mut buffer).bytes();
                    out.extend(raw.map(|byte| self.byte_ids[usize::from(byte)]));
                }
            }
        }
        flush(&mut symbols, out);
    }
}

/// Whether a vocabulary entry is shaped like a token that steers the model. Converters mark some of
/// these as ordinary "user defined" text; none of them may ever come out of a source file.
fn looks_special(name: &str) -> bool {
    let body = name.trim_start_matches(BLANK);
    let bracketed = |open: &str, close: &str| {
        body.len() > open.len() + close.len() && body.starts_with(open) && body.ends_with(close)
    };
    bracketed("<|", "|>")
        || bracketed("<｜", "｜>")
        || bracketed("<fim", ">")
        || bracketed("<unused", ">")
        || ["<PRE>", "<SUF>", "<MID>", "<EOT>", "<s>", "</s>", "<bos>", "<eos>", "<pad>", "<unk>"]
            .contains(&body)
        || [
            "<file_sep>",
            "<repo_name>",
            "<reponame>",
            "<filename>",
            "<gh_stars>",
            "<pr>",
            "<tool_call>",
            "</tool_call>",
            "<start_of_turn>",
            "<end_of_turn>",
            "<mask>",
            "<empty_output>",
            "<commit_before>",
            "<commit_after>",
            "<commit_msg>",
        ]
        .contains(&body)
        || bracketed("<issue_", ">")
        || bracketed("<jupyter_", ">")
}

/// The printable stand-in of each byte in a byte-level vocabulary: bytes that print stand for
/// themselves, the others are numbered from U+0100 (as in GPT-2's `bytes_to_unicode`).
fn byte_alphabet() -> [char; 256] {
    let mut n_shifted = 0;
    std::array::from_fn(|byte| {
        let byte = byte as u32;
        let prints = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if prints {
            byte
        } else {
            n_shifted += 1;
            0xff + n_shifted
        };
        char::from_u32(code).expect("below the surrogates")
    })
}

fn refused(reason: impl Into<String>) -> TokenizerError {
    TokenizerError::Refused { reason: reason.into() }
}
