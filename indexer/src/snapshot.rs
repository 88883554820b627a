//! What readers see: graph, searcher and vectors of one generation; cheap to clone.

/// An immutable view of all three indexes.
#[derive(Clone)]
pub struct Snapshot {}
