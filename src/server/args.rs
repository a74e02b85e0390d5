//! The command line.

use crate::limits::SHARDS;
use crate::shard::{Classic, Rate, RegistrationMode};
use crate::store::Network;
use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// An instant-messaging server for the OICQ protocol.
///
/// Without a command it serves. The commands operate a server on the same machine through its data directory.
#[derive(Debug, Parser)]
#[command(name = "oicqd", version)]
pub struct Arguments {
    /// How to serve.
    #[command(flatten)]
    pub serve: Serve,
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How to serve.
#[derive(Debug, Clone, Group)]
pub struct Serve {
    /// Address and port to listen on, UDP and TCP; may be given several times. Port 0 chooses a free one.
    #[arg(long, env = "OICQD_LISTEN", value_name = "ADDRESS:PORT", value_delimiter = ',')]
    #[arg(default_value = "127.0.0.1:8000")]
    pub listen: Vec<SocketAddr>,
    /// Shards: each runs on a core of its own and does the rules of its users [default: the number of cores]
    #[arg(long, env = "OICQD_SHARDS", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=SHARDS as i64))]
    pub shards: Option<u8>,
    /// Directory of everything that the server keeps.
    #[arg(long, env = "OICQD_DATA", value_name = "DIR", default_value = "./oicq-data", global = true)]
    pub data: PathBuf,
    /// From where bare frames, which are not encrypted, are taken.
    #[arg(long, env = "OICQD_CLASSIC", value_enum, default_value_t = From::Loopback)]
    pub classic: From,
    /// When a client must prove its address before a handshake: when there are many, or always.
    #[arg(long, env = "OICQD_RETRY", value_enum, default_value_t = Retry::Auto)]
    pub retry: Retry,
    /// What to log to standard error: error, warn, info, debug, or a filter such as `oicq=debug` [default: warn]
    #[arg(long, env = "OICQD_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log: lines for people, or an object of JSON a line for programs.
    #[arg(long, env = "OICQD_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Who may register [default: open]
    #[arg(long, env = "OICQD_REGISTER", value_enum, value_name = "WHO")]
    pub register: Option<Register>,
    /// Configuration file (TOML), read again at SIGHUP and at `oicqd reload`. What the command line says goes before it;
    /// `oicqd config defaults` prints one with every key.
    #[arg(long, env = "OICQD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object of JSON a line.
    Json,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Register {
    /// Everybody.
    Open,
    /// Whoever has an invite code (`oicqd invite add`).
    Invite,
    /// Everybody, but nobody signs in before `oicqd account approve`.
    Approve,
    /// Nobody: `oicqd account add` makes accounts.
    Closed,
}

impl Register {
    /// As the rules call it.
    pub fn mode(self) -> RegistrationMode {
        match self {
            Self::Open => RegistrationMode::Open,
            Self::Invite => RegistrationMode::Invite,
            Self::Approve => RegistrationMode::Approve,
            Self::Closed => RegistrationMode::Closed,
        }
    }
}

/// From where bare frames are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// From nowhere.
    Off,
    /// From this machine.
    Loopback,
    /// From everywhere.
    Any,
}

impl From {
    /// As the rules call it.
    pub fn classic(self) -> Classic {
        match self {
            Self::Off => Classic::Off,
            Self::Loopback => Classic::Loopback,
            Self::Any => Classic::Any,
        }
    }

    /// As the command line calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Loopback => "loopback",
            Self::Any => "any",
        }
    }
}

/// When a handshake begins with a cookie (protocol.md 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Retry {
    /// When many handshakes are in progress.
    Auto,
    /// Always.
    Always,
}

/// What the operator can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Adds, changes, shuts and lists accounts; works with a running server and without.
    #[command(subcommand)]
    Account(Account),
    /// Grants leave to monitor somebody's messages, takes it back, and shows who did what.
    #[command(subcommand)]
    Grant(Grant),
    /// Shows who fills a mailbox, and empties it; works with a running server and without.
    #[command(subcommand)]
    Mailbox(Mailbox),
    /// Recovers what is whole in a damaged data directory (--data) into a new one, and says what is not.
    Salvage {
        /// The new directory, which must be empty or not there.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Makes the server a new key, where the file link.key is lost. Every client must learn it.
    NewKey,
    /// Makes codes with which people may register while registration needs an invite (`--register invite`).
    #[command(subcommand)]
    Invite(Invite),
    /// Bans accounts, addresses and networks, each with a reason and an end; works with a running server and without.
    #[command(subcommand)]
    Ban(Ban),
    /// Tells everyone online something, as the system, and says how many there were.
    Announce {
        /// The words.
        text: String,
    },
    /// Checks a configuration file, and prints one with every key.
    #[command(subcommand)]
    Config(Config),
    /// Has a running server read its configuration file again, as SIGHUP does. A file with a mistake changes nothing.
    Reload,
    /// Prints the line by which clients find a running server and know that it is the right one.
    Line,
    /// Stops a running server. Sessions over the link go on with the next start, unless they are ended.
    Stop {
        /// Ends all sessions: everybody must sign in again.
        #[arg(long)]
        end_sessions: bool,
    },
    /// Shows what a running server has counted.
    Stats {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What can be done with a configuration file.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Says whether a server would take this file, and if not, which line is wrong.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Prints a file with every key, what it means, and its default.
    Defaults,
}

/// Where a password comes from: never the command line, where everyone on the machine could read it.
#[derive(Debug, Clone, Group)]
pub struct Password {
    /// File whose first line is the password; `-` is standard input. Otherwise OICQD_PASSWORD is taken, or it is asked for.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Registers an account and prints its number.
    Add {
        /// The name that others see.
        #[arg(long)]
        nickname: String,
        /// Where the password comes from.
        #[command(flatten)]
        password: Password,
    },
    /// Gives an account another password and signs it out.
    Passwd {
        /// The account.
        number: u32,
        /// Where the password comes from.
        #[command(flatten)]
        password: Password,
    },
    /// Shuts an account: it is signed out and cannot sign in.
    Disable {
        /// The account.
        number: u32,
    },
    /// Opens a shut account again.
    Enable {
        /// The account.
        number: u32,
    },
    /// Lets one account do more, or less, than everybody: so many a second, and so many at once.
    Limits {
        /// The account.
        number: u32,
        /// Its limits.
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Deletes an account with all that belongs to it. Its number is not used again.
    Delete {
        /// The account.
        number: u32,
        /// Also deletes what it has left in the mailboxes of others.
        #[arg(long)]
        purge: bool,
    },
    /// Lets somebody in who has registered and waits for approval (`--register approve`).
    Approve {
        /// The account.
        number: u32,
    },
    /// Lists all accounts.
    List {
        /// Only those that wait for approval.
        #[arg(long)]
        pending: bool,
        /// One object of JSON a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows an account: when it was registered, whether and from where it is signed in or was last seen, its tokens, stored
    /// messages, ban and grants.
    Show {
        /// The account.
        number: u32,
        /// As an object of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Shows where an account is signed in over the link, or all that are.
    Sessions {
        /// The account; without it all.
        number: Option<u32>,
    },
    /// Signs an account out everywhere: its session ends, and its tokens are good no more.
    Signout {
        /// The account.
        number: u32,
    },
}

/// What can be done with mailboxes.
#[derive(Debug, Subcommand)]
pub enum Mailbox {
    /// Shows how many messages are stored, of whom, how old and how large they are; never a text.
    Show {
        /// Whose mailbox.
        number: u32,
    },
    /// Deletes what is stored.
    Purge {
        /// Whose mailbox.
        number: u32,
        /// Only what this account has sent.
        #[arg(long, value_name = "NUMBER")]
        from: Option<u32>,
    },
}

/// What can be done with invites.
#[derive(Debug, Subcommand)]
pub enum Invite {
    /// Makes a code and prints it. It is not kept: it cannot be printed again.
    Add {
        /// How many accounts can be registered with it.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        uses: u32,
        /// How long it is good, as in 30m, 12h, 7d or 2w; without it, until it is used up or revoked.
        #[arg(long = "for", value_name = "TIME", value_parser = span_ms)]
        span: Option<u64>,
        /// For whom it is: the list shows it.
        #[arg(long)]
        note: Option<String>,
    },
    /// Lists the invites, with what is left of them and who has used them last.
    List {
        /// One object of JSON a line.
        #[arg(long)]
        json: bool,
    },
    /// Takes an invite back: nobody can register with it any more.
    Revoke {
        /// Its code, or what stands first in its line of the list.
        #[arg(value_name = "CODE|ID")]
        which: String,
    },
}

/// What can be done with bans.
#[derive(Debug, Subcommand)]
pub enum Ban {
    /// Bans an account: its session ends, and it cannot sign in.
    Account {
        /// The account.
        number: u32,
        /// Why and for how long.
        #[command(flatten)]
        sentence: Sentence,
    },
    /// Bans an address: sessions from there end, and nobody can register or sign in from there.
    Address {
        /// The address, IPv4 or IPv6.
        address: IpAddr,
        /// Why and for how long.
        #[command(flatten)]
        sentence: Sentence,
    },
    /// Bans a network in the same way.
    Net {
        /// The network, as in 192.0.2.0/24 or 2001:db8::/32.
        #[arg(value_name = "ADDRESS/LENGTH")]
        network: Network,
        /// Why and for how long.
        #[command(flatten)]
        sentence: Sentence,
    },
    /// Lists the bans; those that have ended stay for 30 days.
    List {
        /// One object of JSON a line.
        #[arg(long)]
        json: bool,
    },
    /// Ends a ban before its time.
    Lift {
        /// The account, address or network, as the list shows it.
        #[arg(value_name = "NUMBER|ADDRESS|NETWORK")]
        who: String,
    },
}

/// Why somebody is banned, and for how long.
#[derive(Debug, Clone, Group)]
pub struct Sentence {
    /// Why: the banned person is told it.
    #[arg(long)]
    pub reason: String,
    /// For how long.
    #[command(flatten)]
    pub term: Term,
    /// Bans addresses of this machine itself, or very many, too.
    #[arg(long)]
    pub force: bool,
}

/// How long a ban holds.
#[derive(Debug, Clone, Group)]
#[group(required = true, multiple = false)]
pub struct Term {
    /// For so long, as in 30m, 12h, 7d or 2w.
    #[arg(long = "for", value_name = "TIME", value_parser = span_ms)]
    pub span: Option<u64>,
    /// Until it is lifted.
    #[arg(long)]
    pub forever: bool,
}

/// A stretch of time such as 7d, in ms.
fn span_ms(text: &str) -> Result<u64, String> {
    const WRONG: &str = "write a number and s, m, h, d or w, as in 7d";
    let unit = text.chars().next_back().ok_or(WRONG)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 24 * 3_600,
        'w' => 7 * 24 * 3_600,
        _ => return Err(WRONG.to_owned()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| WRONG)?;
    match count.checked_mul(seconds * 1_000) {
        // A century: beyond that nobody counts in days.
        Some(span) if (1..=36_525 * 24 * 3_600_000).contains(&span) => Ok(span),
        _ => Err("it is 1s to 36525d".to_owned()),
    }
}

/// What can be done with grants.
#[derive(Debug, Subcommand)]
pub enum Grant {
    /// Lets one account read along the messages that the server relays from and to another.
    Monitor {
        /// Who may read along.
        #[arg(long)]
        account: u32,
        /// Whose messages.
        #[arg(long)]
        target: u32,
        /// Why; it stands in the audit log.
        #[arg(long)]
        reason: String,
        /// When it ends.
        #[command(flatten)]
        end: End,
    },
    /// Takes such leave back at once.
    Revoke {
        /// Who has it.
        #[arg(long)]
        account: u32,
        /// For whom.
        #[arg(long)]
        target: u32,
    },
    /// Lists all grants.
    List,
    /// Prints the audit log, and checks that nothing in it was changed, taken out or cut off. Prints its end, too: whoever
    /// keeps a copy of that elsewhere can prove later that nobody has put another log in its place.
    Audit {
        /// An end that was printed earlier, which the log must still hold.
        #[arg(long, value_name = "NUMBER:MAC")]
        expect: Option<String>,
    },
    /// Says that you know of a broken audit log, which was set aside: from then on grants count again.
    Acknowledge,
}

/// When a grant ends.
#[derive(Debug, Clone, Group)]
#[group(required = true, multiple = false)]
pub struct End {
    /// It ends after so many hours.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=87_600))]
    pub hours: Option<u32>,
    /// It ends at this time, in seconds since 1970 UTC (`date +%s -d ...`).
    #[arg(long, value_name = "SECONDS")]
    pub until: Option<u64>,
}

/// What clap says of wrong arguments, in one line: its first paragraph, without the usage.
pub fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraph: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let said = paragraph.join(" ");
    format!("{}; see --help", said.strip_prefix("error: ").unwrap_or(&said))
}

/// The limits of one account. Those that are not given stay as they are.
#[derive(Group, Debug, Clone, Copy, PartialEq, Eq)]
#[group(required = true, multiple = true)]
pub struct LimitArgs {
    /// Messages, one for each recipient: 50/500 is 50 a second and 500 at once; or unlimited
    #[arg(long, value_name = "RATE")]
    pub messages: Option<Rate>,
    /// Requests that write
    #[arg(long, value_name = "RATE")]
    pub writes: Option<Rate>,
    /// Requests that read
    #[arg(long, value_name = "RATE")]
    pub reads: Option<Rate>,
    /// Bytes of files
    #[arg(long, value_name = "RATE")]
    pub file_bytes: Option<Rate>,
    /// What everybody may
    #[arg(long, conflicts_with_all = ["messages", "writes", "reads", "file_bytes"])]
    pub default: bool,
}

impl LimitArgs {
    /// In the order of the store.
    pub fn rates(&self) -> [Option<Rate>; 4] {
        [self.messages, self.writes, self.reads, self.file_bytes]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn several_addresses_can_be_given() {
        let arguments =
            ["oicqd", "--listen", "127.0.0.1:1", "--listen", "[::1]:2", "--shards", "2", "--classic", "off"];
        let arguments = Arguments::try_parse_from(arguments).expect("good arguments");
        assert!(arguments.command.is_none());
        assert_eq!(arguments.serve.listen.len(), 2);
        assert_eq!((arguments.serve.shards, arguments.serve.classic), (Some(2), From::Off));
    }

    #[test]
    fn bad_arguments_are_refused() {
        for bad in [
            &["oicqd", "--shards", "0"][..],
            &["oicqd", "--shards", "65"],
            &["oicqd", "--listen", "8000"],
            &["oicqd", "--classic", "some"],
            &["oicqd", "grant", "monitor", "--account", "1", "--target", "2", "--reason", "x"],
            &["oicqd", "grant", "monitor", "--account", "1", "--target", "2", "--reason", "x", "--hours", "0"],
            &["oicqd", "account", "add"],
            &["oicqd", "ban", "account", "10000", "--reason", "x"],
            &["oicqd", "ban", "account", "10000", "--for", "7d"],
            &["oicqd", "ban", "account", "10000", "--reason", "x", "--for", "7d", "--forever"],
            &["oicqd", "ban", "account", "10000", "--reason", "x", "--for", "7"],
            &["oicqd", "ban", "net", "192.0.2.0/33", "--reason", "x", "--forever"],
            &["oicqd", "ban", "address", "192.0.2", "--reason", "x", "--forever"],
            &["oicqd", "invite", "add", "--uses", "0"],
            &["oicqd", "invite", "add", "--for", "0d"],
            &["oicqd", "invite", "add", "--for", "1é"],
        ] {
            assert!(Arguments::try_parse_from(bad).is_err(), "{bad:?}");
        }
    }
}
