//! The command line.

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use oicq::client::ServerLine;
use oicq::limits::{FIRST_USER, LAST_USER, PASSWORD_BYTES};
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
  7  the server shows another key than the one that was kept; nothing was said to it";

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
    /// Show a profile; without a number, your own
    Profile {
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
    let password = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("--password-file {}: {error}", path.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        None => match std::env::var("OICQ_PASSWORD") {
            Ok(password) => password,
            Err(_) => return Ok(None),
        },
    };
    if password.is_empty() || password.len() > PASSWORD_BYTES {
        return Err(format!("the password given has {} bytes; 1 to {PASSWORD_BYTES} are right", password.len()));
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
    fn the_password_file_gives_its_first_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\nand more\n").unwrap();
        assert_eq!(given_password(Some(file.path())), Ok(Some("secret".into())));
        std::fs::write(file.path(), "\n").unwrap();
        assert!(given_password(Some(file.path())).is_err());
    }
}
