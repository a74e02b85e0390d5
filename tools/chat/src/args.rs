//! The command line.

use crate::fields;
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use oicq::client::ServerLine;
use oicq::limits::{FIRST_USER, LAST_USER, PASSWORD_BYTES, PASSWORD_BYTES_LEAST};
use std::path::{Path, PathBuf};

/// What the exit status means.
pub const STATUSES: &str = "\
Exit status:
  0  done; of `send`: the recipient's program has the message
  1  it could not be done, and the reason is on standard error
  2  the command line is wrong
  3  `send`: stored, the recipient gets it at the next sign-in
  4  `send`: no answer yet; the message is kept, and goes out with the next sign-in
  5  `send`: refused by the recipient or the server
  6  not signed in: wrong number or password, or none was given
  7  the server shows another key than the one that was kept; nothing was said to it
  8  `sign-up`: registration is closed
  9  `sign-up`: an invite code is needed, or the one that was given is not good
 10  the operator has not let this account in yet; the number is good
 11  banned; the reason and the end are on standard error";

/// A client for OICQ, the instant messenger.
///
/// At a terminal it opens a full screen (F1 there for help). With --plain, or where standard input or output is no terminal,
/// it reads commands line by line, and `help` lists them; it ends after the last one, with status 1 if any could not be done.
/// The commands below are for scripts. Everything is encrypted on its way to the server, whose key is kept and checked.
#[derive(Parser)]
#[command(name = "oicq", version, after_help = STATUSES, disable_help_subcommand = true)]
pub struct Arguments {
    /// What all ways of use share.
    #[command(flatten)]
    pub common: Common,
    /// Line by line instead of a full screen
    #[arg(long)]
    pub plain: bool,
    /// Leave the mouse to the terminal, for its own selecting and pasting
    #[arg(long)]
    pub no_mouse: bool,
    /// Language of the full screen; otherwise LC_ALL, LC_MESSAGES or LANG says it
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<Language>,
    /// One thing, for a script; without it the program is for a person.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Language of the full screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// English
    En,
    /// 中文
    Zh,
}

/// What all ways of use share.
#[derive(Args, Clone)]
pub struct Common {
    /// The server: its line (oicq://HOST:PORT/?key=…), or its address alone to learn the key on first use [default: that of
    /// the last sign-in, or 127.0.0.1:8000]
    #[arg(long, value_name = "LINE", global = true)]
    pub server: Option<ServerLine>,
    /// Use TCP alone; otherwise UDP is used where it gets through, and TCP where it does not
    #[arg(long, global = true)]
    pub tcp: bool,
    /// Another account: a name, or a directory with a slash in it. Keys, tokens and the history are kept there [default:
    /// $XDG_STATE_HOME/oicq or ~/.local/state/oicq]
    #[arg(long, value_name = "NAME", global = true)]
    pub profile: Option<String>,
    /// Sign in with the token that was kept the last time, and ask for no password. Script commands and a terminal try it by
    /// themselves
    #[arg(long, global = true)]
    pub token: bool,
    /// Sign in with this number [default for script commands: that of the last sign-in]
    #[arg(long, global = true, value_parser = user())]
    pub number: Option<u32>,
    /// Read the password from the first line of a file instead of asking for it; OICQ_PASSWORD in the environment does the
    /// same
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// Where files go that are taken [default: ~/Downloads if it is there, or the working directory]
    #[arg(long, value_name = "DIR", global = true, value_hint = ValueHint::DirPath)]
    pub downloads: Option<PathBuf>,
    /// Script commands: one JSON object a line
    #[arg(long, global = true)]
    pub json: bool,
}

/// One thing, for a script.
#[derive(Subcommand)]
pub enum Command {
    /// Send a message: status 0 delivered, 3 stored, 4 no answer yet, 5 refused
    Send {
        /// To whom
        #[arg(value_name = "NUMBER", value_parser = user())]
        to: u32,
        /// What; - reads it from standard input
        text: String,
        /// Wait so long for the recipient's program, although the message is stored already
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        wait: u64,
    },
    /// Print what happens, one line each, until it is ended; with --json, commands can be written to its standard input
    Listen,
    /// List groups and friends
    Friends,
    /// Who is online, by number
    Online {
        /// Beyond this number
        #[arg(default_value_t = 0)]
        start: u32,
    },
    /// Search users, like: oicq find "city = '深圳' AND age < 30"
    Find {
        /// Condition, or a whole SELECT
        condition: String,
    },
    /// Sign up for a number, and print it; the password is asked for, or comes from OICQ_PASSWORD or --password-file
    SignUp {
        /// How others see you
        #[arg(long)]
        nickname: String,
        /// Invite code, where the server wants one
        #[arg(long, value_name = "CODE")]
        invite: Option<String>,
        /// Who may add you, write to you, see your details
        #[command(flatten)]
        privacy: Privacy,
    },
    /// Change the password; the present one is asked for, or comes from OICQ_PASSWORD or --password-file. All other sessions
    /// and tokens end
    Password {
        /// Read the new one from the first line of a file instead of asking for it; OICQ_NEW_PASSWORD in the environment
        /// does the same
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        new_password_file: Option<PathBuf>,
    },
    /// Show a profile; without a number, your own
    #[command(args_conflicts_with_subcommands = true)]
    Profile {
        /// Change your own instead
        #[command(subcommand)]
        change: Option<ProfileCommand>,
        /// Whose
        #[arg(value_name = "NUMBER", value_parser = user())]
        whose: Option<u32>,
    },
    /// Send or take a file
    #[command(subcommand)]
    File(FileCommand),
    /// Print the history that is kept here, or what is found in it; the server is not asked
    History {
        /// With whom; everybody without
        #[arg(value_name = "NUMBER", value_parser = user())]
        with: Option<u32>,
        /// Only messages with these words
        #[arg(long, value_name = "WORDS")]
        find: Option<String>,
    },
    /// Print completions for a shell
    Completions {
        /// Which
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// Change a profile.
#[derive(Subcommand)]
pub enum ProfileCommand {
    /// Change fields of your profile, like: oicq profile set --reach friends city=深圳
    Set {
        /// Who may add you, write to you, see your details
        #[command(flatten)]
        privacy: Privacy,
        /// Fields and values, like age=20; nothing behind the = takes a value away
        #[arg(value_name = "FIELD=VALUE", value_parser = field)]
        fields: Vec<(String, String)>,
    },
}

/// What others may do.
#[derive(Args)]
pub struct Privacy {
    /// Who may write to you: everybody, or friends (those in your list)
    #[arg(long, value_name = "WHO", value_parser = choice(fields::REACH))]
    pub reach: Option<String>,
    /// Who sees your name, address, postcode, telephone, pager and e-mail, and finds you by them: everybody, friends (those
    /// in your list), or nobody
    #[arg(long, value_name = "WHO", value_parser = choice(fields::DETAILS))]
    pub details: Option<String>,
    /// Who may add you: anyone, ask (you first), or nobody
    #[arg(long, value_name = "WHO", value_parser = choice(fields::AUTHORIZATION))]
    pub authorization: Option<String>,
}

impl Privacy {
    /// The fields that are given, with their values.
    pub fn changes(&self) -> Vec<(String, String)> {
        let given = [
            (fields::REACH, &self.reach),
            (fields::DETAILS, &self.details),
            (fields::AUTHORIZATION, &self.authorization),
        ];
        given.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value.clone()?))).collect()
    }
}

fn choice(field: &str) -> clap::builder::PossibleValuesParser {
    fields::choices(field).into()
}

fn field(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("a field and its value are written FIELD=VALUE, like city=深圳")?;
    // What is wrong is said before anything is asked of the server.
    fields::set(&mut oicq::client::OwnedProfile::default(), field, value)?;
    Ok((field.to_owned(), value.to_owned()))
}

/// Send or take a file.
#[derive(Subcommand)]
pub enum FileCommand {
    /// Offer a file, and send it when it is accepted
    Send {
        /// To whom
        #[arg(value_name = "NUMBER", value_parser = user())]
        to: u32,
        /// What
        #[arg(value_hint = ValueHint::FilePath)]
        path: PathBuf,
    },
    /// Take the next file that is offered
    Take {
        /// From this user only
        #[arg(value_name = "NUMBER", value_parser = user())]
        from: Option<u32>,
    },
}

fn user() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(FIRST_USER)..=i64::from(LAST_USER))
}

/// The password that was given without being typed, if one was.
pub fn given_password(file: Option<&Path>) -> Result<Option<String>, String> {
    given("--password-file", file, "OICQ_PASSWORD", 1)
}

/// The same for a new one.
pub fn given_new_password(file: Option<&Path>) -> Result<Option<String>, String> {
    given("--new-password-file", file, "OICQ_NEW_PASSWORD", PASSWORD_BYTES_LEAST)
}

/// The first line of a file, or what stands in the environment.
fn given(option: &str, file: Option<&Path>, variable: &str, least: usize) -> Result<Option<String>, String> {
    let password = match file {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("{option} {}: {error}", path.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        None => match std::env::var(variable) {
            Ok(password) => password,
            Err(_) => return Ok(None),
        },
    };
    if !(least..=PASSWORD_BYTES).contains(&password.len()) {
        let length = password.len();
        return Err(format!("the password given has {length} bytes; {least} to {PASSWORD_BYTES} are right"));
    }
    Ok(Some(password))
}

/// What is wrong with a command line, in one line.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let said: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
    format!("{}; see --help", said.join(" ").trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_wrong_address_is_refused_in_one_line() {
        let error = Arguments::try_parse_from(["oicq", "--server", "nowhere"]).err().expect("no port");
        let line = one_line(&error);
        assert!(line.contains("the port is missing") && line.ends_with("on first use; see --help"), "{line}");
        let error = Arguments::try_parse_from(["oicq", "send", "10001"]).err().expect("no text");
        assert_eq!(one_line(&error), "the following required arguments were not provided: <TEXT>; see --help");
    }

    #[test]
    fn a_profile_is_shown_or_changed() {
        let read = |arguments: &[&str]| Arguments::try_parse_from([&["oicq", "profile"], arguments].concat());
        let Ok(Arguments { command: Some(Command::Profile { change: None, whose }), .. }) = read(&["10001"]) else {
            panic!("a profile")
        };
        assert_eq!(whose, Some(10_001));
        let Ok(Arguments { command: Some(Command::Profile { change: Some(change), .. }), .. }) =
            read(&["set", "--reach", "friends", "city=深圳", "age="])
        else {
            panic!("a change")
        };
        let ProfileCommand::Set { privacy, fields } = change;
        assert_eq!(privacy.changes(), [("reach".to_owned(), "friends".to_owned())]);
        assert_eq!(fields, [("city".to_owned(), "深圳".to_owned()), ("age".to_owned(), String::new())]);
        for (arguments, words) in [
            (["set", "--reach", "nobody"], "[possible values: everybody, friends]"),
            (["set", "--details", "x"], "[possible values: everybody, friends, nobody]"),
            (["set", "city", "=x"], "FIELD=VALUE, like city=深圳"),
            (["set", "age=old", "x=1"], "'old' is no age; 0 to 255 is right"),
        ] {
            let line = one_line(&read(&arguments).err().expect("wrong"));
            assert!(line.contains(words) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn the_password_file_gives_its_first_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\nand more\n").unwrap();
        assert_eq!(given_password(Some(file.path())), Ok(Some("secret".into())));
        std::fs::write(file.path(), "\n").unwrap();
        assert!(given_password(Some(file.path())).is_err());
    }
}
