//! End to end: the real binary, a real daemon on its socket, a real language server on its pipes.

mod command_line;
mod language_server;
mod openai;
mod settings;
mod trust;
