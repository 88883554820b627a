//! Model families as data: which special tokens mean what, how positions are rotated, where
//! generation stops, and under which licence the weights come.
//!
//! [`detect`] picks the row for a file from its metadata and vocabulary; an unknown left-to-right
//! model gets [`PLAIN`]. Nothing here runs anything from the file (chat templates included).

use serde::Serialize;

use crate::gguf::{GgufError, GgufFile};

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Family {
    /// Stable name, used in settings and output.
    pub name: &'static str,
    /// As its makers write it.
    pub title: &'static str,
    /// `general.architecture` values its files may have.
    pub architectures: &'static [&'static str],
    /// Fill-in-the-middle, if the family was trained for it.
    pub fim: Option<FimTokens>,
    /// Several files in one prompt, if the family was trained for it.
    pub repo: Option<RepoTokens>,
    /// Put in front of a document or a prompt; also the shared sink of joined KV.
    pub document_start: Option<&'static str>,
    /// Any of these ends a completion (beside the file's own end-of-sequence token).
    pub stop: &'static [&'static str],
    pub rope: Rope,
    pub licence: Licence,
}

/// The order of the prompt's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FimOrder {
    /// prefix token, prefix, suffix token, suffix, middle token
    PrefixSuffixMiddle,
    /// suffix token, suffix, prefix token, prefix, middle token: a keystroke only appends.
    SuffixPrefixMiddle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FimTokens {
    pub prefix: &'static str,
    pub suffix: &'static str,
    pub middle: &'static str,
    /// The order that the family was trained with and that its makers document.
    pub order: FimOrder,
    /// Whether suffix-first also was in training.
    pub suffix_first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RepoTokens {
    /// Before the repository's name, once.
    pub repo_name: Option<&'static str>,
    /// Before each file's path, which a newline ends.
    pub file_sep: &'static str,
}

/// How rotary position embeddings pair the dimensions of a head, in the layout of GGUF weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rope {
    /// Neighbors: (0, 1), (2, 3), ... Converters permute `llama` weights to this.
    Interleaved,
    /// Halves: (0, d/2), (1, d/2 + 1), ...
    Halves,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Licence {
    /// SPDX identifier, or the licence's own name.
    pub name: &'static str,
    /// What a user should know before use; empty if nothing.
    pub note: &'static str,
}

const READ_THE_CARD: Licence = Licence {
    name: "unknown",
    note: "read the model card: the file says nothing that this build knows",
};

/// Left-to-right text, no special tokens but the file's own start and end.
pub const PLAIN: Family = Family {
    name: "plain",
    title: "plain left-to-right model",
    architectures: &["llama", "qwen2", "starcoder2", "gemma"],
    fim: None,
    repo: None,
    document_start: None,
    stop: &[],
    rope: Rope::Interleaved,
    licence: READ_THE_CARD,
};

/// Every family, the more specific first.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "qwen2.5-coder",
        title: "Qwen2.5-Coder",
        architectures: &["qwen2"],
        fim: Some(FimTokens {
            prefix: "<|fim_prefix|>",
            suffix: "<|fim_suffix|>",
            middle: "<|fim_middle|>",
            order: FimOrder::PrefixSuffixMiddle,
            suffix_first: false,
        }),
        repo: Some(RepoTokens { repo_name: Some("<|repo_name|>"), file_sep: "<|file_sep|>" }),
        document_start: Some("<|endoftext|>"),
        stop: &[
            "<|endoftext|>",
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
            "<|fim_pad|>",
            "<|repo_name|>",
            "<|file_sep|>",
            "<|im_start|>",
            "<|im_end|>",
        ],
        rope: Rope::Halves,
        licence: Licence {
            name: "Apache-2.0",
            note: "the 3B size is under the Qwen Research licence: non-commercial use only",
        },
    },
    Family {
        name: "starcoder2",
        title: "StarCoder2",
        architectures: &["starcoder2"],
        fim: Some(FimTokens {
            prefix: "<fim_prefix>",
            suffix: "<fim_suffix>",
            middle: "<fim_middle>",
            order: FimOrder::PrefixSuffixMiddle,
            suffix_first: true,
        }),
        repo: Some(RepoTokens { repo_name: Some("<repo_name>"), file_sep: "<file_sep>" }),
        document_start: Some("<|endoftext|>"),
        stop: &[
            "<|endoftext|>",
            "<fim_prefix>",
            "<fim_suffix>",
            "<fim_middle>",
            "<fim_pad>",
            "<file_sep>",
            "<repo_name>",
        ],
        rope: Rope::Halves,
        licence: Licence {
            name: "BigCode-OpenRAIL-M-1.0",
            note: "use restrictions apply (attachment A of the licence)",
        },
    },
    Family {
        name: "deepseek-coder",
        title: "DeepSeek-Coder",
        architectures: &["llama"],
        fim: Some(FimTokens {
            prefix: "<｜fim▁begin｜>",
            suffix: "<｜fim▁hole｜>",
            middle: "<｜fim▁end｜>",
            order: FimOrder::PrefixSuffixMiddle,
            suffix_first: false,
        }),
        repo: None,
        document_start: Some("<｜begin▁of▁sentence｜>"),
        stop: &[
            "<｜end▁of▁sentence｜>",
            "<｜begin▁of▁sentence｜>",
            "<|EOT|>",
            "<｜fim▁begin｜>",
            "<｜fim▁hole｜>",
            "<｜fim▁end｜>",
        ],
        rope: Rope::Interleaved,
        licence: Licence {
            name: "DeepSeek Model License 1.0",
            note: "commercial use allowed, use restrictions apply",
        },
    },
    Family {
        name: "codellama",
        title: "Code Llama",
        architectures: &["llama"],
        fim: Some(FimTokens {
            prefix: "▁<PRE>",
            suffix: "▁<SUF>",
            middle: "▁<MID>",
            order: FimOrder::PrefixSuffixMiddle,
            suffix_first: true,
        }),
        repo: None,
        document_start: Some("<s>"),
        stop: &["</s>", "▁<EOT>", "▁<PRE>", "▁<SUF>", "▁<MID>"],
        rope: Rope::Interleaved,
        licence: Licence {
            name: "Llama 2 Community License",
            note: "commercial use up to 700 million monthly users, acceptable-use policy applies",
        },
    },
    Family {
        name: "codegemma",
        title: "CodeGemma",
        architectures: &["gemma"],
        fim: Some(FimTokens {
            prefix: "<|fim_prefix|>",
            suffix: "<|fim_suffix|>",
            middle: "<|fim_middle|>",
            order: FimOrder::PrefixSuffixMiddle,
            suffix_first: true,
        }),
        repo: Some(RepoTokens { repo_name: None, file_sep: "<|file_separator|>" }),
        document_start: Some("<bos>"),
        stop: &[
            "<eos>",
            "<bos>",
            "<|file_separator|>",
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
        ],
        rope: Rope::Halves,
        licence: Licence {
            name: "Gemma Terms of Use",
            note: "accept the terms before use, prohibited-use policy applies",
        },
    },
    Family {
        name: "granite-code",
        title: "Granite Code",
        architectures: &["llama", "granite"],
        fim: Some(FimTokens {
            prefix: "<fim_prefix>",
            suffix: "<fim_suffix>",
            middle: "<fim_middle>",
            order: FimOrder::PrefixSuffixMiddle,
            suffix_first: true,
        }),
        repo: None,
        document_start: Some("<|endoftext|>"),
        stop: &["<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>"],
        rope: Rope::Interleaved,
        licence: Licence { name: "Apache-2.0", note: "" },
    },
    Family {
        name: "smollm2",
        title: "SmolLM2",
        architectures: &["llama"],
        // The vocabulary has no fill-in-the-middle tokens: prefix only.
        fim: None,
        repo: Some(RepoTokens { repo_name: Some("<repo_name>"), file_sep: "<file_sep>" }),
        document_start: Some("<|endoftext|>"),
        stop: &["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>"],
        rope: Rope::Interleaved,
        licence: Licence { name: "Apache-2.0", note: "" },
    },
];

/// The row of that name, [`PLAIN`] included.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().chain([&PLAIN]).find(|family| family.name == name)
}

/// The family of a model file: architecture, then the special tokens that its vocabulary has.
///
/// SmolLM2 has no token of its own, so its row also asks for the pre-tokenizer's name.
///
/// # Errors
/// If metadata has the wrong type.
pub fn detect(file: &GgufFile) -> Result<&'static Family, GgufError> {
    let mut candidates: Vec<(&'static Family, Vec<&'static str>)> = Vec::new();
    for family in FAMILIES {
        if !family.architectures.contains(&file.architecture()) {
            continue;
        }
        let smol = file.str("tokenizer.ggml.pre")? == Some("smollm");
        if (family.name == "smollm2") != smol {
            continue;
        }
        let mut marks: Vec<&str> = Vec::new();
        marks.extend(family.fim.iter().flat_map(|fim| [fim.prefix, fim.suffix, fim.middle]));
        marks.extend(family.document_start);
        candidates.push((family, marks));
    }
    for token in file.strings("tokenizer.ggml.tokens")?.into_iter().flatten() {
        if candidates.iter().all(|(_, marks)| marks.is_empty()) {
            break;
        }
        for (_, marks) in &mut candidates {
            marks.retain(|mark| *mark != token);
        }
    }
    let found = candidates.into_iter().find(|(_, marks)| marks.is_empty());
    Ok(found.map_or_else(|| plain(file), |(family, _)| family))
}

/// [`PLAIN`] with the rotation of the file's architecture.
fn plain(file: &GgufFile) -> &'static Family {
    const HALVES: Family = Family { rope: Rope::Halves, ..PLAIN };
    match file.architecture() {
        "qwen2" | "starcoder2" | "gemma" => &HALVES,
        _ => &PLAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::writer::{GgufWriter, Value};

    fn detected(architecture: &str, pre: &str, tokens: &[&str]) -> &'static Family {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        let file = GgufWriter::new(architecture)
            .meta("tokenizer.ggml.pre", Value::Str(pre.into()))
            .meta("tokenizer.ggml.tokens", Value::Strings(tokens))
            .finish();
        detect(&GgufFile::from_bytes(file).unwrap()).unwrap()
    }

    #[test]
    fn every_family_is_detected_by_its_own_tokens() {
        for family in FAMILIES {
            let pre = if family.name == "smollm2" { "smollm" } else { "default" };
            let mut tokens: Vec<&str> = family.stop.to_vec();
            tokens.extend(family.fim.iter().flat_map(|fim| [fim.prefix, fim.suffix, fim.middle]));
            tokens.extend(family.document_start);
            for architecture in family.architectures {
                assert_eq!(detected(architecture, pre, &tokens).name, family.name);
            }
        }
    }

    #[test]
    fn a_model_without_the_tokens_is_plain() {
        assert_eq!(detected("llama", "llama-bpe", &["<|endoftext|>"]).name, "plain");
        assert_eq!(detected("qwen2", "qwen2", &["<|endoftext|>"]).name, "plain");
        assert_eq!(detected("qwen2", "qwen2", &[]).rope, Rope::Halves);
        assert_eq!(detected("made-up", "default", &[]).name, "plain");
    }

    #[test]
    fn rows_are_consistent() {
        for family in FAMILIES {
            assert_eq!(by_name(family.name), Some(family));
            if let Some(fim) = family.fim {
                let suffix_first = fim.order == FimOrder::SuffixPrefixMiddle;
                assert!(!suffix_first || fim.suffix_first, "{}", family.name);
                for token in [fim.prefix, fim.suffix, fim.middle] {
                    assert!(family.stop.contains(&token), "{}: {token}", family.name);
                }
            }
        }
    }
}
