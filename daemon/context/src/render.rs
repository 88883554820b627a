//! Plan to prompt: the family's own layout, special tokens kept apart from text.

use std::borrow::Cow;

use fovea_indexer::{ContentHash, Language};
use serde::Serialize;

use crate::{
    format::{Files, FimOrder, PromptFormat},
    plan::{Plan, Segment, Source},
};

/// A piece of a prompt. Special tokens come from the family table only: repository text that spells
/// one is tokenized as plain text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    Special(&'static str),
    Text(String),
}

/// Consecutive pieces whose KV can be cached together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RenderedSegment {
    /// `Some` for text that stays the same between keystrokes.
    pub key: Option<ContentHash>,
    pub pieces: Vec<Piece>,
    /// The plan's segment this was made of; `None` for headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<usize>,
}

/// A whole prompt, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RenderedPrompt {
    pub segments: Vec<RenderedSegment>,
}

impl RenderedPrompt {
    /// The prompt as one string, special tokens spelled out: for people and tests.
    #[must_use]
    pub fn text(&self) -> String {
        let pieces = self.segments.iter().flat_map(|segment| &segment.pieces);
        pieces.fold(String::new(), |mut text, piece| {
            text.push_str(match piece {
                Piece::Special(token) => token,
                Piece::Text(part) => part,
            });
            text
        })
    }
}

/// Lays `plan` out for `format`: repository name, context segments, the open file.
#[must_use]
pub fn render(plan: &Plan, format: &PromptFormat) -> RenderedPrompt {
    let mut out = RenderedPrompt::default();
    let has_context = plan.segments.iter().any(|s| s.source != Source::Prefix);
    // Without anything else to see, headers would only cost tokens.
    if has_context
        && let Files::Tokens { repo: Some(token), repo_end, .. } = format.files
        && !plan.repository.is_empty()
    {
        let name = format!("{}{repo_end}", plan.repository);
        push(&mut out, Some(header_key(&name)), None, [Piece::Special(token), Piece::Text(name)]);
    }
    for (index, segment) in plan.segments.iter().enumerate() {
        if segment.source == Source::Prefix
            || segment.source == Source::Suffix && format.fim.is_some()
        {
            continue;
        }
        let path = match segment.source {
            Source::Suffix => Cow::Owned(format!("{} (after the cursor)", segment.path)),
            _ => Cow::Borrowed(segment.path.as_str()),
        };
        let mut pieces = file_header(format, &path, language(plan, segment));
        let mut text = segment.text.clone();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if !matches!(format.files, Files::Tokens { .. }) {
            text.push('\n');
        }
        push_text(&mut pieces, &text);
        push(&mut out, Some(segment.key), Some(index), pieces);
    }
    open_file(&mut out, plan, format, has_context);
    out
}

/// The header in front of a file's text.
fn file_header(format: &PromptFormat, path: &str, language: Option<Language>) -> Vec<Piece> {
    if path.is_empty() {
        return Vec::new();
    }
    match format.files {
        Files::Tokens { file, .. } => {
            vec![Piece::Special(file), Piece::Text(format!("{path}\n"))]
        }
        Files::HashPath => vec![Piece::Text(format!("#{path}\n"))],
        Files::Comments => {
            let mark = language.map_or("#", Language::line_comment);
            let mark = if mark.is_empty() { "#" } else { mark };
            vec![Piece::Text(format!("{mark} {path}\n"))]
        }
    }
}

/// The header's text as the packer counts it, special tokens spelled as one blank each.
pub(crate) fn header_text(format: &PromptFormat, path: &str) -> String {
    file_header(format, path, Language::of_path(path))
        .into_iter()
        .map(|piece| match piece {
            Piece::Special(_) => " ".to_owned(),
            Piece::Text(text) => text,
        })
        .collect()
}

/// Comments are written as in the open file, whatever the snippet's own language is.
fn language(plan: &Plan, _segment: &Segment) -> Option<Language> {
    Language::of_path(&plan.path)
}

fn open_file(out: &mut RenderedPrompt, plan: &Plan, format: &PromptFormat, has_context: bool) {
    let find = |source| plan.segments.iter().position(|s| s.source == source);
    let (prefix_at, suffix_at) = (find(Source::Prefix), find(Source::Suffix));
    let (prefix, suffix) = (plan.text_of(Source::Prefix), plan.text_of(Source::Suffix));
    let header = if has_context {
        file_header(format, &plan.path, Language::of_path(&plan.path))
    } else {
        Vec::new()
    };
    let Some(fim) = format.fim else {
        let mut pieces = header;
        push_text(&mut pieces, prefix);
        push(out, None, prefix_at, pieces);
        return;
    };
    let special = |token| vec![Piece::Special(token)];
    let with = |mut pieces: Vec<Piece>, text: &str| {
        push_text(&mut pieces, text);
        pieces
    };
    push(out, Some(header_key(&plan.path)), None, header);
    match fim.order {
        FimOrder::PrefixSuffixMiddle => {
            push(out, None, prefix_at, with(special(fim.prefix), prefix));
            push(out, None, suffix_at, with(special(fim.suffix), suffix));
            push(out, None, None, special(fim.middle));
        }
        FimOrder::SuffixPrefixMiddle => {
            push(out, None, suffix_at, with(special(fim.suffix), suffix));
            push(out, None, prefix_at, with(special(fim.prefix), prefix));
            push(out, None, None, special(fim.middle));
        }
        FimOrder::SuffixThenPrefix => {
            let mut pieces = special(fim.prefix);
            pieces.push(Piece::Special(fim.suffix));
            push(out, None, suffix_at, with(pieces, suffix));
            push(out, None, prefix_at, with(special(fim.middle), prefix));
        }
    }
}

fn header_key(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

fn push(
    out: &mut RenderedPrompt,
    key: Option<ContentHash>,
    segment: Option<usize>,
    pieces: impl IntoIterator<Item = Piece>,
) {
    let pieces: Vec<Piece> = pieces.into_iter().collect();
    if !pieces.is_empty() {
        out.segments.push(RenderedSegment { key, pieces, segment });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn segment(source: Source, path: &str, text: &str) -> Segment {
        Segment {
            ring: source.ring(),
            source,
            path: path.to_owned(),
            range: None,
            lines: (0, 1),
            reason: String::new(),
            text: text.to_owned(),
            n_tokens: 0,
            key: ContentHash::of(text.as_bytes()),
            score: 1.0,
        }
    }

    fn plan() -> Plan {
        let segments = vec![
            segment(Source::Similar, "src/area.rs", "fn area(w: u32) -> u32;"),
            segment(Source::Suffix, "src/main.rs", "}\n"),
            segment(Source::Prefix, "src/main.rs", "fn main() {\n    ar"),
        ];
        Plan {
            partial: "ar".to_owned(),
            repository: "shapes".to_owned(),
            path: "src/main.rs".to_owned(),
            ..Plan::with_segments(segments)
        }
    }

    #[track_caller]
    fn check_render(family: &str, expected: Expect) {
        let format = PromptFormat::named(family).expect("family is in the table");
        let rendered = render(&plan(), format);
        expected.assert_eq(&rendered.text());
        let specials: Vec<_> = format.specials().collect();
        for piece in rendered.segments.iter().flat_map(|s| &s.pieces) {
            if let Piece::Special(token) = piece {
                assert!(specials.contains(token), "{token} is not of {family}");
            }
        }
    }

    #[test]
    fn smollm2_shows_what_follows_before_the_prefix() {
        check_render(
            "smollm2",
            expect![[r#"
            <repo_name>shapes<file_sep>src/area.rs
            fn area(w: u32) -> u32;
            <file_sep>src/main.rs (after the cursor)
            }
            <file_sep>src/main.rs
            fn main() {
                ar"#]],
        );
    }

    #[test]
    fn qwen_fills_in_the_middle_below_the_repository() {
        check_render(
            "qwen2.5-coder",
            expect![[r#"
            <|repo_name|>shapes
            <|file_sep|>src/area.rs
            fn area(w: u32) -> u32;
            <|file_sep|>src/main.rs
            <|fim_prefix|>fn main() {
                ar<|fim_suffix|>}
            <|fim_middle|>"#]],
        );
    }

    #[test]
    fn starcoder_has_the_suffix_first() {
        check_render(
            "starcoder2",
            expect![[r#"
            <repo_name>shapes<file_sep>src/area.rs
            fn area(w: u32) -> u32;
            <file_sep>src/main.rs
            <fim_prefix><fim_suffix>}
            <fim_middle>fn main() {
                ar"#]],
        );
    }

    #[test]
    fn deepseek_has_hash_paths() {
        check_render(
            "deepseek-coder",
            expect![[r#"
            #src/area.rs
            fn area(w: u32) -> u32;

            #src/main.rs
            <｜fim▁begin｜>fn main() {
                ar<｜fim▁hole｜>}
            <｜fim▁end｜>"#]],
        );
    }

    #[test]
    fn codellama_has_the_suffix_first() {
        check_render(
            "codellama",
            expect![[r#"
            // src/area.rs
            fn area(w: u32) -> u32;

            // src/main.rs
            ▁<PRE>▁<SUF>}
            ▁<MID>fn main() {
                ar"#]],
        );
    }

    #[test]
    fn codegemma_separates_files() {
        check_render(
            "codegemma",
            expect![[r#"
            <|file_separator|>src/area.rs
            fn area(w: u32) -> u32;
            <|file_separator|>src/main.rs
            <|fim_suffix|>}
            <|fim_prefix|>fn main() {
                ar<|fim_middle|>"#]],
        );
    }

    #[test]
    fn granite_has_the_suffix_first() {
        check_render(
            "granite-code",
            expect![[r#"
            // src/area.rs
            fn area(w: u32) -> u32;

            // src/main.rs
            <fim_prefix><fim_suffix>}
            <fim_middle>fn main() {
                ar"#]],
        );
    }

    #[test]
    fn plain_reads_left_to_right() {
        check_render(
            "plain",
            expect![[r#"
            // src/area.rs
            fn area(w: u32) -> u32;

            // src/main.rs (after the cursor)
            }

            // src/main.rs
            fn main() {
                ar"#]],
        );
    }

    #[test]
    fn text_that_spells_a_special_token_stays_text() {
        let mut plan = plan();
        plan.segments[2].text = "let s = \"<file_sep>".to_owned();
        let rendered = render(&plan, PromptFormat::named("smollm2").expect("in the table"));
        let last = rendered.segments.last().and_then(|s| s.pieces.last());
        assert_eq!(
            last,
            Some(&Piece::Text("src/main.rs\nlet s = \"<file_sep>".to_owned())),
            "special tokens come from the table only"
        );
    }

    #[test]
    fn the_bare_prefix_has_no_header() {
        let mut plan = plan();
        plan.segments.drain(..2);
        let rendered = render(&plan, PromptFormat::named("smollm2").expect("in the table"));
        assert_eq!(rendered.text(), "fn main() {\n    ar");
    }
}
