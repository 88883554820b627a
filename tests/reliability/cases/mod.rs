//! The rows, one module a section of the plan.

pub(crate) mod clients;
pub(crate) mod content;
pub(crate) mod crash;
pub(crate) mod damage;
pub(crate) mod files;
pub(crate) mod freshness;
pub(crate) mod git;
mod places;
pub(crate) mod resources;
