//! Tests across modules. See `README.md` beside this file for how to add one.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot set its scene up fails, and one that is skipped says so"
)]

mod architecture;
mod bad_input;
mod bench;
mod bits;
mod docs;
mod extend;
mod gpu;
mod hostile;
mod kernels;
mod models;
mod network;
mod output;
mod package;
mod project;
mod published;
// Queues send signals, and their tasks are shell scripts.
#[cfg(unix)]
mod queue;
mod real_text;
mod remote;
mod reports;
mod run;
#[expect(dead_code, reason = "the tests within the library use the rest")]
#[path = "../../src/test_support/server.rs"]
mod server;
mod specs;
mod store;
mod surroundings;
mod tls;
