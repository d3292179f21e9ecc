//! Exit codes (also listed in `specbook --help`).

/// All went well.
pub(crate) const OK: u8 = 0;
/// Something unexpected.
pub(crate) const UNEXPECTED: u8 = 1;
/// Wrong usage or an invalid spec.
pub(crate) const USAGE: u8 = 2;
/// A run failed.
pub(crate) const RUN_FAILED: u8 = 3;
/// Missing or damaged input.
pub(crate) const INPUT: u8 = 4;
/// Runs or reports are stale (`status --exit-code`).
pub(crate) const STALE: u8 = 5;
/// A claim fails (`--strict-claims`).
pub(crate) const CLAIM_FAILS: u8 = 6;
/// A retrained run differs (`verify`).
pub(crate) const VERIFY_MISMATCH: u8 = 7;
/// A report differs from what is committed (`report --check`).
pub(crate) const REPORT_DIFFERS: u8 = 8;
