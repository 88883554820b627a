//! Everything a snapshot answers from, in an order that depends on the files alone: two snapshots of
//! the same files give the same text, however they came about.
//!
//! File ids, generations and storage do not show. One block a file: its facts, how each of its
//! occurrences resolves, its terms as the lexical index would find them, its vectors; and in the end
//! one line a name, with what the graph's tables say of it. Digests keep the text short;
//! [`Snapshot::dump_file`] spells one file out, to see where two dumps part.

use std::{collections::BTreeSet, fmt::Write as _};

use rayon::prelude::*;

use crate::{
    ChunkId, FileId, Snapshot, SymbolId, bm25::TermSums, facts::FileFacts, graph::Resolution,
};

/// Part of a dump: whole files in path order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DumpPage {
    pub text: String,
    /// The last path of the page, to go on behind; `None` at the end.
    pub next: Option<String>,
}

impl Snapshot {
    /// The dump from the file behind `after` on, at most about `max_bytes` of it. The table of names
    /// follows the last file.
    #[must_use]
    pub fn dump(&self, after: Option<&str>, max_bytes: usize) -> DumpPage {
        let mut files: Vec<(&str, FileId)> =
            self.files().map(|file| (self.path(file), file)).collect();
        files.sort_unstable();
        let first = after.map_or(0, |after| files.partition_point(|(path, _)| *path <= after));
        let terms = self.data().lexical.sums();
        let mut page = DumpPage::default();
        for batch in files[first..].chunks(256) {
            let blocks: Vec<String> = batch
                .par_iter()
                .map(|(_, file)| self.block(*file, &terms).unwrap_or_default())
                .collect();
            blocks.iter().for_each(|block| page.text.push_str(block));
            let last = batch.last().map(|(path, _)| (*path).to_owned());
            if page.text.len() >= max_bytes && last.as_deref() != files.last().map(|file| file.0) {
                page.next = last;
                return page;
            }
        }
        self.name_lines(&files, &mut page.text);
        page
    }

    /// Every line behind the digests of one file; `None` if it is not indexed.
    #[must_use]
    pub fn dump_file(&self, path: &str) -> Option<String> {
        let file = self.file(path)?;
        let facts = self.facts(file)?;
        let mut text = self.block(file, &self.data().lexical.sums())?;
        for (index, symbol) in facts.symbols.iter().enumerate() {
            let _ = writeln!(text, "symbol {index} {symbol:?}");
        }
        for (index, chunk) in facts.chunks.iter().enumerate() {
            let _ = writeln!(text, "chunk {index} {chunk:?}");
        }
        for line in self.resolutions(file, facts) {
            let _ = writeln!(text, "{line}");
        }
        Some(text)
    }

    fn block(&self, file: FileId, terms: &TermSums) -> Option<String> {
        let (facts, hash) = (self.facts(file)?, self.hash(file)?);
        let mut block = String::new();
        let unsaved = if self.is_overlay(file) { " unsaved" } else { "" };
        let _ = writeln!(
            block,
            "file {} {hash} {} {} bytes{unsaved}",
            self.path(file).escape_default(),
            facts.language.name(),
            facts.n_bytes,
        );
        let encoded = postcard::to_allocvec(&**facts).unwrap_or_default();
        let _ = writeln!(
            block,
            "  facts {} {} symbols {} occurrences {} chunks{}",
            short(&blake3::hash(&encoded)),
            facts.symbols.len(),
            facts.occurrences.len(),
            facts.chunks.len(),
            if facts.cut { " cut" } else { "" },
        );
        let mut resolved = blake3::Hasher::new();
        for line in self.resolutions(file, facts) {
            resolved.update(line.as_bytes());
            resolved.update(b"\n");
        }
        let _ = writeln!(block, "  resolved {}", short(&resolved.finalize()));
        let sum = terms.of(file);
        let _ = writeln!(block, "  terms {:032x} {} postings", sum.sum, sum.n_postings);
        let mut vectors = blake3::Hasher::new();
        let mut n_vectors = 0;
        for index in 0..facts.chunks.len() as u32 {
            let row = self.data().vectors.row(ChunkId { file, index });
            n_vectors += usize::from(row.is_some());
            let bytes: Vec<u8> = row.into_iter().flatten().map(|x| x.cast_unsigned()).collect();
            vectors.update(&(bytes.len() as u32).to_le_bytes());
            vectors.update(&bytes);
        }
        let _ = writeln!(block, "  vectors {} {n_vectors} rows", short(&vectors.finalize()));
        Some(block)
    }

    /// One line an occurrence: what it means. Candidates of equal certainty have no order.
    fn resolutions(&self, file: FileId, facts: &FileFacts) -> Vec<String> {
        let resolve = |(index, occurrence): (usize, &crate::facts::OccurrenceFacts)| {
            let Resolution { candidates, external, .. } =
                self.graph().resolve_occurrence(file, index);
            let mut candidates: Vec<String> = candidates
                .iter()
                .map(|candidate| {
                    let place = self.place(candidate.symbol);
                    format!("{:?} {place}", candidate.certainty)
                })
                .collect();
            candidates.sort_unstable();
            format!(
                "{}..{} {:?} {} -> {} {}",
                occurrence.range.start,
                occurrence.range.end,
                occurrence.role,
                facts.name_of(occurrence).escape_default(),
                candidates.join(", "),
                external.unwrap_or_default(),
            )
        };
        facts.occurrences.iter().enumerate().map(resolve).collect()
    }

    /// A symbol by where it is.
    fn place(&self, symbol: SymbolId) -> String {
        let path = self.path(symbol.file).escape_default();
        match self.graph().symbol(symbol).map(|symbol| symbol.name_range) {
            Some(range) => format!("{path}:{}..{}", range.start, range.end),
            None => format!("{path}: no symbol {}", symbol.index),
        }
    }

    /// What the graph's tables say of each name.
    fn name_lines(&self, files: &[(&str, FileId)], text: &mut String) {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for facts in files.iter().filter_map(|(_, file)| self.facts(*file)) {
            names.extend(facts.names.iter());
            names.extend(facts.symbols.iter().map(|symbol| symbol.name.as_str()));
        }
        let names: Vec<&str> = names.into_iter().collect();
        let lines: Vec<String> = names
            .par_iter()
            .map(|name| {
                let definitions = self.graph().symbols_named(name);
                let mentions = self.graph().files_mentioning(name);
                let mut places: Vec<String> =
                    definitions.iter().map(|symbol| self.place(*symbol)).collect();
                places.sort_unstable();
                let mut paths: Vec<&str> = mentions.iter().map(|file| self.path(*file)).collect();
                paths.sort_unstable();
                let mut hasher = blake3::Hasher::new();
                hasher.update(places.join("\n").as_bytes());
                hasher.update(b"\0");
                hasher.update(paths.join("\n").as_bytes());
                format!(
                    "name {} {} {} definitions {} files\n",
                    name.escape_default(),
                    short(&hasher.finalize()),
                    places.len(),
                    paths.len()
                )
            })
            .collect();
        lines.iter().for_each(|line| text.push_str(line));
    }
}

fn short(hash: &blake3::Hash) -> String {
    hash.to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        Cancel, FileChange, IndexWriter, Storage,
        testing::{MapSource, WordVotes},
        writer::NoFacts,
    };

    fn writer(source: &Arc<MapSource>) -> IndexWriter {
        let (facts, source) = (Arc::new(NoFacts), Arc::clone(source));
        IndexWriter::open(Storage::Memory, facts, source, Arc::new(WordVotes)).expect("in memory")
    }

    fn apply(writer: &mut IndexWriter, changes: Vec<FileChange>) -> Snapshot {
        writer.apply(changes, &mut |_| {}, &Cancel::never()).expect("applies")
    }

    fn whole(snapshot: &Snapshot) -> String {
        snapshot.dump(None, usize::MAX).text
    }

    const LIB: &str = "def area(w, h):\n    return w * h\n";
    const MAIN: &str = "from lib import area\n\nprint(area(1, 2))\n";

    #[test]
    fn the_way_to_a_state_does_not_show() {
        let source = Arc::new(MapSource::default());
        let mut edited = writer(&source);
        let save = |path: &str, text: &str| {
            source.set(path, Some(text));
            FileChange::Saved { path: path.to_owned(), text: text.into() }
        };
        apply(&mut edited, vec![save("z.py", "def area(): pass\n"), save("main.py", MAIN)]);
        edited.commit().expect("in memory");
        apply(&mut edited, vec![save("lib.py", "def other(): pass\n")]);
        source.set("z.py", None);
        let removed = FileChange::Removed { path: "z.py".into() };
        let half = apply(&mut edited, vec![removed, save("lib.py", LIB)]);

        let mut fresh = writer(&source);
        let fresh = apply(&mut fresh, source.saved());
        assert_eq!(whole(&half), whole(&fresh));
        // Terms in tantivy count as those in memory.
        edited.commit().expect("in memory");
        assert_eq!(whole(&edited.snapshot()), whole(&fresh));

        let edit = FileChange::Edited { path: "lib.py".into(), text: "def x(): pass\n".into() };
        let unsaved = apply(&mut edited, vec![edit]);
        assert_ne!(whole(&unsaved), whole(&fresh));
        let closed = apply(&mut edited, vec![FileChange::Closed { path: "lib.py".into() }]);
        assert_eq!(whole(&closed), whole(&fresh));
    }

    #[test]
    fn pages_together_are_the_whole_and_a_file_is_spelled_out() {
        let source = Arc::new(MapSource::default());
        for index in 0..600 {
            source.set(&format!("f{index:03}.py"), Some(&format!("def f{index}(): pass\n")));
        }
        source.set("lib.py", Some(LIB));
        source.set("main.py", Some(MAIN));
        let snapshot = apply(&mut writer(&source), source.saved());
        let (mut text, mut after, mut n_pages) = (String::new(), None, 0);
        loop {
            let page = snapshot.dump(after.as_deref(), 1);
            text.push_str(&page.text);
            n_pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((text, n_pages), (whole(&snapshot), 3));
        let file = snapshot.dump_file("main.py").expect("indexed");
        assert!(file.contains("Call area -> Exact lib.py:4..8"), "{file}");
        assert_eq!(snapshot.dump_file("none.py"), None);
    }
}
