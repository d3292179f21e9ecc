//! Expressions over results (minijinja).
