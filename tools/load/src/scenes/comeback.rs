//! A server that has ended and starts again: when it answers, and when each user whose session it has kept has been told so.
//! It is no scene like the others: nothing is begun, and the server's process is a new one.

use crate::clock::{Clock, SECOND, millis};
use crate::crowd::{Crowd, Event};
use crate::flights::{Stretches, histogram};
use crate::play::{Counted, Player, Tally, Used};
use crate::progress::Bar;
use crate::sys;
use oicq::link::Packet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// So long nothing may come: the server does not start, or has forgotten those who are left. A session that missed what it
/// was told hears it with its next keep-alive.
const SILENCE: u64 = 45 * SECOND;
/// The server is asked so often whether it is there.
const KNOCK_NS: u64 = 2_000_000;

/// Asks a server whether it is there, as somebody would who does not know its key yet.
pub struct Knocker {
    socket: UdpSocket,
    hello: Vec<u8>,
    next_ns: u64,
}

impl Knocker {
    /// Of this server.
    pub fn new(server: SocketAddr) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("no socket to {server}: {error}");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(wrong)?;
        socket.connect(server).map_err(wrong)?;
        socket.set_nonblocking(true).map_err(wrong)?;
        let mut hello = Vec::new();
        Packet::Hello { number: oicq::limits::FIRST_GUEST, cookie: &[], noise: &[] }.encode(&mut hello);
        Ok(Self { socket, hello, next_ns: 0 })
    }

    /// Knocks, if it is time, and tells whether somebody has answered.
    fn answered(&mut self, now_ns: u64) -> bool {
        if now_ns >= self.next_ns {
            self.next_ns = now_ns + KNOCK_NS;
            // Refused while nobody listens.
            let _ = self.socket.send(&self.hello);
        }
        self.socket.recv(&mut [0; 512]).is_ok()
    }

    /// Takes what is left of answers.
    fn empty(&self) {
        while self.socket.recv(&mut [0; 512]).is_ok() {}
    }
}

/// How a server came back.
pub struct Comeback {
    /// When it first answered, from when its process was started.
    pub answers: Duration,
    /// The sessions.
    pub tally: Tally,
}

/// Follows a server that was started at this moment until everybody has heard of it, or nothing is heard any more. `runs`
/// tells whether it still runs.
pub fn follow(
    crowd: &mut Crowd,
    player: Player,
    knocker: &mut Knocker,
    users: u32,
    since_ns: u64,
    mut runs: impl FnMut() -> bool,
) -> Result<Comeback, String> {
    let clock: Clock = player.clock;
    let bar = Bar::new("told of the new start", users.into());
    let (mut told, mut ended) = (vec![false; users as usize], 0_u64);
    let (mut done, mut doubled, mut answers, mut heard) = (0_u64, 0_u64, None, since_ns);
    let (mut latency, mut events) = (histogram(), Vec::new());
    let mut stretches = Stretches::new(since_ns, SECOND / 10);
    let mut before = crowd.datagrams();
    knocker.empty();
    while done + ended < u64::from(users) || answers.is_none() {
        let now_ms = millis(clock.ns());
        crowd.turn(now_ms, 1, &mut events)?;
        let now = clock.ns();
        if answers.is_none() && (knocker.answered(now) || done > 0) {
            answers = Some(Duration::from_nanos(now - since_ns));
            heard = now;
        }
        for event in events.drain(..) {
            match event {
                Event::Renewed { user } if std::mem::replace(&mut told[user as usize], true) => doubled += 1,
                Event::Renewed { .. } => {
                    done += 1;
                    latency.saturating_record(now - since_ns);
                    stretches.record(now - since_ns);
                    heard = now;
                }
                Event::Ended { user, .. } => {
                    ended += u64::from(!told[user as usize]);
                    heard = now;
                }
                _ => {}
            }
        }
        crowd.flush(now_ms)?;
        stretches.tick(now);
        bar.at(done);
        if answers.is_none() {
            // What was sent meanwhile went nowhere.
            before = crowd.datagrams();
        }
        if now - heard > SILENCE {
            break;
        }
        if sys::stopping() {
            return Err("interrupted".into());
        }
        if answers.is_none() && !runs() {
            return Err("it has not come back".into());
        }
    }
    let answers = answers.ok_or_else(|| format!("it has not answered within {} s", SILENCE / SECOND))?;
    let counted = Counted {
        unit: "session",
        begun: users.into(),
        done,
        lost: u64::from(users) - done,
        doubled,
        notes: vec![("sessions that the server did not know", ended)],
        latencies: vec![("told", latency)],
        stretches: stretches.told,
    };
    let tally = Tally {
        counted,
        wall: Duration::from_nanos((heard - since_ns).max(1)),
        // Of a new process: all that it has used.
        used: player.used()?.map(Used::shared),
        others: Duration::ZERO,
        datagrams: crowd.datagrams().since(before),
        driver: None,
    };
    Ok(Comeback { answers, tally })
}
