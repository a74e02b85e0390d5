//! `oicqd`, the OICQ server: from the arguments to `server::run`.

use clap::Parser;
use oicq::server::{self, args::Arguments};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match server::run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oicqd: {error}");
            ExitCode::from(2)
        }
    }
}
