//! One UDP socket of a shard: what goes out by it, and what it has not taken yet.

use super::figures::Traffic;
use super::mmsg::Sender as Mailer;
use crate::limits::SOCKET_BACKLOG_BYTES;
use crate::shard::Outbox;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// One of the shard's UDP sockets, and what it has not taken yet.
pub struct Socket {
    /// The socket itself.
    pub socket: socket2::Socket,
    /// Places in `Outbox::sends`.
    pub now: Vec<u32>,
    /// In the order in which they go.
    later: VecDeque<(SocketAddr, Box<[u8]>)>,
    later_bytes: usize,
}

impl Socket {
    /// With nothing to send.
    pub fn new(socket: socket2::Socket) -> Self {
        Self { socket, now: Vec::new(), later: VecDeque::new(), later_bytes: 0 }
    }

    /// Whether datagrams wait for it to take more.
    pub fn is_behind(&self) -> bool {
        !self.later.is_empty()
    }

    /// Sends the chosen frames of the outbox; what the socket does not take waits, as far as there is room.
    pub fn send(&mut self, out: &Outbox, mailer: &mut Mailer, traffic: &mut Traffic) {
        if self.now.is_empty() {
            return;
        }
        let mut done = 0;
        if self.later.is_empty() {
            let datagrams = self.now.iter().map(|at| {
                let send = &out.sends[*at as usize];
                (send.to.address(), out.frame(send))
            });
            let written = mailer.send(self.socket.as_fd(), datagrams);
            traffic.datagrams_out += (written.done - written.failed) as u64;
            traffic.datagrams_refused += written.failed as u64;
            done = written.done;
        }
        for at in &self.now[done..] {
            let send = &out.sends[*at as usize];
            let bytes = out.frame(send);
            if self.later_bytes + bytes.len() > SOCKET_BACKLOG_BYTES {
                traffic.datagrams_dropped += 1;
                continue;
            }
            self.later_bytes += bytes.len();
            self.later.push_back((send.to.address(), bytes.into()));
        }
        self.now.clear();
    }

    /// Tries again to send what the socket did not take.
    pub fn resend(&mut self, mailer: &mut Mailer, traffic: &mut Traffic) {
        let datagrams = self.later.iter().map(|(to, bytes)| (*to, &**bytes));
        let written = mailer.send(self.socket.as_fd(), datagrams);
        traffic.datagrams_out += (written.done - written.failed) as u64;
        traffic.datagrams_refused += written.failed as u64;
        self.later_bytes -= self.later.drain(..written.done).map(|(_, bytes)| bytes.len()).sum::<usize>();
    }
}
