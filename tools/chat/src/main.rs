//! `oicq`: the program of an OICQ user, line by line.
#![allow(clippy::disallowed_methods, reason = "a program for people shows the time and waits in it")]

mod app;
mod args;
mod book;
mod command;
mod fields;
mod files;
mod input;
mod keep;
mod news;
mod run;
mod said;
mod show;

use app::App;
use args::Args;
use clap::Parser;
use command::Command;
use keep::Keep;
use oicq::client::{Client, Connect, Error, Events, Ways, fingerprint};
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
    let (app, events) = match connect(&args) {
        Ok((app, events)) => (Arc::new(app), events),
        Err(error) => return fail(&error, 1),
    };
    let news = std::thread::spawn({
        let app = Arc::clone(&app);
        move || news::run(&app, events)
    });
    let mut prompt = Prompt::new(Arc::clone(&app), password, args.number, args.token || input::is_terminal());
    let mut all_done = true;
    if args.number.is_some() {
        all_done = try_run(&mut prompt, Command::SignIn { number: None, hidden: false });
    } else if input::is_terminal() {
        show::line("`sign in NUMBER`, or `sign up` for a number; `help` lists everything that can be said");
    }
    all_done &= converse(&mut prompt, &app);
    app.end();
    // It ends with the events; a panic in it has been printed.
    let _ = news.join();
    if all_done || input::is_terminal() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Finds the server, with what was kept from earlier runs.
fn connect(args: &Args) -> Result<(App, Events), String> {
    let place = args.server.place();
    let keep = Keep::new(args.profile.clone(), &place)?;
    let pinned = keep.key()?;
    let to = Connect {
        pinned,
        ways: if args.tcp { Ways::Tcp } else { Ways::Both },
        outbox: keep.unsent()?,
        ..Connect::new(args.server.clone())
    };
    let (client, events) = Client::connect(to).map_err(|error| match error {
        Error::KeyChanged { pinned, shown } => format!(
            "the line of {place} has the key {}, but the one that was kept is {}. If its operator says that the key is \
             new, remove {} and start again",
            fingerprint(&shown),
            fingerprint(&pinned),
            keep.key_file().display()
        ),
        error => format!("no connection to {place}: {error}"),
    })?;
    Ok((App::new(client, keep, place), events))
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
