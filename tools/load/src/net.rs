//! Many sockets to one server: what has arrived on any of them is read in batches, and what goes out leaves in batches.

use crate::sys::{self, BATCH, Inbox, Poller};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;

/// Sockets of one source address: there are about 28,000 ports that the system gives out.
const PORTS: usize = 20_000;
/// Largest datagram that is read: the link's are smaller.
const SLOT_BYTES: usize = 2_048;
/// Descriptors beside the sockets.
const OTHER_FILES: usize = 64;

/// Whether this process may have so many sockets; the error says what would do.
pub fn room_for(sockets: usize) -> Result<(), String> {
    let most = most_sockets(sockets);
    if most >= sockets {
        return Ok(());
    }
    Err(format!("the limit of open files leaves room for {most} --sockets, not for {sockets}; raise `ulimit -Hn`"))
}

/// So many sockets, or as many as the limit of open files leaves room for.
pub fn most_sockets(wanted: usize) -> usize {
    wanted.min(sys::allow_files(wanted + OTHER_FILES).saturating_sub(OTHER_FILES))
}

/// Datagrams that were counted.
#[derive(Debug, Default, Clone, Copy)]
pub struct Datagrams {
    /// Sent to the server.
    pub to_server: u64,
    /// Come from it.
    pub from_server: u64,
    /// Dropped on purpose, in either direction.
    pub dropped: u64,
}

impl Datagrams {
    /// What has come since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            to_server: self.to_server - before.to_server,
            from_server: self.from_server - before.from_server,
            dropped: self.dropped - before.dropped,
        }
    }
}

/// Drops a share of the datagrams, the same ones for the same seed and order.
struct Loss {
    chance: ChaCha20Rng,
    below: u32,
}

impl Loss {
    fn strikes(&mut self) -> bool {
        self.chance.next_u32() < self.below
    }
}

/// Sockets that several can use in turns: a process may have only so many.
struct Shared {
    sockets: Vec<UdpSocket>,
    poller: Poller,
    /// The server that they are connected to.
    at: Cell<SocketAddr>,
}

/// The sockets.
pub struct Net {
    shared: Rc<Shared>,
    server: SocketAddr,
    ready: Vec<u32>,
    inbox: Inbox,
    bytes: Vec<u8>,
    /// Socket, and where in `bytes` its datagram ends; in the order of going out.
    out: Vec<(u32, u32, u32)>,
    loss: Option<Loss>,
    /// Nobody listens there at times, and that is no error.
    patient: bool,
    /// What went over them.
    pub counted: Datagrams,
}

impl Net {
    /// Connects so many sockets to the server; over 20,000 of them take further addresses of 127.0.0.0/8.
    pub fn connect(server: SocketAddr, sockets: usize) -> Result<Self, String> {
        room_for(sockets)?;
        let poller = Poller::new().map_err(|error| format!("epoll: {error}"))?;
        let sockets = (0..sockets)
            .map(|index| connect(server, index).map_err(|error| format!("socket {} to {server}: {error}", index + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        for (token, socket) in sockets.iter().enumerate() {
            poller.add(socket, token as u32).map_err(|error| format!("epoll: {error}"))?;
        }
        Ok(Self::over(Rc::new(Shared { sockets, poller, at: Cell::new(server) }), server))
    }

    /// The same sockets, for another server. Whoever uses them says so with [`aim`](Self::aim) before.
    pub fn share(&self, server: SocketAddr) -> Self {
        Self::over(Rc::clone(&self.shared), server)
    }

    fn over(shared: Rc<Shared>, server: SocketAddr) -> Self {
        let slots = if shared.sockets.len() > BATCH { 8 } else { BATCH };
        Self {
            shared,
            server,
            ready: Vec::new(),
            inbox: Inbox::new(slots, SLOT_BYTES),
            bytes: Vec::new(),
            out: Vec::new(),
            loss: None,
            patient: false,
            counted: Datagrams::default(),
        }
    }

    /// From now on the sockets are this one's.
    pub fn aim(&self) -> Result<(), String> {
        if self.shared.at.replace(self.server) != self.server {
            for socket in &self.shared.sockets {
                socket.connect(self.server).map_err(|error| gone(&error))?;
            }
        }
        Ok(())
    }

    /// From now on this share of the datagrams is dropped, in both directions.
    pub fn lose(&mut self, share: f64, seed: u64) {
        let below = (share * f64::from(u32::MAX)) as u32;
        self.loss = (share > 0.0).then(|| Loss { chance: ChaCha20Rng::seed_from_u64(seed), below });
    }

    /// From now on the server may be away: what is sent to it meanwhile is lost, as datagrams are.
    pub fn be_patient(&mut self) {
        self.patient = true;
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        self.shared.sockets.len()
    }

    /// Hands over what has arrived, with the number of its socket; waits so long for the first.
    pub fn receive(&mut self, millis: i32, mut take: impl FnMut(usize, &mut [u8])) -> Result<usize, String> {
        self.ready.clear();
        self.shared.poller.wait(millis, &mut self.ready).map_err(|error| format!("epoll: {error}"))?;
        let mut total = 0;
        for &index in &self.ready {
            let socket = &self.shared.sockets[index as usize];
            loop {
                let count = match self.inbox.receive(socket) {
                    // What was refused is told once, before what has arrived.
                    Err(error) if self.patient && error.kind() == ErrorKind::ConnectionRefused => continue,
                    count => count.map_err(|error| gone(&error))?,
                };
                for slot in 0..count {
                    if self.loss.as_mut().is_some_and(Loss::strikes) {
                        self.counted.dropped += 1;
                        continue;
                    }
                    take(index as usize, self.inbox.datagram(slot));
                }
                total += count;
                if count < self.inbox.slots() {
                    break;
                }
            }
        }
        self.counted.from_server += total as u64;
        Ok(total)
    }

    /// Queues what `write` appends as one datagram, if it says so.
    pub fn queue(&mut self, socket: usize, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let start = self.bytes.len();
        if !write(&mut self.bytes) {
            self.bytes.truncate(start);
            return false;
        }
        if self.loss.as_mut().is_some_and(Loss::strikes) {
            self.bytes.truncate(start);
            self.counted.dropped += 1;
        } else {
            self.out.push((socket as u32, start as u32, self.bytes.len() as u32));
        }
        true
    }

    /// Sends what is queued: for each socket in order, with one system call for up to 64 of its datagrams.
    pub fn flush(&mut self) -> Result<(), String> {
        if self.out.is_empty() {
            return Ok(());
        }
        if self.shared.sockets.len() > 1 {
            self.out.sort_by_key(|(socket, ..)| *socket);
        }
        for run in self.out.chunk_by(|a, b| a.0 == b.0) {
            let socket = &self.shared.sockets[run[0].0 as usize];
            for part in run.chunks(BATCH) {
                let datagram = |(_, start, end): &(u32, u32, u32)| &self.bytes[*start as usize..*end as usize];
                let taken = |sent| taken(sent, self.patient);
                if let [one] = part {
                    taken(socket.send(datagram(one)).map(|_| 1))?;
                    continue;
                }
                let mut datagrams: [&[u8]; BATCH] = [&[]; BATCH];
                for (place, one) in datagrams.iter_mut().zip(part) {
                    *place = datagram(one);
                }
                let mut rest = &datagrams[..part.len()];
                while !rest.is_empty() {
                    // What a full socket does not take is lost, as datagrams are.
                    let sent = taken(sys::send_many(socket, rest))?;
                    rest = &rest[sent.clamp(1, rest.len())..];
                }
            }
        }
        self.counted.to_server += self.out.len() as u64;
        self.out.clear();
        self.bytes.clear();
        Ok(())
    }
}

fn taken(sent: std::io::Result<usize>, patient: bool) -> Result<usize, String> {
    match sent {
        Ok(sent) => Ok(sent),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(1),
            ErrorKind::ConnectionRefused if patient => Ok(1),
            _ => Err(gone(&error)),
        },
    }
}

fn connect(server: SocketAddr, index: usize) -> std::io::Result<UdpSocket> {
    let own: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::new(127, 0, 0, 1 + (index / PORTS) as u8).into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let socket = UdpSocket::bind((own, 0))?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What to say when the server's port is closed.
pub fn gone(error: &std::io::Error) -> String {
    format!("the server is gone: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_queued_arrives_and_comes_back() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut net = Net::connect(server.local_addr().unwrap(), 3).unwrap();
        for number in 0..200_u8 {
            assert!(net.queue(usize::from(number % 3), |out| {
                out.push(number);
                true
            }));
        }
        assert!(!net.queue(0, |out| {
            out.push(1);
            false
        }));
        net.flush().unwrap();
        let mut buffer = [0; 10];
        for _ in 0..200 {
            let (count, from) = server.recv_from(&mut buffer).unwrap();
            server.send_to(&buffer[..count], from).unwrap();
        }
        let mut seen = Vec::new();
        while seen.len() < 200 {
            net.receive(1_000, |socket, bytes| {
                assert_eq!(socket, usize::from(bytes[0] % 3));
                seen.push(bytes[0]);
            })
            .unwrap();
        }
        seen.sort_unstable();
        assert!((0..200).eq(seen));
        assert_eq!((net.counted.to_server, net.counted.from_server), (200, 200));
    }

    #[test]
    fn a_server_may_be_away_for_whoever_is_patient() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let mut net = Net::connect(address, 1).unwrap();
        drop(server);
        let knock = |net: &mut Net| {
            net.queue(0, |out| {
                out.push(1);
                true
            });
            net.flush()
        };
        net.be_patient();
        for _ in 0..3 {
            knock(&mut net).unwrap();
            assert_eq!(net.receive(10, |_, _| {}).unwrap(), 0);
        }
        net.patient = false;
        assert!((0..3).any(|_| knock(&mut net).is_err()), "somebody else is told");
    }

    #[test]
    fn more_sockets_than_files_are_refused_or_cut() {
        let most = most_sockets(60_000);
        assert!(most >= 100 && room_for(most).is_ok());
        assert!(most == 60_000 || room_for(60_000).unwrap_err().contains(&format!("{most} --sockets")));
        assert_eq!(most_sockets(10), 10);
    }

    #[test]
    fn a_share_is_lost() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut net = Net::connect(server.local_addr().unwrap(), 1).unwrap();
        net.lose(0.25, 7);
        for _ in 0..1_000 {
            net.queue(0, |out| {
                out.push(1);
                true
            });
        }
        assert!((200..300).contains(&net.counted.dropped), "{}", net.counted.dropped);
        assert_eq!(net.out.len() as u64 + net.counted.dropped, 1_000);
    }
}
