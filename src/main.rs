//! The command `specbook`.

use std::process::ExitCode;

fn main() -> ExitCode {
    specbook::cli::run()
}
