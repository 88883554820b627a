//! The terms of one file, chunk by chunk: sorted, so that a lookup is a binary search.

use rustc_hash::FxHashMap;

use super::{Field, Lengths, tokenize};
use crate::facts::{FileFacts, SymbolKind};

/// How often a term occurs in one field of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TermPosting {
    pub(crate) chunk: u32,
    pub(crate) field: Field,
    pub(crate) frequency: u32,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    start: u32,
    len: u32,
    /// First of its postings; they end where the next term's begin.
    postings: u32,
}

/// All terms of one file's chunks. Immutable.
#[derive(Debug, Default)]
pub(crate) struct FileTerms {
    arena: String,
    /// Sorted by text.
    terms: Vec<Term>,
    postings: Vec<TermPosting>,
    lengths: Vec<Lengths>,
}

impl FileTerms {
    pub(crate) fn new(path: &str, text: &str, facts: &FileFacts) -> Self {
        let mut builder = Builder::default();
        for (chunk, facts_of_chunk) in facts.chunks.iter().enumerate() {
            builder.start_chunk(chunk as u32);
            builder.text(Field::Body, facts_of_chunk.range.slice(text));
            builder.text(Field::Path, path);
            if let Some(symbol) = facts_of_chunk.symbol {
                let mut parent = facts.symbols.get(symbol as usize).and_then(|s| s.parent);
                for _ in 0..16 {
                    let Some(symbol) = parent.and_then(|index| facts.symbols.get(index as usize))
                    else {
                        break;
                    };
                    builder.text(Field::Names, &symbol.name);
                    parent = symbol.parent;
                }
            }
        }
        builder.names(facts);
        builder.finish()
    }

    pub(crate) fn n_chunks(&self) -> u32 {
        self.lengths.len() as u32
    }

    pub(crate) fn lengths(&self) -> &[Lengths] {
        &self.lengths
    }

    /// Postings of `term`, ordered by chunk, then field.
    pub(crate) fn postings(&self, term: &str) -> &[TermPosting] {
        match self.terms.binary_search_by(|probe| self.text(*probe).cmp(term)) {
            Ok(index) => self.postings_of(index),
            Err(_) => &[],
        }
    }

    /// All terms with their postings, in term order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[TermPosting])> {
        self.terms
            .iter()
            .enumerate()
            .map(|(index, term)| (self.text(*term), self.postings_of(index)))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.arena.len()
            + self.terms.len() * size_of::<Term>()
            + self.postings.len() * size_of::<TermPosting>()
            + self.lengths.len() * size_of::<Lengths>()
    }

    fn text(&self, term: Term) -> &str {
        &self.arena[term.start as usize..(term.start + term.len) as usize]
    }

    fn postings_of(&self, index: usize) -> &[TermPosting] {
        let start = self.terms[index].postings as usize;
        let end = self.terms.get(index + 1).map_or(self.postings.len(), |t| t.postings as usize);
        &self.postings[start..end]
    }
}

#[derive(Default)]
struct Builder {
    ids: FxHashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
    /// Per term, in order of chunk; fields of the current chunk may be out of order.
    postings: Vec<Vec<TermPosting>>,
    lengths: Vec<Lengths>,
}

impl Builder {
    fn start_chunk(&mut self, chunk: u32) {
        debug_assert_eq!(chunk as usize, self.lengths.len());
        self.lengths.push(Lengths::default());
    }

    fn text(&mut self, field: Field, text: &str) {
        let chunk = self.lengths.len() as u32 - 1;
        self.add(chunk, field, text);
    }

    fn add(&mut self, chunk: u32, field: Field, text: &str) {
        let Self { ids, names, postings, lengths } = self;
        let length = &mut lengths[chunk as usize][field as usize];
        tokenize::terms(text, |term, kind, _| {
            // A whole identifier is an alias of its parts and does not make the chunk longer.
            *length += u32::from(kind != tokenize::TermKind::Whole);
            let id = match ids.get(term) {
                Some(id) => *id as usize,
                None => {
                    let id = names.len();
                    ids.insert(term.into(), id as u32);
                    names.push(term.into());
                    postings.push(Vec::new());
                    id
                }
            };
            let list = &mut postings[id];
            let found = list
                .iter_mut()
                .rev()
                .take_while(|posting| posting.chunk == chunk)
                .find(|posting| posting.field == field);
            match found {
                Some(posting) => posting.frequency += 1,
                None => list.push(TermPosting { chunk, field, frequency: 1 }),
            }
        });
    }

    /// Names of symbols, each in the chunk where it is defined.
    fn names(&mut self, facts: &FileFacts) {
        for symbol in &facts.symbols {
            if matches!(symbol.kind, SymbolKind::Parameter | SymbolKind::TypeParameter) {
                continue;
            }
            let at = symbol.name_range.start;
            let chunk = facts.chunks.partition_point(|chunk| chunk.range.end <= at);
            if chunk < self.lengths.len() {
                self.add(chunk as u32, Field::Names, &symbol.name);
            }
        }
    }

    fn finish(self) -> FileTerms {
        let Self { names, mut postings, lengths, .. } = self;
        let mut order: Vec<u32> = (0..names.len() as u32).collect();
        order.sort_unstable_by(|a, b| names[*a as usize].cmp(&names[*b as usize]));
        let mut out = FileTerms {
            arena: String::with_capacity(names.iter().map(|name| name.len()).sum()),
            terms: Vec::with_capacity(names.len()),
            postings: Vec::with_capacity(postings.iter().map(Vec::len).sum()),
            lengths,
        };
        for id in order {
            let name = &names[id as usize];
            out.terms.push(Term {
                start: out.arena.len() as u32,
                len: name.len() as u32,
                postings: out.postings.len() as u32,
            });
            out.arena.push_str(name);
            let list = &mut postings[id as usize];
            list.sort_unstable_by_key(|posting| (posting.chunk, posting.field));
            out.postings.append(list);
        }
        out
    }
}
