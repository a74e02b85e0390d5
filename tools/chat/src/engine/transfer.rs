//! Files: offered, taken, and gone on with after a break.

use super::{Engine, FileState, News};
use crate::files::{Incoming, Key, Outgoing, checksum};
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
    /// Offers a file; tells the number of the offer, its name and size.
    pub fn offer(self: &Arc<Self>, to: u32, path: &Path) -> Result<(u32, String, u32), String> {
        let mut outgoing = Outgoing::open(path)?;
        let (name, size) = (outgoing.name.clone(), outgoing.size);
        let offer = self.client().map_err(|error| self.words(&error))?.next_offer();
        outgoing.id = offer;
        match self.offer_out((to, offer), outgoing) {
            // Answered for already.
            Ok(()) | Err(Unoffered { kept: None, .. }) => {}
            // Nobody knows whether it has arrived: it is made again.
            Err(Unoffered { error: Error::Unknown | Error::Timeout, kept: Some(kept) }) => {
                self.transfers().offered.insert((to, offer), *kept);
            }
            Err(unoffered) => return Err(self.words(&unoffered.error)),
        }
        self.keep_offered((to, offer));
        Ok((offer, name, size))
    }

    /// Offers it; gives it back if that cannot be done.
    fn offer_out(self: &Arc<Self>, key: Key, outgoing: Outgoing) -> Result<(), Unoffered> {
        let (name, size) = outgoing.offer();
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => return Err(Unoffered { error, kept: Some(Box::new(outgoing)) }),
        };
        // In place before the offer goes out: the answer may come at once.
        self.transfers().offered.insert(key, outgoing);
        let (to, offer) = key;
        client.offer_file_as(offer, to, &name, size).map_err(|error| {
            let kept = self.transfers().offered.remove(&key).map(Box::new);
            Unoffered { error, kept }
        })
    }

    /// Offers it anew for as long as nobody has answered and the server has forgotten it, as one that was started anew has.
    fn keep_offered(self: &Arc<Self>, key: Key) {
        let engine = Arc::clone(self);
        std::thread::spawn(move || {
            for _ in 0..TIMES {
                std::thread::sleep(AGAIN);
                let Some(client) = engine.connected() else { return };
                let mut transfers = engine.transfers();
                if transfers.offered.contains_key(&key) && client.is_offering(key.0, key.1) {
                    continue;
                }
                let Some(outgoing) = transfers.offered.remove(&key) else { return };
                drop(transfers);
                if let Err(Unoffered { kept: Some(kept), .. }) = engine.offer_out(key, outgoing) {
                    engine.transfers().offered.insert(key, *kept);
                }
            }
        });
    }

    /// Takes a file that `from` offers: this one, or the first of them. Tells which, and its name.
    pub fn take(self: &Arc<Self>, from: u32, offer: Option<u32>, directory: &Path) -> Result<(u32, String), String> {
        let (key, (name, size)) = self.take_offer(from, offer)?;
        let (name, begun) = {
            let mut transfers = self.transfers();
            let in_use = |path: &Path| transfers.arriving.values().any(|other| other.part() == path);
            let incoming = Incoming::create(directory, key, (&name, size), in_use)?;
            let begun = (incoming.name.clone(), incoming.received);
            // In place before the answer goes out: the first piece may come at once.
            transfers.arriving.insert(key, incoming);
            begun
        };
        let answered = self.client().and_then(|client| client.answer_file(from, key.1, true));
        if let Err(error) = answered {
            let mut transfers = self.transfers();
            let unheard = transfers.arriving.get(&key).is_none_or(|incoming| incoming.received == begun);
            match error {
                // If something has come, the answer had arrived before the connection broke: it goes on.
                _ if !unheard => {}
                // The server was started anew, perhaps before the answer. It stands: the offer comes again, and then nobody
                // is asked a second time.
                Error::Unknown | Error::Timeout | Error::Refused { code: NO_SUCH_TRANSFER, .. } => {
                    drop(transfers);
                    let state = FileState::Broken;
                    self.tell(&News::File { peer: from, id: key.1, incoming: true, name: name.clone(), state });
                }
                error => {
                    transfers.arriving.remove(&key);
                    return Err(self.words(&error));
                }
            }
        }
        self.finish_if_complete(key);
        Ok((key.1, name))
    }

    /// Does not take it.
    pub fn reject(self: &Arc<Self>, from: u32, offer: Option<u32>) -> Result<(), String> {
        let ((_, offer), _) = self.take_offer(from, offer)?;
        self.client().and_then(|client| client.answer_file(from, offer, false)).map_err(|error| self.words(&error))
    }

    /// An offer of somebody, or the earliest, which is answered now.
    fn take_offer(&self, from: u32, offer: Option<u32>) -> Result<(Key, (String, u32)), String> {
        let mut transfers = self.transfers();
        let (least, most) = offer.map_or((0, u32::MAX), |offer| (offer, offer));
        let first = transfers.offers.range((from, least)..=(from, most)).next().map(|(key, _)| *key);
        let taken = first.and_then(|key| Some((key, transfers.offers.remove(&key)?)));
        taken.ok_or_else(|| match offer {
            Some(offer) => format!("{from} offers no file {offer}"),
            None => format!("{from} offers no file"),
        })
    }

    /// Writes a piece that has come.
    pub(super) fn piece(&self, key: Key, data: &[u8]) {
        let mut transfers = self.transfers();
        let Some(incoming) = transfers.arriving.get_mut(&key) else { return };
        let written = incoming.write(data);
        let (name, received, size, id) = (incoming.name.clone(), incoming.received, incoming.size, incoming.id);
        if written.is_err() {
            transfers.arriving.remove(&key);
        }
        transfers.moved += data.len() as u64;
        drop(transfers);
        let state = match written {
            Ok(()) => FileState::Moving(received, size),
            Err(error) => self.take_no_more(key, error),
        };
        self.tell(&News::File { peer: key.0, id, incoming: true, name, state });
        self.finish_if_complete(key);
    }

    pub(super) fn finish_if_complete(&self, key: Key) {
        let mut transfers = self.transfers();
        if transfers.arriving.get(&key).is_none_or(|incoming| !incoming.is_complete()) {
            return;
        }
        let Some(incoming) = transfers.arriving.remove(&key) else { return };
        drop(transfers);
        let (name, size, id) = (incoming.name.clone(), incoming.size, incoming.id);
        let state = match incoming.finish() {
            Ok((path, checksum)) => FileState::Done { path, size, checksum },
            Err(error) => self.take_no_more(key, error),
        };
        self.tell(&News::File { peer: key.0, id, incoming: true, name, state });
    }

    /// The sender must not believe that it has arrived. What is missing is offered again, and can be taken when there is room.
    fn take_no_more(&self, (from, offer): Key, error: String) -> FileState {
        if let Some(client) = self.connected() {
            client.stop_file(from, offer);
        }
        FileState::Failed(error)
    }

    /// Sends a file that was accepted, on a thread of its own.
    pub(super) fn send(self: &Arc<Self>, key: Key, outgoing: Outgoing) {
        self.transfers().sending += 1;
        let engine = Arc::clone(self);
        std::thread::spawn(move || {
            engine.send_out(key, outgoing);
            engine.transfers().sending -= 1;
        });
    }

    fn send_out(self: &Arc<Self>, (to, offer): Key, mut outgoing: Outgoing) {
        let (name, base, size, id) = (outgoing.name.clone(), outgoing.from, outgoing.size, outgoing.id);
        let tell = |state| self.tell(&News::File { peer: to, id, incoming: false, name: name.clone(), state });
        let Some(client) = self.connected() else { return };
        let (mut told, mut there) = (Instant::now(), 0);
        let sent = client.send_file(to, offer, size - base, &mut outgoing.file, &mut |arrived| {
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
            let Some(client) = self.connected() else { break };
            let key = (to, client.next_offer());
            match self.offer_out(key, outgoing) {
                Ok(()) => {
                    self.keep_offered(key);
                    return Ok(());
                }
                Err(Unoffered { kept: Some(kept), .. }) => outgoing = *kept,
                Err(Unoffered { error, kept: None }) => return Err(self.words(&error)),
            }
        }
        Err(format!("the connection broke; {} is to be offered again", show::clean(&outgoing.name)))
    }
}
