//! The decoding loop: prompt in, completion out, token by token.

use crate::forward::{Logits, Want};
use crate::names::Choice;
use crate::sample::{self, Rng};
use crate::session::{Session, TokenPrompt};
use crate::speculate::Drafts;
use crate::stop;
use crate::{Alternative, Finish, GenerateRequest, Generated, ModelError, Timings};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Tokens that healing may take back at most.
const MAX_HEALED: usize = 12;
/// Trailing bytes of the prompt that the name at the cursor may begin in.
const NAME_CONTEXT: usize = 64;

/// A continuation in progress.
pub(crate) struct Run {
    /// Tokens of the continuation, those that spell healed text included.
    pub(crate) tokens: Vec<u32>,
    pub(crate) logprobs: Vec<f32>,
    /// Their bytes, from the start of the healed text.
    pub(crate) bytes: Vec<u8>,
    pub(crate) finish: Option<Finish>,
    /// Bytes of the result that were streamed.
    n_streamed: usize,
    rng: Rng,
    text_len: Option<usize>,
}

/// What stays the same during a request.
pub(crate) struct Task<'a> {
    pub(crate) request: &'a GenerateRequest,
    /// Bytes that the continuation must begin with: healed text, then the caller's prefix.
    pub(crate) required: Vec<u8>,
    n_healed: usize,
}

impl Session {
    /// Completes `request.prompt`. `on_text` receives the text as it becomes final and may stop
    /// the generation by returning `false`.
    ///
    /// # Errors
    /// [`ModelError`]. A cancellation after the first token is not an error: the text so far comes
    /// back with [`Finish::Cancelled`].
    pub fn generate(
        &mut self,
        request: &GenerateRequest,
        cancel: &AtomicBool,
        on_text: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Generated, ModelError> {
        let started = Instant::now();
        let mut timings = Timings::default();
        let mut prompt = self.encode(&request.prompt)?;
        let n_written = prompt.n_tokens();
        self.check_length(n_written + 1)?;
        let healed = if request.heal { self.heal(&mut prompt) } else { Vec::new() };
        let mut required = healed;
        let n_healed = required.len();
        required.extend_from_slice(request.required_prefix.as_bytes());
        let task = Task { request, required, n_healed };

        let before = self.tail_text(&prompt);
        let sources: Vec<Vec<u32>> =
            request.drafts.iter().map(|text| self.tokenizer.encode(text)).collect();
        let prompt_tokens = prompt.tokens();
        let mut drafts = Drafts::new(sources.iter().map(Vec::as_slice).chain([&prompt_tokens[..]]));
        let logits = self.prefill(&prompt, cancel, &mut timings)?;
        timings.prefill_ms = milliseconds(started);

        let branch = self.n_cached();
        let first_choices = if request.n_candidates > 1 && task.required.is_empty() {
            sample::top(logits.row(0), request.n_candidates)
        } else {
            Vec::new()
        };
        let first_row = logits.row(0).to_vec();
        let mut name_logprobs = Vec::new();
        let mut run = if request.chooses_name() {
            let scores = request.score_names.then_some(&mut name_logprobs);
            match self.choose_name(&task, &before, &first_row, cancel, scores)? {
                Choice::Own(run) => *run,
                Choice::Name(tokens) => self.spell_name(&task, &tokens, &first_row, cancel)?,
            }
        } else {
            let mut run = Run::new(request.sampling.seed);
            self.step(&task, &mut run, &first_row, None);
            run
        };
        timings.first_token_ms = milliseconds(started);
        let decode_started = Instant::now();
        self.decode(&task, &mut run, &mut drafts, cancel, on_text, &mut timings)?;
        let mut alternatives = Vec::new();
        let chosen = run.tokens.first().copied();
        for token in first_choices.into_iter().filter(|&token| Some(token) != chosen) {
            if cancel.load(Ordering::Relaxed) || alternatives.len() + 1 >= request.n_candidates {
                break;
            }
            self.truncate(branch);
            let mut run = Run::new(request.sampling.seed);
            let mut drafts =
                Drafts::new(sources.iter().map(Vec::as_slice).chain([&prompt_tokens[..]]));
            self.step(&task, &mut run, &first_row, Some(token));
            let silent = &mut |_: &str| true;
            self.decode(&task, &mut run, &mut drafts, cancel, silent, &mut timings)?;
            let text = run.text(&task);
            let finish = run.finish.unwrap_or_default();
            alternatives.push(Alternative {
                text,
                tokens: run.tokens,
                logprobs: run.logprobs,
                finish,
            });
        }
        timings.decode_ms = milliseconds(decode_started);
        tracing::debug!(?timings, finish = ?run.finish, "generated");
        Ok(Generated {
            text: run.text(&task),
            finish: run.finish.unwrap_or_default(),
            tokens: run.tokens,
            logprobs: run.logprobs,
            alternatives,
            name_logprobs,
            timings,
        })
    }

    /// A run that begins with `tokens`; the cache ends with the prompt.
    fn spell_name(
        &mut self,
        task: &Task<'_>,
        tokens: &[u32],
        first_row: &[f32],
        cancel: &AtomicBool,
    ) -> Result<Run, ModelError> {
        let mut run = Run::new(task.request.sampling.seed);
        self.step(task, &mut run, first_row, Some(tokens[0]));
        let front = &tokens[..tokens.len() - 1];
        if !front.is_empty() {
            let logits = self.extend(front, Want::All, cancel)?;
            for (row, &token) in tokens[1..].iter().enumerate() {
                self.step(task, &mut run, logits.row(row), Some(token));
            }
        }
        Ok(run)
    }

    /// Extends `run`, whose first token is chosen, until something ends it.
    fn decode(
        &mut self,
        task: &Task<'_>,
        run: &mut Run,
        drafts: &mut Drafts,
        cancel: &AtomicBool,
        on_text: &mut dyn FnMut(&str) -> bool,
        timings: &mut Timings,
    ) -> Result<(), ModelError> {
        let mut n_fed = 0;
        loop {
            if !run.stream(task, on_text) {
                run.finish = Some(Finish::Cancelled);
            }
            if run.finish.is_some() {
                return Ok(());
            }
            let n_left = task.request.max_tokens.saturating_sub(run.tokens.len());
            let room = self.model.n_context().saturating_sub(self.n_cached());
            if n_left == 0 || room < 2 {
                run.finish = Some(Finish::MaxTokens);
                continue;
            }
            let last = *run.tokens.last().expect("a first token was chosen");
            for &token in &run.tokens[n_fed..] {
                drafts.push(token);
            }
            n_fed = run.tokens.len();
            // While text is prescribed the drafts have nothing to say.
            let guess = if run.bytes.len() < task.required.len() {
                Vec::new()
            } else {
                drafts.guess((n_left - 1).min(room - 2))
            };
            let base = self.n_cached();
            let mut batch = vec![last];
            batch.extend_from_slice(&guess);
            let logits = match self.extend(&batch, Want::All, cancel) {
                Ok(logits) => logits,
                Err(ModelError::Cancelled) => {
                    run.finish = Some(Finish::Cancelled);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let n_accepted = self.verify(task, run, &guess, &logits);
            self.truncate(base + 1 + n_accepted);
            drafts.feedback(guess.len(), n_accepted);
            timings.n_drafted += guess.len();
            timings.n_accepted += n_accepted;
        }
    }

    /// Chooses a token after each verified one; returns how many guesses were right.
    fn verify(&self, task: &Task<'_>, run: &mut Run, guess: &[u32], logits: &Logits) -> usize {
        for row in 0..=guess.len() {
            self.step(task, run, logits.row(row), None);
            let agreed = guess.get(row).is_some_and(|token| run.tokens.last() == Some(token));
            if run.finish.is_some() || !agreed {
                return row;
            }
        }
        guess.len()
    }

    /// Appends one token, `forced` or chosen from `logits`, or sets the reason to stop.
    pub(crate) fn step(&self, task: &Task<'_>, run: &mut Run, logits: &[f32], forced: Option<u32>) {
        let request = task.request;
        let open = task.required.get(run.bytes.len()..).unwrap_or(&[]);
        let token = match forced {
            Some(token) => token,
            None if open.is_empty() => sample::sample(&request.sampling, &mut run.rng, logits),
            None => match self.spell(open, logits) {
                Some(token) => token,
                None => {
                    run.finish = Some(Finish::EndOfText);
                    return;
                }
            },
        };
        let bytes = self.tokenizer.token_bytes(token);
        if self.end_tokens.contains(&token) || bytes.is_empty() {
            run.finish = Some(Finish::EndOfText);
            return;
        }
        let logprob = sample::logprob(self.model.isa(), logits, token);
        if forced.is_none()
            && open.is_empty()
            && !run.tokens.is_empty()
            && request.stop.min_probability.is_some_and(|least| logprob < least.ln())
        {
            run.finish = Some(Finish::LowConfidence);
            return;
        }
        run.tokens.push(token);
        run.logprobs.push(logprob);
        run.bytes.extend_from_slice(bytes);
        if let Some(text) = run.bytes.get(task.n_healed..)
            && let Some((at, finish)) = stop::find(text, &request.stop)
        {
            run.text_len = Some(at);
            run.finish = Some(finish);
        }
    }

    /// The best token that spells part of `required`, or all of it and more.
    fn spell(&self, required: &[u8], logits: &[f32]) -> Option<u32> {
        self.vocab
            .prefixes_of(required)
            .chain(self.vocab.extensions_of(required))
            .filter(|token| !self.end_tokens.contains(token))
            .max_by(|&a, &b| logits[a as usize].total_cmp(&logits[b as usize]).then(b.cmp(&a)))
    }

    /// Takes back the end of the prompt that tokens of the continuation may have to cross: white
    /// space, or the last word or symbol. Returns the bytes that must be spelled again.
    fn heal(&self, prompt: &mut TokenPrompt) -> Vec<u8> {
        let Some(tail) = prompt.tail_mut() else { return Vec::new() };
        let text = |token: u32| self.tokenizer.token_bytes(token);
        let is_space = |token: u32| text(token).iter().all(u8::is_ascii_whitespace);
        let is_word =
            |token: u32| text(token).iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let mut n = 0;
        // One token must stay: something has to give the first logits.
        while n < MAX_HEALED && tail.len() > n + 1 {
            let token = tail[tail.len() - 1 - n];
            if self.tokenizer.is_special(token) || text(token).is_empty() {
                break;
            }
            n += 1;
            let ended_in_space = is_space(tail[tail.len() - n]);
            let next_is =
                |test: &dyn Fn(u32) -> bool| tail.len() > n + 1 && test(tail[tail.len() - 1 - n]);
            let more = if ended_in_space {
                next_is(&is_space)
            } else {
                // Inside a word: ` foo` ends it, `foo` may go on to the left.
                is_word(tail[tail.len() - n])
                    && next_is(&|t| {
                        text(t).last().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
                    })
            };
            if !more {
                break;
            }
        }
        let healed = tail.split_off(tail.len() - n);
        self.tokenizer.decode_bytes(&healed)
    }

    /// Text of the prompt's last tokens.
    fn tail_text(&self, prompt: &TokenPrompt) -> Vec<u8> {
        let tokens = prompt.tokens();
        let bytes = self.tokenizer.decode_bytes(&tokens[tokens.len().saturating_sub(24)..]);
        bytes[bytes.len().saturating_sub(NAME_CONTEXT)..].to_vec()
    }
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        Run {
            tokens: Vec::new(),
            logprobs: Vec::new(),
            bytes: Vec::new(),
            finish: None,
            n_streamed: 0,
            rng: Rng::new(seed),
            text_len: None,
        }
    }

    /// The result so far, as bytes.
    fn result(&self, task: &Task<'_>) -> &[u8] {
        let text = self.bytes.get(task.n_healed..).unwrap_or(&[]);
        &text[..self.text_len.unwrap_or(text.len())]
    }

    fn text(&self, task: &Task<'_>) -> String {
        let bytes = self.result(task);
        // A character that was cut at the token limit is dropped.
        String::from_utf8_lossy(&bytes[..stop::whole_characters(bytes)]).into_owned()
    }

    /// Hands out what is final; `false` if the receiver wants no more.
    fn stream(&mut self, task: &Task<'_>, on_text: &mut dyn FnMut(&str) -> bool) -> bool {
        let result = self.result(task);
        let end = if self.finish.is_some() {
            stop::whole_characters(result)
        } else {
            stop::settled(result, &task.request.stop)
        };
        let fresh = result.get(self.n_streamed..end).unwrap_or(&[]);
        if fresh.is_empty() {
            return true;
        }
        let go_on = on_text(&String::from_utf8_lossy(fresh));
        self.n_streamed = end;
        go_on
    }
}

fn milliseconds(since: Instant) -> f32 {
    since.elapsed().as_secs_f32() * 1e3
}
