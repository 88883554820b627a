//! The symbol graph against what compilers say: hit@1 of definitions, precision and recall of
//! references, how often an edge marked `exact` is right.
//!
//! The committed truth (`rust.jsonl` and `python.jsonl`, by rust-analyzer and pyright through
//! `truth.py`) is of the two sample projects. For other checkouts:
//!
//! ```sh
//! FOVEA_TRUTH=CHECKOUT=truth.jsonl cargo test --release --workspace --test quality -- --nocapture
//! ```

#![allow(clippy::print_stdout, reason = "the table is for whoever asked for it")]

mod scorer;

use std::path::{Path, PathBuf};

use scorer::Score;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn score(checkout: &Path, truth: &Path) -> Score {
    let score = scorer::score(checkout, truth).expect("checkout and truth are readable");
    println!("{}\n{score}", checkout.display());
    score
}

#[test]
fn the_sample_projects_resolve_as_compilers_say() {
    for language in ["rust", "python"] {
        let checkout = repository().join("examples/projects").join(language);
        let truth = repository().join("tests/quality").join(format!("{language}.jsonl"));
        let score = score(&checkout, &truth);
        assert!(score.n_definitions >= 60 && score.n_references >= 10, "{language}: {score}");
        assert!(score.hit_rate() >= 0.95, "{language}: {score}");
        assert!(score.exact_rate() >= 0.985, "{language}: {score}");
        assert!(score.f1() >= 0.95, "{language}: {score}");
    }
}

#[test]
fn other_checkouts_are_scored_on_demand() {
    let Ok(pairs) = std::env::var("FOVEA_TRUTH") else { return };
    for pair in pairs.split(',') {
        let (checkout, truth) = pair.split_once('=').expect("FOVEA_TRUTH is CHECKOUT=FILE,..");
        let score = score(Path::new(checkout), Path::new(truth));
        assert!(score.n_definitions + score.n_references > 0, "`{truth}` has no questions");
    }
}
