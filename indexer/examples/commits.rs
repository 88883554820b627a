//! Scores search on a repository's own history: the subject of a commit is the query, the files that it
//! changed (and that were there before) are the answer; nDCG@10, MRR@10, and the share of files found.
//!
//! `commits REPOSITORY [N] [-v] [--table FILE] [--embedder FOLDER]`: the last N commits (default 200) on
//! the first-parent line. Each is asked on the files as they were before it. Commits that change more
//! than ten files say too little about any of them and are left out, as are merges and those with
//! fewer than three words.

#![expect(clippy::disallowed_methods, reason = "an evaluation runs git")]
#![expect(clippy::print_stdout, reason = "the report")]

mod embedder;

use std::{
    collections::HashMap,
    process::Command,
    sync::{Arc, Mutex},
};

use fovea_indexer::{
    Cancel, FileChange, IndexWriter, Language, Storage,
    rank::{SearchQuery, Weights},
    vfs::TextSource,
    writer::MemoryFacts,
};

use embedder::Embedders;

const MAX_CHANGED: usize = 10;
const MIN_WORDS: usize = 3;
const MAX_FILE_BYTES: usize = 1 << 20;

/// Files of the commit before the one that is asked about.
#[derive(Default)]
struct Tree(Mutex<HashMap<String, Arc<str>>>);

impl TextSource for Tree {
    fn read(&self, path: &str) -> Option<Arc<str>> {
        self.0.lock().expect("no panic while locked").get(path).cloned()
    }
}

struct Git(String);

impl Git {
    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("git").arg("-C").arg(&self.0).args(arguments).output();
        let output = output.expect("git is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn text(&self, commit: &str, path: &str) -> Option<Arc<str>> {
        let bytes = self.run(&["show", &format!("{commit}:{path}")]);
        let text = String::from_utf8(bytes).ok().filter(|text| text.len() < MAX_FILE_BYTES)?;
        Some(text.into())
    }

    /// `(is_removed, path)` of what a commit changed.
    fn changes(&self, from: &str, to: &str) -> Vec<(bool, String)> {
        let arguments = ["diff", "--no-renames", "--name-status", "-z", from, to];
        let fields = String::from_utf8_lossy(&self.run(&arguments)).into_owned();
        let fields: Vec<&str> = fields.split('\0').filter(|field| !field.is_empty()).collect();
        let pair = |pair: &[&str]| (pair[0] == "D", pair[1].to_owned());
        fields.chunks_exact(2).map(pair).collect()
    }
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let embedders = Embedders::take(&mut arguments);
    let is_verbose = arguments.iter().any(|argument| argument == "-v");
    arguments.retain(|argument| argument != "-v");
    let [repository, rest @ ..] = arguments.as_slice() else {
        println!("usage: commits REPOSITORY [N] [-v] [--table FILE] [--embedder FOLDER]");
        std::process::exit(2);
    };
    let n_commits: usize = rest.first().map_or(200, |n| n.parse().expect("a number of commits"));
    let git = Git(repository.clone());
    let log = git.run(&["log", "--reverse", "--first-parent", "--format=%H%x09%P%x09%s"]);
    let log = String::from_utf8_lossy(&log).into_owned();
    let commits: Vec<Vec<&str>> = log.lines().map(|line| line.splitn(3, '\t').collect()).collect();
    let commits = &commits[commits.len().saturating_sub(n_commits + 1)..];
    let Some((first, commits)) = commits.split_first() else { return };

    let tree = Arc::new(Tree::default());
    let (facts, table) = (Arc::new(MemoryFacts::default()), Arc::clone(&embedders.table));
    let source = Arc::clone(&tree) as Arc<dyn TextSource>;
    let mut writer = IndexWriter::open(Storage::Memory, facts, source, table).expect("opens");
    let listed = git.run(&["ls-tree", "-r", "-z", "--name-only", first[0]]);
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let changes =
        listed.split('\0').filter(|path| !path.is_empty()).map(|path| (false, path.to_owned()));
    apply(&git, &mut writer, &tree, first[0], changes.collect());
    let steps = [
        ("BM25 of chunks", Weights::lexical_only()),
        ("+ structure", Weights { vector: 0.0, model: 0.0, ..Weights::default() }),
        ("+ vectors", Weights { model: 0.0, ..Weights::default() }),
        ("as shipped", Weights::default()),
    ];
    let mut sums = [(0.0, 0.0, 0.0); 4];
    let mut n = 0.0;
    let mut before = first[0];
    for commit in commits {
        let [hash, parents, subject] = commit.as_slice() else { continue };
        let changes = git.changes(before, hash);
        let known = |path: &String| writer.snapshot().file(path).is_some();
        let relevant: Vec<String> =
            changes.iter().map(|(_, path)| path.clone()).filter(known).collect();
        let is_asked = !parents.contains(' ')
            && (1..=MAX_CHANGED).contains(&relevant.len())
            && subject.split_whitespace().count() >= MIN_WORDS;
        if is_asked {
            n += 1.0;
            // Only what is new since the last question is embedded.
            embedders.fill(&mut writer);
            for ((name, weights), sum) in steps.iter().zip(&mut sums) {
                let ranked = ranked(&writer, subject, weights);
                let (ndcg, mrr, found) = scores(&ranked, &relevant);
                *sum = (sum.0 + ndcg, sum.1 + mrr, sum.2 + found);
                if is_verbose && *name == "as shipped" {
                    println!("{ndcg:.2} {subject:?} want {relevant:?} got {ranked:?}");
                }
            }
        }
        apply(&git, &mut writer, &tree, hash, changes);
        before = hash;
    }
    println!("{n} commits asked about, {} files at the end", writer.snapshot().files().count());
    for ((name, _), (ndcg, mrr, found)) in steps.iter().zip(sums) {
        println!(
            "{name:<16} nDCG@10 {:.3}  MRR@10 {:.3}  found {:.3}",
            ndcg / n,
            mrr / n,
            found / n
        );
    }
}

fn apply(
    git: &Git,
    writer: &mut IndexWriter,
    tree: &Tree,
    commit: &str,
    changes: Vec<(bool, String)>,
) {
    let mut applied = Vec::new();
    for (is_removed, path) in changes {
        if Language::of_path(&path).is_none() {
            continue;
        }
        let text = if is_removed { None } else { git.text(commit, &path) };
        let mut files = tree.0.lock().expect("no panic while locked");
        applied.push(match text {
            Some(text) => {
                files.insert(path.clone(), Arc::clone(&text));
                FileChange::Saved { path, text }
            }
            None => {
                files.remove(&path);
                FileChange::Removed { path }
            }
        });
    }
    writer.apply(applied, &mut |_| {}, &Cancel::never()).expect("indexed");
    writer.commit().expect("committed");
}

/// Paths of the best ten files.
fn ranked(writer: &IndexWriter, subject: &str, weights: &Weights) -> Vec<String> {
    let snapshot = writer.snapshot();
    // A colon would read as a filter, a quotation as a phrase.
    let text = subject.replace([':', '"'], " ");
    let query = SearchQuery { text, limit: 30, ..SearchQuery::default() };
    let found = snapshot.search_with(&query, weights, &Cancel::never());
    let mut paths: Vec<String> = Vec::new();
    for hit in found.map(|results| results.hits).unwrap_or_default() {
        let path = snapshot.path(hit.chunk.file).to_owned();
        if paths.len() < 10 && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

fn scores(ranked: &[String], relevant: &[String]) -> (f64, f64, f64) {
    let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let places: Vec<usize> = (0..ranked.len()).filter(|i| relevant.contains(&ranked[*i])).collect();
    let ideal: f64 = (0..relevant.len().min(10)).map(gain).sum();
    let ndcg = places.iter().map(|place| gain(*place)).sum::<f64>() / ideal;
    let mrr = places.first().map_or(0.0, |place| 1.0 / (*place + 1) as f64);
    (ndcg, mrr, places.len() as f64 / relevant.len() as f64)
}
