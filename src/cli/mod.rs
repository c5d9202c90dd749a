//! The command line: one file per subcommand, one table `COMMANDS`.

use std::process::ExitCode;

pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
