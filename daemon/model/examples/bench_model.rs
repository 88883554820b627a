//! Prefill and decode speed of a model file, beside candle's own quantized product.
//!
//! `cargo run --release -p fovea-model --example bench_model -- MODEL [THREADS]`
//!
//! Prints tokens per CPU second (all threads together), which other load on the machine changes
//! less than wall time.

#![expect(clippy::print_stdout, reason = "a command-line tool")]

use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{Device, Module, Tensor};
use fovea_model::{GenerateRequest, GgufFile, Isa, LoadOptions, Model, Prompt, Session};
use std::error::Error;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: bench_model MODEL [THREADS]")?;
    let n_threads = args.next().map_or(Ok(1), |n| n.parse())?;
    let options = LoadOptions { n_threads, ..LoadOptions::default() };
    let started = Instant::now();
    let file = GgufFile::open(Path::new(&path))?;
    println!("open {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    for isa in Isa::available().into_iter().skip(1) {
        let started = Instant::now();
        let model = Model::load_with(&file, &options, isa)?;
        println!(
            "{}: load {:.0} ms, weights {:.0} MB, {} threads",
            isa.name(),
            started.elapsed().as_secs_f64() * 1e3,
            model.weight_bytes() as f64 / 1e6,
            model.n_threads()
        );
        let mut session = Session::with_model(&file, model, &options)?;
        for n in [128, 512, 1_700] {
            session.clear();
            let text = source_text(&session, n);
            let request = GenerateRequest {
                prompt: Prompt::text(text),
                max_tokens: 1,
                heal: false,
                ..GenerateRequest::default()
            };
            let (result, cpu) = timed(|| run(&mut session, &request));
            let n_prefill = result?.timings.n_prefill;
            println!("  prefill {n_prefill:5}: {:6.0} tokens/CPU s", n_prefill as f64 / cpu);
            let text = source_text(&session, n);
            let request = GenerateRequest {
                prompt: Prompt::text(text),
                max_tokens: 32,
                heal: false,
                ..GenerateRequest::default()
            };
            let (result, cpu) = timed(|| run(&mut session, &request));
            let result = result?;
            println!(
                "  decode at {n:5}: {:6.1} tokens/CPU s ({} tokens, {} of {} drafted accepted)",
                result.tokens.len() as f64 / cpu,
                result.tokens.len(),
                result.timings.n_accepted,
                result.timings.n_drafted,
            );
        }
    }
    candle(&file)?;
    Ok(())
}

fn run(
    session: &mut Session,
    request: &GenerateRequest,
) -> Result<fovea_model::Generated, fovea_model::ModelError> {
    session.generate(request, &AtomicBool::new(false), &mut |_| true)
}

/// This crate's own sources, cut to about `n` tokens.
fn source_text(session: &Session, n: usize) -> String {
    let text = concat!(
        include_str!("../src/session.rs"),
        include_str!("../src/generate.rs"),
        include_str!("../src/kernels/pool.rs")
    );
    let tokens = session.tokenizer().encode(text);
    let bytes = session.tokenizer().decode_bytes(&tokens[..n.min(tokens.len())]);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The matrix products of one forward pass over 512 tokens with candle's stock kernels: a lower
/// bound of its prefill time.
fn candle(file: &GgufFile) -> Result<(), Box<dyn Error>> {
    let device = Device::Cpu;
    let mut products = Vec::new();
    for tensor in file.tensors() {
        if !tensor.info.name.starts_with("blk.") || tensor.info.shape.len() != 2 {
            continue;
        }
        let dtype = match tensor.info.dtype.id() {
            2 => candle_core::quantized::GgmlDType::Q4_0,
            3 => candle_core::quantized::GgmlDType::Q4_1,
            8 => candle_core::quantized::GgmlDType::Q8_0,
            12 => candle_core::quantized::GgmlDType::Q4K,
            14 => candle_core::quantized::GgmlDType::Q6K,
            _ => return Ok(()),
        };
        let storage = QStorage::from_data(tensor.bytes.into(), &device, dtype)?;
        let shape = (tensor.info.shape[1], tensor.info.shape[0]);
        products.push((QMatMul::from_qtensor(QTensor::new(storage, shape)?)?, shape.1));
    }
    for n in [1usize, 512] {
        let (result, cpu) = timed(|| -> Result<(), candle_core::Error> {
            for (product, width) in &products {
                product.forward(&Tensor::ones((n, *width), candle_core::DType::F32, &device)?)?;
            }
            Ok(())
        });
        result?;
        println!("candle, products alone, {n:4} tokens: {:6.1} tokens/CPU s", n as f64 / cpu);
    }
    Ok(())
}

fn timed<T>(f: impl FnOnce() -> T) -> (T, f64) {
    let before = cpu_seconds();
    let result = f();
    (result, cpu_seconds() - before)
}

/// CPU time of this process. Reads `/proc`, so the figure is 0 elsewhere.
fn cpu_seconds() -> f64 {
    let mut nanoseconds = 0u64;
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        nanoseconds += stat.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    nanoseconds as f64 * 1e-9
}
