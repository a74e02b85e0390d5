//! Commands for scripts: one thing, an exit status that tells how it went, and JSON for programs.
//!
//! A user has one session at the server, and a new sign-in ends the older. So if this account is open in another `oicq`, on a
//! screen or listening, the command is done there; otherwise it signs in by itself, hidden, so that friends see nothing.

mod account;
pub mod local;
pub mod perform;
mod told;

use crate::args::{Command, Common, FileCommand, ProfileCommand};
use crate::engine::{Engine, News};
use crate::history::{Entry, State};
use crate::notice::{self, WRONG};
use crate::plain::DELAYED;
use crate::show::{self, clean};
use chrono::TimeZone;
use oicq::client::{Error, Event, Secret};
use perform::{perform, status};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most found messages that are printed.
const FOUND: usize = 1_000;

/// An error with the exit status that tells it.
pub struct Failure(pub u8, pub String);

/// Does one thing and gives the exit status.
pub fn run(engine: &Arc<Engine>, command: Command, common: &Common, password: Option<String>) -> Result<u8, Failure> {
    if let Command::SignUp { nickname, invite, privacy } = command {
        return account::sign_up(engine, &nickname, invite.as_deref(), &privacy, common.json, password);
    }
    let number = common.number.or_else(|| engine.keep.profile.last().map(|(_, number)| number)).ok_or_else(|| {
        Failure(status::SIGN_IN, "it is not known which account; give --number, or sign in with `oicq` once".into())
    })?;
    let listens = matches!(command, Command::Listen);
    // Files are offered to those who are seen to be there.
    let seen = listens || matches!(command, Command::File(FileCommand::Take { .. }));
    let request = match command {
        Command::Send { to, text, wait } => {
            json!({ "do": "send", "to": to, "text": message(text)?, "wait": wait })
        }
        Command::Listen => json!({ "do": "listen" }),
        Command::Friends => json!({ "do": "friends" }),
        Command::Online { start } => json!({ "do": "online", "start": start }),
        Command::Find { condition } => json!({ "do": "find", "condition": condition }),
        Command::Profile { change: None, whose } => json!({ "do": "profile", "number": whose }),
        Command::Profile { change: Some(ProfileCommand::Set { privacy, fields }), .. } => {
            json!({ "do": "set", "fields": account::changes(&privacy, fields)? })
        }
        Command::Password { new_password_file } => {
            account::password(number, password.as_deref(), new_password_file.as_deref())?
        }
        Command::File(FileCommand::Send { to, path }) => {
            json!({ "do": "file-send", "to": to, "path": absolute(&path)? })
        }
        Command::File(FileCommand::Take { from }) => {
            let directory = common.downloads.as_deref().map_or_else(|| absolute(Path::new(".")), absolute)?;
            json!({ "do": "file-take", "from": from, "directory": directory })
        }
        Command::History { with: peer, find } => {
            return history(engine, number, peer, find.as_deref(), common.json);
        }
        Command::SignUp { .. } | Command::Completions { .. } | Command::Man => return Ok(status::DONE),
    };
    let json = common.json;
    let mut emit = move |line: Value| print(&line, json);
    if let Some(code) = local::ask(&engine.keep, number, &request, &mut emit) {
        return Ok(code);
    }
    // What was stored comes with the sign-in: whoever listens must not miss it.
    let news = perform::hear(engine);
    tell_delay(engine);
    // Who listens is there for others; who asks for one thing need not be seen.
    sign_in(engine, number, password, !seen)?;
    let _local = local::serve(engine, number);
    if listens && json {
        take_commands(engine);
    }
    let code = if listens {
        perform::listen(engine, &news, &mut emit)
    } else {
        drop(news);
        perform(engine, &request, &mut emit)
    };
    engine.end();
    Ok(code)
}

fn message(text: String) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text);
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure(status::FAILED, format!("the message cannot be read: {error}")))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure(status::FAILED, format!("{}: {error}", path.display())))
}

/// Prints an object; false when nobody reads any more.
fn print(line: &Value, json: bool) -> bool {
    if !json && line["type"] == "error" {
        show::error("oicq:", &told::words(line));
        return true;
    }
    show::answer(&if json { show::json(line) } else { told::words(line) })
}

/// Tells a person who waits that it is the server that makes them wait.
fn tell_delay(engine: &Engine) {
    if std::io::stderr().is_terminal() {
        engine.subscribe(|news| {
            let delayed = matches!(news, News::Event(Event::SignInDelayed { .. }));
            if delayed {
                show::error("oicq:", DELAYED);
            }
            !delayed
        });
    }
}

/// Signs in with the password that was given, the token that was kept, or a password that is asked for.
fn sign_in(engine: &Arc<Engine>, number: u32, password: Option<String>, hidden: bool) -> Result<(), Failure> {
    let failed =
        |error: Error| Failure(status_of(&error), format!("{number} was not signed in: {}", engine.words(&error)));
    let kept = if password.is_none() { engine.keep.token(number) } else { None };
    if let Some(token) = kept {
        match engine.sign_in(number, &Secret::Token(token), hidden) {
            Err(Error::Refused { code: WRONG, .. }) => engine.keep.forget_token(number),
            result => return result.map(drop).map_err(failed),
        }
    }
    let password = match password {
        Some(password) => password,
        None if std::io::stdin().is_terminal() => {
            let question = format!("Password of {number}: ");
            rpassword::prompt_password(question).map_err(|error| Failure(status::SIGN_IN, error.to_string()))?
        }
        None => {
            let text = format!(
                "there is no token of {number}; give its password by OICQ_PASSWORD or --password-file, or sign in once"
            );
            return Err(Failure(status::SIGN_IN, text));
        }
    };
    engine.sign_in(number, &Secret::Password(password), hidden).map(drop).map_err(failed)
}

/// The exit status of a sign-in that was refused, or of what needs one.
fn status_of(error: &Error) -> u8 {
    match error {
        Error::Refused { code: WRONG, .. } => status::SIGN_IN,
        Error::Refused { code: notice::NOT_OPEN, .. } => status::PENDING,
        Error::Refused { code: notice::BANNED, .. } => status::BANNED,
        Error::KeyChanged { .. } => status::KEY_CHANGED,
        _ => status::FAILED,
    }
}

/// Takes commands from standard input, one JSON object a line. Its end is not the end of the program: a bot may have none.
fn take_commands(engine: &Arc<Engine>) {
    let engine = Arc::downgrade(engine);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty()) {
            let Some(engine) = engine.upgrade() else { return };
            let request = match serde_json::from_str::<Value>(&line) {
                Ok(request) if request.is_object() && request["do"] != "listen" => request,
                _ => {
                    print(
                        &json!({ "type": "error", "text": "a command is one line with a JSON object like \
                        {\"do\": \"send\", \"to\": 10001, \"text\": \"hello\"}" }),
                        true,
                    );
                    continue;
                }
            };
            // One that waits for its receipt does not hold up the others.
            std::thread::spawn(move || {
                perform(&engine, &request, &mut |mut line| {
                    if !request["ref"].is_null() {
                        line["ref"] = request["ref"].clone();
                    }
                    print(&line, true)
                });
            });
        }
    });
}

/// Prints what is kept here.
fn history(engine: &Arc<Engine>, me: u32, peer: Option<u32>, find: Option<&str>, json: bool) -> Result<u8, Failure> {
    let failed = |error| Failure(status::FAILED, error);
    let history = engine.history();
    let mut open = true;
    let mut show = |entry: Entry| {
        open = open && print_entry(&history.name(entry.peer), &entry, json);
    };
    match find {
        None => history.all(me, peer, show).map_err(failed)?,
        Some(words) => {
            let mut found = history.find(me, words, FOUND).map_err(failed)?;
            found.retain(|entry| peer.is_none_or(|peer| entry.peer == peer));
            found.into_iter().rev().for_each(&mut show);
        }
    }
    Ok(status::DONE)
}

fn print_entry(name: &Option<String>, entry: &Entry, json: bool) -> bool {
    let line = if json {
        show::json(&entry_json(entry, name.as_deref()))
    } else {
        let time = chrono::Local.timestamp_millis_opt(entry.time).single();
        let time = time.map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default();
        let name = match name {
            Some(name) if !name.is_empty() => format!("{} ({})", clean(name), entry.peer),
            _ => entry.peer.to_string(),
        };
        let (arrow, mark) = match (entry.mine, entry.state) {
            (true, State::Delivered) => ("->", " ✓✓"),
            (true, State::Stored) => ("->", " ✓"),
            (true, State::Refused(_)) => ("->", " ✗"),
            (true, _) => ("->", ""),
            (false, _) => ("<-", ""),
        };
        format!("{time} {arrow} {name}: {}{mark}", clean(&entry.text))
    };
    show::answer(&line)
}

/// A message of the history as an object.
pub fn entry_json(entry: &Entry, name: Option<&str>) -> Value {
    let state = match entry.state {
        State::Waiting => "waiting",
        State::Stored => "stored",
        State::Delivered => "delivered",
        State::Refused(_) => "refused",
        State::Taken => "taken",
        State::Unread => "unread",
        State::Read => "read",
    };
    json!({
        "with": entry.peer, "name": name, "mine": entry.mine, "id": entry.id, "time": entry.time,
        "text": entry.text, "state": state,
    })
}
