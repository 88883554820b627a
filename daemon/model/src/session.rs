//! A loaded model with its tokenizer and memory: takes requests one at a time.
//!
//! Between requests it keeps the keys and values of the last prompt, so that the next keystroke
//! only computes what changed, and those of stable segments, so that retrieved context is placed
//! instead of read again.

use crate::forward::{Logits, Want, Workspace};
use crate::kv::cache::KvCache;
use crate::kv::segment::{SegmentKv, SegmentStore};
use crate::sample;
use crate::vocab::VocabIndex;
use crate::{
    GgufFile, LoadOptions, Model, ModelError, Piece, Prompt, ScoreRequest, Scored, Timings,
    Tokenizer,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shorter segments are read in place: joining costs quality at each border.
const SHORTEST_SEGMENT: usize = 16;

/// A model that answers requests.
pub struct Session {
    pub(crate) model: Model,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) vocab: VocabIndex,
    /// Tokens that end a text.
    pub(crate) end_tokens: Vec<u32>,
    cache: KvCache,
    /// What `cache` holds, position by position.
    slots: Vec<Slot>,
    segments: SegmentStore,
    workspace: Workspace,
}

/// A token in the cache, and whether its keys and values come from a segment that was encoded
/// independently (then a read in place would have given others).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    token: u32,
    segment: Option<u64>,
}

/// A prompt as tokens.
pub(crate) struct TokenPrompt {
    parts: Vec<Part>,
}

struct Part {
    key: Option<[u8; 32]>,
    tokens: Vec<u32>,
}

impl TokenPrompt {
    pub(crate) fn n_tokens(&self) -> usize {
        self.parts.iter().map(|part| part.tokens.len()).sum()
    }

    /// All tokens in order.
    pub(crate) fn tokens(&self) -> Vec<u32> {
        self.parts.iter().flat_map(|part| part.tokens.iter().copied()).collect()
    }

    /// The volatile tokens at the end.
    pub(crate) fn tail_mut(&mut self) -> Option<&mut Vec<u32>> {
        self.parts.last_mut().filter(|part| part.key.is_none()).map(|part| &mut part.tokens)
    }
}

/// What a session is and holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionStatus {
    pub family: String,
    pub isa: String,
    pub n_threads: usize,
    pub n_context: usize,
    pub weight_bytes: usize,
    /// Keys and values of the current prompt.
    pub cache_bytes: usize,
    pub n_cached_tokens: usize,
    /// Keys and values of stable segments.
    pub segment_bytes: usize,
    pub n_segments: usize,
}

impl Session {
    /// Opens, checks and loads a GGUF file.
    ///
    /// # Errors
    /// [`ModelError`] with the field or tensor that was refused.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let file = GgufFile::open(path).map_err(|error| ModelError::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        Self::new(&file, options)
    }

    /// Loads a checked file.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn new(file: &GgufFile, options: &LoadOptions) -> Result<Self, ModelError> {
        Self::with_model(file, Model::load(file, options)?, options)
    }

    /// As [`Session::new`] with a model that is loaded already.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`]
    pub fn with_model(
        file: &GgufFile,
        model: Model,
        options: &LoadOptions,
    ) -> Result<Self, ModelError> {
        let tokenizer =
            Tokenizer::from_gguf(file).map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        let stops = model.family().stop.iter().filter_map(|name| tokenizer.special(name));
        let mut end_tokens: Vec<u32> = stops.chain(tokenizer.eos()).collect();
        end_tokens.sort_unstable();
        end_tokens.dedup();
        Ok(Session {
            vocab: VocabIndex::new(&tokenizer, model.config.n_vocab),
            end_tokens,
            cache: KvCache::new(&model.config),
            slots: Vec::new(),
            segments: SegmentStore::new(options.kv_budget_bytes),
            workspace: Workspace::default(),
            tokenizer,
            model,
        })
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn status(&self) -> SessionStatus {
        SessionStatus {
            family: self.model.family().name.to_owned(),
            isa: self.model.isa().name().to_owned(),
            n_threads: self.model.n_threads(),
            n_context: self.model.n_context(),
            weight_bytes: self.model.weight_bytes(),
            cache_bytes: self.cache.bytes(),
            n_cached_tokens: self.cache.len(),
            segment_bytes: self.segments.bytes(),
            n_segments: self.segments.len(),
        }
    }

    /// Forgets the current prompt and all segments.
    pub fn clear(&mut self) {
        self.cache.truncate(0);
        self.slots.clear();
        self.segments.clear();
    }

    /// Log-probabilities of `request.continuation` after `request.prompt`.
    ///
    /// # Errors
    /// As [`Session::generate`].
    pub fn score(
        &mut self,
        request: &ScoreRequest,
        cancel: &AtomicBool,
    ) -> Result<Scored, ModelError> {
        let prompt = self.encode(&request.prompt)?;
        let tokens = self.tokenizer.encode(&request.continuation);
        let Some((_, front)) = tokens.split_last() else {
            return Ok(Scored::default());
        };
        self.check_length(prompt.n_tokens() + tokens.len())?;
        let first = self.prefill(&prompt, cancel, &mut Timings::default())?;
        let isa = self.model.isa();
        let mut logprobs = vec![sample::logprob(isa, first.row(0), tokens[0])];
        if !front.is_empty() {
            let logits = self.extend(front, Want::All, cancel)?;
            let next = tokens[1..].iter().enumerate();
            logprobs.extend(next.map(|(i, &token)| sample::logprob(isa, logits.row(i), token)));
        }
        Ok(Scored { tokens, logprobs })
    }

    /// Encodes pieces; special tokens by name, text never as special.
    pub(crate) fn encode(&self, prompt: &Prompt) -> Result<TokenPrompt, ModelError> {
        let mut parts: Vec<Part> = Vec::new();
        for segment in &prompt.segments {
            let mut tokens = Vec::new();
            for piece in &segment.pieces {
                match piece {
                    Piece::Text(text) => tokens.extend(self.tokenizer.encode(text)),
                    Piece::Special(name) => tokens.push(
                        self.tokenizer
                            .special(name)
                            .ok_or_else(|| ModelError::UnknownSpecial(name.clone()))?,
                    ),
                }
            }
            let n_vocab = self.model.config.n_vocab;
            if let Some(token) = tokens.iter().find(|&&token| token as usize >= n_vocab) {
                let reason = format!("token {token} lies outside the vocabulary of {n_vocab}");
                return Err(ModelError::Tokenizer(reason));
            }
            let key = segment.key.filter(|_| tokens.len() >= SHORTEST_SEGMENT);
            match parts.last_mut() {
                Some(last) if last.key.is_none() && key.is_none() => last.tokens.extend(tokens),
                _ if tokens.is_empty() => {}
                _ => parts.push(Part { key, tokens }),
            }
        }
        // The last part is read in place: its final logits are what the caller wants.
        if let Some(last) = parts.last_mut() {
            last.key = None;
        }
        let has_segments = parts.iter().any(|part| part.key.is_some());
        if let Some(start) = self.start_token(has_segments)
            && parts.first().and_then(|part| part.tokens.first()) != Some(&start)
        {
            match parts.first_mut() {
                Some(first) if first.key.is_none() => first.tokens.insert(0, start),
                _ => parts.insert(0, Part { key: None, tokens: vec![start] }),
            }
        }
        if parts.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        Ok(TokenPrompt { parts })
    }

    /// The token in front of every prompt, if the model wants one or segments need a sink.
    fn start_token(&self, has_segments: bool) -> Option<u32> {
        let bos = self.tokenizer.bos().filter(|_| self.tokenizer.add_bos());
        let document =
            || self.model.family().document_start.and_then(|n| self.tokenizer.special(n));
        let sink = || self.tokenizer.bos().or(self.tokenizer.eos()).filter(|_| has_segments);
        bos.or_else(document).or_else(sink)
    }

    pub(crate) fn check_length(&self, n_tokens: usize) -> Result<(), ModelError> {
        let limit = self.model.n_context();
        if n_tokens > limit {
            return Err(ModelError::PromptTooLong { n_tokens, limit });
        }
        Ok(())
    }

    /// Brings the cache to `prompt` and returns the logits after its last token.
    pub(crate) fn prefill(
        &mut self,
        prompt: &TokenPrompt,
        cancel: &AtomicBool,
        timings: &mut Timings,
    ) -> Result<Logits, ModelError> {
        let n_tokens = prompt.n_tokens();
        self.check_length(n_tokens)?;
        let wanted: Vec<Slot> = prompt
            .parts
            .iter()
            .flat_map(|part| {
                let segment = part.key.map(short_key);
                part.tokens.iter().map(move |&token| Slot { token, segment })
            })
            .collect();
        let same = wanted.iter().zip(&self.slots).take_while(|(a, b)| a == b).count();
        // The last token is always computed: its logits are what the caller wants.
        let same = same.min(n_tokens.saturating_sub(1));
        self.truncate(same);
        timings.n_reused += same;
        let mut position = 0;
        for (i, part) in prompt.parts.iter().enumerate() {
            let end = position + part.tokens.len();
            let done = self.cache.len().clamp(position, end) - position;
            let is_last = i + 1 == prompt.parts.len();
            match part.key {
                Some(key) if done < part.tokens.len() => {
                    self.truncate(position);
                    timings.n_reused -= done;
                    let (segment, encoded) = self.segment(key, &part.tokens, cancel)?;
                    let model = &self.model;
                    let head_dim = model.config.head_dim;
                    let (isa, pool, rope) = (model.isa(), &model.pool, &model.rope);
                    segment.place(isa, pool, rope, &mut self.cache, head_dim);
                    self.slots.extend_from_slice(&wanted[position..end]);
                    if encoded {
                        timings.n_prefill += part.tokens.len();
                        timings.computed.push((position, end));
                    } else {
                        timings.n_reused += part.tokens.len();
                        timings.n_placed += part.tokens.len();
                    }
                }
                _ if done < part.tokens.len() => {
                    let want = if is_last { Want::Last } else { Want::Nothing };
                    let rest = &part.tokens[done..];
                    let logits = self.extend(rest, want, cancel)?;
                    timings.n_prefill += rest.len();
                    timings.computed.push((position + done, end));
                    if is_last {
                        return Ok(logits);
                    }
                }
                _ => {}
            }
            position = end;
        }
        Err(ModelError::EmptyPrompt)
    }

    /// Appends tokens to the cache.
    pub(crate) fn extend(
        &mut self,
        tokens: &[u32],
        want: Want,
        cancel: &AtomicBool,
    ) -> Result<Logits, ModelError> {
        let result =
            self.model.forward(&mut self.workspace, &mut self.cache, tokens, want, cancel, None);
        // Also after a cancellation: the finished batches stay usable.
        let n = self.cache.len() - self.slots.len();
        self.slots.extend(tokens[..n].iter().map(|&token| Slot { token, segment: None }));
        result
    }

    pub(crate) fn n_cached(&self) -> usize {
        self.cache.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.cache.truncate(len);
        self.slots.truncate(len);
    }

    /// The segment from the store, or encoded now; the flag says that it was encoded.
    fn segment(
        &mut self,
        key: [u8; 32],
        tokens: &[u32],
        cancel: &AtomicBool,
    ) -> Result<(Arc<SegmentKv>, bool), ModelError> {
        if let Some(segment) = self.segments.get(&key, tokens) {
            return Ok((segment, false));
        }
        if cancel.load(Ordering::Relaxed) {
            return Err(ModelError::Cancelled);
        }
        let sink: Vec<u32> = self.start_token(true).into_iter().collect();
        let mut segment = SegmentKv::new(&self.model.config);
        let mut cache = KvCache::new(&self.model.config);
        let input: Vec<u32> = sink.iter().chain(tokens).copied().collect();
        let (work, want) = (&mut self.workspace, Want::Nothing);
        self.model.forward(work, &mut cache, &input, want, cancel, Some(&mut segment))?;
        segment.drop_front(sink.len());
        segment.tokens = tokens.to_vec();
        let segment = Arc::new(segment);
        self.segments.put(key, Arc::clone(&segment));
        Ok((segment, true))
    }
}

fn short_key(key: [u8; 32]) -> u64 {
    u64::from_le_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]])
}
