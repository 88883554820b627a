//! What a request carries, for each kind of server.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};
use fovea_context::{Piece, PromptFormat, format::FimOrder, plan::Source};
use serde_json::{Value, json};

use crate::{
    backend::Task,
    config::{RemoteApi, RemoteConfig},
    guard,
};

/// Servers that follow the protocol to the letter take this many.
const MAX_STOPS: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// As it goes over the wire.
    pub(super) json: String,
    /// Blanks at the end of the prompt that were left out, because models read them as part of the
    /// next token. The answer may begin with them.
    pub(super) blanks: String,
}

pub(super) fn path(api: RemoteApi) -> &'static str {
    match api {
        RemoteApi::Openai => "/v1/completions",
        RemoteApi::LlamaInfill => "/infill",
        RemoteApi::Llama => "/completion",
        RemoteApi::Ollama => "/api/generate",
    }
}

pub(super) fn body(config: &RemoteConfig, format: &PromptFormat, task: &Task<'_>) -> Body {
    let max_tokens = task.max_tokens;
    let stop: Vec<&str> = format.stop.iter().copied().take(MAX_STOPS).collect();
    let (value, blanks) = match config.api {
        RemoteApi::LlamaInfill => (infill(task), String::new()),
        api => {
            let (prompt, blanks) = prompt(format, task);
            let mut value = match api {
                RemoteApi::Openai => json!({
                    "prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "stream": true,
                    "stop": stop,
                }),
                RemoteApi::Ollama => json!({
                    "prompt": prompt, "raw": true, "stream": true,
                    "options": { "num_predict": max_tokens, "temperature": 0, "stop": stop },
                }),
                _ => json!({
                    "prompt": prompt, "n_predict": max_tokens, "temperature": 0, "stream": true,
                    "cache_prompt": true, "stop": stop,
                }),
            };
            if !config.model.is_empty() {
                value["model"] = Value::from(config.model.as_str());
            }
            (value, blanks)
        }
    };
    Body { json: value.to_string(), blanks }
}

/// The server puts the parts together in its model's own way.
fn infill(task: &Task<'_>) -> Value {
    let extra = task.plan.context().filter(|segment| segment.source != Source::Suffix);
    let extra =
        extra.map(|segment| json!({ "filename": segment.path, "text": safe(&segment.text) }));
    json!({
        "input_prefix": safe(task.plan.text_of(Source::Prefix)),
        "input_suffix": safe(task.plan.text_of(Source::Suffix)),
        "input_extra": extra.collect::<Vec<_>>(),
        "prompt": "",
        "n_predict": task.max_tokens,
        "temperature": 0,
        "stream": true,
        "cache_prompt": true,
    })
}

/// One string, and the blanks left out at its end.
fn prompt(format: &PromptFormat, task: &Task<'_>) -> (String, String) {
    let pieces = task.prompt.segments.iter().flat_map(|segment| &segment.pieces);
    let mut prompt = pieces.fold(String::new(), |mut prompt, piece| {
        match piece {
            Piece::Special(token) => prompt.push_str(token),
            Piece::Text(text) => prompt.push_str(&without_specials(text)),
        }
        prompt
    });
    // A secret may stand across pieces that are harmless alone.
    guard::redact(&mut prompt);
    let ends_with_prefix =
        format.fim.is_none_or(|fim| matches!(fim.order, FimOrder::SuffixThenPrefix));
    let mut blanks = String::new();
    if ends_with_prefix {
        let end = prompt.trim_end_matches([' ', '\t']).len();
        blanks = prompt.split_off(end);
    }
    (prompt, blanks)
}

fn safe(text: &str) -> String {
    let mut text = without_specials(text);
    guard::redact(&mut text);
    text
}

/// Text of a repository that spells a special token of any family is taken apart: servers read
/// prompts with such tokens in them.
fn without_specials(text: &str) -> String {
    static TOKENS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let tokens = TOKENS.get_or_init(|| {
        let all = PromptFormat::all();
        let tokens: Vec<&str> =
            all.flat_map(|format| format.specials().chain(format.stop.iter().copied())).collect();
        AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(tokens).ok()
    });
    let Some(tokens) = tokens else { return text.to_owned() };
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for found in tokens.find_iter(text) {
        // Behind its first character.
        let first = text[found.start()..].chars().next().map_or(0, char::len_utf8);
        out.push_str(&text[at..found.start() + first]);
        out.push(' ');
        at = found.start() + first;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_spell_special_tokens() {
        for format in PromptFormat::all() {
            for token in format.specials().chain(format.stop.iter().copied()) {
                let text = without_specials(&format!("a = \"{token}{token}\" # é"));
                assert!(!text.contains(token), "{token}: {text}");
                assert!(text.starts_with("a = \"") && text.ends_with("\" # é"), "{text}");
            }
        }
        assert_eq!(without_specials("if a < b && c > d"), "if a < b && c > d");
    }
}
