//! Signing up, the password and the profile, for scripts. A password is never on the command line.

use super::perform::status;
use super::{Failure, print, status_of};
use crate::args::{Privacy, given_new_password};
use crate::engine::Engine;
use crate::fields;
use crate::notice::{self, NOT_OPEN};
use oicq::client::{Error, OwnedProfile, Secret};
use serde_json::{Map, Value, json};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// Signs up, prints the number, and signs in once, so that the token and the server are kept for later commands.
pub fn sign_up(
    engine: &Arc<Engine>,
    nickname: &str,
    invite: Option<&str>,
    privacy: &Privacy,
    json: bool,
    password: Option<String>,
) -> Result<u8, Failure> {
    let password = match password {
        Some(password) => password,
        None => ask_twice("Password")?,
    };
    let mut profile = OwnedProfile::new(nickname, &password);
    for (field, value) in privacy.changes() {
        fields::set(&mut profile, &field, &value).map_err(|error| Failure(status::WRONG_ARGUMENTS, error))?;
    }
    let number = engine.sign_up(&profile, invite).map_err(|error| {
        let code = match &error {
            Error::Refused { code, text } if notice::wants_invite(*code, text) => status::INVITE,
            Error::Refused { code: NOT_OPEN, .. } => status::CLOSED,
            Error::Invalid(_) => status::WRONG_ARGUMENTS,
            error => status_of(error),
        };
        Failure(code, format!("nobody was signed up: {}", engine.words(&error)))
    })?;
    print(&json!({ "type": "registered", "number": number }), json);
    let entered = engine.sign_in(number, &Secret::Password(password), true);
    if let Err(Error::Refused { code: NOT_OPEN, .. }) = entered {
        // Later commands are of this account, as soon as it is let in.
        engine.keep.profile.save_last(&engine.line, number).map_err(|error| Failure(status::FAILED, error))?;
    }
    let result = entered
        .map(|_| status::DONE)
        .map_err(|error| Failure(status_of(&error), format!("{number} was not signed in: {}", engine.words(&error))));
    engine.end();
    result
}

/// The request that changes the password.
pub fn password(number: u32, old: Option<&str>, new: Option<&Path>) -> Result<Value, Failure> {
    let wrong = |error| Failure(status::WRONG_ARGUMENTS, error);
    let new = given_new_password(new).map_err(wrong)?;
    let old = match old {
        Some(old) => old.to_owned(),
        None => ask(&format!("Present password of {number}"))?,
    };
    let new = match new {
        Some(new) => new,
        None => ask_twice("New password")?,
    };
    Ok(json!({ "do": "password", "old": old, "new": new }))
}

/// The fields to change, with their values.
pub fn changes(privacy: &Privacy, fields: Vec<(String, String)>) -> Result<Map<String, Value>, Failure> {
    let changes: Map<String, Value> =
        privacy.changes().into_iter().chain(fields).map(|(field, value)| (field, value.into())).collect();
    if changes.is_empty() {
        let known = fields::names().join(", ");
        let text =
            format!("nothing is to be changed; give --reach, --details, --authorization or FIELD=VALUE of {known}");
        return Err(Failure(status::WRONG_ARGUMENTS, text));
    }
    Ok(changes)
}

fn ask(question: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        let text = format!("there is nobody to ask: {question}; give it by a file or the environment, see --help");
        return Err(Failure(status::WRONG_ARGUMENTS, text));
    }
    rpassword::prompt_password(format!("{question}: ")).map_err(|error| Failure(status::FAILED, error.to_string()))
}

fn ask_twice(question: &str) -> Result<String, Failure> {
    let password = ask(question)?;
    if ask("The same again")? != password {
        return Err(Failure(status::FAILED, "these were two different passwords; nothing was done".into()));
    }
    Ok(password)
}
