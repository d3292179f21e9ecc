//! The store: finished runs, evaluations and plans as plain files.
