//! The sockets of the server: for each listening address one UDP and one TCP socket a shard, on the same port.

use super::Fatal;
use super::sys;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
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
    /// For connections; they listen already.
    pub streams: Vec<Socket>,
}

/// Binds every address for so many shards, and gives back what is really listened on: port 0 stands for a free port.
///
/// The sockets of one address form a group, in which the kernel chooses by the order of binding: so they are bound one
/// after the other, and never closed while the server runs.
pub fn bind(addresses: &[SocketAddr], shards: usize) -> Result<(Vec<SocketAddr>, Vec<Sockets>), Fatal> {
    let mut real = Vec::with_capacity(addresses.len());
    for address in addresses {
        real.push(claim(*address)?);
    }
    let mut sockets: Vec<Sockets> = (0..shards).map(|_| Sockets::default()).collect();
    for address in &real {
        for shard in &mut sockets {
            let told = |error| refused(*address, &error);
            shard.datagrams.push(datagram_socket(*address).map_err(told)?);
            shard.streams.push(stream_socket(*address).map_err(told)?);
        }
        let first = &sockets[0].datagrams[sockets[0].datagrams.len() - 1];
        if shards > 1
            && let Err(error) = sys::steer_group(first.as_fd(), shards as u32)
        {
            // Then datagrams arrive anywhere and are passed on.
            tracing::warn!(%error, "the kernel does not steer datagrams to their shard");
        }
    }
    Ok((real, sockets))
}

/// Makes sure that nobody else has this port: a second server would silently join the group of the first. Chooses a
/// free port for 0.
fn claim(address: SocketAddr) -> Result<SocketAddr, Fatal> {
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

fn claim_once(address: SocketAddr) -> io::Result<SocketAddr> {
    let datagrams = socket(address, Type::DGRAM, Protocol::UDP)?;
    datagrams.bind(&address.into())?;
    let port = datagrams.local_addr()?.as_socket().map_or(address.port(), |bound| bound.port());
    let mut address = address;
    address.set_port(port);
    let streams = socket(address, Type::STREAM, Protocol::TCP)?;
    // Connections of a server that has just ended do not count; one that listens does.
    streams.set_reuse_address(true)?;
    streams.bind(&address.into())?;
    streams.listen(1)?;
    Ok(address)
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
    socket.listen(ACCEPT_QUEUE)?;
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
    use std::net::UdpSocket;
    use std::time::Duration;

    #[test]
    fn the_kernel_gives_each_shard_its_numbers() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let address: SocketAddr = address.parse().expect("an address");
            let Ok((real, shards)) = bind(&[address], 3) else { continue };
            let client = UdpSocket::bind(SocketAddr::new(address.ip(), 0)).expect("bound");
            for number in 10_000_u32..10_030 {
                let mut frame = vec![0x81, 0x0A, 0x01, 0x16, 0, 0, 0, 4];
                frame.extend_from_slice(&number.to_be_bytes());
                client.send_to(&frame, real[0]).expect("sent");
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
        let (real, _held) = bind(&["127.0.0.1:0".parse().expect("an address")], 2).expect("a free port");
        let error = bind(&real, 2).expect_err("it is in use").to_string();
        assert!(error.contains("in use") && error.contains("--listen"), "{error}");
    }
}
