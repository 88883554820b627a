//! Bytes in, immutable [`Snapshot`] out.
//!
//! The indexer turns the text of a repository into three indexes of one generation: a symbol graph
//! that resolves names, a BM25 index and a vector index. It is synchronous and pure: it opens no
//! files of the workspace, no sockets, reads no clock and starts no process. Whoever owns the files
//! (the daemon) feeds [`FileChange`]s to the one [`IndexWriter`] and hands [`Snapshot`]s to readers.
//!
//! Modules in reading order:
//! [`ids`] typed ids · [`text`] ranges, lines, UTF-16 · [`language`] the language table ·
//! [`names`] names in little memory ·
//! [`facts`] what one file's text alone says · [`parse`] text to facts · [`chunk`] the unit that is
//! indexed and embedded · [`graph`] resolution and graph queries · `bm25` and [`vector`] the two
//! retrieval indexes · [`rank`] one list out of all of them · [`grep`] lines by pattern · [`vfs`]
//! path to file id · [`writer`] the only type that mutates · [`snapshot`] what readers see ·
//! [`dump`] all of it as canonical text.

mod bm25;
pub mod cancel;
pub mod chunk;
pub mod dump;
pub mod facts;
pub mod graph;
pub mod grep;
pub mod ids;
pub mod language;
pub mod names;
pub mod parse;
pub mod rank;
pub mod snapshot;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod vector;
pub mod vfs;
pub mod writer;

pub use cancel::Cancel;
pub use facts::FileFacts;
pub use graph::Graph;
pub use ids::{ChunkId, ContentHash, FileId, Generation, SymbolId};
pub use language::Language;
pub use snapshot::Snapshot;
pub use writer::{FileChange, IndexError, IndexWriter, Progress, Storage};
