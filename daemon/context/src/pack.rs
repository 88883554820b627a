//! Proposals into a token budget: most value first, nothing twice, nothing that the window shows.

use fovea_indexer::{ContentHash, text::ByteRange};
use rustc_hash::FxHashSet;

use crate::{
    plan::{Segment, Source},
    render,
    request::PlanRequest,
    tokens::{self, TokenCounter},
};

/// What a source offers: text with its expected value, before anything is counted.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub source: Source,
    pub path: String,
    pub range: Option<ByteRange>,
    /// Zero-based first line, and the line behind the last.
    pub lines: (u32, u32),
    pub reason: String,
    pub text: String,
    /// Expected value on the scale that all sources share; 1 is a snippet that usually helps.
    pub value: f32,
}

impl Proposal {
    /// Stable as long as path and text are.
    #[must_use]
    pub fn key(&self) -> ContentHash {
        let mut bytes = Vec::with_capacity(self.path.len() + self.text.len() + 1);
        bytes.extend_from_slice(self.path.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(self.text.as_bytes());
        ContentHash::of(&bytes)
    }
}

/// Lines shorter than this (trimmed) are punctuation and do not count as seen.
const MIN_LINE: usize = 8;
/// A proposal with a greater share of lines that the prompt already shows is left out.
const MAX_SEEN: f32 = 0.6;
/// Preference for a segment of the plan before: enough to stop two near-equal snippets from
/// taking turns, too little to keep a stale one.
const HYSTERESIS: f32 = 1.2;

/// Chooses proposals for `budget` tokens. `window` is the text that the prompt shows anyway;
/// the request has the keys of the last plan. The result is in prompt order.
#[must_use]
pub fn pack(
    mut proposals: Vec<Proposal>,
    window: &[&str],
    request: &PlanRequest,
    budget: usize,
    counter: &dyn TokenCounter,
) -> Vec<Segment> {
    let mut seen = SeenLines::default();
    window.iter().for_each(|text| seen.add(text));
    let before: FxHashSet<ContentHash> =
        request.previous.iter().flat_map(|plan| plan.context()).map(|s| s.key).collect();
    for proposal in &mut proposals {
        if before.contains(&proposal.key()) {
            proposal.value *= HYSTERESIS;
        }
    }
    let mut order: Vec<(usize, f32)> = proposals
        .iter()
        .enumerate()
        .map(|(index, p)| (index, density(p, request.tuning.density)))
        .collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));

    let (mut packed, mut left) = (Vec::<Segment>::new(), budget);
    for (index, _) in order {
        let proposal = &proposals[index];
        if overlaps(&packed, proposal) || seen.share(&proposal.text) > MAX_SEEN {
            continue;
        }
        let header = render::header_text(request.format, &proposal.path);
        let n_header = counter.count(&header) + 1;
        let Some(room) = left.checked_sub(n_header) else { continue };
        let mut n_tokens = counter.count(&proposal.text);
        let mut text = proposal.text.as_str();
        if n_tokens > room {
            // Better the head of the best snippet than nothing at all.
            if room < 48 || room * 2 < n_tokens {
                continue;
            }
            text = tokens::head_within(text, room, counter);
            if text.trim().is_empty() {
                continue;
            }
            n_tokens = counter.count(text);
        }
        left = left.saturating_sub(n_tokens + n_header);
        seen.add(text);
        packed.push(to_segment(proposal, text, n_tokens + n_header));
    }
    packed.sort_by(|a, b| {
        let by_source = request.tuning.stable_first;
        let place = |segment: &Segment| if by_source { place(segment.source) } else { 0 };
        place(a)
            .cmp(&place(b))
            .then_with(|| match request.tuning.best_last {
                true => a.score.total_cmp(&b.score),
                false => b.score.total_cmp(&a.score),
            })
            .then_with(|| (&a.path, a.lines).cmp(&(&b.path, b.lines)))
    });
    packed
}

/// Prompt order: what stays the same for minutes first, what is most telling last, next to the
/// open file.
fn place(source: Source) -> u8 {
    match source {
        Source::Outline => 0,
        Source::Docs => 1,
        Source::Imports => 2,
        Source::Enclosing => 3,
        Source::Tests => 4,
        Source::Recent => 5,
        Source::Similar | Source::Usage => 6,
        Source::Receiver => 7,
        Source::Callee => 8,
        Source::Suffix => 9,
        Source::Prefix => 10,
    }
}

/// Value for its length: a long snippet must be worth more, but not in proportion, since its
/// header and the model's attention are paid once.
fn density(proposal: &Proposal, power: f32) -> f32 {
    let length = (proposal.text.len() as f32 / 400.0).max(0.1);
    proposal.value / length.powf(power)
}

fn overlaps(packed: &[Segment], proposal: &Proposal) -> bool {
    let Some(range) = proposal.range else { return false };
    packed.iter().any(|segment| {
        segment.path == proposal.path
            && segment.range.is_some_and(|other| {
                let (start, end) = (range.start.max(other.start), range.end.min(other.end));
                // A few shared lines are fine, half of either is not.
                end.saturating_sub(start) * 2 > range.end - range.start
                    || end.saturating_sub(start) * 2 > other.end - other.start
            })
    })
}

fn to_segment(proposal: &Proposal, text: &str, n_tokens: usize) -> Segment {
    let n_lines = text.lines().count() as u32;
    let cut = text.len() < proposal.text.len();
    let segment = Segment {
        ring: proposal.source.ring(),
        source: proposal.source,
        path: proposal.path.clone(),
        range: proposal.range.map(|range| match cut {
            true => ByteRange::new(range.start, range.start + text.len() as u32),
            false => range,
        }),
        lines: match cut {
            true => (proposal.lines.0, proposal.lines.0 + n_lines),
            false => proposal.lines,
        },
        reason: proposal.reason.clone(),
        text: text.to_owned(),
        n_tokens,
        key: ContentHash([0; 32]),
        score: proposal.value,
    };
    let key = Proposal { text: text.to_owned(), ..proposal.clone() }.key();
    Segment { key, ..segment }
}

/// Lines that the prompt already shows, by hash of their trimmed text.
#[derive(Default)]
struct SeenLines(FxHashSet<String>);

impl SeenLines {
    fn add(&mut self, text: &str) {
        self.0.extend(telling_lines(text).map(str::to_owned));
    }

    /// Share of `text`'s telling lines that were seen; zero if it has none.
    fn share(&self, text: &str) -> f32 {
        let (mut n_lines, mut n_seen) = (0_u32, 0_u32);
        for line in telling_lines(text) {
            n_lines += 1;
            n_seen += u32::from(self.0.contains(line));
        }
        if n_lines == 0 { 0.0 } else { n_seen as f32 / n_lines as f32 }
    }
}

fn telling_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| line.len() >= MIN_LINE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::Plan, tokens::Estimate};

    fn proposal(source: Source, path: &str, text: &str, value: f32) -> Proposal {
        Proposal {
            source,
            path: path.to_owned(),
            range: None,
            lines: (0, text.lines().count() as u32),
            reason: "test".to_owned(),
            text: text.to_owned(),
            value,
        }
    }

    fn packed(proposals: Vec<Proposal>, window: &[&str], budget: usize) -> Vec<Segment> {
        pack(proposals, window, &PlanRequest::new("a.rs", "", 0), budget, &Estimate)
    }

    #[test]
    fn the_budget_holds_and_value_decides() {
        let proposals: Vec<_> = (0..20)
            .map(|n| {
                let text = format!("let unique_name_{n} = call_{n}(argument_{n});\n").repeat(3);
                proposal(Source::Similar, &format!("f{n}.rs"), &text, n as f32)
            })
            .collect();
        let segments = packed(proposals, &[], 200);
        let n_tokens: usize = segments.iter().map(|s| s.n_tokens).sum();
        assert!(n_tokens <= 200 && n_tokens > 120, "{n_tokens} tokens");
        assert_eq!(segments.last().map(|s| s.path.as_str()), Some("f19.rs"), "the best is last");
    }

    #[test]
    fn what_the_prompt_shows_is_not_repeated() {
        let text = "let shared_line = compute_it();\n";
        let twice = vec![
            proposal(Source::Similar, "a.rs", text, 1.0),
            proposal(Source::Usage, "b.rs", text, 2.0),
        ];
        assert_eq!(packed(twice.clone(), &[], 500).len(), 1);
        assert_eq!(packed(twice, &[text], 500).len(), 0);
    }

    #[test]
    fn stable_sources_come_first() {
        let segments = packed(
            vec![
                proposal(Source::Callee, "c.rs", "fn callee_signature(x: u32);", 1.0),
                proposal(Source::Outline, "", "src: the outline of it", 0.1),
                proposal(Source::Similar, "s.rs", "similar code is here", 9.0),
            ],
            &[],
            500,
        );
        let sources: Vec<_> = segments.iter().map(|s| s.source).collect();
        assert_eq!(sources, [Source::Outline, Source::Similar, Source::Callee]);
    }

    #[test]
    fn the_previous_choice_wins_a_near_tie() {
        let a = proposal(Source::Similar, "a.rs", "first alternative snippet text", 1.0);
        let b = proposal(Source::Similar, "b.rs", "other alternative snippet text", 1.1);
        let choose = |previous: &[&Proposal]| {
            let segments = previous.iter().map(|p| to_segment(p, &p.text, 10)).collect();
            let previous = Some(Plan::with_segments(segments).into());
            let request = PlanRequest { previous, ..PlanRequest::new("a.rs", "", 0) };
            let packed = pack(vec![a.clone(), b.clone()], &[], &request, 20, &Estimate);
            packed.into_iter().map(|segment| segment.path).collect::<Vec<_>>()
        };
        assert_eq!(choose(&[]), ["b.rs"]);
        assert_eq!(choose(&[&a]), ["a.rs"]);
    }
}
