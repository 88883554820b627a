//! Between the protocol's types and the wire's.

pub(crate) mod from_proto;
pub(crate) mod to_proto;
