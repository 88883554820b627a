//! Prefill, the next keystroke, and decoding, on the model that `FOVEA_TEST_MODEL` names.
//!
//! `FOVEA_TEST_MODEL=PATH cargo bench -p fovea-model`

use criterion::{Criterion, criterion_group, criterion_main};
use fovea_model::{GenerateRequest, LoadOptions, Prompt, Session};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

fn runtime(criterion: &mut Criterion) {
    let Some(path) = std::env::var_os("FOVEA_TEST_MODEL").map(PathBuf::from) else {
        eprintln!("set FOVEA_TEST_MODEL to a GGUF file to run these benchmarks");
        return;
    };
    let options = LoadOptions { n_threads: 1, ..LoadOptions::default() };
    let mut session = Session::open(&path, &options).expect("the model loads");
    let source = include_str!("../src/kernels/pool.rs");
    let mut group = criterion.benchmark_group("runtime");
    group.sample_size(10);
    for n_bytes in [400, 1_600, 6_400] {
        let prompt = &source[..source.floor_char_boundary(n_bytes)];
        group.bench_function(format!("prefill {n_bytes} bytes"), |bencher| {
            bencher.iter(|| {
                session.clear();
                generate(&mut session, prompt, 1)
            });
        });
    }
    let mut n = 0;
    group.bench_function("next keystroke after 6400 bytes", |bencher| {
        bencher.iter(|| {
            n += 1;
            generate(&mut session, &source[..source.floor_char_boundary(6_400 + n % 400)], 1)
        });
    });
    group.bench_function("16 tokens after 1600 bytes", |bencher| {
        bencher.iter(|| generate(&mut session, &source[..source.floor_char_boundary(1_600)], 16));
    });
    group.finish();
}

fn generate(session: &mut Session, prompt: &str, max_tokens: usize) -> usize {
    let prompt = Prompt::text(prompt);
    let request = GenerateRequest { prompt, max_tokens, ..GenerateRequest::default() };
    let generated = session.generate(&request, &AtomicBool::new(false), &mut |_| true);
    generated.expect("a completion").tokens.len()
}

criterion_group!(benches, runtime);
criterion_main!(benches);
