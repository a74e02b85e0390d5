//! What a notice of the server means for the person (protocol.md 3.2): its code and the request that it is about.

/// The request was not done; or, about nothing, what was asked for waits.
const TOO_FAST: u8 = 6;
/// Nothing is done for the moment.
const BUSY: u8 = 9;
/// Nothing can be written down for the moment.
const STORAGE: u8 = 10;
/// A wrong number, password or token.
pub const WRONG: u8 = 3;
/// About a registration: it is not open. About a sign-in: the operator has not let this account in yet.
pub const NOT_OPEN: u8 = 18;
/// Banned; the words say why and for how long.
pub const BANNED: u8 = 19;

/// In the words about a registration that is only open to who has an invite code, and nowhere else.
const INVITE: &str = "invite code";

/// The types of a message and of one to a group.
const MESSAGES: [u8; 2] = [0x03, 0x04];

/// What a notice means that no request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// This account is too fast: what it says waits, and goes out by itself.
    SlowDown,
    /// The server cannot take messages for the moment. They are sent again.
    Later,
    /// This account is banned.
    Banned,
    /// What its words say.
    Words,
}

/// What a notice means.
pub fn meaning(about: u8, code: u8) -> Meaning {
    let is_message = MESSAGES.contains(&about);
    match code {
        TOO_FAST if about == 0 || is_message => Meaning::SlowDown,
        BUSY | STORAGE if is_message => Meaning::Later,
        BANNED => Meaning::Banned,
        _ => Meaning::Words,
    }
}

/// Whether a sign-in that was refused with this code is worth another try by itself.
pub fn is_for_now(code: u8) -> bool {
    [TOO_FAST, BUSY, STORAGE].contains(&code)
}

/// Whether a registration was refused for want of a good invite code.
pub fn wants_invite(code: u8, text: &str) -> bool {
    code == NOT_OPEN && text.contains(INVITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_means_what_its_code_and_request_say() {
        assert_eq!(meaning(0, 6), Meaning::SlowDown);
        assert_eq!(meaning(0x04, 10), Meaning::Later);
        assert_eq!(meaning(0x12, 10), Meaning::Words, "a profile is not sent again");
        assert_eq!((meaning(0, 19), meaning(0x02, 3)), (Meaning::Banned, Meaning::Words));
        assert!(wants_invite(18, "an invite code is needed") && wants_invite(18, "this invite code is not good"));
        assert!(!wants_invite(18, "registration is closed") && !wants_invite(3, "invite code"));
    }
}
