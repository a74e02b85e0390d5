//! `oicq`: the program of an OICQ user. A full screen for people, plain lines for pipes, and commands for scripts.
#![allow(clippy::disallowed_methods, reason = "a program for people shows the time and waits in it")]
// What others have written is made harmless in `show`, whoever prints it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod book;
mod engine;
mod fields;
mod files;
mod history;
mod keep;
mod man;
mod notice;
mod plain;
mod script;
mod show;
mod tui;

use args::{Arguments, Command, Common};
use clap::{CommandFactory, Parser};
use engine::Engine;
use keep::{Keep, Profile};
use oicq::client::{ServerLine, Ways, fingerprint};
use script::Failure;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Where the server is if nobody says anything.
const HERE: &str = "127.0.0.1:8000";

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return fail(&args::one_line(&error), 2),
    };
    match arguments.command {
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Arguments::command(), "oicq", &mut io::stdout());
            return ExitCode::SUCCESS;
        }
        Some(Command::Man) => return manual(),
        _ => {}
    }
    let password = match args::given_password(arguments.common.password_file.as_deref()) {
        Ok(password) => password,
        Err(error) => return fail(&error, 2),
    };
    let profile = match Profile::new(arguments.common.profile.as_deref()) {
        Ok(profile) => profile,
        Err(error) => return fail(&error, 2),
    };
    let line = server_line(&arguments.common, &profile);
    let common = arguments.common;
    let at_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if arguments.command.is_none() && at_terminal && !arguments.plain {
        let first = profile.last().is_none() && common.server.is_none();
        let number = common
            .number
            .or_else(|| profile.last().filter(|(last, _)| last.place() == line.place()).map(|last| last.1));
        let language = arguments.lang.unwrap_or_else(|| tui::of_environment(|name| std::env::var(name).ok()));
        let options = tui::Options { language, mouse: !arguments.no_mouse, line, first, number, password };
        let open = Box::new(move |line| engine(line, &common, profile.clone()).map_err(|Failure(_, error)| error));
        return match tui::run(open, options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        };
    }
    let engine = match engine(line, &common, profile) {
        Ok(engine) => engine,
        Err(Failure(code, error)) => return fail(&error, code),
    };
    match arguments.command {
        Some(command) => match script::run(&engine, command, &common, password) {
            Ok(code) => ExitCode::from(code),
            Err(Failure(code, error)) => fail(&error, code),
        },
        None => plain::run(&engine, plain::Options { password, number: common.number, token: common.token }),
    }
}

/// The server that was given, or that of the last time.
fn server_line(common: &Common, profile: &Profile) -> ServerLine {
    let last = || profile.last().map(|(line, _)| line);
    common.server.clone().or_else(last).unwrap_or_else(|| HERE.parse().expect("an address"))
}

/// Everything behind the face, with what was kept from earlier runs.
fn engine(line: ServerLine, common: &Common, profile: Profile) -> Result<Arc<Engine>, Failure> {
    let keep = Keep::new(profile, &line.place());
    let failed = |error| Failure(script::perform::status::FAILED, error);
    if let (Some(shown), Some(pinned)) = (line.key, keep.key().map_err(failed)?)
        && shown != pinned
    {
        let text = format!(
            "the line of {} has the key {}, but the one that was kept is {}. If its operator says that the key is new, \
             remove {} and start again",
            line.place(),
            fingerprint(&shown),
            fingerprint(&pinned),
            keep.key_file().display()
        );
        return Err(failed(text));
    }
    let ways = if common.tcp { Ways::Tcp } else { Ways::Both };
    Engine::new(line, ways, keep, downloads(common)).map_err(failed)
}

fn downloads(common: &Common) -> PathBuf {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let usual = home.map(|home| home.join("Downloads")).filter(|path| path.is_dir());
    let path = common.downloads.clone().or(usual).unwrap_or_else(|| ".".into());
    // So that everybody sees where a file went.
    std::path::absolute(&path).unwrap_or(path)
}

fn manual() -> ExitCode {
    let mut page = Vec::new();
    let rendered = man::write(&mut page);
    match rendered.and_then(|()| io::stdout().write_all(&page)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads it has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
}

fn fail(error: &str, code: u8) -> ExitCode {
    show::error("oicq:", error);
    ExitCode::from(code)
}
