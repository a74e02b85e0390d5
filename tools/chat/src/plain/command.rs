//! What a line at the prompt means.

use oicq::client::Status;

/// One line at the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Register; with all fields of the profile, or only those that must be; with an invite code.
    SignUp { full: bool, invite: Option<String> },
    /// Sign in, with this number or the last one.
    SignIn { number: Option<u32>, hidden: bool },
    /// Sign out and stay.
    SignOut,
    /// Show groups and friends.
    List,
    /// Say something to one user.
    Say { number: u32, text: String },
    /// From now on plain lines go to this user, or to nobody.
    To(Option<u32>),
    /// A plain line for the partner.
    Plain(String),
    /// Say something to a group; 0 is all.
    All { group: u8, text: String },
    /// Add a friend.
    Add(u32),
    /// Ask for authorization.
    Ask { number: u32, reason: String },
    /// Answer a request for authorization.
    Answer { number: u32, agree: bool },
    /// Delete a friend.
    Delete(u32),
    /// Add a group.
    AddGroup(String),
    /// Rename a group.
    RenameGroup { group: u8, name: String },
    /// Delete a group.
    DeleteGroup(u8),
    /// Move a friend to a group.
    Move { number: u32, group: u8 },
    /// Who is online beyond this number.
    Online(u32),
    /// Search.
    Find(String),
    /// Show a profile.
    View(u32),
    /// Show one's own profile.
    Profile,
    /// Change a field of one's own profile.
    Set { field: String, value: String },
    /// Change one's status.
    Status(Status),
    /// Offer a file.
    Send { number: u32, path: String },
    /// Take a file that is offered: this one of somebody's, or the first.
    Take { number: u32, offer: Option<u32> },
    /// Reject it.
    Reject { number: u32, offer: Option<u32> },
    /// Refuse anything from someone, or take it again.
    Block { number: u32, on: bool },
    /// Do nothing for so many seconds but show what comes.
    Wait(u64),
    /// Show what can be said.
    Help,
    /// End.
    Quit,
}

/// Reads a line; `None` for an empty one. With a partner, a line that is no command is for them, and so is anything
/// after a blank.
pub fn parse(line: &str, has_partner: bool) -> Result<Option<Command>, String> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    if has_partner && line.starts_with(' ') {
        return Ok(Some(Command::Plain(line[1..].to_owned())));
    }
    let (word, rest) = split(line);
    let mut words = Words { rest };
    let command = match word {
        "sign" => words.sign()?,
        "list" => Command::List,
        "say" => Command::Say { number: words.number("say NUMBER TEXT")?, text: words.text("say NUMBER TEXT")? },
        "to" if rest.is_empty() => Command::To(None),
        "to" => Command::To(Some(words.number("to NUMBER")?)),
        "all" => Command::All { group: words.group("all GROUP TEXT")?, text: words.text("all GROUP TEXT")? },
        "add" => Command::Add(words.number("add NUMBER")?),
        "ask" => Command::Ask { number: words.number("ask NUMBER REASON")?, reason: words.all() },
        "accept" => Command::Answer { number: words.number("accept NUMBER")?, agree: true },
        "refuse" => Command::Answer { number: words.number("refuse NUMBER")?, agree: false },
        "delete" => Command::Delete(words.number("delete NUMBER")?),
        "group" => words.group_command()?,
        "move" => {
            Command::Move { number: words.number("move NUMBER GROUP")?, group: words.group("move NUMBER GROUP")? }
        }
        "online" if rest.is_empty() => Command::Online(0),
        "online" => Command::Online(words.number("online [START]")?),
        "find" => Command::Find(words.text("find CONDITION, like: find city = '深圳' AND age < 30")?),
        "view" => Command::View(words.number("view NUMBER")?),
        "profile" => Command::Profile,
        "set" => Command::Set { field: words.text_word("set FIELD VALUE")?, value: words.all() },
        "status" => words.status()?,
        "send" => Command::Send { number: words.number("send NUMBER FILE")?, path: words.text("send NUMBER FILE")? },
        "take" => {
            let form = "take NUMBER [OFFER]";
            Command::Take { number: words.number(form)?, offer: words.offer(form)? }
        }
        "reject" => {
            let form = "reject NUMBER [OFFER]";
            Command::Reject { number: words.number(form)?, offer: words.offer(form)? }
        }
        "block" => Command::Block { number: words.number("block NUMBER")?, on: true },
        "unblock" => Command::Block { number: words.number("unblock NUMBER")?, on: false },
        "wait" => Command::Wait(words.seconds()?),
        "help" => Command::Help,
        "quit" => Command::Quit,
        _ if has_partner => return Ok(Some(Command::Plain(line.to_owned()))),
        _ => return Err(format!("there is no command '{word}'; `help` lists all")),
    };
    if !words.rest.is_empty() {
        return Err(format!("'{}' is more than {word} takes; `help` shows its form", words.rest));
    }
    Ok(Some(command))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

/// What is left of a line.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn word(&mut self) -> &'a str {
        let (word, rest) = split(self.rest);
        self.rest = rest;
        word
    }

    fn all(&mut self) -> String {
        std::mem::take(&mut self.rest).to_owned()
    }

    fn text(&mut self, form: &str) -> Result<String, String> {
        let text = self.all();
        if text.is_empty() { Err(format!("something is missing; the form is: {form}")) } else { Ok(text) }
    }

    fn text_word(&mut self, form: &str) -> Result<String, String> {
        let word = self.word();
        if word.is_empty() { Err(format!("something is missing; the form is: {form}")) } else { Ok(word.to_owned()) }
    }

    fn number(&mut self, form: &str) -> Result<u32, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("'{word}' is not a service number, like 10001; the form is: {form}"))
    }

    fn group(&mut self, form: &str) -> Result<u8, String> {
        let word = self.word();
        word.parse()
            .map_err(|_| format!("'{word}' is not the number of a group (`list` shows them); the form is: {form}"))
    }

    fn offer(&mut self, form: &str) -> Result<Option<u32>, String> {
        match self.word() {
            "" => Ok(None),
            word => word.parse().map(Some).map_err(|_| {
                format!("'{word}' is not the number of an offer, which is told with it; the form is: {form}")
            }),
        }
    }

    fn seconds(&mut self) -> Result<u64, String> {
        let word = self.word();
        let seconds = word.parse().ok().filter(|seconds| (1..=3_600).contains(seconds));
        seconds.ok_or_else(|| format!("'{word}' is not a number of seconds from 1 to 3600; the form is: wait SECONDS"))
    }

    fn sign(&mut self) -> Result<Command, String> {
        match self.word() {
            "up" => {
                let form = "sign up [full] [invite CODE]";
                let full = split(self.rest).0 == "full";
                if full {
                    self.word();
                }
                let invite = match self.word() {
                    "" => None,
                    "invite" => Some(self.text_word(form)?),
                    other => return Err(format!("'{other}' is not known here; the form is: {form}")),
                };
                Ok(Command::SignUp { full, invite })
            }
            "in" => {
                let form = "sign in NUMBER [hidden]";
                let number = match split(self.rest).0 {
                    "" | "hidden" => None,
                    _ => Some(self.number(form)?),
                };
                match self.word() {
                    "" => Ok(Command::SignIn { number, hidden: false }),
                    "hidden" => Ok(Command::SignIn { number, hidden: true }),
                    other => Err(format!("'{other}' is not known here; the form is: {form}")),
                }
            }
            "out" => Ok(Command::SignOut),
            _ => Err("the forms are: sign up, sign in NUMBER [hidden], sign out".into()),
        }
    }

    fn group_command(&mut self) -> Result<Command, String> {
        match self.word() {
            "add" => Ok(Command::AddGroup(self.text("group add NAME")?)),
            "rename" => {
                let form = "group rename GROUP NAME";
                Ok(Command::RenameGroup { group: self.group(form)?, name: self.text(form)? })
            }
            "delete" => Ok(Command::DeleteGroup(self.group("group delete GROUP")?)),
            _ => Err("the forms are: group add NAME, group rename GROUP NAME, group delete GROUP".into()),
        }
    }

    fn status(&mut self) -> Result<Command, String> {
        let status = match self.word() {
            "online" => Status::Online,
            "hidden" => Status::Hidden,
            "busy" => Status::Busy,
            "offline" => Status::Offline,
            other => return Err(format!("'{other}' is no status; it is one of online, hidden, busy, offline")),
        };
        Ok(Command::Status(status))
    }
}

/// What `help` prints.
pub const HELP: &str = "\
sign up [full]           register: asks for nickname and password (full: for everything);
                         with `invite CODE` behind it where the server wants a code
sign in NUMBER [hidden]  sign in; asks for the password, unless you were signed in here before
sign out                 sign out and stay here
list                     your groups and friends
say NUMBER TEXT          say something to one user
to NUMBER                make plain lines go to this user; `to` alone ends that
                         (a line that begins with a blank is always said, even `  list`)
all GROUP TEXT           say something to every friend in a group; 0 is all groups
add NUMBER               add a friend
ask NUMBER REASON        ask someone who wants to be asked before being added
accept NUMBER            let someone who asked add you; refuse NUMBER: do not
delete NUMBER            delete a friend
group add NAME           also: group rename GROUP NAME, group delete GROUP
move NUMBER GROUP        move a friend to a group
online [START]           who is online, by number, beyond START
find CONDITION           search users, like: find city = '深圳' AND age < 30
view NUMBER              someone's profile
profile                  your own profile
set FIELD VALUE          change it, like: set city 深圳; `set password` asks for old and new
set reach WHO            who may write to you: everybody, or friends (those in your list)
set details WHO          who sees your name, address, telephone, e-mail: everybody,
                         friends, or nobody
set authorization WHO    who may add you: anyone, ask (me first), or nobody
status STATUS            online, hidden, busy or offline
send NUMBER FILE         offer a file
take NUMBER [OFFER]      take the file that someone offers, into this directory;
                         of several the first, or the one with this number
reject NUMBER [OFFER]    do not take it
block NUMBER             take nothing more from someone; unblock NUMBER: take it again
wait SECONDS             only show what comes: for scripts
quit                     sign out and end";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let read = |line| parse(line, false).unwrap().unwrap();
        assert_eq!(read("sign up"), Command::SignUp { full: false, invite: None });
        let invite = Some("KRDT-93QM".to_owned());
        assert_eq!(read("sign up full invite KRDT-93QM"), Command::SignUp { full: true, invite });
        assert_eq!(read("sign in 10001 hidden"), Command::SignIn { number: Some(10001), hidden: true });
        assert_eq!(read("sign in hidden"), Command::SignIn { number: None, hidden: true });
        assert_eq!(read("sign in"), Command::SignIn { number: None, hidden: false });
        assert_eq!(read("say 10001  hello  there"), Command::Say { number: 10001, text: "hello  there".into() });
        assert_eq!(read("group rename 2 Old friends"), Command::RenameGroup { group: 2, name: "Old friends".into() });
        assert_eq!(read("set city 深圳"), Command::Set { field: "city".into(), value: "深圳".into() });
        assert_eq!(read("set hobby"), Command::Set { field: "hobby".into(), value: String::new() });
        assert_eq!(read("take 10001"), Command::Take { number: 10_001, offer: None });
        assert_eq!(read("reject 10001 7"), Command::Reject { number: 10_001, offer: Some(7) });
        assert_eq!(parse("   ", true), Ok(None));
    }

    #[test]
    fn with_a_partner_what_is_no_command_is_said() {
        let read = |line| parse(line, true).unwrap().unwrap();
        assert_eq!(read("good morning"), Command::Plain("good morning".into()));
        assert_eq!(read("list"), Command::List);
        assert_eq!(read(" list of things"), Command::Plain("list of things".into()));
    }

    #[test]
    fn errors_say_what_would_be_right() {
        let error = |line| parse(line, false).unwrap_err();
        assert_eq!(error("dance"), "there is no command 'dance'; `help` lists all");
        assert_eq!(error("say bob hi"), "'bob' is not a service number, like 10001; the form is: say NUMBER TEXT");
        assert_eq!(error("say 10001"), "something is missing; the form is: say NUMBER TEXT");
        assert_eq!(error("add 10001 10002"), "'10002' is more than add takes; `help` shows its form");
        assert_eq!(error("sign up KRDT"), "'KRDT' is not known here; the form is: sign up [full] [invite CODE]");
        assert_eq!(error("sign up invite"), "something is missing; the form is: sign up [full] [invite CODE]");
        assert_eq!(error("status away"), "'away' is no status; it is one of online, hidden, busy, offline");
    }
}
