//! The on-device model as a [`Completer`], in process: what is measured is the pipeline, not the
//! worker's pipe. With a cache file a run that was cut off goes on where it stopped.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use anyhow::{Context as _, Result};
use fovea_context::{PromptFormat, TokenCounter};
use fovea_indexer::ContentHash;
use fovea_model::{GenerateRequest, Generated, GgufFile, LoadOptions, Session, Tokenizer};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::completer::Completer;

/// A loaded model.
pub struct OnDevice {
    session: Mutex<Session>,
    counter: Counter,
    format: &'static PromptFormat,
    cache: Option<Mutex<Cache>>,
}

struct Counter(Tokenizer);

impl TokenCounter for Counter {
    fn count(&self, text: &str) -> usize {
        self.0.count(text)
    }
}

/// Answers by the hash of their task.
struct Cache {
    file: File,
    answers: FxHashMap<String, Generated>,
}

#[derive(Serialize, Deserialize)]
struct CacheLine {
    key: String,
    answer: Generated,
}

impl OnDevice {
    /// Loads the GGUF file at `path`.
    ///
    /// # Errors
    /// If the file is refused.
    pub fn open(path: &Path, n_threads: usize) -> Result<Self> {
        let options = LoadOptions { n_threads, ..LoadOptions::default() };
        let session = Session::open(path, &options)
            .with_context(|| format!("cannot load the model `{}`", path.display()))?;
        let tokenizer = Tokenizer::from_gguf(&GgufFile::open(path)?)?;
        let family = session.model().family().name;
        let format = PromptFormat::named(family).unwrap_or_else(PromptFormat::plain);
        Ok(Self { session: Mutex::new(session), counter: Counter(tokenizer), format, cache: None })
    }

    /// Keeps answers in the file at `path`, one JSON object a line, and reads those that are there.
    /// They are only right for the same model and the same build.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn with_cache(mut self, path: &Path) -> Result<Self> {
        let failed = || format!("cannot use the cache of answers `{}`", path.display());
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .with_context(failed)?;
        // A line that was cut off is asked for again.
        let answers = BufReader::new(&file)
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str::<CacheLine>(&line).ok())
            .map(|line| (line.key, line.answer))
            .collect();
        self.cache = Some(Mutex::new(Cache { file, answers }));
        Ok(self)
    }
}

impl Completer for OnDevice {
    fn counter(&self) -> &dyn TokenCounter {
        &self.counter
    }

    fn format(&self) -> Option<&'static PromptFormat> {
        Some(self.format)
    }

    fn generate(&self, task: &GenerateRequest) -> Result<Generated> {
        let key = match &self.cache {
            Some(cache) => {
                let key = ContentHash::of(&serde_json::to_vec(task)?).to_string();
                if let Some(answer) = lock(cache).answers.get(&key) {
                    return Ok(answer.clone());
                }
                key
            }
            None => String::new(),
        };
        let answer = lock(&self.session).generate(task, &AtomicBool::new(false), &mut |_| true)?;
        if let Some(cache) = &self.cache {
            let mut cache = lock(cache);
            let line = CacheLine { key, answer: answer.clone() };
            let text = serde_json::to_string(&line)?;
            writeln!(cache.file, "{text}").context("cannot write the cache of answers")?;
            cache.answers.insert(line.key, line.answer);
        }
        Ok(answer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
