//! Log-probabilities against the reference.

use crate::fixture::{Tiny, options, real_model};
use crate::reference;
use fovea_model::gguf::DType;
use fovea_model::{GgufFile, Isa, Model, Piece, Prompt, PromptSegment, ScoreRequest, Session};
use std::sync::atomic::AtomicBool;

const START: &str = "def area(self, width):\n    return self.area";
const REST: &str = " * width\n\n\ndef area_of(self):\n    return self.are";

fn score(session: &mut Session, prompt: Prompt, continuation: &str) -> Vec<f32> {
    let request = ScoreRequest { prompt, continuation: continuation.to_owned() };
    session.score(&request, &AtomicBool::new(false)).unwrap().logprobs
}

/// Largest and mean difference between the runtime and the reference.
fn difference(file: &GgufFile, isa: Isa) -> (f32, f32) {
    let model = Model::load_with(file, &options(), isa).unwrap();
    let mut session = Session::with_model(file, model, &options()).unwrap();
    let found = score(&mut session, Prompt::text(START), REST);
    let tokenizer = session.tokenizer();
    // The runtime puts the family's start token in front.
    let mut tokens = vec![0];
    tokens.extend(tokenizer.encode(START));
    tokens.extend(tokenizer.encode(REST));
    if file.architecture() == "qwen2" {
        tokens.remove(0);
    }
    let expected = reference::logprobs(file, &tokens);
    let expected = &expected[expected.len() - found.len()..];
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let (mut largest, mut sum) = (0.0f32, 0.0);
    for difference in differences {
        largest = largest.max(difference);
        sum += difference;
    }
    (largest, sum / found.len() as f32)
}

fn check(tiny: &Tiny) {
    let file = tiny.file();
    for isa in Isa::available() {
        let (largest, mean) = difference(&file, isa);
        let name = isa.name();
        // Activations have 8 bits in the runtime and 24 in the reference.
        assert!(largest < 0.25 && mean < 0.06, "{name}: largest {largest}, mean {mean}");
    }
}

#[test]
fn llama_with_shared_embedding() {
    check(&Tiny::default());
    check(&Tiny { dtype: DType::Q4_1, ..Tiny::default() });
}

#[test]
fn qwen2_with_biases_and_its_own_output() {
    check(&Tiny { architecture: "qwen2", dtype: DType::F16, tied: false, rope_scale: None });
    check(&Tiny { architecture: "qwen2", dtype: DType::Q4_0, tied: true, rope_scale: None });
}

#[test]
fn linear_rope_scaling() {
    check(&Tiny { rope_scale: Some(4.0), dtype: DType::F32, ..Tiny::default() });
}

#[test]
fn real_model_agrees_with_candle() {
    let Some(path) = real_model() else { return };
    let file = GgufFile::open(&path).unwrap();
    let (largest, mean) = difference(&file, Isa::detect());
    println!("largest difference of log-probability {largest:.4}, mean {mean:.4}");
    assert!(largest < 0.5 && mean < 0.06, "largest {largest}, mean {mean}");
}

#[test]
fn reused_prefixes_give_the_same_scores() {
    let mut session = Tiny::default().session();
    let fresh = score(&mut session, Prompt::text(START), REST);
    // The cache now holds another continuation and must be cut back.
    score(&mut session, Prompt::text("def area(self, depth"), "): pass");
    let reused = score(&mut session, Prompt::text(START), REST);
    assert_eq!(fresh, reused);
}

#[test]
fn a_placed_segment_right_after_the_start_equals_reading_it_in_place() {
    let text = "class Shape:\n    def area(self): ...\n    def border(self): ...\n";
    let prompt = |key: Option<[u8; 32]>| Prompt {
        segments: vec![
            PromptSegment { key, pieces: vec![Piece::Text(text.to_owned())] },
            PromptSegment::volatile(vec![Piece::Text(START.to_owned())]),
        ],
    };
    let mut session = Tiny::default().session();
    let in_place = score(&mut session, prompt(None), REST);
    session.clear();
    let placed = score(&mut session, prompt(Some([7; 32])), REST);
    // Only the half precision rounding of keys before instead of after rotation differs.
    for (a, b) in in_place.iter().zip(&placed) {
        assert!((a - b).abs() < 0.1, "{in_place:?} {placed:?}");
    }
    assert_eq!(session.status().n_segments, 1);
    // Text under the same key that is not the same is not mistaken for it.
    let other = Prompt {
        segments: vec![
            PromptSegment::stable([7; 32], vec![Piece::Text(text.replace("Shape", "Other"))]),
            PromptSegment::volatile(vec![Piece::Text(START.to_owned())]),
        ],
    };
    let different = score(&mut session, other, REST);
    assert!(placed.iter().zip(&different).any(|(a, b)| (a - b).abs() > 1e-3));
}
