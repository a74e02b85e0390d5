//! Line by line: for a pipe, a screen reader, and whoever likes it. What can be said is the same at a terminal and in a
//! script.

pub mod command;
pub mod input;
mod news;
mod run;

use crate::engine::Engine;
use crate::show::{self, clean};
use command::Command;
pub use news::DELAYED;
use run::Prompt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;

/// What the command line says about it.
pub struct Options {
    /// From the environment or a file.
    pub password: Option<String>,
    /// Sign in with this number at once.
    pub number: Option<u32>,
    /// Sign in by the token that was kept.
    pub token: bool,
}

/// Reads lines until the end.
pub fn run(engine: &Arc<Engine>, options: Options) -> ExitCode {
    let (tell, news) = channel();
    engine.subscribe(move |news| tell.send(news.clone()).is_ok());
    let shown = std::thread::spawn({
        let engine = Arc::downgrade(engine);
        // The engine lives as long as the prompt; the channel ends with it.
        move || {
            if let Some(engine) = engine.upgrade() {
                news::run(&engine, &news);
            }
        }
    });
    let by_token = options.token || input::is_terminal();
    let mut prompt = Prompt::new(Arc::clone(engine), options.password, options.number, by_token);
    let mut all_done = true;
    if options.number.is_some() {
        all_done = try_run(&mut prompt, Command::SignIn { number: None, hidden: false });
    } else if input::is_terminal() {
        show::line("`sign in NUMBER`, or `sign up` for a number; `help` lists everything that can be said");
    }
    all_done &= converse(&mut prompt, engine);
    let (unsent, broken) = engine.end();
    if unsent > 0 {
        let text = format!("{unsent} messages have no receipt yet: they are kept, and sent after the next sign-in");
        show::error("!", &text);
    }
    broken.iter().for_each(|line| show::error("!", line));
    engine.forget_listeners();
    // It ends with the listeners; a panic in it has been printed.
    let _ = shown.join();
    if all_done || input::is_terminal() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Someone as they are shown: nickname and number. An unknown name is looked up once.
fn person(engine: &Engine, number: u32) -> String {
    match engine.look_up(number) {
        Some(name) if !name.is_empty() => format!("{} ({number})", clean(&name)),
        _ => number.to_string(),
    }
}

/// Line by line until the end; tells whether everything could be done.
fn converse(prompt: &mut Prompt, engine: &Engine) -> bool {
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
                engine.wait_for_files();
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
    show::error("!", error);
    false
}
