//! What is read from the person, or from the script in their place.

use crate::show;
use std::io::{self, IsTerminal, Write};

/// Whether a person sits there.
pub fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// The next line without its end; `None` when there are no more.
pub fn line() -> io::Result<Option<String>> {
    let mut text = String::new();
    let count = io::stdin().read_line(&mut text)?;
    show::answered();
    Ok((count > 0).then(|| text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// Asks for something; from a script it is the next line.
pub fn ask(question: &str) -> Result<String, String> {
    if is_terminal() {
        let mut out = io::stdout().lock();
        let _ = write!(out, "{question}: ");
        let _ = out.flush();
    }
    let answer = line().map_err(|error| format!("the answer cannot be read: {error}"))?;
    answer.map(|text| text.trim().to_owned()).ok_or_else(|| format!("the input ended where this was asked: {question}"))
}

/// Asks for a password: on a terminal without showing it, and twice if it is a new one.
pub fn password(question: &str, new: bool) -> Result<String, String> {
    if !is_terminal() {
        return ask(question);
    }
    let read = |question: &str| {
        rpassword::prompt_password(format!("{question}: "))
            .map_err(|error| format!("the password cannot be read: {error}"))
    };
    let password = read(question)?;
    if new && read("The same again")? != password {
        return Err("these were two different passwords; try again".into());
    }
    Ok(password)
}
