//! Takes events: what must not be lost is written down first, then it is taken, and then it is told.

use super::{Engine, News, now_ms};
use crate::files::Key;
use crate::history::{Arrived, State};
use oicq::client::{Event, Events, ReceiptState};
use std::io;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is offered again has been quiet for longer than this: the rest comes after two seconds at the soonest.
const QUIET: Duration = Duration::from_secs(1);
/// Events that are written down together: after a night away there are thousands.
const TOGETHER: usize = 500;
/// How long to wait before something is written down that could not be.
const AGAIN: Duration = Duration::from_secs(1);

/// Takes events on a thread of its own until the client is closed.
pub fn start(engine: &Arc<Engine>, events: Events) -> io::Result<JoinHandle<()>> {
    let engine = Arc::downgrade(engine);
    std::thread::Builder::new().name("oicq-events".into()).spawn(move || run(&engine, &events))
}

fn run(engine: &Weak<Engine>, events: &Events) {
    loop {
        let next = events.peek(TOGETHER);
        let Some(engine) = engine.upgrade().filter(|_| !next.is_empty()) else { return };
        let Some(new) = engine.write_down(&next) else { return };
        for (event, new) in next.into_iter().zip(new) {
            if let Event::FilePiece { from, offer, data } = &event {
                engine.piece((*from, *offer), data);
            }
            // From here on the server counts it as delivered, and a sender his piece as arrived.
            events.try_recv();
            if new {
                engine.happened(event);
            }
        }
    }
}

impl Engine {
    /// Writes messages down, and tells which events are new. While that is impossible, a full disk, nothing is taken: the
    /// messages stay at the server. `None` when the connection has been ended meanwhile.
    fn write_down(&self, events: &[Event]) -> Option<Vec<bool>> {
        let messages: Vec<Arrived<'_>> = events.iter().filter_map(arrived).collect();
        let mut new = Vec::new();
        if !messages.is_empty() {
            let me = self.me()?;
            let mut troubled = false;
            new = loop {
                // The lock is not held while it waits.
                let kept = self.history().arrived(me, &messages);
                match kept {
                    Ok(new) => break new,
                    Err(error) if !troubled => {
                        troubled = true;
                        self.tell(&News::Trouble(format!("{error}; messages wait at the server until it can")));
                    }
                    Err(_) => std::thread::sleep(AGAIN),
                }
                self.connected()?;
            };
            if troubled {
                self.tell(&News::Well);
            }
        }
        let mut new = new.into_iter();
        Some(events.iter().map(|event| !matches!(event, Event::Message { .. }) || new.next() == Some(true)).collect())
    }

    fn happened(self: &Arc<Self>, mut event: Event) {
        match &mut event {
            Event::Receipt { to, id, state } if *state != ReceiptState::Sending => {
                let kept = self.me().map_or(Ok(()), |me| self.history().receipt(me, *to, *id, State::from(*state)));
                if let Err(error) = kept {
                    self.tell(&News::Trouble(error));
                }
            }
            Event::FriendStatus { friend, status } => self.book().set_status(*friend, *status),
            Event::NewFriend(friend) => {
                self.book().add(friend.clone());
                self.keep_groups();
            }
            Event::Restored { groups } => {
                self.book().open(groups.clone());
                self.keep_groups();
            }
            Event::FileOffered { from, name, size, offer } => {
                if self.goes_on((*from, *offer), name, *size) {
                    return;
                }
                self.transfers().offers.insert((*from, *offer), (name.clone(), *size));
            }
            Event::FileAnswered { from, allow, offer } => {
                let key = (*from, *offer);
                let outgoing = self.transfers().offered.remove(&key);
                if let Some(outgoing) = outgoing {
                    let goes_on = outgoing.from > 0;
                    *offer = outgoing.id;
                    if *allow {
                        self.send(key, outgoing);
                    }
                    if goes_on && *allow {
                        return;
                    }
                }
            }
            Event::ServerKey { key } => {
                if let Err(error) = self.keep.save_key(key) {
                    self.tell(&News::Trouble(format!("the key cannot be kept: {error}")));
                }
            }
            Event::Token { number, token } => {
                if let Err(error) = self.keep.save_token(*number, token) {
                    let text = format!("the token cannot be kept, the password will be needed again: {error}");
                    self.tell(&News::Trouble(text));
                }
                return;
            }
            // Written already.
            Event::FilePiece { .. } | Event::Progress { .. } => return,
            _ => {}
        }
        let stranger = match event {
            Event::Asked { from, .. }
            | Event::AddedBy { from }
            | Event::AskAnswered { from, .. }
            | Event::FileOffered { from, .. } => Some(from),
            _ => None,
        };
        match stranger.filter(|number| self.name(*number).is_none()) {
            // Whoever is told of them wants to know who they are. Asking the server must not hold up what else comes.
            Some(number) => {
                let engine = Arc::clone(self);
                std::thread::spawn(move || {
                    engine.look_up(number);
                    engine.tell(&News::Event(event));
                });
            }
            None => self.tell(&News::Event(event)),
        }
    }

    /// Whether an offer is the rest of a file that was accepted before: then it is taken without asking again.
    fn goes_on(self: &Arc<Self>, key: Key, name: &str, size: u32) -> bool {
        let known = self.rename(key, name, size);
        if known {
            let engine = Arc::clone(self);
            std::thread::spawn(move || {
                let answered = engine.connected().is_some_and(|client| client.answer_file(key.0, key.1, true).is_ok());
                // If it is not, the offer comes again.
                if answered {
                    engine.finish_if_complete(key);
                }
            });
        }
        known
    }

    /// What has come of this file before belongs to the new offer.
    fn rename(&self, key: Key, name: &str, size: u32) -> bool {
        let mut transfers = self.transfers();
        let of_peer = transfers.arriving.iter_mut().filter(|(old, _)| old.0 == key.0);
        let Some(old) = of_peer.into_iter().find_map(|(old, one)| one.goes_on(name, size, QUIET).then_some(*old))
        else {
            return false;
        };
        if let Some(incoming) = transfers.arriving.remove(&old) {
            transfers.arriving.insert(key, incoming);
        }
        true
    }
}

fn arrived(event: &Event) -> Option<Arrived<'_>> {
    let Event::Message { from, text, id, time } = event else { return None };
    let time = i64::try_from(*time).ok().filter(|time| *time > 0).unwrap_or_else(now_ms);
    Some(Arrived { from: *from, id: *id, time, text })
}
