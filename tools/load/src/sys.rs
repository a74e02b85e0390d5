//! The system calls that std does not have: many datagrams at once, many sockets at once, the cores a process may use, its
//! CPU time. The only file of this program with `unsafe`.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Datagrams in one system call: what the server uses too (`limits::DATAGRAM_BATCH`).
pub const BATCH: usize = 64;

/// Bytes of an address of either sort, as the kernel has it.
const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();

/// An address as the kernel has it.
#[derive(Clone, Copy)]
pub struct Name([u8; NAME_BYTES]);

impl Name {
    /// No address.
    pub const NONE: Self = Self([0; NAME_BYTES]);

    /// Whether it is none.
    pub fn is_none(&self) -> bool {
        self.0 == [0; NAME_BYTES]
    }
}

/// Whether a call waits for the first datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Wait for one, then take what else is there.
    ForOne,
    /// Take what is there.
    Never,
}

/// Up to [`BATCH`] datagrams that are read or written by one system call.
pub struct Batch {
    buffers: Vec<u8>,
    slot_bytes: usize,
    lengths: [usize; BATCH],
    names: Vec<libc::sockaddr_storage>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    filled: usize,
    /// Those that do not go out, a bit each.
    dropped: u64,
}

impl Batch {
    /// An empty batch for datagrams of at most `slot_bytes`.
    pub fn new(slot_bytes: usize) -> Self {
        // SAFETY: the three are plain C structures for which all zeroes is a value (null pointers, no lengths).
        let (name, vector, header) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Self {
            buffers: vec![0; slot_bytes * BATCH],
            slot_bytes,
            lengths: [0; BATCH],
            names: vec![name; BATCH],
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
            filled: 0,
            dropped: 0,
        }
    }

    /// How many datagrams are in it.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Datagram `index`.
    pub fn datagram(&self, index: usize) -> &[u8] {
        debug_assert!(index < self.filled);
        &self.buffers[index * self.slot_bytes..][..self.lengths[index]]
    }

    /// Adds a copy of `bytes` and gives it back to be changed. The caller sends a full batch before it adds more.
    pub fn push(&mut self, bytes: &[u8]) -> &mut [u8] {
        let index = self.filled;
        self.filled += 1;
        self.lengths[index] = bytes.len();
        let datagram = &mut self.buffers[index * self.slot_bytes..][..bytes.len()];
        datagram.copy_from_slice(bytes);
        datagram
    }

    /// Datagram `index`, of which more or fewer bytes of its slot go out than came in.
    pub fn resize(&mut self, index: usize, bytes: usize) -> &mut [u8] {
        debug_assert!(index < self.filled && bytes <= self.slot_bytes);
        self.lengths[index] = bytes;
        &mut self.buffers[index * self.slot_bytes..][..bytes]
    }

    /// Leaves datagram `index` out when the others go out.
    pub fn drop(&mut self, index: usize) {
        debug_assert!(index < self.filled);
        self.dropped |= 1 << index;
    }

    /// Where datagram `index` has come from, or goes to.
    pub fn name(&self, index: usize) -> Name {
        let mut name = Name([0; NAME_BYTES]);
        // SAFETY: a sockaddr_storage is larger than NAME_BYTES, and plain bytes may be copied out of it.
        unsafe {
            std::ptr::copy_nonoverlapping((&raw const self.names[index]).cast::<u8>(), name.0.as_mut_ptr(), NAME_BYTES);
        }
        name
    }

    /// Sends datagram `index` to there with the next [`send_back`](Self::send_back).
    pub fn set_name(&mut self, index: usize, name: &Name) {
        // SAFETY: a sockaddr_storage is larger than NAME_BYTES, and any bytes may be written to it.
        unsafe {
            std::ptr::copy_nonoverlapping(name.0.as_ptr(), (&raw mut self.names[index]).cast::<u8>(), NAME_BYTES);
        }
    }

    /// Bytes of the addresses: they are all of one sort.
    pub fn name_bytes(&self) -> usize {
        self.headers.first().map_or(0, |header| header.msg_hdr.msg_namelen) as usize
    }

    /// Sends each datagram to its name, of so many bytes, and empties the batch.
    pub fn send_to_names(&mut self, socket: &UdpSocket, name_bytes: usize) -> io::Result<usize> {
        self.send_named(socket, name_bytes)
    }

    /// Reads what has arrived, at most a batch of it, in place of what was there.
    pub fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        self.filled = 0;
        self.lengths = [self.slot_bytes; BATCH];
        self.dropped = 0;
        self.point(0..BATCH, size_of::<libc::sockaddr_storage>());
        let flags = if wait == Wait::ForOne { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: `point` made all BATCH headers point to buffers of `self` of the lengths that they name, and `self` is
        // borrowed for the whole call. No time-out is given.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as u32,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                _ => Err(error),
            };
        }
        self.filled = count as usize;
        for (length, header) in self.lengths.iter_mut().zip(&self.headers[..self.filled]) {
            *length = header.msg_len as usize;
        }
        Ok(self.filled)
    }

    /// Sends all of it to where the socket is connected, and empties it. Gives the number of system calls.
    pub fn send(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.send_named(socket, 0)
    }

    /// Sends each datagram back to where it came from, and empties the batch.
    pub fn send_back(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.send_named(socket, self.name_bytes())
    }

    fn send_named(&mut self, socket: &UdpSocket, name_bytes: usize) -> io::Result<usize> {
        let dropped = std::mem::take(&mut self.dropped);
        let count = if dropped == 0 {
            self.point(0..self.filled, name_bytes)
        } else {
            self.point((0..self.filled).filter(|slot| dropped & 1 << slot == 0), name_bytes)
        };
        let (mut sent, mut calls) = (0, 0);
        while sent < count {
            // SAFETY: `point` made the first `count` headers point to buffers of `self` of the lengths that they name,
            // and `self` is borrowed for the whole call; the headers from `sent` on are within them.
            let taken = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr().add(sent), (count - sent) as u32, 0)
            };
            calls += 1;
            if taken < 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
                continue;
            }
            sent += taken as usize;
        }
        self.filled = 0;
        Ok(calls)
    }

    /// Makes the first headers point to these slots, one each, and tells how many they are; `name_bytes` 0 means that there
    /// is no address.
    fn point(&mut self, slots: impl Iterator<Item = usize>, name_bytes: usize) -> usize {
        let buffers = self.buffers.as_mut_ptr();
        let names = self.names.as_mut_ptr();
        let vectors = self.vectors.as_mut_ptr();
        let mut count = 0;
        for (index, slot) in slots.take(BATCH).enumerate() {
            let bytes = self.lengths[slot];
            // SAFETY: there are BATCH vectors, names and slots; `index` is below BATCH by `take`, and `slot` by the look at
            // its length.
            unsafe {
                *vectors.add(index) =
                    libc::iovec { iov_base: buffers.add(slot * self.slot_bytes).cast(), iov_len: bytes };
                let header = &mut self.headers[index].msg_hdr;
                header.msg_iov = vectors.add(index);
                header.msg_iovlen = 1;
                header.msg_name = if name_bytes == 0 { std::ptr::null_mut() } else { names.add(slot).cast() };
                header.msg_namelen = name_bytes as libc::socklen_t;
            }
            count = index + 1;
        }
        count
    }
}

/// Many sockets, and which of them have something to read.
pub struct Poller(OwnedFd);

impl Poller {
    /// One without sockets.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointer; a descriptor that it gives belongs to nobody else.
        let fd = unsafe {
            match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
                -1 => return Err(io::Error::last_os_error()),
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        Ok(Self(fd))
    }

    /// Adds a socket. It is told once for each time that something arrives, not for as long as something is there.
    pub fn add(&self, socket: &UdpSocket, token: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: u64::from(token) };
        // SAFETY: both descriptors are open, and the event outlives the call.
        let done =
            unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Which sockets have something new; waits so long at most.
    pub fn wait(&self, millis: i32, tokens: &mut Vec<u32>) -> io::Result<()> {
        // So many that the first of them has not waited long when the last is read.
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        // SAFETY: the kernel writes at most as many events as there are.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, millis) };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        tokens.extend(events[..count as usize].iter().map(|event| event.u64 as u32));
        Ok(())
    }
}

/// Buffers that are pointed to once and for all: reading one datagram costs no more than the system call.
pub struct Inbox {
    buffers: Vec<u8>,
    slot_bytes: usize,
    headers: Vec<libc::mmsghdr>,
    /// The headers point to these.
    _vectors: Vec<libc::iovec>,
}

impl Inbox {
    /// Room for so many datagrams of so many bytes in one call.
    pub fn new(slots: usize, slot_bytes: usize) -> Self {
        let mut buffers = vec![0; slots * slot_bytes];
        let base: *mut u8 = buffers.as_mut_ptr();
        // SAFETY: each slot is within the buffers, which are neither moved nor resized while this value lives.
        let slot = |index: usize| unsafe { base.add(index * slot_bytes) };
        let mut vectors: Vec<libc::iovec> =
            (0..slots).map(|index| libc::iovec { iov_base: slot(index).cast(), iov_len: slot_bytes }).collect();
        let headers = vectors
            .iter_mut()
            .map(|vector| {
                // SAFETY: a header of zeroes has no name, no vectors and no control data.
                let mut header: libc::mmsghdr = unsafe { zeroed() };
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Self { buffers, slot_bytes, headers, _vectors: vectors }
    }

    /// Reads what has arrived and fits; fewer than [`slots`](Self::slots) mean that no more was there.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        // SAFETY: the headers point to vectors and buffers of `self`, which is borrowed for the whole call. The kernel
        // changes only the lengths of what it read.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as u32,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        if count >= 0 {
            return Ok(count as usize);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    /// How many are read in one call.
    pub fn slots(&self) -> usize {
        self.headers.len()
    }

    /// Datagram `index` of those that were read.
    pub fn datagram(&mut self, index: usize) -> &mut [u8] {
        let bytes = self.headers[index].msg_len as usize;
        &mut self.buffers[index * self.slot_bytes..][..bytes]
    }
}

/// Sends these datagrams, at most [`BATCH`], to where the socket is connected, with one system call. Gives how many the
/// kernel took.
pub fn send_many(socket: &UdpSocket, datagrams: &[&[u8]]) -> io::Result<usize> {
    let count = datagrams.len().min(BATCH);
    // SAFETY: zeroes are a vector and a header without anything.
    let (mut vectors, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) = unsafe { zeroed() };
    for ((datagram, vector), header) in datagrams.iter().zip(&mut vectors).zip(&mut headers) {
        *vector = libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: `count` headers point to vectors that point to the datagrams, all of which outlive the call; the kernel only
    // reads the bytes.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count as u32, 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
}

/// Makes room for so many open files, if it can be had, and tells for how many there is.
pub fn allow_files(needed: usize) -> usize {
    let needed = needed as libc::rlim_t;
    // SAFETY: both calls only read or write the local variable.
    let allowed = unsafe {
        let mut limit: libc::rlimit = zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return 0;
        }
        if limit.rlim_cur < needed {
            // Only root may raise the hard limit; trying does no harm.
            let tries = [limit.rlim_max.max(needed), limit.rlim_max];
            for hard in tries {
                let wanted = libc::rlimit { rlim_cur: needed.min(hard), rlim_max: hard };
                if libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) == 0 {
                    limit = wanted;
                    break;
                }
            }
        }
        limit.rlim_cur
    };
    usize::try_from(allowed).unwrap_or(usize::MAX)
}

/// Binds the calling thread to these cores.
pub fn pin_to(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: a cpu_set_t of zeroes is the empty set; CPU_SET checks its bound; the set outlives the call.
    let done = unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        for &cpu in cpus {
            libc::CPU_SET(cpu, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The cores that this process may use.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    // SAFETY: the kernel fills at most the size that it is told; CPU_ISSET is asked for cores within the set only.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect())
    }
}

/// Lets a child run on these cores only, and end when this program ends, however that happens.
pub fn confine(command: &mut Command, cpus: &[usize]) {
    let cpus = cpus.to_vec();
    // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            pin_to(&cpus)
        });
    }
}

/// Asks a process to end.
pub fn ask_to_end(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: the call takes no pointer. A number of 0 or below would be a group: no child has one.
    if pid > 0 && unsafe { libc::kill(pid, libc::SIGTERM) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The CPU time of a process until now, all its threads together, ended ones too: to the nanosecond, where
/// `/proc/PID/stat` counts in hundredths of a second and `schedstat` is as old as the last tick.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: both calls only write to the local variables that they are given.
    unsafe {
        let mut clock: libc::clockid_t = 0;
        let error = libc::clock_getcpuclockid(pid, &mut clock);
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        let mut time: libc::timespec = zeroed();
        if libc::clock_gettime(clock, &mut time) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }
}

/// Gives a socket the largest buffers that the system allows, so that a burst waits instead of being lost.
pub fn widen_buffers(socket: &UdpSocket) {
    let bytes: libc::c_int = 4 << 20;
    for option in [libc::SO_RCVBUF, libc::SO_SNDBUF] {
        // SAFETY: the option's value is one int that outlives the call. A refusal leaves the default, which will do.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const bytes).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
}

static STOPPING: AtomicBool = AtomicBool::new(false);

extern "C" fn note_stop(_signal: libc::c_int) {
    STOPPING.store(true, Ordering::Relaxed);
}

/// From now on an interrupt ends the loops of this program instead of the program, so that it can clean up.
pub fn catch_interrupts() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler only stores to an atomic, which is allowed at any moment.
        unsafe { libc::signal(signal, note_stop as *const () as libc::sighandler_t) };
    }
}

/// Whether an interrupt has come.
pub fn stopping() -> bool {
    STOPPING.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_go_out_and_come_back_in_one_batch() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let mut out = Batch::new(64);
        for number in 0..10_u8 {
            out.push(&[number; 30])[0] = 0xFF;
        }
        assert_eq!(out.send(&client).unwrap(), 1);
        let mut echo = Batch::new(64);
        assert_eq!(echo.receive(&server, Wait::ForOne).unwrap(), 10);
        echo.send_back(&server).unwrap();
        assert_eq!(out.receive(&client, Wait::Never).unwrap(), 10);
        assert_eq!(out.datagram(3), [&[0xFF][..], &[3; 29][..]].concat());
        assert_eq!(out.receive(&client, Wait::Never).unwrap(), 0);
    }

    #[test]
    fn what_is_dropped_does_not_go_out() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let mut out = Batch::new(64);
        for number in 0..4_u8 {
            out.push(&[number; 30]);
        }
        out.drop(0);
        out.drop(2);
        assert_eq!(out.send(&client).unwrap(), 1);
        let mut echo = Batch::new(64);
        assert_eq!(echo.receive(&server, Wait::ForOne).unwrap(), 2);
        echo.drop(0);
        echo.send_back(&server).unwrap();
        assert_eq!(out.receive(&client, Wait::Never).unwrap(), 1);
        assert_eq!(out.datagram(0), [3; 30]);
        out.drop(0);
        assert_eq!(out.send(&client).unwrap(), 0, "nothing is left");
    }

    #[test]
    fn cpu_time_of_this_process_grows() {
        let before = cpu_time(std::process::id()).unwrap();
        let sum: u64 = (0..2_000_000_u64).map(std::hint::black_box).sum();
        assert!(std::hint::black_box(sum) > 0 && cpu_time(std::process::id()).unwrap() > before);
    }
}
