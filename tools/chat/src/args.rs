//! The command line.

use clap::Parser;
use oicq::client::ServerLine;
use oicq::limits::{FIRST_USER, LAST_USER, PASSWORD_BYTES};
use std::path::{Path, PathBuf};

/// Talks to an OICQ server, line by line. Type `help` at the prompt for what can be said.
///
/// Lines are read from standard input, so a script can be piped in; the program ends after the last one, with status 1
/// if any of them could not be done. Everything is encrypted on its way to the server, whose key is kept and checked.
#[derive(Parser)]
#[command(name = "oicq", version)]
pub struct Args {
    /// The server: its line (oicq://HOST:PORT/?key=…), or its address alone to learn the key on first use
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "LINE")]
    pub server: ServerLine,
    /// Use TCP alone; otherwise UDP is used where it gets through, and TCP where it does not
    #[arg(long)]
    pub tcp: bool,
    /// Keep keys, tokens and messages without a receipt here [default: $XDG_STATE_HOME/oicq or ~/.local/state/oicq]
    #[arg(long, value_name = "DIR")]
    pub profile: Option<PathBuf>,
    /// Sign in with the token that was kept the last time, and ask for no password: for scripts. At a terminal the token
    /// is tried by itself
    #[arg(long)]
    pub token: bool,
    /// Sign in with this number at once
    #[arg(long, value_parser = clap::value_parser!(u32).range(i64::from(FIRST_USER)..=i64::from(LAST_USER)))]
    pub number: Option<u32>,
    /// Read the password from the first line of a file instead of asking for it; OICQ_PASSWORD in the environment does
    /// the same
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
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
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_wrong_address_is_refused_in_one_line() {
        let error = Args::try_parse_from(["oicq", "--server", "nowhere"]).err().expect("no port");
        let line = one_line(&error);
        assert!(line.contains("the port is missing") && line.ends_with("on first use; see --help"), "{line}");
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
