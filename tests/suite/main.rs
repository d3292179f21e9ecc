//! Tests that cross module borders. `README.md` beside this file says how to add one.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set its scene up fails"
)]

mod architecture;
mod specs;
