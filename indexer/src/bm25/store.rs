//! Committed terms in tantivy: one document a chunk, deleted by file. One writer, which has threads only
//! while something is written, manual reload, no stored text, no positions (phrases are verified on the
//! text).

use std::{path::Path, sync::Arc};

use rustc_hash::FxHashMap;
use tantivy::{
    Directory as _, DocSet, Index, IndexReader, ReloadPolicy, Searcher, TERMINATED,
    TantivyDocument, TantivyError, Term,
    directory::{DirectoryLock, Lock, MmapDirectory, RamDirectory, error::LockError},
    error::DataCorruption,
    index::SegmentId,
    indexer::IndexWriterOptions,
    postings::Postings,
    schema::{
        FAST, Field as SchemaField, INDEXED, IndexRecordOption, Schema, TextFieldIndexing,
        TextOptions,
    },
    tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer},
};

use super::{FIELDS, Field, FileTerms, Lengths};
use crate::FileId;

/// Memory that tantivy may fill before it writes a segment by itself; its minimum.
const WRITER_HEAP_BYTES: usize = 15_000_000;
/// Held for as long as the store is open; tantivy's own lock comes and goes with its writer.
pub(crate) const LOCK: &str = ".fovea-writer.lock";
/// tantivy's list of segments.
const META: &str = "meta.json";
/// Names our tokenizer in the schema.
const TOKENIZER: &str = "fovea-terms";

struct Fields {
    text: [SchemaField; FIELDS.len()],
    /// File, for deletes.
    file: SchemaField,
    /// File and chunk.
    key: SchemaField,
    /// The chunk's [`Lengths`], packed.
    lengths: SchemaField,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqs)
        .set_fieldnorms(false);
    let options = TextOptions::default().set_indexing_options(indexing);
    let text = ["body", "names", "path"].map(|name| schema.add_text_field(name, options.clone()));
    let file = schema.add_u64_field("file", INDEXED);
    let key = schema.add_u64_field("key", FAST);
    let lengths = schema.add_u64_field("lengths", FAST);
    (schema.build(), Fields { text, file, key, lengths })
}

/// The only writer of one tantivy directory.
pub(crate) struct Store {
    index: Index,
    /// Three threads of tantivy's, which nobody needs while nothing is written.
    writer: Option<Writer>,
    reader: IndexReader,
    fields: Fields,
    columns: FxHashMap<SegmentId, Arc<Columns>>,
    _lock: DirectoryLock,
}

type Writer = tantivy::IndexWriter<TantivyDocument>;

impl Store {
    /// An empty store in memory.
    pub(crate) fn in_memory() -> Result<Self, TantivyError> {
        Self::open(RamDirectory::create())
    }

    /// Opens or creates the store in `dir`, which exists.
    pub(crate) fn in_directory(dir: &Path) -> Result<Self, TantivyError> {
        Self::open(MmapDirectory::open(dir)?)
    }

    /// A store in memory with what is committed in `dir`, which is only read.
    pub(crate) fn copy_of(dir: &Path) -> Result<Self, TantivyError> {
        let (stored, directory) = (MmapDirectory::open(dir)?, RamDirectory::create());
        let copy = |name: &std::ffi::OsStr| -> Result<(), TantivyError> {
            let name = Path::new(name);
            Ok(directory.atomic_write(name, &stored.atomic_read(name)?)?)
        };
        // First the list of segments: one that a writer merges away meanwhile is missed, not one
        // too few listed.
        copy(META.as_ref())?;
        for entry in std::fs::read_dir(dir)? {
            let name = entry?.file_name();
            let is_lock = Path::new(&name).extension().is_some_and(|extension| extension == "lock");
            if name != META && !is_lock {
                copy(&name)?;
            }
        }
        Self::open(directory)
    }

    fn open(directory: impl Into<Box<dyn tantivy::Directory>>) -> Result<Self, TantivyError> {
        let (schema, fields) = schema();
        let index = Index::open_or_create(directory, schema)?;
        let lock = Lock { filepath: LOCK.into(), is_blocking: false };
        let lock = index.directory().acquire_lock(&lock);
        let lock = lock.map_err(|error| TantivyError::LockFailure(error, None))?;
        // Segment files are read below without further checks.
        if let Some(damaged) = index.validate_checksum()?.into_iter().next() {
            return Err(TantivyError::DataCorruption(DataCorruption::new(
                damaged,
                "checksum does not match".to_owned(),
            )));
        }
        index.tokenizers().register(TOKENIZER, TextAnalyzer::from(SpaceTokenizer::default()));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let columns = FxHashMap::default();
        let mut store = Self { index, writer: None, reader, fields, columns, _lock: lock };
        // Another process, or one of an older build, may hold tantivy's lock.
        store.writer()?;
        Ok(store)
    }

    fn writer(&mut self) -> Result<&mut Writer, TantivyError> {
        if self.writer.is_none() {
            let options = IndexWriterOptions::builder()
                .memory_budget_per_thread(WRITER_HEAP_BYTES)
                .num_worker_threads(1)
                .num_merge_threads(1)
                .build();
            self.writer = Some(self.index.writer_with_options(options)?);
        }
        Ok(self.writer.as_mut().expect("opened above"))
    }

    /// Ends the writer's threads once merges are done. What is not committed is lost.
    pub(crate) fn rest(&mut self) -> Result<(), TantivyError> {
        self.writer.take().map_or(Ok(()), Writer::wait_merging_threads)
    }

    /// What the last commit was marked with.
    pub(crate) fn payload(&self) -> Option<String> {
        self.index.load_metas().ok()?.payload
    }

    /// Deletes what is committed or added of `file`.
    pub(crate) fn remove(&mut self, file: FileId) -> Result<(), TantivyError> {
        let term = Term::from_field_u64(self.fields.file, u64::from(file.0));
        self.writer()?.delete_term(term);
        Ok(())
    }

    /// Deletes everything.
    pub(crate) fn clear(&mut self) -> Result<(), TantivyError> {
        self.writer()?.delete_all_documents().map(|_| ())
    }

    /// Adds the chunks of `file`; searchable after [`Store::commit`].
    pub(crate) fn add(&mut self, file: FileId, terms: &FileTerms) -> Result<(), TantivyError> {
        let mut texts = vec![<[String; FIELDS.len()]>::default(); terms.n_chunks() as usize];
        for (term, postings) in terms.iter() {
            for posting in postings {
                let text = &mut texts[posting.chunk as usize][posting.field as usize];
                for _ in 0..posting.frequency {
                    text.push_str(term);
                    text.push(' ');
                }
            }
        }
        for (chunk, (text, lengths)) in texts.into_iter().zip(terms.lengths()).enumerate() {
            let mut document = TantivyDocument::default();
            for (field, text) in self.fields.text.iter().zip(text) {
                if !text.is_empty() {
                    document.add_text(*field, text);
                }
            }
            document.add_u64(self.fields.file, u64::from(file.0));
            document.add_u64(self.fields.key, u64::from(file.0) << 32 | chunk as u64);
            document.add_u64(self.fields.lengths, pack(*lengths));
            self.writer()?.add_document(document)?;
        }
        Ok(())
    }

    /// Makes everything durable and searchable, marked with `payload`.
    pub(crate) fn commit(&mut self, payload: &str) -> Result<(), TantivyError> {
        let mut prepared = self.writer()?.prepare_commit()?;
        prepared.set_payload(payload);
        prepared.commit()?;
        self.reader.reload()
    }

    /// Rewrites every committed segment that holds deleted documents. What was searchable stays so.
    pub(crate) fn purge(&mut self) -> Result<(), TantivyError> {
        let metas = self.index.searchable_segment_metas()?;
        let stale = metas.iter().filter(|meta| meta.has_deletes()).map(|meta| meta.id());
        for segment in stale.collect::<Vec<_>>() {
            // Each alone: as much memory and time as it needs, and no more.
            self.writer()?.merge(&[segment]).wait()?;
        }
        self.reader.reload()
    }

    /// Removes files that no segment needs any more.
    pub(crate) fn collect(&mut self) -> Result<(), TantivyError> {
        self.writer()?.garbage_collect_files().wait().map(drop)
    }

    /// What is committed, as an immutable view.
    pub(crate) fn base(&mut self) -> Result<Base, TantivyError> {
        let searcher = self.reader.searcher();
        let mut columns = Vec::new();
        let mut kept = FxHashMap::default();
        for segment in searcher.segment_readers() {
            let id = segment.segment_id();
            let of_segment = match self.columns.get(&id) {
                Some(columns) => Arc::clone(columns),
                None => Arc::new(Columns::load(segment)?),
            };
            kept.insert(id, Arc::clone(&of_segment));
            columns.push(of_segment);
        }
        self.columns = kept;
        Ok(Base { searcher: Some(searcher), text: self.fields.text, columns })
    }
}

/// True if `error` says that another process holds the directory.
pub(crate) fn is_locked(error: &TantivyError) -> bool {
    matches!(error, TantivyError::LockFailure(LockError::LockBusy, _))
}

/// Which chunk each document of a segment is, and how long its fields are.
#[derive(Debug)]
struct Columns {
    keys: Vec<u64>,
    lengths: Vec<u64>,
}

impl Columns {
    fn load(segment: &tantivy::SegmentReader) -> Result<Self, TantivyError> {
        let n_docs = segment.max_doc();
        let read = |name: &str| -> Result<Vec<u64>, TantivyError> {
            let column = segment.fast_fields().u64(name)?;
            Ok((0..n_docs).map(|doc| column.first(doc).unwrap_or(0)).collect())
        };
        Ok(Self { keys: read("key")?, lengths: read("lengths")? })
    }
}

/// An immutable view of the committed terms. Holds documents of files that changed since; the
/// caller knows which.
#[derive(Clone)]
pub(crate) struct Base {
    searcher: Option<Searcher>,
    text: [SchemaField; FIELDS.len()],
    columns: Vec<Arc<Columns>>,
}

impl Base {
    /// Nothing committed.
    pub(crate) fn empty() -> Self {
        let field = SchemaField::from_field_id(0);
        Self { searcher: None, text: [field; FIELDS.len()], columns: Vec::new() }
    }

    /// Calls `sink` with file, chunk, frequency and field length of each live posting of `term`.
    pub(crate) fn postings(
        &self,
        term: &str,
        field: Field,
        mut sink: impl FnMut(FileId, u32, u32, u32),
    ) -> Result<(), TantivyError> {
        let Some(searcher) = &self.searcher else { return Ok(()) };
        let schema_field = self.text[field as usize];
        let query = Term::from_field_text(schema_field, term);
        for (segment, columns) in searcher.segment_readers().iter().zip(&self.columns) {
            let index = segment.inverted_index(schema_field)?;
            let Some(mut postings) = index.read_postings(&query, IndexRecordOption::WithFreqs)?
            else {
                continue;
            };
            let alive = segment.alive_bitset();
            let mut doc = postings.doc();
            while doc != TERMINATED {
                if alive.is_none_or(|alive| alive.is_alive(doc)) {
                    let key = columns.keys[doc as usize];
                    let length = unpack(columns.lengths[doc as usize])[field as usize];
                    sink(FileId((key >> 32) as u32), key as u32, postings.term_freq(), length);
                }
                doc = postings.advance();
            }
        }
        Ok(())
    }

    /// Calls `sink` with file, chunk, field, term, frequency and field length of every live posting.
    pub(crate) fn all_postings(
        &self,
        mut sink: impl FnMut(FileId, u32, Field, &[u8], u32, u32),
    ) -> Result<(), TantivyError> {
        let Some(searcher) = &self.searcher else { return Ok(()) };
        for (segment, columns) in searcher.segment_readers().iter().zip(&self.columns) {
            let alive = segment.alive_bitset();
            for field in FIELDS {
                let index = segment.inverted_index(self.text[field as usize])?;
                let mut terms = index.terms().stream()?;
                while terms.advance() {
                    let mut postings = index
                        .read_postings_from_terminfo(terms.value(), IndexRecordOption::WithFreqs)?;
                    let mut doc = postings.doc();
                    while doc != TERMINATED {
                        if alive.is_none_or(|alive| alive.is_alive(doc)) {
                            let key = columns.keys[doc as usize];
                            let length = unpack(columns.lengths[doc as usize])[field as usize];
                            let (file, chunk) = (FileId((key >> 32) as u32), key as u32);
                            sink(file, chunk, field, terms.key(), postings.term_freq(), length);
                        }
                        doc = postings.advance();
                    }
                }
            }
        }
        Ok(())
    }

    /// Number of chunks and summed lengths of each file that has live documents.
    pub(crate) fn totals(&self) -> FxHashMap<FileId, (u32, Lengths)> {
        let mut totals: FxHashMap<FileId, (u32, Lengths)> = FxHashMap::default();
        let Some(searcher) = &self.searcher else { return totals };
        for (segment, columns) in searcher.segment_readers().iter().zip(&self.columns) {
            for doc in segment.doc_ids_alive() {
                let file = FileId((columns.keys[doc as usize] >> 32) as u32);
                let (n_chunks, sum) = totals.entry(file).or_default();
                *n_chunks += 1;
                for (sum, length) in sum.iter_mut().zip(unpack(columns.lengths[doc as usize])) {
                    *sum += length;
                }
            }
        }
        totals
    }
}

fn pack(lengths: Lengths) -> u64 {
    let [body, names, path] = lengths.map(u64::from);
    body.min(0xffff_ffff) << 32 | names.min(0xffff) << 16 | path.min(0xffff)
}

fn unpack(packed: u64) -> Lengths {
    [(packed >> 32) as u32, (packed >> 16) as u32 & 0xffff, packed as u32 & 0xffff]
}

/// Splits at spaces; the terms were made by [`super::tokenize`].
#[derive(Clone, Default)]
struct SpaceTokenizer {
    token: Token,
}

struct SpaceTokens<'a> {
    rest: &'a str,
    token: &'a mut Token,
}

impl Tokenizer for SpaceTokenizer {
    type TokenStream<'a> = SpaceTokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> SpaceTokens<'a> {
        self.token.reset();
        SpaceTokens { rest: text, token: &mut self.token }
    }
}

impl TokenStream for SpaceTokens<'_> {
    fn advance(&mut self) -> bool {
        let Some((term, rest)) = self.rest.split_once(' ') else { return false };
        self.rest = rest;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text.clear();
        self.token.text.push_str(term);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
