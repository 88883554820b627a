//! The runtime as its callers see it, on tiny models with random weights and, where there is one,
//! on a real model file (`FOVEA_TEST_MODEL`).

#![expect(clippy::print_stdout, reason = "says what was measured, shown with --nocapture")]

mod embedder;
mod fixture;
mod generation;
mod reference;
mod scores;
mod worker;
