//! Keys and values: what the model remembers of the tokens it has read.
//!
//! [`cache`] is the sequence that the model attends to; [`segment`] keeps stable pieces of context
//! that were encoded once and can be placed anywhere.

pub(crate) mod cache;
pub(crate) mod segment;
