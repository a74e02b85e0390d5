//! Reading and writing datagrams in batches: `recvmmsg` and `sendmmsg` behind a safe interface.
//!
//! All arrays are allocated once. A batch costs one system call and no copy beyond the kernel's own.

use crate::limits::{DATAGRAM_BATCH, FRAME_BYTES};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for an IPv4 or an IPv6 address.
#[derive(Clone, Copy)]
#[repr(C)]
union Address {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Address {
    fn empty() -> Self {
        // SAFETY: both forms are plain numbers, for which zero is a value.
        unsafe { zeroed() }
    }

    /// Writes an address and gives back how long it is.
    fn set(&mut self, address: SocketAddr) -> u32 {
        match address {
            SocketAddr::V4(v4) => {
                // SAFETY: all bytes zero is a valid `sockaddr_in`.
                let mut form: libc::sockaddr_in = unsafe { zeroed() };
                form.sin_family = libc::AF_INET as libc::sa_family_t;
                form.sin_port = v4.port().to_be();
                form.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
                self.v4 = form;
                size_of::<libc::sockaddr_in>() as u32
            }
            SocketAddr::V6(v6) => {
                // SAFETY: all bytes zero is a valid `sockaddr_in6`.
                let mut form: libc::sockaddr_in6 = unsafe { zeroed() };
                form.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                form.sin6_port = v6.port().to_be();
                form.sin6_addr.s6_addr = v6.ip().octets();
                form.sin6_scope_id = v6.scope_id();
                self.v6 = form;
                size_of::<libc::sockaddr_in6>() as u32
            }
        }
    }

    /// The address that the kernel wrote, if it is of a family that we listen on.
    #[inline]
    fn get(&self) -> Option<SocketAddr> {
        // SAFETY: every form begins with the family, and all of them are plain numbers that are always initialised.
        match i32::from(unsafe { self.family }) {
            libc::AF_INET => {
                // SAFETY: the family says that it is an IPv4 address.
                let form = unsafe { self.v4 };
                let ip = Ipv4Addr::from(form.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be(form.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: the family says that it is an IPv6 address.
                let form = unsafe { self.v6 };
                let ip = Ipv6Addr::from(form.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(form.sin6_port), 0, form.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// The arrays that one system call needs.
struct Arrays {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    addresses: Box<[Address]>,
}

impl Arrays {
    fn new() -> Self {
        // SAFETY: null pointers and zero lengths are a valid `mmsghdr`.
        let headers = (0..DATAGRAM_BATCH).map(|_| unsafe { zeroed() }).collect();
        let vectors = (0..DATAGRAM_BATCH).map(|_| libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }).collect();
        Self { headers, vectors, addresses: (0..DATAGRAM_BATCH).map(|_| Address::empty()).collect() }
    }

    /// Points header `at` to its vector and its address.
    fn link(&mut self, at: usize, address_bytes: u32) {
        let header = &mut self.headers[at].msg_hdr;
        header.msg_name = (&raw mut self.addresses[at]).cast();
        header.msg_namelen = address_bytes;
        header.msg_iov = &raw mut self.vectors[at];
        header.msg_iovlen = 1;
        header.msg_flags = 0;
    }
}

/// Buffers for one batch of datagrams read.
pub struct Receiver {
    arrays: Arrays,
    /// One stretch of `FRAME_BYTES` a datagram. Pages of it that were never written cost no memory.
    bytes: Box<[u8]>,
    count: usize,
}

impl Default for Receiver {
    fn default() -> Self {
        Self { arrays: Arrays::new(), bytes: vec![0; DATAGRAM_BATCH * FRAME_BYTES].into(), count: 0 }
    }
}

impl Receiver {
    /// Reads as many datagrams as wait, at most a batch, and gives back how many. Never blocks: none is an answer too.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        // The kernel has overwritten only what it used the last time.
        for at in 0..DATAGRAM_BATCH {
            self.arrays.vectors[at] =
                libc::iovec { iov_base: (&raw mut self.bytes[at * FRAME_BYTES]).cast(), iov_len: FRAME_BYTES };
            self.arrays.link(at, size_of::<Address>() as u32);
        }
        self.count = 0;
        // SAFETY: each header points to its own vector and address in `arrays`, each vector to its own FRAME_BYTES of
        // `bytes`; all of them live as long as `self`, and nothing else uses them during the call.
        let read = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.arrays.headers.as_mut_ptr(),
                DATAGRAM_BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if read < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        }
        self.count = read as usize;
        Ok(self.count)
    }

    /// A datagram of the last batch, to be opened in place, and its sender; `None` if it was larger than any frame.
    #[inline]
    pub fn datagram(&mut self, at: usize) -> Option<(SocketAddr, &mut [u8])> {
        let header = &self.arrays.headers[..self.count][at];
        let length = header.msg_len as usize;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 || length > FRAME_BYTES {
            return None;
        }
        Some((self.arrays.addresses[at].get()?, &mut self.bytes[at * FRAME_BYTES..][..length]))
    }
}

/// What became of a list of datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// How many are dealt with, from the first on. Fewer than were given: the socket takes no more for now.
    pub done: usize,
    /// How many of those the kernel refused for good (no route, say). Each was left out alone.
    pub failed: usize,
}

/// Arrays for one batch of datagrams written.
pub struct Sender {
    arrays: Arrays,
}

impl Default for Sender {
    fn default() -> Self {
        Self { arrays: Arrays::new() }
    }
}

impl Sender {
    /// Writes these datagrams in order, straight from where they lie. Never blocks.
    pub fn send<'a>(
        &mut self,
        socket: BorrowedFd<'_>,
        datagrams: impl ExactSizeIterator<Item = (SocketAddr, &'a [u8])>,
    ) -> Written {
        let mut written = Written::default();
        let mut datagrams = datagrams;
        while datagrams.len() > 0 {
            let mut count = 0;
            for (address, bytes) in datagrams.by_ref().take(DATAGRAM_BATCH) {
                let address_bytes = self.arrays.addresses[count].set(address);
                self.arrays.vectors[count] =
                    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
                self.arrays.link(count, address_bytes);
                count += 1;
            }
            if !self.send_linked(socket, count, &mut written) {
                break;
            }
        }
        written
    }

    /// Writes the first `count` datagrams of the arrays. Gives back whether the socket would take more.
    fn send_linked(&mut self, socket: BorrowedFd<'_>, count: usize, written: &mut Written) -> bool {
        let mut next = 0;
        let mut again = false;
        while next < count {
            // SAFETY: headers `next..count` were linked by `send` in this round: each points to its own vector and
            // address in `arrays`, each vector to bytes borrowed for the whole of `send`. The kernel only reads them.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.arrays.headers[next..].as_mut_ptr(),
                    (count - next) as u32,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            };
            if sent > 0 {
                next += sent as usize;
                written.done += sent as usize;
                again = false;
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => return false,
                // An error that an earlier datagram's ICMP left on the socket is told once: this one deserves a try.
                Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH) if !again => again = true,
                _ => {
                    next += 1;
                    written.done += 1;
                    written.failed += 1;
                    again = false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    fn pair(ip: &str) -> Option<(UdpSocket, UdpSocket)> {
        let bind = || UdpSocket::bind((ip, 0)).ok();
        Some((bind()?, bind()?))
    }

    #[test]
    fn a_batch_arrives_as_it_was_sent() {
        for ip in ["127.0.0.1", "::1"] {
            let Some((here, there)) = pair(ip) else { continue };
            let (to, from) = (there.local_addr().expect("bound"), here.local_addr().expect("bound"));
            let frames: Vec<Vec<u8>> = (0..100_usize).map(|n| vec![n as u8; n]).collect();
            let written = Sender::default()
                .send(here.as_fd(), frames.iter().map(|f| (to, &f[..])).collect::<Vec<_>>().into_iter());
            assert_eq!(written, Written { done: 100, failed: 0 });
            let mut receiver = Receiver::default();
            let mut seen = 0;
            while seen < 100 {
                let count = receiver.receive(there.as_fd()).expect("readable");
                assert!(count > 0, "{seen} of 100 arrived");
                for at in 0..count {
                    assert_eq!(receiver.datagram(at), Some((from, &mut frames[seen].clone()[..])));
                    seen += 1;
                }
            }
            assert_eq!(receiver.receive(there.as_fd()).expect("empty"), 0);
        }
    }

    #[test]
    fn a_datagram_above_the_largest_frame_is_told_as_such() {
        let (here, there) = pair("127.0.0.1").expect("a loopback address");
        let to = there.local_addr().expect("bound");
        here.send_to(&vec![1; FRAME_BYTES + 1], to).expect("sent");
        here.send_to(&vec![2; FRAME_BYTES], to).expect("sent");
        let mut receiver = Receiver::default();
        assert_eq!(receiver.receive(there.as_fd()).expect("readable"), 2);
        assert_eq!(receiver.datagram(0), None);
        assert_eq!(receiver.datagram(1).map(|(_, bytes)| bytes.len()), Some(FRAME_BYTES));
    }

    #[test]
    fn one_that_cannot_be_sent_does_not_hold_up_the_others() {
        let (here, there) = pair("127.0.0.1").expect("a loopback address");
        let to = there.local_addr().expect("bound");
        let unreachable: SocketAddr = "[::1]:9".parse().expect("an address");
        let list = [(to, &b"a"[..]), (unreachable, b"b"), (to, b"c")];
        let written = Sender::default().send(here.as_fd(), list.into_iter());
        assert_eq!(written, Written { done: 3, failed: 1 });
        let mut receiver = Receiver::default();
        assert_eq!(receiver.receive(there.as_fd()).expect("readable"), 2);
        assert_eq!(receiver.datagram(1).map(|(_, bytes)| bytes.to_vec()), Some(b"c".to_vec()));
    }
}
