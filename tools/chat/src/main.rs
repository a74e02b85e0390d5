//! `oicq`: the program of an OICQ user, line by line.
#![allow(clippy::disallowed_methods, reason = "a program for people shows the time and waits in it")]

mod app;
mod args;
mod book;
mod command;
mod fields;
mod files;
mod input;
mod news;
mod run;
mod show;

use app::App;
use args::Args;
use clap::Parser;
use command::Command;
use oicq::client::{Client, Transport};
use run::Prompt;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return fail(&args::one_line(&error), 2),
    };
    let password = match args::given_password(args.password_file.as_deref()) {
        Ok(password) => password,
        Err(error) => return fail(&error, 2),
    };
    let transport = if args.tcp { Transport::Tcp } else { Transport::Udp };
    let (client, events) = match Client::connect(args.server, transport) {
        Ok(connected) => connected,
        Err(error) => return fail(&format!("no connection to {}: {error}", args.server), 1),
    };
    let app = Arc::new(App::new(client));
    std::thread::spawn({
        let app = Arc::clone(&app);
        move || news::run(&app, &events)
    });

    let mut prompt = Prompt::new(Arc::clone(&app), password, args.number);
    let mut all_done = true;
    if args.number.is_some() {
        all_done = try_run(&mut prompt, Command::SignIn { number: None, hidden: false });
    } else if input::is_terminal() {
        show::line("`sign in NUMBER`, or `sign up` for a number; `help` lists everything that can be said");
    }
    all_done &= converse(&mut prompt, &app);
    app.end();
    if all_done || input::is_terminal() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Line by line until the end; tells whether everything could be done.
fn converse(prompt: &mut Prompt, app: &App) -> bool {
    let mut all_done = true;
    loop {
        show::prompt();
        match input::line() {
            Ok(Some(line)) => match command::parse(&line, prompt.partner.is_some()) {
                Ok(None) => {}
                Ok(Some(Command::Quit)) => return all_done,
                Ok(Some(command)) => all_done &= try_run(prompt, command),
                Err(error) => all_done &= complain(&error),
            },
            // The last line of a script is not the end of the files that it has set in motion.
            Ok(None) => {
                app.wait_for_files();
                return all_done;
            }
            Err(error) => return complain(&format!("the input cannot be read: {error}; lines are UTF-8")),
        }
    }
}

fn try_run(prompt: &mut Prompt, command: Command) -> bool {
    prompt.run(command).map_or_else(|error| complain(&error), |()| true)
}

fn complain(error: &str) -> bool {
    eprintln!("! {error}");
    false
}

fn fail(error: &str, code: u8) -> ExitCode {
    eprintln!("oicq: {error}");
    ExitCode::from(code)
}
