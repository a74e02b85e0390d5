//! How much is done, by how many, and how it is told.

use super::values::{bounded, rate, seconds, share};
use crate::classic::MARK_BYTES;
use crate::net::most_sockets;
use crate::play::Pace;
use clap::Args;
use oicq::limits::TEXT_BYTES;
use std::fmt;
use std::path::PathBuf;

/// The load itself.
#[derive(Args, Clone)]
pub struct Load {
    /// Users
    #[arg(long, default_value_t = 1_000, value_parser = bounded(2, 1_000_000))]
    pub users: usize,
    /// Sockets that the users share [default: one for each user, 10,000 at most, as far as the limit of open files goes]
    #[arg(long, value_parser = bounded(1, 65_000))]
    pub sockets: Option<usize>,
    /// Closed loop: so many in progress, the next begins when one is done [default: 64; presence and search 1, offline 256]
    #[arg(long, value_parser = bounded(1, 65_536))]
    pub window: Option<usize>,
    /// Open loop: so many a second, whatever the server does; latency counts from when each was to be sent
    #[arg(long, value_parser = rate, conflicts_with = "window")]
    pub rate: Option<f64>,
    /// Seconds that a round lasts
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub seconds: f64,
    /// Rounds [default: 1; compare 5]
    #[arg(long, value_parser = bounded(1, 100))]
    pub rounds: Option<usize>,
    /// Bytes of text in each message
    #[arg(long, default_value_t = 100, value_parser = bounded(1, TEXT_BYTES))]
    pub text_bytes: usize,
    /// Share of the datagrams that are dropped, in each direction: 0.01 is one of a hundred
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub loss: f64,
    /// Of all chance
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Measure the floor in turns with the server
    #[arg(long)]
    pub with_floor: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Draw throughput and latency over time
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

impl Load {
    /// What single arguments cannot tell.
    pub fn check(&self) -> Result<(), String> {
        if self.text_bytes > 900 && self.with_floor {
            return Err("a text of more than 900 bytes takes several datagrams, which the floor does not have".into());
        }
        Ok(())
    }

    /// How many sockets are used.
    pub fn sockets(&self) -> usize {
        self.sockets.unwrap_or_else(|| most_sockets(10_000.min(self.users))).min(self.users)
    }

    /// The same with a window, unless there is a rate.
    pub fn with_window(&self, default: usize) -> Self {
        Self { window: self.rate.is_none().then(|| self.window.unwrap_or(default)), ..self.clone() }
    }

    /// How things are begun.
    pub fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Window(self.window.unwrap_or(1)), Pace::Rate)
    }

    /// How many rounds.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(1)
    }

    /// The same with bare frames.
    pub fn classic(&self) -> ClassicLoad {
        ClassicLoad {
            users: self.users,
            window: self.window.unwrap_or(128),
            seconds: self.seconds,
            text_bytes: self.text_bytes.max(MARK_BYTES),
            sockets: self.sockets().min(1_000),
        }
    }
}

impl Default for Load {
    /// What the command line has where nothing is said.
    fn default() -> Self {
        Self {
            users: 1_000,
            sockets: None,
            window: None,
            rate: None,
            seconds: 5.0,
            rounds: None,
            text_bytes: 100,
            loss: 0.0,
            seed: 1,
            with_floor: false,
            json: false,
            plot: None,
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, text_bytes, seconds, loss, .. } = self;
        write!(f, "{users} users over {} sockets", self.sockets())?;
        match (self.rate, self.window) {
            (Some(rate), _) => write!(f, ", {rate} a second")?,
            (None, Some(window)) => write!(f, ", {window} in progress")?,
            // They have nothing to do.
            (None, None) => return Ok(()),
        }
        write!(f, ", {text_bytes} bytes of text, {seconds} s a round")?;
        if *loss > 0.0 { write!(f, ", {:.1} % of the datagrams lost", loss * 100.0) } else { Ok(()) }
    }
}

/// A load of bare frames.
pub struct ClassicLoad {
    /// Users, in pairs that write to each other
    pub users: usize,
    /// Messages in flight
    pub window: usize,
    /// Seconds that a round lasts
    pub seconds: f64,
    /// Bytes of text
    pub text_bytes: usize,
    /// Sockets
    pub sockets: usize,
}

impl fmt::Display for ClassicLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, window, seconds, text_bytes, sockets } = self;
        write!(
            f,
            "{users} users over {sockets} sockets, {window} in flight, {text_bytes} bytes of text, {seconds} s a round"
        )
    }
}

/// Users who have nothing to do.
#[derive(Args, Clone)]
pub struct People {
    /// Users
    #[arg(long, default_value_t = 1_000, value_parser = bounded(2, 1_000_000))]
    pub users: usize,
    /// Sockets that the users share [default: one for each user, 10,000 at most, as far as the limit of open files goes]
    #[arg(long, value_parser = bounded(1, 65_000))]
    pub sockets: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl People {
    /// The same as a load that does nothing.
    pub fn load(&self) -> Load {
        Load { users: self.users, sockets: self.sockets, json: self.json, ..Load::default() }
    }
}
