//! Bare frames, the published protocol without the link: users register and sign in with a password, and what is compared
//! is an echo of the same datagram.

mod compare;
mod fleet;
mod round;

pub use compare::run as compare;
pub use round::MARK_BYTES;

use crate::args::{ClassicLoad, RelayArgs};
use fleet::{Fleet, Source};
use round::{Loop, Way};
use std::net::SocketAddr;
use std::time::Duration;

/// One round with a running server.
pub fn relay(server: SocketAddr, args: &RelayArgs) -> Result<(), String> {
    let source = match args.target.first {
        Some(first) => Source::Existing(first, &args.target.password),
        None => Source::Register(&args.target.password),
    };
    one_round(server, args.target.pid, &args.load.classic(), Way::Relay, &source)
}

/// One round with a running floor-server.
pub fn echo(server: SocketAddr, pid: Option<u32>, load: &ClassicLoad) -> Result<(), String> {
    one_round(server, pid, load, Way::Echo, &Source::Imagined)
}

fn one_round(
    server: SocketAddr,
    pid: Option<u32>,
    load: &ClassicLoad,
    way: Way,
    source: &Source<'_>,
) -> Result<(), String> {
    let fleet = Fleet::gather(server, load.users, load.sockets, load.text_bytes, source)?;
    let tally = Loop::new(&fleet, way, load.window, pid).run(Duration::from_secs_f64(load.seconds))?;
    println!("{load}");
    println!("{} delivered, {:.0}/s, {} lost, {} doubled", tally.delivered, tally.rate(), tally.lost, tally.doubled);
    if let (Some(micros), Some(busy)) = (tally.cpu_micros(), tally.busy()) {
        println!("server: {micros:.3} µs of CPU a message, {:.0} % of a core", busy * 100.0);
    }
    Ok(())
}

/// Registers so many users, and gives the number of the first: the others follow if nobody else registers meanwhile.
#[cfg(test)]
pub fn register(server: SocketAddr, users: usize, password: &str) -> Result<u32, String> {
    let fleet = Fleet::gather(server, users, 1, MARK_BYTES, &Source::Register(password))?;
    let first = fleet.members.iter().map(|member| member.number).min();
    first.ok_or_else(|| "nobody was registered".into())
}
