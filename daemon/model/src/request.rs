//! What a caller asks the model for, and what it gets back.

use crate::Prompt;
use serde::{Deserialize, Serialize};

/// One completion to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerateRequest {
    pub prompt: Prompt,
    /// Upper bound of generated tokens, those that spell `required_prefix` included.
    pub max_tokens: usize,
    pub stop: Stop,
    /// Texts that the continuation may copy from (retrieved snippets, the index's own guesses).
    /// They make decoding faster and never change its result.
    pub drafts: Vec<String>,
    /// Names that may come at the cursor; the likeliest of them is chosen, or what the model would
    /// have written anyway. Only greedy decoding looks at them.
    pub names: Vec<NamePrior>,
    /// Note the log-probability of every name, also of those that cannot win.
    pub score_names: bool,
    pub sampling: Sampling,
    /// Text that the continuation must begin with: the partial identifier before the cursor, when
    /// the prompt ends in front of it. It is part of the returned text.
    pub required_prefix: String,
    /// How many different continuations to return; they share the prompt's keys and values.
    pub n_candidates: usize,
    /// Back up over trailing white space and the partial word at the end of the prompt and
    /// generate it again, so that the model sees the tokens it was trained on. The healed text is
    /// not part of the result.
    pub heal: bool,
}

impl Default for GenerateRequest {
    fn default() -> Self {
        GenerateRequest {
            prompt: Prompt::default(),
            max_tokens: 64,
            stop: Stop::default(),
            drafts: Vec::new(),
            names: Vec::new(),
            score_names: false,
            sampling: Sampling::default(),
            required_prefix: String::new(),
            n_candidates: 1,
            heal: true,
        }
    }
}

/// When to stop before `max_tokens`. The end-of-text tokens of the family always stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stop {
    /// Stop at the first line break that follows visible text.
    pub at_newline: bool,
    /// Stop before any of these; the text ends where the match begins.
    pub strings: Vec<String>,
    /// Stop before a token whose probability is below this. The first token is always kept.
    pub min_probability: Option<f32>,
}

/// How the next token is chosen. The default is greedy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// Keep the most probable tokens up to this mass. 1 keeps all.
    pub top_p: f32,
    /// Keep tokens at least this probable, relative to the best one. 0 keeps all.
    pub min_p: f32,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 0.0, top_p: 1.0, min_p: 0.0, seed: 0 }
    }
}

/// A name that the index offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamePrior {
    pub name: String,
    /// Added to the log-probability that the model gives to the name: how much likelier the index
    /// thinks it than something that it does not know.
    pub prior: f32,
}

/// A finished completion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Generated {
    pub text: String,
    /// Tokens behind `text` (the last one may reach beyond it).
    pub tokens: Vec<u32>,
    /// Log-probability of each token under the model, before bias and temperature.
    pub logprobs: Vec<f32>,
    pub finish: Finish,
    /// The other continuations, when more than one was asked for; best first.
    pub alternatives: Vec<Alternative>,
    /// With `score_names`: the log-probability of each name, minus infinity where it does not fit
    /// what is typed; the last entry is that of the model's own choice.
    pub name_logprobs: Vec<f32>,
    pub timings: Timings,
}

/// A continuation beside the first one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    pub text: String,
    pub tokens: Vec<u32>,
    pub logprobs: Vec<f32>,
    pub finish: Finish,
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// The model said that the text ends here.
    EndOfText,
    Newline,
    StopString,
    #[default]
    MaxTokens,
    /// The next token was less probable than [`Stop::min_probability`].
    LowConfidence,
    Cancelled,
}

/// Where the time went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// Reading the part of the prompt that was not cached, in milliseconds.
    pub prefill_ms: f32,
    /// From the start of the request to the first token, in milliseconds.
    pub first_token_ms: f32,
    pub decode_ms: f32,
    /// Prompt tokens that were computed.
    pub n_prefill: usize,
    /// Prompt tokens whose keys and values were there already.
    pub n_reused: usize,
    /// Of the reused, tokens of stable segments that were placed from the segment store.
    pub n_placed: usize,
    /// Which prompt tokens were computed: first, and the one behind the last, in order.
    pub computed: Vec<(usize, usize)>,
    pub n_drafted: usize,
    pub n_accepted: usize,
}

/// Asks how probable `continuation` is after `prompt`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreRequest {
    pub prompt: Prompt,
    pub continuation: String,
}

/// Log-probabilities of a given continuation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    pub tokens: Vec<u32>,
    pub logprobs: Vec<f32>,
}
