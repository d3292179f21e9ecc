//! The command `specbook`.

use std::process::ExitCode;

fn main() -> ExitCode {
    specbook::run_command_line()
}
