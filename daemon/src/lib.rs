//! The process: owns files, sockets, clocks and threads, and feeds the pure crates.
//!
//! Modules in reading order:
//! [`dirs`] and [`config`] where things live and what is set · [`root`] which folder is the workspace ·
//! [`walk`] and [`guard`] which of its files count, and the gate for reading them · [`watch`] what changes
//! on disk · [`store`] facts by content · [`gc`] what is not used any more · [`budget`] memory · [`engine`] one workspace: events in, snapshots out ·
//! `git` what differs from the last commit ·
//! [`model_worker`] the model in its own process · [`embedder`] a stronger embedding model in another ·
//! [`remote`] a server that the user named · [`backend`] what the two have in common ·
//! [`complete`] from plan to suggestion · [`service`] answers requests · [`eval`] measures completion quality · [`server`] the socket ·
//! [`connect`] the client's way there · [`mcp`] agents · [`openai`] completions over HTTP · [`cli`] and [`commands`] what people type · [`output`] and
//! [`exit_codes`] what they get back.

pub mod backend;
pub mod budget;
pub mod cli;
pub mod commands;
pub mod complete;
pub mod config;
pub mod connect;
pub mod dirs;
pub mod doctor;
pub mod embedder;
pub mod engine;
pub mod eval;
pub mod exit_codes;
pub mod gc;
mod git;
pub mod guard;
pub mod logs;
pub mod mcp;
pub mod model_worker;
pub mod models;
pub mod openai;
pub mod output;
pub mod remote;
pub mod root;
pub mod sandbox;
pub mod server;
pub mod service;
pub mod store;
pub mod walk;
pub mod watch;
