//! Sockets of std: where the server is, datagrams to it, and a connection that loses packets rather than time.

use crate::client::line::ServerLine;
use crate::limits::FIRST_GUEST;
use crate::link::Packet;
use crate::wire::stream_frame_bytes;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A server that takes nothing for so long is gone.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Packets that wait to be written. What comes beyond is lost, and the link sends it again.
const PACKETS_WAITING: usize = 128;
/// Of several addresses of a server, the one that answers within this time is taken.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// Finds the server and opens a socket to it. Where its name has several addresses, the first that answers is taken.
pub(super) fn open(line: &ServerLine) -> io::Result<(UdpSocket, SocketAddr)> {
    let addresses: Vec<SocketAddr> = (line.host.as_str(), line.port).to_socket_addrs()?.collect();
    let candidates: Vec<(UdpSocket, SocketAddr)> =
        addresses.iter().filter_map(|&address| Some((datagrams(address).ok()?, address))).collect();
    let answering = if candidates.len() > 1 { answering(&candidates) } else { 0 };
    candidates.into_iter().nth(answering).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("{} has no address that can be reached from here", line.host))
    })
}

fn datagrams(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    // Not connected: the machine may get another address, and then the system chooses that for what is sent.
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(super::shared::READ_WITHIN))?;
    Ok(socket)
}

/// Which of them answers a question for its key; the first if none does.
fn answering(candidates: &[(UdpSocket, SocketAddr)]) -> usize {
    let mut question = Vec::new();
    Packet::Hello { number: FIRST_GUEST, cookie: &[], noise: &[] }.encode(&mut question);
    for (socket, address) in candidates {
        let _ = socket.set_nonblocking(true).and_then(|()| socket.send_to(&question, address));
    }
    let end = Instant::now() + ANSWER_WITHIN;
    let mut found = None;
    while found.is_none() && Instant::now() < end {
        std::thread::sleep(LOOK);
        found = candidates
            .iter()
            .position(|(socket, address)| socket.recv_from(&mut [0; 512]).is_ok_and(|(_, from)| from == *address));
    }
    for (socket, _) in candidates {
        let _ = socket.set_nonblocking(false);
    }
    found.unwrap_or(0)
}

/// A connection to write to. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Stream {
    packets: SyncSender<Vec<u8>>,
    socket: TcpStream,
}

impl Stream {
    /// Sends a packet, or loses it if the connection takes no more: nobody waits for it here.
    pub(super) fn send(&self, packet: &[u8]) {
        let _ = self.packets.try_send(packet.to_vec());
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// Connects; gives the end to write to and the end to read from.
pub(super) fn connect(server: SocketAddr) -> io::Result<(Stream, Incoming)> {
    let socket = TcpStream::connect_timeout(&server, CONNECT_WITHIN)?;
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(WRITE_WITHIN))?;
    let (packets, waiting) = sync_channel(PACKETS_WAITING);
    let writer = socket.try_clone()?;
    std::thread::Builder::new().name("oicq-tcp-out".into()).spawn(move || write_all(writer, &waiting))?;
    let incoming = Incoming(socket.try_clone()?);
    Ok((Stream { packets, socket }, incoming))
}

fn write_all(mut socket: TcpStream, packets: &Receiver<Vec<u8>>) {
    while let Ok(packet) = packets.recv() {
        if socket.write_all(&packet).is_err() {
            // Part of a packet may have gone: nothing after it could be read. The reader sees the end.
            let _ = socket.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// The end to read from.
#[derive(Debug)]
pub(super) struct Incoming(TcpStream);

impl Incoming {
    /// Reads packets until the connection ends, or until `take` wants no more.
    pub(super) fn read_all(&mut self, mut take: impl FnMut(&mut [u8]) -> bool) {
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
            let mut used = 0;
            loop {
                // After what is no packet nothing can be read.
                let Ok(length) = stream_frame_bytes(&bytes[used..]) else { return };
                let Some(packet) = length.and_then(|length| bytes.get_mut(used..used + length)) else { break };
                used += packet.len();
                if !take(packet) {
                    return;
                }
            }
            bytes.drain(..used);
        }
    }
}
