//! Shared pieces of the end-to-end tests: a temporary home, the `fovea` binary, a headless client.
