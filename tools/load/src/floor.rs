//! The floor: the cheapest server that this system allows. It reads a batch of datagrams and sends each one back; what a
//! real server costs beyond that is its own work.

use crate::sys::{self, Batch, Wait};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// The largest datagram that is echoed: a message with the longest text, and room to spare.
const SLOT_BYTES: usize = 9_000;

/// Echoes until the program is ended.
pub fn run(listen: SocketAddr, cpu: Option<usize>) -> Result<(), String> {
    if let Some(cpu) = cpu {
        sys::pin_to(cpu)
            .map_err(|error| format!("core {cpu} cannot be used: {error}; `nproc` says how many there are"))?;
    }
    let socket = UdpSocket::bind(listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    sys::widen_buffers(&socket);
    // So that an interrupt is seen even when nothing arrives; a wait that runs out costs nothing measurable.
    socket.set_read_timeout(Some(std::time::Duration::from_secs(1))).map_err(|error| error.to_string())?;
    println!("listening on {}", socket.local_addr().map_err(|error| error.to_string())?);
    echo(&socket).map_err(|error| format!("the echo ended: {error}"))
}

fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut batch = Batch::new(SLOT_BYTES);
    while !sys::stopping() {
        if batch.receive(socket, Wait::ForOne)? > 0 {
            batch.send_back(socket)?;
        }
    }
    Ok(())
}
