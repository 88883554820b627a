//! The service and the server on real folders and sockets, each test below its own temporary home.

mod embedder;
mod freshness;
mod lifecycle;
mod questions;
mod remote;
mod support;
