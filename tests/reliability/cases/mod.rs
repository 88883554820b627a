//! The rows, one module a section of the plan.

mod baits;
pub(crate) mod clients;
pub(crate) mod content;
pub(crate) mod crash;
pub(crate) mod damage;
pub(crate) mod exclusion;
pub(crate) mod files;
pub(crate) mod freshness;
pub(crate) mod git;
mod http;
mod injection;
pub(crate) mod models;
pub(crate) mod output;
mod owners;
mod places;
pub(crate) mod protocols;
mod remote;
pub(crate) mod resources;
pub(crate) mod trust;
mod versions;
