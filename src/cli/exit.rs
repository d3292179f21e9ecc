//! Exit codes (also listed by `specbook --help` and `specbook help exit-codes`).

/// Success.
pub(crate) const OK: u8 = 0;
/// Unexpected error.
pub(crate) const UNEXPECTED: u8 = 1;
/// Wrong usage or an invalid spec.
pub(crate) const USAGE: u8 = 2;
/// A run failed.
pub(crate) const RUN_FAILED: u8 = 3;
/// Missing or damaged input.
pub(crate) const INPUT: u8 = 4;
/// Stale runs or reports (`status --exit-code`).
pub(crate) const STALE: u8 = 5;
/// A claim fails (`--strict-claims`).
pub(crate) const CLAIM_FAILS: u8 = 6;
/// A retrained run differs (`verify`).
pub(crate) const VERIFY_MISMATCH: u8 = 7;
/// A report differs from the committed one (`report --check`).
pub(crate) const REPORT_DIFFERS: u8 = 8;
/// Ended by a signal (SIGTERM; in a queue also SIGUSR1 and SIGUSR2).
pub(crate) const TERMINATED: u8 = 143;

/// Every exit code and its meaning.
pub(crate) const EXIT_CODES: &[(u8, &str)] = &[
    (OK, "All went well."),
    (UNEXPECTED, "Something unexpected, such as a full disk."),
    (USAGE, "Wrong usage, or an invalid spec."),
    (
        RUN_FAILED,
        "A run failed or diverged; the others are finished where `--keep-going` was given.",
    ),
    (INPUT, "Missing or damaged input."),
    (
        STALE,
        "Runs are missing or reports are out of date (`status --exit-code`).",
    ),
    (CLAIM_FAILS, "A claim fails (`--strict-claims`)."),
    (VERIFY_MISMATCH, "A retrained run differs (`verify`)."),
    (
        REPORT_DIFFERS,
        "A report differs from the committed one (`report --check`).",
    ),
    (129, "Stopped by SIGHUP; checkpoints are kept."),
    (130, "Stopped by SIGINT (Ctrl-C); checkpoints are kept."),
    (TERMINATED, "Stopped by SIGTERM; checkpoints are kept."),
];
