//! What tests of several modules share.

use proptest::test_runner::Config;

/// So many cases of a property, or as many times more as `SPECBOOK_CASES` says: seconds in the usual test run, minutes on request.
pub(crate) fn cases(usual: u32) -> Config {
    let factor = std::env::var("SPECBOOK_CASES").ok();
    let factor = factor.and_then(|text| text.parse().ok()).unwrap_or(1);
    Config::with_cases(usual.saturating_mul(factor))
}
