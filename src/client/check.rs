//! What the server would refuse anyway is not sent: the caller learns at once what would be right.

use super::error::Error;
use crate::limits::{
    FILE_NAME_BYTES, FILE_PIECE_BYTES, NAME_BYTES, PASSWORD_BYTES, QUERY_BYTES, SHORT_TEXT_BYTES, TEXT_BYTES,
};
use crate::wire::{ProfileFault, User, check_name, check_privacy};

/// Whether a frame keeps to the lengths of protocol.md 1.4, 1.5 and 1.7.
pub(super) fn check(frame: &User<'_>) -> Result<(), Error> {
    match frame {
        User::Register { profile, reach, details, .. } => {
            allowed(profile.check_new().and_then(|()| check_privacy(*reach, *details)))
        }
        User::Update { profile, reach, details, .. } => {
            allowed(profile.check().and_then(|()| check_privacy(*reach, *details)))
        }
        User::SignIn { password, .. } => within("a password", password.len(), 0, PASSWORD_BYTES),
        User::Message { me, to, .. } if me == to => {
            Err(Error::Invalid("a message to oneself is refused; give another number".into()))
        }
        User::Message { text, .. } | User::Broadcast { text, .. } => within("a message", text.len(), 1, TEXT_BYTES),
        User::AddGroup { name, .. } | User::RenameGroup { name, .. } => {
            allowed(check_name("the name of a group", name, NAME_BYTES))
        }
        User::MoveFriends { moves, .. } => within_entries(moves.len()),
        User::Search { sql, .. } => within("a search", sql.len(), 1, QUERY_BYTES),
        User::Ask { reason, .. } => within("a reason", reason.len(), 0, SHORT_TEXT_BYTES),
        User::OfferFile { name, .. } => allowed(check_name("the name of a file", name, FILE_NAME_BYTES)),
        User::FileData { data, .. } => within("a piece of a file", data.0.len(), 1, FILE_PIECE_BYTES),
        _ => Ok(()),
    }
}

fn allowed(checked: Result<(), ProfileFault>) -> Result<(), Error> {
    checked.map_err(|fault| Error::Invalid(fault.to_string()))
}

fn within(what: &str, have: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&have) {
        return Ok(());
    }
    Err(Error::Invalid(format!("{what} is {least} to {most} bytes long; this one has {have}")))
}

fn within_entries(have: usize) -> Result<(), Error> {
    match have {
        1..=255 => Ok(()),
        _ => Err(Error::Invalid(format!("1 to 255 friends can be moved at a time; these are {have}"))),
    }
}
