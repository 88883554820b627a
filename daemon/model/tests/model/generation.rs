//! Completions on a tiny model: what must hold whatever the weights say.

use crate::fixture::{Tiny, options, real_model};
use fovea_model::{
    Finish, GenerateRequest, Generated, GgufFile, LoadOptions, ModelError, NamePrior, Piece,
    Prompt, PromptSegment, Sampling, ScoreRequest, Session, Stop,
};
use std::sync::atomic::AtomicBool;

const PROMPT: &str = "def area(self):\n    return self.area * self.area\n\ndef area(";

fn generate(session: &mut Session, request: &GenerateRequest) -> Generated {
    session.generate(request, &AtomicBool::new(false), &mut |_| true).unwrap()
}

fn request(prompt: &str) -> GenerateRequest {
    GenerateRequest { prompt: Prompt::text(prompt), max_tokens: 40, ..GenerateRequest::default() }
}

/// A session on the real model where there is one, otherwise on the fixture.
fn best_session() -> Session {
    match real_model() {
        Some(path) => Session::open(&path, &options()).unwrap(),
        None => Tiny::default().session(),
    }
}

#[test]
fn drafts_change_the_speed_and_nothing_else() {
    let mut session = best_session();
    let plain = generate(&mut session, &request(PROMPT));
    session.clear();
    let draft = format!("{PROMPT}{}", plain.text);
    let drafted =
        generate(&mut session, &GenerateRequest { drafts: vec![draft], ..request(PROMPT) });
    assert_eq!(plain.tokens, drafted.tokens);
    assert_eq!(plain.logprobs, drafted.logprobs);
    // Random weights spell bytes that are no text, which drafts cannot carry.
    let least = if real_model().is_some() { plain.tokens.len() / 2 } else { 0 };
    assert!(drafted.timings.n_accepted > least, "{:?}", drafted.timings);
}

#[test]
fn streamed_text_is_the_result() {
    let mut session = best_session();
    let mut streamed = String::new();
    let request = GenerateRequest {
        stop: Stop { strings: vec!["zz".to_owned()], ..Stop::default() },
        ..request(PROMPT)
    };
    let generated = session
        .generate(&request, &AtomicBool::new(false), &mut |text| {
            streamed.push_str(text);
            true
        })
        .unwrap();
    assert_eq!(streamed, generated.text);
}

#[test]
fn the_next_keystroke_reuses_the_cache() {
    let mut session = Tiny::default().session();
    generate(&mut session, &request(PROMPT));
    let next = generate(&mut session, &request(&format!("{PROMPT}self")));
    assert!(next.timings.n_prefill <= 6, "{:?}", next.timings);
    assert!(next.timings.n_reused > 20, "{:?}", next.timings);
}

#[test]
fn segments_are_placed_at_their_second_use() {
    let mut session = Tiny::default().session();
    let prompt = |tail: &str| Prompt {
        segments: vec![
            PromptSegment::stable([1; 32], vec![Piece::Text(PROMPT.to_owned())]),
            PromptSegment::stable([2; 32], vec![Piece::Text(PROMPT.replace("area", "side"))]),
            PromptSegment::volatile(vec![Piece::Text(tail.to_owned())]),
        ],
    };
    let with = |prompt| GenerateRequest { prompt, ..request("") };
    let first = generate(&mut session, &with(prompt("self.")));
    assert_eq!(first.timings.n_placed, 0);
    // Another prompt in between takes the cache; the segments stay.
    generate(&mut session, &request("x = 1\n"));
    let second = generate(&mut session, &with(prompt("self.")));
    assert!(second.timings.n_placed > 60, "{:?}", second.timings);
    assert!(second.timings.n_prefill <= 8, "{:?}", second.timings);
    assert_eq!(first.tokens, second.tokens);
}

#[test]
fn a_small_budget_evicts_segments_and_still_answers() {
    let file = Tiny::default().file();
    let small = LoadOptions { kv_budget_bytes: 1, ..options() };
    let mut session = Session::new(&file, &small).unwrap();
    let prompt = Prompt {
        segments: vec![
            PromptSegment::stable([1; 32], vec![Piece::Text(PROMPT.to_owned())]),
            PromptSegment::volatile(vec![Piece::Text("self.".to_owned())]),
        ],
    };
    let generated = generate(&mut session, &GenerateRequest { prompt, ..request("") });
    assert!(!generated.tokens.is_empty());
    assert_eq!((session.status().n_segments, session.status().segment_bytes), (0, 0));
}

#[test]
fn required_prefix_begins_the_text() {
    let mut session = Tiny::default().session();
    for prefix in ["sel", "self.are", "\u{e9}t\u{e9}", "zqx"] {
        let request = GenerateRequest { required_prefix: prefix.to_owned(), ..request(PROMPT) };
        let generated = generate(&mut session, &request);
        assert!(generated.text.starts_with(prefix), "{prefix:?}: {:?}", generated.text);
    }
}

#[test]
fn healed_text_is_spelled_again_and_not_returned() {
    let mut session = Tiny::default().session();
    for tail in ["\n    ", "se", " ", "\n\n", "self.a"] {
        let prompt = format!("{PROMPT}self):{tail}");
        let healed = generate(&mut session, &request(&prompt));
        // Reading the tokens back gives the prompt's end, then the text.
        let spelled = session.tokenizer().decode_bytes(&healed.tokens);
        let spelled = String::from_utf8_lossy(&spelled).into_owned();
        let healed_text = spelled.trim_end_matches('\u{fffd}');
        let text = healed.text.trim_end_matches('\u{fffd}');
        let healed_text = healed_text.strip_suffix(text).expect("the text ends the spelling");
        assert!(!healed_text.is_empty() && prompt.ends_with(healed_text), "{tail:?} {spelled:?}");
    }
}

fn with_names(names: &[(&str, f32)], prompt: &str) -> GenerateRequest {
    let names = names.iter().map(|&(name, prior)| NamePrior { name: name.to_owned(), prior });
    GenerateRequest { names: names.collect(), ..request(prompt) }
}

#[test]
fn a_likely_name_is_chosen_at_the_cursor() {
    let mut session = Tiny::default().session();
    for prompt in ["x = self.", "x = self.ar", "x = "] {
        let typed = if prompt.ends_with("ar") { "ar" } else { "" };
        let request = with_names(&[("area_of", 100.0), ("width", 1.0)], prompt);
        let generated = generate(&mut session, &request);
        let text = format!("{typed}{}", generated.text);
        assert!(text.starts_with("area_of"), "{prompt:?} {text:?}");
        assert_eq!(generated.tokens.len(), generated.logprobs.len());
    }
}

#[test]
fn unlikely_names_leave_the_models_own_text() {
    let mut session = Tiny::default().session();
    for prompt in ["x = self.", "x = self.ar", "def f(", PROMPT] {
        let own = generate(&mut session, &request(prompt));
        let named = generate(&mut session, &with_names(&[("area_of", -500.0)], prompt));
        assert_eq!((named.text, named.tokens), (own.text, own.tokens), "{prompt:?}");
    }
}

#[test]
fn looking_at_every_name_changes_nothing() {
    let mut session = Tiny::default().session();
    let names = [("area", 1.0), ("area_of", 2.0), ("size", 0.5), ("x", 0.0), ("zqx", -2.0)];
    for prompt in ["x = self.", "def f(self, ar", "for a in "] {
        let quick = with_names(&names, prompt);
        let whole = GenerateRequest { score_names: true, ..quick.clone() };
        let (quick, whole) = (generate(&mut session, &quick), generate(&mut session, &whole));
        assert_eq!(quick.tokens, whole.tokens, "{prompt:?}");
        assert_eq!(whole.name_logprobs.len(), names.len() + 1);
        assert!(quick.name_logprobs.is_empty());
    }
}

#[test]
fn a_chosen_name_has_the_probability_that_scoring_gives_it() {
    let mut session = Tiny::default().session();
    let named = generate(&mut session, &with_names(&[("area_of", 100.0)], "x = self."));
    let score =
        ScoreRequest { prompt: Prompt::text("x = self"), continuation: ".area_of".to_owned() };
    let scored = session.score(&score, &AtomicBool::new(false)).unwrap();
    assert_eq!(named.tokens[..scored.tokens.len()], scored.tokens);
    for (a, b) in named.logprobs.iter().zip(&scored.logprobs) {
        assert!((a - b).abs() < 1e-2, "{named:?} {scored:?}");
    }
}

#[test]
fn candidates_differ_and_come_best_first() {
    let mut session = Tiny::default().session();
    let request =
        GenerateRequest { n_candidates: 3, max_tokens: 5, heal: false, ..request(PROMPT) };
    let generated = generate(&mut session, &request);
    assert_eq!(generated.alternatives.len(), 2);
    let mut first: Vec<_> = generated.alternatives.iter().map(|a| a.tokens[0]).collect();
    first.push(generated.tokens[0]);
    first.sort_unstable();
    first.dedup();
    assert_eq!(first.len(), 3);
    assert!(generated.alternatives[0].logprobs[0] >= generated.alternatives[1].logprobs[0]);
}

#[test]
fn sampling_is_reproducible() {
    let mut session = Tiny::default().session();
    let sampled = |session: &mut Session, seed| {
        let sampling = Sampling { temperature: 1.5, seed, ..Sampling::default() };
        generate(session, &GenerateRequest { sampling, ..request(PROMPT) }).tokens
    };
    let first = sampled(&mut session, 1);
    assert_eq!(first, sampled(&mut session, 1));
    assert_ne!(first, sampled(&mut session, 2));
}

#[test]
fn a_cancelled_request_says_so_and_the_next_one_works() {
    let mut session = Tiny::default().session();
    let cancelled = AtomicBool::new(true);
    let result = session.generate(&request(PROMPT), &cancelled, &mut |_| true);
    assert_eq!(result, Err(ModelError::Cancelled));
    let mut n = 0;
    let stopped = session
        .generate(&request(PROMPT), &AtomicBool::new(false), &mut |_| {
            n += 1;
            n < 2
        })
        .unwrap();
    assert_eq!(stopped.finish, Finish::Cancelled);
    let again = generate(&mut session, &request(PROMPT));
    assert!(again.text.starts_with(&stopped.text));
}

#[test]
fn bad_requests_are_errors() {
    let mut session = Tiny::default().session();
    let mut fail = |prompt| {
        let request = GenerateRequest { prompt, ..request("") };
        session.generate(&request, &AtomicBool::new(false), &mut |_| true).unwrap_err()
    };
    let special = PromptSegment::volatile(vec![Piece::Special("<|nothing|>".to_owned())]);
    assert_eq!(
        fail(Prompt { segments: vec![special] }),
        ModelError::UnknownSpecial("<|nothing|>".to_owned())
    );
    let long = fail(Prompt::text("x".repeat(2_000)));
    assert!(matches!(long, ModelError::PromptTooLong { limit: 512, .. }), "{long}");
}

#[test]
fn text_never_becomes_a_special_token() {
    let session = Tiny::default().session();
    let tokens = session.tokenizer().encode("<|endoftext|>");
    assert!(tokens.iter().all(|&token| !session.tokenizer().is_special(token)));
}

#[test]
fn damaged_models_are_refused_by_name() {
    let tiny = Tiny { architecture: "gemma", ..Tiny::default() };
    let refused = |file: &GgufFile| match Session::new(file, &options()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("loaded"),
    };
    assert!(refused(&tiny.file()).contains("`gemma`"));
}

#[test]
fn real_model_completes_a_line() {
    let Some(path) = real_model() else { return };
    let mut session = Session::open(&path, &options()).unwrap();
    let prompt =
        "def fibonacci(n):\n    if n <= 1:\n        return n\n    return fibonacci(n - 1) + ";
    let stop = Stop { at_newline: true, ..Stop::default() };
    let generated = generate(&mut session, &GenerateRequest { stop, ..request(prompt) });
    assert_eq!(generated.text, "fibonacci(n - 2)");
    assert_eq!(generated.finish, Finish::Newline);
}
