//! The loop of one shard: turn, then wait in the cheapest way that fits the load.
//!
//! A busy shard waits in `ppoll`: one system call, where a wait of the executor takes eight. It visits the executor
//! about once a millisecond, for the connections and the timers there, and more rarely while there are none. What is due
//! at a time wakes it by an alarm that is set once for many waits. A shard that had no datagram for a millisecond waits in
//! the executor, which costs nothing until something happens.

use super::connections;
use super::core::Core;
use super::listen::{self, Sockets};
use super::mmsg::Receiver;
use super::sys::{Alarm, Poller};
use glommio::net::{TcpListener, UdpSocket};
use glommio::timer::{Timer, sleep};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Unbroken work after which the executor has its turn.
const VISIT: Duration = Duration::from_millis(1);
/// The same while there are no connections, and nothing but the first of them to be accepted: a visit costs as much as two
/// messages.
const RARE_VISIT: Duration = Duration::from_millis(20);
/// How long a shard that just had datagrams expects more.
const BUSY: Duration = Duration::from_millis(1);
/// How long a shard that others hold up waits before it tries again.
const HELD_UP: Duration = Duration::from_micros(200);
/// Longest wait while there is something to do now and then. The executor (glommio 0.9) can go to sleep with a task that
/// is ready to run, when a timer of its own ends at that moment: seen once in five thousand wakes. The next timer mends it.
const TICK: Duration = Duration::from_millis(5);
/// How long after the last work that is.
const AWHILE: Duration = Duration::from_secs(1);
/// Longest wait at rest: a few wakes a second cost nothing, and what the above delays then is still told in time.
const REST: Duration = Duration::from_millis(50);
/// How often a part of the connections is looked at for silence.
const SWEEP_MS: u64 = 100;
/// A batch of this many says that the next datagrams are there already: reading them at once saves a wait.
const LIKELY_MORE: usize = 8;

/// One shard's loop. Ends when the server does.
pub struct ShardLoop {
    core: Rc<RefCell<Core>>,
    receiver: Receiver,
    poller: Poller,
    alarm: Alarm,
    sockets: usize,
    readable: Readable,
    /// When the executor last had its turn, and when the last datagram came.
    visited: Instant,
    busy: Instant,
    /// When there was last anything to do.
    worked: Instant,
    sweep_ms: u64,
}

impl ShardLoop {
    /// Takes over the sockets, and begins to accept connections. Runs in the executor.
    pub fn new(core: Rc<RefCell<Core>>, sockets: Sockets) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let event = core.borrow().port.event();
        let alarm = Alarm::new()?;
        let others = [event, alarm.as_raw_fd()];
        let poller = Poller::new(sockets.datagrams.iter().map(AsRawFd::as_raw_fd).chain(others));
        let count = sockets.datagrams.len();
        for listener in sockets.streams {
            listen::accept(&listener)?;
            // SAFETY: the descriptor is a listening socket that nobody else owns.
            let listener = unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) };
            glommio::spawn_local(connections::accept(Rc::clone(&core), listener)).detach();
        }
        let adopt = |socket: socket2::Socket| {
            // SAFETY: the descriptor is a datagram socket that nobody else owns.
            Rc::new(unsafe { UdpSocket::from_raw_fd(socket.into_raw_fd()) })
        };
        let readable = Readable { sockets: sockets.datagrams.into_iter().map(|s| (adopt(s), None)).collect() };
        let now = Instant::now();
        Ok(Self {
            core,
            receiver: Receiver::default(),
            poller,
            alarm,
            sockets: count,
            readable,
            visited: now,
            busy: now,
            worked: now,
            sweep_ms: 0,
        })
    }

    /// Runs until the server has ended.
    pub async fn run(mut self) {
        loop {
            let turn = self.core.borrow_mut().turn(&mut self.receiver);
            self.sweep();
            if let Some(done) = self.core.borrow_mut().ended() {
                // Nobody waits for it if the server is in a hurry.
                let _ = done.send(());
                return;
            }
            let now = Instant::now();
            if turn.datagrams + turn.batches > 0 {
                self.worked = now;
                // With connections the executor is better visited at once than after a wait for more messages.
                if turn.datagrams > 0 || self.core.borrow().streams.open() == 0 {
                    self.busy = now;
                }
            }
            let released = self.core.borrow_mut().release_streams();
            let visit = if self.core.borrow().streams.open() == 0 { RARE_VISIT } else { VISIT };
            if released || now.duration_since(self.visited) >= visit {
                sleep(Duration::from_micros(1)).await;
                self.visited = Instant::now();
            }
            if self.core.borrow().has_more() || turn.more || turn.datagrams >= LIKELY_MORE {
                continue;
            }
            let held_up = self.core.borrow().paused();
            let unsent = (0..self.sockets).any(|at| self.core.borrow().unsent(at));
            if held_up || unsent || now.duration_since(self.busy) < BUSY {
                self.wait_in_poll(now, self.visited + visit, held_up);
            } else {
                self.wait_in_ring().await;
                self.visited = Instant::now();
            }
        }
    }

    /// Looks for silent connections now and then.
    fn sweep(&mut self) {
        let mut core = self.core.borrow_mut();
        let now = core.now().mono_ms;
        if now >= self.sweep_ms {
            core.sweep_streams();
            core.sweep_events();
            self.sweep_ms = now + SWEEP_MS;
        }
    }

    /// Waits in one system call, on this thread, at the latest until a visit is due.
    fn wait_in_poll(&mut self, now: Instant, visit: Instant, held_up: bool) {
        let core = self.core.borrow();
        for at in 0..self.sockets {
            self.poller.want(at, !held_up && !core.stopped(), core.unsent(at));
        }
        if !core.port.sleep_in_poll(core.store_is_behind()) {
            return;
        }
        let until = core.deadline_at().map_or(visit, |deadline| visit.min(deadline)).min(now + TICK);
        self.alarm.ring_by(now, until);
        self.poller.wait(held_up.then_some(HELD_UP));
        core.port.awake();
        if self.poller.readable(self.sockets) {
            core.port.clear_event();
        }
    }

    /// Waits in the executor, which goes to sleep if nobody else has anything to do.
    async fn wait_in_ring(&mut self) {
        let (core, readable) = (&self.core, &mut self.readable);
        let now = core.borrow().now().mono_ms;
        let rested = self.worked.elapsed() > AWHILE;
        let longest = if rested { REST } else { TICK };
        let until = core.borrow().deadline().unwrap_or(u64::MAX).clamp(now + 1, now + longest.as_millis() as u64);
        let mut timer = Timer::new(Duration::from_millis(until - now));
        let mut asleep = false;
        let deaf = core.borrow().stopped();
        poll_fn(|cx| {
            // Whatever wakes the task is for the next turn to find.
            if (!deaf && readable.poll(cx)) | Pin::new(&mut timer).poll(cx).is_ready() | asleep {
                return Poll::Ready(());
            }
            let mut core = core.borrow_mut();
            if !core.port.sleep_in_ring(cx.waker()) {
                return Poll::Ready(());
            }
            core.set_sleeper(Some((cx.waker().clone(), until)));
            asleep = true;
            Poll::Pending
        })
        .await;
        let mut core = core.borrow_mut();
        core.set_sleeper(None);
        core.port.awake();
    }
}

/// Waits for datagrams in the ring, without taking them. A wait that is not over goes on through the next turns.
struct Readable {
    sockets: Vec<(Rc<UdpSocket>, Option<Peek>)>,
}

impl Readable {
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        for (socket, peek) in &mut self.sockets {
            let waiting = peek.get_or_insert_with(|| {
                let socket = Rc::clone(socket);
                // An error is somebody's ICMP: whoever reads next sees what there is.
                Peek::new(async move { drop(socket.peek_from(&mut [0]).await) })
            });
            if waiting.poll(cx) {
                *peek = None;
                any = true;
            }
        }
        any
    }
}

/// A wait that is looked at in every turn, but polled only when it is woken. glommio (0.9) keeps one more waker of a wait
/// each time that it is polled, until the wait is over, and panics when a task has 32,768: a socket without datagrams
/// came to that in less than a minute.
struct Peek {
    wait: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

impl Peek {
    fn new(wait: impl Future<Output = ()> + 'static) -> Self {
        let woken = Woken { rung: AtomicBool::new(true), task: Mutex::new(None) };
        Self { wait: Box::pin(wait), woken: Arc::new(woken) }
    }

    /// Whether the wait is over; else it wakes the task.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        {
            let mut task = self.woken.task.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *task {
                Some(task) => task.clone_from(cx.waker()),
                None => *task = Some(cx.waker().clone()),
            }
        }
        self.woken.rung.swap(false, Ordering::AcqRel)
            && self.wait.as_mut().poll(&mut Context::from_waker(&Arc::clone(&self.woken).into())).is_ready()
    }
}

/// Remembers that a wait was woken, and wakes the task that looks at it.
struct Woken {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_wait_keeps_one_waker_however_often_it_is_looked_at() {
        let polls = Rc::new(Cell::new(0));
        let inner: Rc<RefCell<Option<Waker>>> = Rc::default();
        let mut peek = Peek::new({
            let (polls, inner) = (Rc::clone(&polls), Rc::clone(&inner));
            poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                *inner.borrow_mut() = Some(cx.waker().clone());
                if polls.get() == 1 { Poll::Pending } else { Poll::Ready(()) }
            })
        });
        let task = Arc::new(Woken { rung: AtomicBool::new(false), task: Mutex::new(None) });
        let waker = Waker::from(Arc::clone(&task));
        for _ in 0..100_000 {
            assert!(!peek.poll(&mut Context::from_waker(&waker)));
        }
        assert_eq!(polls.get(), 1);
        assert_eq!(Arc::strong_count(&task), 3, "the test's two, and the one that the wait keeps");
        inner.borrow_mut().take().expect("it was polled").wake();
        assert!(task.rung.load(Ordering::Relaxed), "the task is woken with it");
        assert!(peek.poll(&mut Context::from_waker(&waker)) && polls.get() == 2);
    }
}
