//! Files: offered, taken, and gone on with after a break.

use super::{Engine, FileState, News};
use crate::files::{Incoming, Outgoing, checksum};
use crate::show;
use oicq::client::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a transfer says how far it is.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// After a break the rest is offered again after so long,
const AGAIN: Duration = Duration::from_secs(2);
/// and so often at most: ten minutes in which the other side does not come back are enough.
const TIMES: usize = 300;

/// The notice code of an answer to an offer that the server does not know (protocol.md 3.2).
const NO_SUCH_TRANSFER: u8 = 13;

/// An offer that could not be made.
struct Unoffered {
    error: Error,
    /// The file, unless it was answered for meanwhile.
    kept: Option<Box<Outgoing>>,
}

impl Engine {
    /// Offers a file; tells its name and size.
    pub fn offer(self: &Arc<Self>, to: u32, path: &Path) -> Result<(String, u32), String> {
        let outgoing = Outgoing::open(path)?;
        let (name, size) = (outgoing.name.clone(), outgoing.size);
        match self.offer_out(to, outgoing) {
            // Answered for already.
            Ok(()) | Err(Unoffered { kept: None, .. }) => {}
            // Nobody knows whether it has arrived: it is made again.
            Err(Unoffered { error: Error::Unknown | Error::Timeout, kept: Some(kept) }) => {
                self.transfers().offered.insert(to, *kept);
            }
            Err(unoffered) => return Err(self.words(&unoffered.error)),
        }
        self.keep_offered(to);
        Ok((name, size))
    }

    /// Offers it; gives it back if that cannot be done.
    fn offer_out(self: &Arc<Self>, to: u32, outgoing: Outgoing) -> Result<(), Unoffered> {
        let (name, size) = outgoing.offer();
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return Err(Unoffered { error, kept: Some(Box::new(outgoing)) }),
        };
        // In place before the offer goes out: the answer may come at once.
        self.transfers().offered.insert(to, outgoing);
        client.offer_file(to, &name, size).map_err(|error| {
            let kept = self.transfers().offered.remove(&to).map(Box::new);
            Unoffered { error, kept }
        })
    }

    /// Offers it anew for as long as nobody has answered and the server has forgotten it, as one that was started anew has.
    fn keep_offered(self: &Arc<Self>, to: u32) {
        let engine = Arc::clone(self);
        std::thread::spawn(move || {
            for _ in 0..TIMES {
                std::thread::sleep(AGAIN);
                let Some(client) = engine.connected() else { return };
                let mut transfers = engine.transfers();
                if transfers.offered.contains_key(&to) && client.is_offering(to) {
                    continue;
                }
                let Some(outgoing) = transfers.offered.remove(&to) else { return };
                drop(transfers);
                if let Err(Unoffered { kept: Some(kept), .. }) = engine.offer_out(to, outgoing) {
                    engine.transfers().offered.insert(to, *kept);
                }
            }
        });
    }

    /// Takes a file that was offered.
    pub fn take(self: &Arc<Self>, from: u32, directory: &Path) -> Result<String, String> {
        let Some((name, size)) = self.transfers().offers.remove(&from) else {
            return Err(format!("{from} offers no file"));
        };
        let incoming = Incoming::create(directory, from, &name, size)?;
        let (name, begun) = (incoming.name.clone(), incoming.received);
        // In place before the answer goes out: the first piece may come at once.
        self.transfers().arriving.insert(from, incoming);
        let answered = self.client().and_then(|client| client.answer_file(from, true));
        if let Err(error) = answered {
            let mut transfers = self.transfers();
            let unheard = transfers.arriving.get(&from).is_none_or(|incoming| incoming.received == begun);
            match error {
                // If something has come, the answer had arrived before the connection broke: it goes on.
                _ if !unheard => {}
                // The server was started anew, perhaps before the answer. It stands: the offer comes again, and then nobody
                // is asked a second time.
                Error::Unknown | Error::Timeout | Error::Refused { code: NO_SUCH_TRANSFER, .. } => {
                    drop(transfers);
                    let state = FileState::Broken;
                    self.tell(&News::File { peer: from, incoming: true, name: name.clone(), state });
                }
                error => {
                    transfers.arriving.remove(&from);
                    return Err(self.words(&error));
                }
            }
        }
        self.finish_if_complete(from);
        Ok(name)
    }

    /// Does not take it.
    pub fn reject(self: &Arc<Self>, from: u32) -> Result<(), String> {
        self.transfers().offers.remove(&from).ok_or(format!("{from} offers no file"))?;
        self.client().and_then(|client| client.answer_file(from, false)).map_err(|error| self.words(&error))
    }

    /// Writes a piece that has come.
    pub(super) fn piece(&self, from: u32, data: &[u8]) {
        let mut transfers = self.transfers();
        let Some(incoming) = transfers.arriving.get_mut(&from) else { return };
        let written = incoming.write(data);
        let (name, received, size) = (incoming.name.clone(), incoming.received, incoming.size);
        if written.is_err() {
            transfers.arriving.remove(&from);
        }
        transfers.moved += data.len() as u64;
        drop(transfers);
        let state = match written {
            Ok(()) => FileState::Moving(received, size),
            Err(error) => self.take_no_more(from, error),
        };
        self.tell(&News::File { peer: from, incoming: true, name, state });
        self.finish_if_complete(from);
    }

    pub(super) fn finish_if_complete(&self, from: u32) {
        let mut transfers = self.transfers();
        if transfers.arriving.get(&from).is_none_or(|incoming| !incoming.is_complete()) {
            return;
        }
        let Some(incoming) = transfers.arriving.remove(&from) else { return };
        drop(transfers);
        let (name, size) = (incoming.name.clone(), incoming.size);
        let state = match incoming.finish() {
            Ok((path, checksum)) => FileState::Done { path, size, checksum },
            Err(error) => self.take_no_more(from, error),
        };
        self.tell(&News::File { peer: from, incoming: true, name, state });
    }

    /// The sender must not believe that it has arrived. What is missing is offered again, and can be taken when there is room.
    fn take_no_more(&self, from: u32, error: String) -> FileState {
        if let Some(client) = self.connected() {
            client.stop_file(from);
        }
        FileState::Failed(error)
    }

    /// Sends a file that was accepted, on a thread of its own.
    pub(super) fn send(self: &Arc<Self>, to: u32, outgoing: Outgoing) {
        self.transfers().sending += 1;
        let engine = Arc::clone(self);
        std::thread::spawn(move || {
            engine.send_out(to, outgoing);
            engine.transfers().sending -= 1;
        });
    }

    fn send_out(self: &Arc<Self>, to: u32, mut outgoing: Outgoing) {
        let (name, base, size) = (outgoing.name.clone(), outgoing.from, outgoing.size);
        let tell = |state| self.tell(&News::File { peer: to, incoming: false, name: name.clone(), state });
        let Some(client) = self.connected() else { return };
        let (mut told, mut there) = (Instant::now(), 0);
        let sent = client.send_file(to, size - base, &mut outgoing.file, &mut |arrived| {
            self.transfers().moved += u64::from(arrived - there);
            there = arrived;
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                tell(FileState::Moving(base + arrived, size));
            }
        });
        match sent {
            Ok(()) => tell(match checksum(&outgoing.path) {
                Ok(checksum) => FileState::Done { path: outgoing.path, size, checksum },
                Err(error) => FileState::Failed(error),
            }),
            Err(Error::Unknown | Error::Timeout) => {
                tell(FileState::Broken);
                if let Err(error) = self.go_on(to, outgoing, base + there) {
                    tell(FileState::Failed(error));
                }
            }
            Err(error) => tell(FileState::Failed(self.words(&error))),
        }
    }

    /// Offers the rest until the other side can be reached again.
    fn go_on(self: &Arc<Self>, to: u32, mut outgoing: Outgoing, from: u32) -> Result<(), String> {
        outgoing.resume(from)?;
        for _ in 0..TIMES {
            std::thread::sleep(AGAIN);
            if self.connected().is_none() {
                break;
            }
            match self.offer_out(to, outgoing) {
                Ok(()) => {
                    self.keep_offered(to);
                    return Ok(());
                }
                Err(Unoffered { kept: Some(kept), .. }) => outgoing = *kept,
                Err(Unoffered { error, kept: None }) => return Err(self.words(&error)),
            }
        }
        Err(format!("the connection broke; {} is to be offered again", show::clean(&outgoing.name)))
    }
}
