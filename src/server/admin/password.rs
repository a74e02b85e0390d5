//! Where the operator's commands get a password from: a file, standard input, the environment, or the terminal.

use crate::limits::PASSWORD_BYTES;
use crate::server::args::Password;
use crate::server::{Fatal, sys};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

const VARIABLE: &str = "OICQD_PASSWORD";

/// The password for an account.
pub fn read(from: &Password) -> Result<String, Fatal> {
    let password = match &from.password_file {
        Some(path) if path.as_os_str() == "-" => first_line(io::stdin().lock()),
        Some(path) => File::open(path).and_then(|file| first_line(BufReader::new(file))),
        None => match std::env::var(VARIABLE) {
            Ok(password) => Ok(password),
            Err(_) => return ask(),
        },
    };
    let password = password.map_err(|error| Fatal(format!("cannot read the password: {error}")))?;
    check(password)
}

fn first_line(mut from: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks at the terminal, twice, without showing it.
fn ask() -> Result<String, Fatal> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").map_err(|_| {
        Fatal(format!("there is no terminal to ask for the password: use --password-file or {VARIABLE}"))
    })?;
    let mut line = |prompt: &str| {
        terminal
            .write_all(prompt.as_bytes())
            .and_then(|()| sys::read_hidden_line(&terminal))
            .map_err(|error| Fatal(format!("cannot read the password: {error}")))
    };
    let password = line("Password: ")?;
    if line("Again: ")? != password {
        return Err(Fatal("the two passwords differ; nothing was changed".to_owned()));
    }
    check(password)
}

fn check(password: String) -> Result<String, Fatal> {
    if password.is_empty() || password.len() > PASSWORD_BYTES {
        return Err(Fatal(format!("a password has 1 to {PASSWORD_BYTES} bytes")));
    }
    Ok(password)
}
