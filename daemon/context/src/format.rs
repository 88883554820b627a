//! The model families' prompt formats, one row each: data, not code.
//!
//! Only text of this table ever becomes a special token; repository text never does (see
//! [`Piece`](crate::render::Piece)). Token names are those of the families' published tokenizers.

use serde::Serialize;

/// How a family expects code to be laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PromptFormat {
    /// The family's name, as `model list` shows it.
    pub name: &'static str,
    /// Fill-in-the-middle tokens; without them text behind the cursor goes in front of the prefix
    /// as a segment of its own.
    pub fim: Option<Fim>,
    /// How several files are told apart.
    pub files: Files,
    /// Tokens that end a completion.
    pub stop: &'static [&'static str],
}

/// Fill-in-the-middle tokens and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fim {
    pub prefix: &'static str,
    pub suffix: &'static str,
    pub middle: &'static str,
    pub order: FimOrder,
}

/// Which of the two comes first. With the suffix first a keystroke only appends to the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FimOrder {
    /// `<prefix>..<suffix>..<middle>`.
    PrefixSuffixMiddle,
    /// `<suffix>..<prefix>..<middle>`: the family was trained on this order too.
    SuffixPrefixMiddle,
    /// `<prefix><suffix>..<middle>..`: the prefix follows the middle token, so that the model goes
    /// on writing it (the "SPM" of the families that have one token of each kind).
    SuffixThenPrefix,
}

/// How files and snippets are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// `repo` NAME `repo_end`, then `file` PATH newline TEXT for each.
    Tokens { repo: Option<&'static str>, repo_end: &'static str, file: &'static str },
    /// The path in a line comment above each snippet.
    Comments,
    /// `#PATH` above each file whatever the language, as some families were trained.
    HashPath,
}

use FimOrder::{PrefixSuffixMiddle, SuffixPrefixMiddle, SuffixThenPrefix};

#[rustfmt::skip]
const TABLE: &[PromptFormat] = &[
    PromptFormat {
        name: "smollm2",
        fim: None,
        files: Files::Tokens { repo: Some("<repo_name>"), repo_end: "", file: "<file_sep>" },
        stop: &["<|endoftext|>", "<|im_end|>", "<file_sep>", "<repo_name>"],
    },
    PromptFormat {
        name: "qwen2.5-coder",
        fim: Some(Fim { prefix: "<|fim_prefix|>", suffix: "<|fim_suffix|>", middle: "<|fim_middle|>", order: PrefixSuffixMiddle }),
        files: Files::Tokens { repo: Some("<|repo_name|>"), repo_end: "\n", file: "<|file_sep|>" },
        stop: &["<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|fim_prefix|>"],
    },
    PromptFormat {
        name: "starcoder2",
        fim: Some(Fim { prefix: "<fim_prefix>", suffix: "<fim_suffix>", middle: "<fim_middle>", order: SuffixThenPrefix }),
        files: Files::Tokens { repo: Some("<repo_name>"), repo_end: "", file: "<file_sep>" },
        stop: &["<|endoftext|>", "<file_sep>", "<repo_name>", "<fim_prefix>"],
    },
    PromptFormat {
        name: "deepseek-coder",
        fim: Some(Fim { prefix: "<｜fim▁begin｜>", suffix: "<｜fim▁hole｜>", middle: "<｜fim▁end｜>", order: PrefixSuffixMiddle }),
        files: Files::HashPath,
        stop: &["<｜end▁of▁sentence｜>", "<|EOT|>"],
    },
    PromptFormat {
        name: "codellama",
        fim: Some(Fim { prefix: "▁<PRE>", suffix: "▁<SUF>", middle: "▁<MID>", order: SuffixThenPrefix }),
        files: Files::Comments,
        stop: &["</s>", "▁<EOT>"],
    },
    PromptFormat {
        name: "codegemma",
        fim: Some(Fim { prefix: "<|fim_prefix|>", suffix: "<|fim_suffix|>", middle: "<|fim_middle|>", order: SuffixPrefixMiddle }),
        files: Files::Tokens { repo: None, repo_end: "", file: "<|file_separator|>" },
        stop: &["<eos>", "<|file_separator|>", "<|fim_prefix|>"],
    },
    PromptFormat {
        name: "granite-code",
        fim: Some(Fim { prefix: "<fim_prefix>", suffix: "<fim_suffix>", middle: "<fim_middle>", order: SuffixThenPrefix }),
        files: Files::Comments,
        stop: &["<|endoftext|>", "<fim_prefix>"],
    },
    PLAIN,
];

const PLAIN: PromptFormat = PromptFormat {
    name: "plain",
    fim: None,
    files: Files::Comments,
    stop: &["</s>", "<|endoftext|>"],
};

impl PromptFormat {
    /// All formats, in table order.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        TABLE.iter()
    }

    /// The format of a family; `None` if the table has no such row.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|format| format.name == name)
    }

    /// Left to right, paths in comments: for any model.
    #[must_use]
    pub fn plain() -> &'static Self {
        const { &PLAIN }
    }

    /// Every special token this format may put into a prompt.
    pub fn specials(&self) -> impl Iterator<Item = &'static str> {
        let fim = self.fim.map(|fim| [fim.prefix, fim.suffix, fim.middle]);
        let files = match self.files {
            Files::Tokens { repo, file, .. } => [repo, Some(file)],
            Files::Comments | Files::HashPath => [None, None],
        };
        fim.into_iter().flatten().chain(files.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for format in PromptFormat::all() {
            assert_eq!(PromptFormat::named(format.name), Some(format));
            assert!(!format.stop.is_empty(), "{} never stops", format.name);
        }
        assert_eq!(PromptFormat::all().count(), 8);
        assert_eq!(PromptFormat::named("gpt-2"), None);
    }
}
