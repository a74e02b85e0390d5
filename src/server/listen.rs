//! The sockets of the server: for each listening address one UDP and one TCP socket a shard, on the same port.

use super::Fatal;
use super::sys;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Buffer that a UDP socket asks for in each direction: a few milliseconds of a full network.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Connections that wait to be accepted.
const ACCEPT_QUEUE: i32 = 4096;

/// The sockets of one shard, in the order of the listening addresses.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For datagrams.
    pub datagrams: Vec<Socket>,
    /// For connections; they do not listen yet.
    pub streams: Vec<Socket>,
}

/// An address that nobody else can take while this is kept, and where nobody is served yet: connections are refused, and
/// the sender of a datagram is told that nobody is there.
#[derive(Debug)]
pub struct Claim {
    address: SocketAddr,
    /// One for each transport.
    _held: [Socket; 2],
}

impl Claim {
    /// The address; port 0 has become a free port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Claims these addresses, before anything else is done.
pub fn claim(addresses: &[SocketAddr]) -> Result<Vec<Claim>, Fatal> {
    addresses.iter().map(|address| claim_one(*address)).collect()
}

/// Binds every claimed address for so many shards.
///
/// The sockets of one address form a group, in which the kernel chooses by the order of binding: so they are bound one
/// after the other, and never closed while the server runs.
pub fn open(claims: Vec<Claim>, shards: usize) -> Result<Vec<Sockets>, Fatal> {
    let mut sockets: Vec<Sockets> = (0..shards).map(|_| Sockets::default()).collect();
    for claim in claims {
        let address = claim.address;
        // The group's sockets share the address with each other, but not with this.
        drop(claim);
        for shard in &mut sockets {
            let told = |error| refused(address, &error);
            shard.datagrams.push(datagram_socket(address).map_err(told)?);
            shard.streams.push(stream_socket(address).map_err(told)?);
        }
        let first = &sockets[0].datagrams[sockets[0].datagrams.len() - 1];
        if shards > 1
            && let Err(error) = sys::steer_group(first.as_fd(), shards as u32)
        {
            // Then datagrams arrive anywhere and are passed on.
            tracing::warn!(%error, "the kernel does not steer datagrams to their shard");
        }
    }
    Ok(sockets)
}

/// Lets a socket for connections take them.
pub fn accept(streams: &Socket) -> io::Result<()> {
    streams.listen(ACCEPT_QUEUE)
}

/// Makes sure that nobody else has this port: a second server would silently join the group of the first. Chooses a
/// free port for 0.
fn claim_one(address: SocketAddr) -> Result<Claim, Fatal> {
    /// A server that was killed keeps its port until the kernel has taken its rings apart.
    const PATIENCE: Duration = Duration::from_secs(1);
    const PAUSE: Duration = Duration::from_millis(20);
    let until = Instant::now() + PATIENCE;
    let mut result = claim_once(address);
    while result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse) && Instant::now() < until {
        std::thread::sleep(PAUSE);
        result = claim_once(address);
    }
    result.map_err(|error| refused(address, &error))
}

fn claim_once(address: SocketAddr) -> io::Result<Claim> {
    let datagrams = socket(address, Type::DGRAM, Protocol::UDP)?;
    datagrams.bind(&address.into())?;
    let port = datagrams.local_addr()?.as_socket().map_or(address.port(), |bound| bound.port());
    let mut address = address;
    address.set_port(port);
    let streams = socket(address, Type::STREAM, Protocol::TCP)?;
    // Connections of a server that has just ended do not count; one that listens does.
    streams.set_reuse_address(true)?;
    streams.bind(&address.into())?;
    // A socket that is connected takes nothing from anybody but its peer: here itself.
    let own = if address.ip().is_unspecified() { loopback(address) } else { address };
    datagrams.connect(&own.into())?;
    Ok(Claim { address, _held: [datagrams, streams] })
}

/// The same port on this machine itself.
fn loopback(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    SocketAddr::new(ip, address.port())
}

fn datagram_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(true)?;
    sys::set_buffers(socket.as_fd(), BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket)
}

fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // IPv4 has its own sockets, and `[::]` beside `0.0.0.0` is no conflict.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn refused(address: SocketAddr, error: &io::Error) -> Fatal {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program (or another oicqd) has this port: stop it, or choose another with --listen"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address: choose one that it has",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege: choose a higher one",
        _ => "choose another address with --listen",
    };
    Fatal(format!("cannot listen on {address}: {error}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpStream, UdpSocket};
    use std::time::Duration;

    #[test]
    fn the_kernel_gives_each_shard_its_numbers() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let address: SocketAddr = address.parse().expect("an address");
            let Ok(claims) = claim(&[address]) else { continue };
            let real = claims[0].address();
            let shards = open(claims, 3).expect("claimed");
            let client = UdpSocket::bind(SocketAddr::new(address.ip(), 0)).expect("bound");
            for number in 10_000_u32..10_030 {
                let mut frame = vec![0x81, 0x0A, 0x01, 0x16, 0, 0, 0, 4];
                frame.extend_from_slice(&number.to_be_bytes());
                client.send_to(&frame, real).expect("sent");
            }
            for (index, shard) in shards.into_iter().enumerate() {
                let socket: UdpSocket = shard.datagrams.into_iter().next().expect("one address").into();
                socket.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
                let mut buffer = [0; 64];
                for _ in 0..10 {
                    let (length, _) = socket.recv_from(&mut buffer).expect("ten for each");
                    let number = u32::from_be_bytes(buffer[8..length].try_into().expect("a number"));
                    assert_eq!(number as usize % 3, index);
                }
            }
        }
    }

    #[test]
    fn a_port_in_use_is_told() {
        let claims = claim(&["127.0.0.1:0".parse().expect("an address")]).expect("a free port");
        let real = [claims[0].address()];
        let told = || claim(&real).expect_err("it is in use").to_string();
        assert!(told().contains("in use") && told().contains("--listen"), "{}", told());
        let _held = open(claims, 2).expect("claimed");
        assert!(told().contains("in use"), "{}", told());
    }

    #[test]
    fn nobody_is_served_at_a_claimed_address() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let claims = claim(&[address.parse().expect("an address")]).expect("a free port");
            let at = SocketAddr::new([127, 0, 0, 1].into(), claims[0].address().port());
            let refused = TcpStream::connect(at).expect_err("nobody listens").kind();
            assert_eq!(refused, io::ErrorKind::ConnectionRefused);
            let client = UdpSocket::bind("127.0.0.1:0").expect("bound");
            client.connect(at).expect("it has an address");
            client.send(b"is anybody there?").expect("sent");
            client.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
            let told = client.recv(&mut [0; 8]).expect_err("nobody is there").kind();
            assert_eq!(told, io::ErrorKind::ConnectionRefused, "{address}");
        }
    }
}
