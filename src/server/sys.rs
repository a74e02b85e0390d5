//! The few other calls of the system that the standard library does not offer, behind a safe interface.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A counter in the kernel that one thread waits for and others ring.
pub struct EventFd(OwnedFd);

impl EventFd {
    /// One that never blocks.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = checked(unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
        // SAFETY: the call has just opened it, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable.
    pub fn ring(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes of a live u64 are read. It fails only when the counter is full: then it is readable.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Makes it unreadable.
    pub fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: eight bytes of a live u64 are written. It fails only when the counter is zero.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec { tv_sec: time.as_secs() as libc::time_t, tv_nsec: libc::c_long::from(time.subsec_nanos()) }
}

/// A clock in the kernel that becomes readable at a time.
///
/// A wait with a timeout sets a timer of the processor and takes it back, which on a virtual machine costs as much as the
/// rest of the wait. This one is set once for all the waits until it rings.
pub struct Alarm {
    fd: OwnedFd,
    rings: Option<Instant>,
}

impl Alarm {
    /// One that is not set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd =
            checked(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) })?;
        // SAFETY: the call has just opened it, and nobody else has it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, rings: None })
    }

    /// Makes sure that it rings at this time or before, and that it does not ring for a time that has passed.
    pub fn ring_by(&mut self, now: Instant, until: Instant) {
        if self.rings.is_some_and(|rings| rings > now && rings <= until) {
            return;
        }
        // Zero would mean never.
        let left = until.saturating_duration_since(now).max(Duration::from_nanos(1));
        let time = libc::itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(left) };
        // SAFETY: the pointer is to a live `itimerspec`, and nothing is asked back. It cannot fail with such a time.
        unsafe { libc::timerfd_settime(self.fd.as_raw_fd(), 0, &raw const time, std::ptr::null_mut()) };
        self.rings = Some(now + left);
    }
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

/// What a thread waits for without the ring.
pub struct Poller {
    entries: Vec<libc::pollfd>,
}

impl Poller {
    /// Waits for these descriptors to become readable.
    pub fn new(descriptors: impl Iterator<Item = i32>) -> Self {
        Self { entries: descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect() }
    }

    /// Chooses what the entry at this place waits for.
    pub fn want(&mut self, at: usize, read: bool, write: bool) {
        let events = if read { libc::POLLIN } else { 0 } | if write { libc::POLLOUT } else { 0 };
        self.entries[at].events = events;
    }

    /// Sleeps until one is ready, at most so long if that is said. Gives back whether any is.
    pub fn wait(&mut self, longest: Option<Duration>) -> bool {
        let time = longest.map(timespec);
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the entries and the time live through the call, and the length is theirs.
        let ready = unsafe {
            libc::ppoll(self.entries.as_mut_ptr(), self.entries.len() as libc::nfds_t, time, std::ptr::null())
        };
        ready > 0
    }

    /// Whether the last wait found this entry readable.
    pub fn readable(&self, at: usize) -> bool {
        self.entries[at].revents & !libc::POLLOUT != 0
    }
}

/// Writes to a stream socket as much as it takes at once: `Ok(0)` if nothing for now.
pub fn send_now(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of a live slice, which is only read.
    let sent = unsafe {
        libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    if sent >= 0 {
        return Ok(sent as usize);
    }
    match io::Error::last_os_error() {
        error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
        error => Err(error),
    }
}

/// Ends a connection in both directions; what was written before is still sent.
pub fn shut_down(socket: BorrowedFd<'_>) {
    // SAFETY: no pointers are passed. It fails only where the peer has ended the connection already.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// From now on what this process creates is for its owner alone.
pub fn owner_only() {
    // SAFETY: it takes no pointer, and always succeeds.
    unsafe { libc::umask(0o077) };
}

/// The user whose rights this process has.
pub fn effective_user() -> u32 {
    // SAFETY: it takes no pointer, and always succeeds.
    unsafe { libc::geteuid() }
}

/// The user at the other end of a Unix socket.
pub fn peer_user(socket: &impl AsRawFd) -> Option<u32> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers are to a live `ucred` and to its length.
    let found = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    (found == 0).then_some(peer.uid)
}

/// Lets the calling thread run only when others leave time: 0 is normal, 19 the lowest.
pub fn be_nice(nice: i32) {
    // SAFETY: no pointers are passed. On Linux id 0 means the calling thread. Failing leaves the normal priority.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}

/// The cores that this process may run on.
pub fn allowed_cores() -> Vec<usize> {
    // SAFETY: all bytes zero is an empty set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the pointer is to a live set of the size told.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) } != 0 {
        return Vec::new();
    }
    // SAFETY: every core asked about is below the size of the set.
    (0..libc::CPU_SETSIZE as usize).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect()
}

/// A resource of which the system gives the process only so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Bytes locked in memory; the rings need some.
    LockedMemory,
    /// Open files; every connection is one.
    OpenFiles,
}

/// Raises the soft limit to the hard one, and gives back what it is then.
pub fn raise_limit(resource: Resource) -> io::Result<u64> {
    let resource = match resource {
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::OpenFiles => libc::RLIMIT_NOFILE,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live `rlimit`.
    checked(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        // SAFETY: the pointer is to a live `rlimit`.
        if unsafe { libc::setrlimit(resource, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    Ok(limit.rlim_cur)
}

/// Tries whether this process may use io_uring at all.
pub fn probe_io_uring() -> io::Result<()> {
    /// As large as `struct io_uring_params`, which the kernel wants zeroed.
    #[repr(C)]
    struct Params([u32; 30]);
    // SAFETY: all bytes zero is a valid array of numbers.
    let mut params: Params = unsafe { zeroed() };
    // SAFETY: the pointer is to a live, zeroed structure of the size that the kernel writes.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 2_u32, &raw mut params) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just opened it, and nobody else has it.
    drop(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    Ok(())
}

/// Steers the datagrams of a SO_REUSEPORT group: the big-endian word at offset 8 modulo the number of sockets is the
/// index, in order of binding. What is too short for such a word is spread by the hash of its addresses.
pub fn steer_group(socket: BorrowedFd<'_>, shards: u32) -> io::Result<()> {
    /// Missing in libc for this platform.
    const SO_ATTACH_REUSEPORT_CBPF: libc::c_int = 51;
    let code = |parts: u32| parts as u16;
    let step = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        // A load beyond the end would end the program with 0, which is the first shard: so the length comes first.
        step(code(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN), 0, 0, 0),
        step(code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K), 0, 3, 12),
        step(code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), 0, 0, 8),
        step(code(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K), 0, 0, shards),
        step(code(libc::BPF_RET | libc::BPF_A), 0, 0, 0),
        // An index that does not exist leaves the choice to the hash.
        step(code(libc::BPF_RET | libc::BPF_K), 0, 0, u32::MAX),
    ];
    let form = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the form points to `program`, both live through the call, and the length is that of the form.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_ATTACH_REUSEPORT_CBPF,
            (&raw const form).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    })
    .map(drop)
}

/// Asks for large buffers of a socket: beyond the system's bound if we may, else up to it.
pub fn set_buffers(socket: BorrowedFd<'_>, bytes: usize) {
    for (force, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
        let size = bytes as libc::c_int;
        let set = |option| {
            // SAFETY: the pointer is to a live int, and the length is its own.
            unsafe {
                libc::setsockopt(
                    socket.as_raw_fd(),
                    libc::SOL_SOCKET,
                    option,
                    (&raw const size).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                )
            }
        };
        if set(force) != 0 {
            set(plain);
        }
    }
}

/// A line typed at the terminal without showing it.
pub fn read_hidden_line(terminal: &std::fs::File) -> io::Result<String> {
    use std::io::BufRead;
    let fd = terminal.as_raw_fd();
    // SAFETY: all bytes zero is a valid `termios`.
    let mut shown: libc::termios = unsafe { zeroed() };
    // SAFETY: the pointer is to a live `termios`.
    checked(unsafe { libc::tcgetattr(fd, &raw mut shown) })?;
    let mut hidden = shown;
    hidden.c_lflag &= !(libc::ECHO);
    hidden.c_lflag |= libc::ECHONL;
    // SAFETY: the pointer is to a live `termios`.
    checked(unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const hidden) })?;
    let mut line = String::new();
    let read = io::BufReader::new(terminal).read_line(&mut line);
    // SAFETY: the pointer is to a live `termios`.
    unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const shown) };
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_rings_at_the_earliest_of_its_times_and_once_for_each() {
        let mut alarm = Alarm::new().expect("a timer");
        let mut poller = Poller::new([alarm.as_raw_fd()].into_iter());
        let hour = Duration::from_secs(3_600);
        let (start, soon) = (Instant::now(), Duration::from_millis(5));
        alarm.ring_by(start, start + hour);
        alarm.ring_by(start, start + soon);
        alarm.ring_by(start, start + hour);
        assert!(poller.wait(None) && start.elapsed() >= soon);
        // It goes on ringing until it is set anew.
        assert!(poller.wait(None));
        let now = Instant::now();
        alarm.ring_by(now, now + hour);
        assert!(!poller.wait(Some(Duration::from_millis(1))));
        // A time that has passed is one.
        alarm.ring_by(now, start);
        assert!(poller.wait(None));
    }
}
