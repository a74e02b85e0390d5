//! The server that is measured, and the floor beside it: found, or started on cores of their own.

use crate::args::{Load, Target};
use crate::child::{Running, Scratch, free_address, lift_budgets};
use crate::clock::{Clock, SECOND, millis};
use crate::crowd::{Crowd, Event, OFFLINE, REFUSED, learn_key};
use crate::failure::Failure;
use crate::prepare::{self, Plan, Prepared};
use crate::sys;
use oicq::wire::User as Said;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

/// How long a server may take to start: it may have a large journal to read.
const START: Duration = Duration::from_secs(120);
/// Sign-ins in progress at once. From half of `limits::HANDSHAKES` on each would need a cookie, too.
const AT_ONCE: usize = 128;
/// How long signing in may stand still.
const PATIENCE: u64 = 20 * SECOND;

/// How long a server that is found there already may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a server may take to stop: it writes what is in memory alone.
const STOP: Duration = Duration::from_secs(120);

/// A server. Dropped, it ends if it was started for this, and its directory goes after it.
pub struct Server {
    /// Its process, if it was started here.
    pub running: Option<Running>,
    /// Where it is.
    pub at: SocketAddr,
    /// Its process, if it is known.
    pub pid: Option<u32>,
    people: Option<Prepared>,
    password: String,
    launch: Option<Launch>,
}

/// How a server is started, and started again.
struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    cpus: Vec<usize>,
    scratch: Scratch,
}

impl Launch {
    fn start(&self) -> Result<Running, String> {
        let arguments: Vec<&OsStr> = self.arguments.iter().map(OsString::as_os_str).collect();
        Running::start("oicqd", &self.program, &arguments, &self.cpus, &self.scratch)
    }
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As by a crash: SIGKILL.
    Killed,
    /// As its operator stops it: SIGTERM.
    Stopped,
}

impl Server {
    /// Finds the server, or starts it with accounts that are prepared for it.
    pub fn get(target: &Target, load: &Load, watchers: usize) -> Result<Self, String> {
        let Some(oicqd) = &target.oicqd else {
            let at = target.server.ok_or("--server or --oicqd is needed")?;
            let people = match (target.first, &target.data) {
                (Some(first), _) => Prepared { first, tokens: vec![String::new(); load.users] },
                (None, Some(data)) => prepare::read(data, load.users)?,
                (None, None) => {
                    return Err("--data is needed, the directory that `prepare` has filled; or --first".into());
                }
            };
            let password = target.password.clone();
            return Ok(Self { running: None, at, pid: target.pid, people: Some(people), password, launch: None });
        };
        let program = std::fs::canonicalize(oicqd)
            .map_err(|error| format!("{}: {error}; --oicqd takes the path of the server program", oicqd.display()))?;
        let scratch = Scratch::new()?;
        let (data, people) = match &target.data {
            Some(data) => {
                (std::path::absolute(data).map_err(|error| error.to_string())?, prepare::read(data, load.users)?)
            }
            None => {
                let data = scratch.path().join("data");
                let plan = Plan { users: load.users, friends: 20, watchers, seed: load.seed };
                let bar = crate::progress::Bar::new("steps of preparing", 2 * load.users as u64);
                let people = prepare::write(&data, plan, &mut |done| bar.at(done))?;
                (data, people)
            }
        };
        let at = free_address()?;
        let (at_text, shards) = (at.to_string(), target.shards.to_string());
        let mut arguments = ["--listen", &at_text, "--shards", &shards, "--data"].map(OsString::from).to_vec();
        arguments.push(data.into_os_string());
        arguments.extend(lift_budgets(&program, &scratch)?);
        let launch = Launch { program, arguments, cpus: target.server_cpu.clone(), scratch };
        let running = launch.start()?;
        let (pid, password) = (Some(running.pid()), String::new());
        Ok(Self { running: Some(running), at, pid, people: Some(people), password, launch: Some(launch) })
    }

    /// Ends a server that was started here.
    pub fn end(&mut self, how: End) -> Result<(), String> {
        let running = self.running.take().ok_or("only a server that was started here is ended")?;
        match how {
            End::Killed => running.kill(),
            End::Stopped => running.stop(STOP),
        }
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) -> Result<(), String> {
        let running = self.launch.as_ref().ok_or("only a server that was started here is started again")?.start()?;
        self.pid = Some(running.pid());
        self.running = Some(running);
        Ok(())
    }

    /// Its users, nobody of them signed in.
    pub fn crowd(&mut self, load: &Load, clock: Clock) -> Result<Crowd, String> {
        let patience = if self.running.is_some() { START } else { ANSWER };
        let key = learn_key(self.at, patience).map_err(|error| self.explain(error))?;
        let Prepared { first, tokens } = self.people.take().ok_or("its users are taken")?;
        let mut crowd = Crowd::new(self.at, key, first, tokens, load.sockets(), millis(clock.ns()))?;
        crowd.set_password(&self.password);
        Ok(crowd)
    }

    /// An error, with the last words of the server where it has ended.
    pub fn explain(&mut self, error: String) -> String {
        match &mut self.running {
            Some(running) => running.explain(error),
            None => error,
        }
    }

    /// Whether a server that was started here keeps to its cores.
    pub fn check_cores(&self, cpus: &[usize]) -> Result<(), String> {
        let Some(running) = &self.running else { return Ok(()) };
        let within = |list: &String| {
            list.split(',').all(|part| {
                let (low, high) = part.split_once('-').unwrap_or((part, part));
                let bounds = low.parse::<usize>().ok().zip(high.parse::<usize>().ok());
                bounds.is_some_and(|(low, high)| (low..=high).all(|core| cpus.contains(&core)))
            })
        };
        match running.cores().into_iter().find(|list| !within(list)) {
            Some(list) => {
                Err(format!("oicqd runs on core {list}, not on {cpus:?} alone: this would not compare like with like"))
            }
            None => Ok(()),
        }
    }
}

/// The floor's process. The directory goes when nobody writes into it any more.
pub struct Floor {
    /// Its process.
    pub running: Running,
    /// Where it is.
    pub at: SocketAddr,
    _scratch: Scratch,
}

impl Floor {
    /// Starts it on these cores: the first of them, since it is one thread.
    pub fn start(cpus: &[usize]) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("the path of this program is unknown: {error}"))?;
        let (scratch, at) = (Scratch::new()?, free_address()?);
        let text = at.to_string();
        let arguments = ["floor-server", "--listen", &text].map(OsStr::new);
        let running = Running::start("floor", &own, &arguments, &cpus[..1], &scratch)?;
        Ok(Self { running, at, _scratch: scratch })
    }
}

/// Signs in the users from `from` up to `to`, exclusive, and tells how long it took.
pub fn sign_in(crowd: &mut Crowd, clock: Clock, from: u32, to: u32) -> Result<Duration, Failure> {
    let bar = crate::progress::Bar::new("signed in", u64::from(to - from));
    let (start, mut events) = (clock.ns(), Vec::new());
    let (mut next, mut done, mut heard) = (from, 0, start);
    while done < to - from {
        let now_ms = millis(clock.ns());
        while next < to && ((next - from - done) as usize) < AT_ONCE {
            crowd.enter(now_ms, next)?;
            next += 1;
        }
        crowd.flush(now_ms)?;
        crowd.turn(now_ms, 1, &mut events)?;
        let now = clock.ns();
        for event in events.drain(..) {
            match event {
                Event::SignedIn { .. } => {
                    done += 1;
                    heard = now;
                }
                Event::Ended { user, why } if why == REFUSED => {
                    let number = crowd.number(user);
                    return Err(Failure::Use(format!(
                        "the server refuses the sign-in of {number}; give the --data that this server runs on, or its \
                         --first and --password"
                    )));
                }
                Event::Ended { user, why } => return Err(format!("user {user} cannot sign in: {why}").into()),
                Event::Notice { text, .. } => return Err(format!("the server says: {text}").into()),
                _ => {}
            }
        }
        bar.at(u64::from(done));
        if now - heard > PATIENCE {
            return Err(format!("no sign-in has come to an end for {} s", PATIENCE / SECOND).into());
        }
        if sys::stopping() {
            return Err("interrupted".to_owned().into());
        }
    }
    Ok(Duration::from_nanos(clock.ns() - start))
}

/// Signs these users out.
pub fn leave(crowd: &mut Crowd, clock: Clock, users: Range<u32>) -> Result<(), String> {
    let (mut events, mut left) = (Vec::new(), users.clone());
    let end = clock.ns() + PATIENCE;
    let mut next = users.start;
    while left.any(|user| crowd.is_in(user)) {
        left.start = left.start.saturating_sub(1).max(users.start);
        let now_ms = millis(clock.ns());
        // A few at a time: all of them would be a flood.
        let last = users.end.min(next + AT_ONCE as u32);
        for user in next..last {
            let me = crowd.number(user);
            crowd.say(user, &Said::SetStatus { me, status: OFFLINE });
        }
        next = last;
        crowd.flush(now_ms)?;
        crowd.turn(now_ms, 1, &mut events)?;
        events.clear();
        if clock.ns() > end || sys::stopping() {
            return Err("the users could not be signed out".into());
        }
    }
    Ok(())
}
