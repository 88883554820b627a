//! Python extraction.

use tree_sitter::Tree;

use super::{Extracted, tags};
use crate::Language;

pub(crate) fn extract(text: &str, tree: &Tree) -> Extracted {
    tags::extract(Language::Python, text, tree)
}
