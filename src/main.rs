//! The command `specbook`.

fn main() {}
