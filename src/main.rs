//! `oicqd`, the OICQ server: from the arguments to `server::run`.

use clap::Parser;
use oicq::server::{self, args::Arguments};
use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // Help and version are asked for, and go to standard output.
        Err(told) if !told.use_stderr() => told.exit(),
        Err(wrong) => return refuse(&server::args::one_line(&wrong)),
    };
    match server::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error.to_string()),
    }
}

/// One line that says what is wrong and what would be right. If nobody reads it, the status says it.
fn refuse(line: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "oicqd: {line}");
    ExitCode::from(2)
}
