//! The worker protocol, with the worker on a thread and pipes in between.

use crate::fixture::{Tiny, options};
use fovea_model::worker::{GenerationEvent, Silent, WorkerClient, serve};
use fovea_model::{EmbedOptions, Finish, GenerateRequest, ModelError, Prompt, ScoreRequest};
use std::io::{PipeWriter, Write, pipe};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A client whose worker runs on a thread, and a tiny model file for it.
fn connect() -> (WorkerClient, tempfile::NamedTempFile) {
    let (command_reader, command_writer) = pipe().unwrap();
    let (reply_reader, reply_writer) = pipe().unwrap();
    std::thread::spawn(move || {
        serve(command_reader, reply_writer, &fovea_model::worker::Confinement::default())
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&Tiny::default().bytes()).unwrap();
    (WorkerClient::over(reply_reader, command_writer).unwrap(), file)
}

fn request(max_tokens: usize) -> GenerateRequest {
    let prompt = Prompt::text("def area(self):\n    return self.");
    GenerateRequest { prompt, max_tokens, ..GenerateRequest::default() }
}

#[test]
fn load_generate_score_unload() {
    let (client, file) = connect();
    assert_eq!(client.status(), Ok(None));
    assert_eq!(client.generate(request(4)).unwrap().wait(), Err(ModelError::NotLoaded));
    let status = client.load(file.path(), &options()).unwrap();
    assert_eq!((status.family.as_str(), status.n_context), ("smollm2", 512));

    let mut generation = client.generate(request(12)).unwrap();
    let mut streamed = String::new();
    let generated = loop {
        match generation.next_event().unwrap() {
            GenerationEvent::Text(text) => streamed.push_str(&text),
            GenerationEvent::Done(result) => break result.unwrap(),
        }
    };
    assert_eq!(generated.text, streamed);
    assert!(generation.next_event().is_none());

    let score = ScoreRequest { prompt: Prompt::text("self."), continuation: "area".to_owned() };
    let scored = client.score(score).unwrap();
    assert_eq!(scored.tokens.len(), scored.logprobs.len());
    assert!(scored.logprobs.iter().all(|&logprob| logprob <= 0.0));

    client.unload().unwrap();
    assert_eq!(client.status(), Ok(None));
}

#[test]
fn an_embedder_lives_beside_the_model() {
    let (client, file) = connect();
    let embed = |text: &str| client.embed(vec![text.to_owned(), "socket".to_owned()]);
    assert_eq!(embed("open file"), Err(ModelError::NotLoaded));
    let folder = crate::embedder::Tiny::bert().write();
    let info = client.load_embedder(folder.path(), &EmbedOptions::default()).unwrap();
    client.load(file.path(), &options()).unwrap();
    let vectors = embed("open file").unwrap();
    assert_eq!(vectors.len(), 2 * info.dim);
    assert!(client.generate(request(2)).unwrap().wait().is_ok());
    assert_eq!(embed("open file").unwrap(), vectors);
    assert!(client.load_embedder(Path::new("/nowhere"), &EmbedOptions::default()).is_err());
    assert_eq!(embed("open file"), Err(ModelError::NotLoaded));
    assert!(client.status().unwrap().is_some(), "the model stays");
}

#[test]
fn a_bad_file_is_an_answer_and_the_worker_lives() {
    let (client, file) = connect();
    let missing = client.load(Path::new("/nowhere/model.gguf"), &options()).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/model.gguf"), "{missing}");
    assert!(client.load(file.path(), &options()).is_ok());
}

#[test]
fn cancelling_a_generation_frees_the_worker() {
    let (client, file) = connect();
    client.load(file.path(), &options()).unwrap();
    let generation = client.generate(request(10_000)).unwrap();
    generation.cancel();
    match generation.wait() {
        Ok(generated) => assert!(matches!(
            generated.finish,
            Finish::Cancelled | Finish::EndOfText | Finish::MaxTokens
        )),
        Err(error) => assert_eq!(error, ModelError::Cancelled),
    }
    assert!(client.generate(request(2)).unwrap().wait().is_ok());
    assert_eq!(client.overdue(), None, "it answered");
}

#[test]
fn a_worker_that_hangs_holds_up_nobody_and_is_noticed() {
    // Nobody reads the commands and nobody answers.
    let (_command_reader, command_writer) = pipe().unwrap();
    let (reply_reader, _reply_writer) = pipe().unwrap();
    let client = WorkerClient::over(reply_reader, command_writer).unwrap();
    // More than the pipe holds.
    let mut generations: Vec<_> = (0..50)
        .map(|_| {
            let prompt = Prompt::text("x".repeat(10_000));
            client.generate(GenerateRequest { prompt, ..request(4) }).unwrap()
        })
        .collect();
    let moment = Duration::from_millis(20);
    assert_eq!(generations[0].next_event_within(moment).unwrap_err(), Silent);
    assert_eq!(client.overdue(), None, "nobody cancelled");
    generations.pop();
    std::thread::sleep(moment);
    assert!(client.overdue().unwrap() >= moment);
    assert!(client.is_alive());
    client.kill();
    assert!(matches!(client.generate(request(4)), Err(ModelError::WorkerDied(_))));
}

#[test]
fn a_worker_that_is_gone_is_an_error_for_everyone() {
    let (command_reader, command_writer) = pipe().unwrap();
    let (reply_reader, reply_writer): (_, PipeWriter) = pipe().unwrap();
    let client = WorkerClient::over(reply_reader, command_writer).unwrap();
    let waiting = client.generate(request(4)).unwrap();
    drop(reply_writer);
    drop(command_reader);
    assert!(matches!(waiting.wait(), Err(ModelError::WorkerDied(_))));
    assert!(!client.is_alive());
    assert!(matches!(client.status(), Err(ModelError::WorkerDied(_))));
}

#[test]
fn a_worker_that_speaks_nonsense_or_cannot_start_is_an_error() {
    let missing = WorkerClient::spawn(Command::new("/nowhere/fovea"));
    assert!(matches!(missing, Err(ModelError::WorkerDied(_))));
    let (command_reader, command_writer) = pipe().unwrap();
    let (reply_reader, mut reply_writer) = pipe().unwrap();
    let client = WorkerClient::over(reply_reader, command_writer).unwrap();
    reply_writer.write_all(b"this is not a frame at all").unwrap();
    assert!(matches!(client.status(), Err(ModelError::WorkerDied(_))));
    drop(command_reader);
}
