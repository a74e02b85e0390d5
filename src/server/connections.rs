//! The tasks of TCP connections: one accepts, and each connection has one that reads and writes.

use super::core::Core;
use crate::limits::ACCEPTS;
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};
use glommio::timer::sleep;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How long to wait after the system could not accept: it has no file left, say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Accepts connections as long as the server runs.
pub async fn accept(core: Rc<RefCell<Core>>, listener: TcpListener) {
    let (mut accepted, mut warned) = (0_usize, None::<Instant>);
    loop {
        accepted += 1;
        if accepted.is_multiple_of(ACCEPTS) {
            // While connections queue up the listener never waits by itself.
            sleep(Duration::from_micros(1)).await;
        }
        match listener.accept().await {
            Ok(socket) => {
                // The peer may have gone already.
                let Ok(peer) = socket.peer_addr() else { continue };
                let _ = socket.set_nodelay(true);
                let connection = core.borrow_mut().stream_accepted(socket, peer);
                if let Some(connection) = connection {
                    glommio::spawn_local(serve(Rc::clone(&core), connection)).detach();
                }
            }
            Err(error) => {
                if warned.is_none_or(|warned| warned.elapsed() >= WARN_AGAIN) {
                    tracing::warn!(%error, "cannot accept a connection");
                    warned = Some(Instant::now());
                }
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// How often to say so.
const WARN_AGAIN: Duration = Duration::from_secs(60);

/// What a look at a connection has come to.
enum Look {
    /// It has read; there may be more, but others are to have their turn.
    Again,
    /// It has ended.
    Ended,
}

/// Reads and writes one connection until it ends.
async fn serve(core: Rc<RefCell<Core>>, connection: u32) {
    while let Look::Again = poll_fn(|cx| look(&mut core.borrow_mut(), connection, cx)).await {
        // Reaches the ring, which a mere yield would not.
        sleep(Duration::from_micros(1)).await;
    }
    core.borrow_mut().stream_ended(connection);
}

fn look(core: &mut Core, connection: u32, cx: &mut Context<'_>) -> Poll<Look> {
    let (paused, stopped) = (core.paused(), core.stopped());
    let mut bytes = std::mem::take(&mut core.stream_bytes);
    let mut result = Poll::Ready(Look::Ended);
    while let Some(stream) = core.streams.get(connection) {
        if !stream.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            stream.waker = Some(cx.waker().clone());
        }
        let writing = write(&mut stream.socket, &mut stream.unsent, cx);
        let closing = stream.closing;
        if writing.is_err() || (closing && stream.unsent.is_empty()) {
            break;
        }
        core.stream_written(connection);
        if closing {
            result = Poll::Pending;
            break;
        }
        if core.streams.is_stalled(connection) {
            // It is woken when it is to be read again.
            result = Poll::Pending;
            break;
        }
        if core.streams.take_resumed(connection) {
            core.read_clock();
            core.stream_read(connection, &[]);
            continue;
        }
        if paused || stopped || core.stream_budget == 0 {
            core.hold_stream(connection);
            result = Poll::Pending;
            break;
        }
        let Some(stream) = core.streams.get(connection) else { break };
        match Pin::new(&mut stream.socket).poll_read(cx, &mut bytes) {
            Poll::Ready(Ok(count)) if count > 0 => {
                core.read_clock();
                core.stream_budget = core.stream_budget.saturating_sub(count);
                core.stream_read(connection, &bytes[..count]);
                if count == bytes.len() {
                    result = Poll::Ready(Look::Again);
                    break;
                }
                // The stream is empty now, and the look around says so to the ring.
                if core.paused() {
                    core.hold_stream(connection);
                    result = Poll::Pending;
                    break;
                }
            }
            Poll::Ready(_) => break,
            Poll::Pending => {
                result = Poll::Pending;
                break;
            }
        }
    }
    core.stream_bytes = bytes;
    result
}

/// Writes what waits, as far as the connection takes it; the task is woken when it takes more.
fn write(
    socket: &mut TcpStream,
    unsent: &mut std::collections::VecDeque<u8>,
    cx: &mut Context<'_>,
) -> std::io::Result<()> {
    while !unsent.is_empty() {
        match Pin::new(&mut *socket).poll_write(cx, unsent.as_slices().0) {
            Poll::Ready(Ok(0)) => return Err(std::io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(sent)) => drop(unsent.drain(..sent)),
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => return Ok(()),
        }
    }
    Ok(())
}
