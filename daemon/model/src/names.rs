//! Chooses the name at the cursor: the model's probability of each name that the index offers,
//! weighed with the index's own.
//!
//! A name's probability is that of all its tokens and of an end behind them, so long and short names
//! compete fairly. The model's own first choice takes part like any other. Names are looked at best
//! first, by what their first token and their prior allow at most; as soon as that is less than what
//! was reached, the rest cannot win and is not computed.

use std::sync::atomic::AtomicBool;

use crate::{
    GenerateRequest, ModelError,
    forward::Want,
    generate::{Run, Task},
    kernels::fused,
    sample,
    session::Session,
};

/// Tokens of one name at most.
const MAX_NAME_TOKENS: usize = 16;

/// A name with what the model says.
struct Candidate {
    index: usize,
    prior: f32,
    tokens: Vec<u32>,
    /// Of the first token.
    logprob: f32,
}

/// What was chosen.
pub(crate) enum Choice {
    /// The model's own continuation, begun in this run; its tokens but the last are in the cache.
    Own(Box<Run>),
    /// Another name: the tokens that spell it.
    Name(Vec<u32>),
}

impl Session {
    /// Chooses after the prompt; `first_row` are the logits behind it. The cache ends with the
    /// prompt, or behind all but the last token of the own run. With `scores` every name is looked
    /// at, and its log-probability noted.
    pub(crate) fn choose_name(
        &mut self,
        task: &Task<'_>,
        before: &[u8],
        first_row: &[f32],
        cancel: &AtomicBool,
        mut scores: Option<&mut Vec<f32>>,
    ) -> Result<Choice, ModelError> {
        let request = task.request;
        let branch = self.n_cached();
        let (own, own_name, own_score) = self.own_name(task, before, first_row, cancel)?;
        let mut candidates = self.candidates(task, before, first_row);
        if let Some(scores) = scores.as_deref_mut() {
            *scores = vec![f32::NEG_INFINITY; request.names.len() + 1];
            scores[request.names.len()] = own_score;
        }
        // The own name may be one that the index knows.
        let known = request.names.iter().position(|name| name.name.as_bytes() == own_name);
        let own_prior = known.map_or(0.0, |index| request.names[index].prior);
        let mut best = (own_score + own_prior, None);
        candidates.retain(|candidate| Some(candidate.index) != known);
        if let (Some(scores), Some(index)) = (scores.as_deref_mut(), known) {
            scores[index] = own_score;
        }
        let bound = |candidate: &Candidate| candidate.logprob + candidate.prior;
        candidates.sort_by(|a, b| bound(b).total_cmp(&bound(a)).then(a.index.cmp(&b.index)));
        let mut is_overwritten = false;
        for (place, candidate) in candidates.iter().enumerate() {
            if scores.is_none() && bound(candidate) <= best.0 {
                break;
            }
            self.truncate(branch);
            is_overwritten = true;
            let logits = self.extend(&candidate.tokens, Want::All, cancel)?;
            let isa = self.model.isa();
            let mut logprob = candidate.logprob;
            for (row, &token) in candidate.tokens[1..].iter().enumerate() {
                logprob += sample::logprob(isa, logits.row(row), token);
            }
            logprob += self.end_of_name(logits.row(candidate.tokens.len() - 1));
            if let Some(scores) = scores.as_deref_mut() {
                scores[candidate.index] = logprob;
            }
            let score = logprob + candidate.prior;
            if score > best.0 {
                best = (score, Some(place));
            }
        }
        match best.1 {
            Some(place) => {
                self.truncate(branch);
                Ok(Choice::Name(candidates.swap_remove(place).tokens))
            }
            None => {
                if is_overwritten {
                    self.truncate(branch);
                    if let [front @ .., _] = own.tokens.as_slice()
                        && !front.is_empty()
                    {
                        self.extend(front, Want::Nothing, cancel)?;
                    }
                }
                Ok(Choice::Own(Box::new(own)))
            }
        }
    }

    /// The model's own continuation up to the end of its name, the name (empty if it begins with
    /// none), and the log-probability up to there.
    fn own_name(
        &mut self,
        task: &Task<'_>,
        before: &[u8],
        first_row: &[f32],
        cancel: &AtomicBool,
    ) -> Result<(Run, Vec<u8>, f32), ModelError> {
        let mut run = Run::new(task.request.sampling.seed);
        self.step(task, &mut run, first_row, None);
        let mut end = None;
        while run.finish.is_none() && run.tokens.len() < MAX_NAME_TOKENS {
            let text = run.bytes.get(task.required.len()..).unwrap_or(&[]);
            let is_spelled = run.bytes.len() > task.required.len();
            if is_spelled && text.iter().any(|byte| !is_identifier(*byte)) {
                break;
            }
            let last = *run.tokens.last().expect("a first token was chosen");
            let logits = self.extend(&[last], Want::All, cancel)?;
            let n_before = run.tokens.len();
            self.step(task, &mut run, logits.row(0), None);
            let next = run.tokens.get(n_before).map(|&token| self.tokenizer.token_bytes(token));
            let ends = next.is_none_or(|bytes| !bytes.first().is_some_and(|b| is_identifier(*b)));
            if is_spelled && ends && end.is_none() {
                end = Some((n_before, self.end_of_name(logits.row(0))));
            }
        }
        let text = run.bytes.get(task.required.len()..).unwrap_or(&[]);
        let n_name = text.iter().take_while(|byte| is_identifier(**byte)).count();
        let mut name = partial(before, &task.required);
        name.extend_from_slice(&text[..n_name]);
        let score = match end.filter(|_| n_name > 0) {
            Some((n_tokens, mass)) => run.logprobs[..n_tokens].iter().sum::<f32>() + mass,
            // Something else than a name: what it begins with.
            None => run.logprobs.iter().sum(),
        };
        if n_name == 0 {
            name.clear();
        }
        Ok((run, name, score))
    }

    /// The names that fit what is typed, as tokens.
    fn candidates(&self, task: &Task<'_>, before: &[u8], first_row: &[f32]) -> Vec<Candidate> {
        let partial = partial(before, &task.required);
        let whole = fused::log_sum_exp(self.model.isa(), first_row);
        let n_vocab = self.model.config.n_vocab;
        let fits = |(index, name): (usize, &crate::NamePrior)| {
            let rest = name.name.as_bytes().strip_prefix(&partial[..])?;
            if rest.is_empty() || !name.prior.is_finite() {
                return None;
            }
            let text = [&task.required[..], rest].concat();
            let tokens = self.tokenizer.encode(std::str::from_utf8(&text).ok()?);
            let first = *tokens.first()?;
            let is_usable = tokens.len() <= MAX_NAME_TOKENS + task.required.len()
                && tokens.iter().all(|&token| (token as usize) < n_vocab);
            is_usable.then(|| Candidate {
                index,
                prior: name.prior,
                logprob: first_row[first as usize] - whole,
                tokens,
            })
        };
        task.request.names.iter().enumerate().filter_map(fits).collect()
    }

    /// Logarithm of the probability that a name ends here.
    fn end_of_name(&self, logits: &[f32]) -> f32 {
        let isa = self.model.isa();
        let whole = fused::log_sum_exp(isa, logits);
        let ends: Vec<f32> = self.vocab.enders().map(|token| logits[token as usize]).collect();
        (fused::log_sum_exp(isa, &ends) - whole).min(0.0)
    }
}

impl GenerateRequest {
    /// Names are chosen where the continuation is not drawn by chance.
    pub(crate) fn chooses_name(&self) -> bool {
        !self.names.is_empty() && self.sampling.temperature <= 0.0 && self.max_tokens > 1
    }
}

/// The part of a name that `before` and `required` end with.
fn partial(before: &[u8], required: &[u8]) -> Vec<u8> {
    let text = [before, required].concat();
    let start = text.iter().rposition(|byte| !is_identifier(*byte)).map_or(0, |at| at + 1);
    text[start..].to_vec()
}

pub(crate) fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_name_may_lie_across_the_border() {
        assert_eq!(partial(b"x = self.ar", b""), b"ar");
        assert_eq!(partial(b"x = self", b".are"), b"are");
        assert_eq!(partial(b"x = ar", b"ea"), b"area");
        assert_eq!(partial(b"x =", b" "), b"");
    }
}
