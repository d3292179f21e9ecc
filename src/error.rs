//! The sum of the module errors, with kinds and hints.
