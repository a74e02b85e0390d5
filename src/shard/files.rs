//! Files (protocol.md 1.5, 0x13 to 0x15; 1.7): offered, answered, and passed on piece by piece.
//!
//! The shard of the one who offers keeps the size and what was passed on; the shard of the other only that an offer is
//! open or accepted, so that nobody answers, or fills, what was never offered.

use super::notice::{Code, Refused};
use super::user::Asker;
use super::{Cx, OFFLINE, Peer, Shard};
use crate::limits::{FILE_AHEAD_BYTES, FILE_NAME_BYTES, TRANSFERS};
use crate::wire::{Blob, Server};

const OFFER: u8 = 0x13;
const ANSWER: u8 = 0x14;
const DATA: u8 = 0x15;
const PROGRESS: u8 = 0x46;

/// The transfers of one session. Most have none.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    /// What it offers, at most one file to each user.
    outgoing: Vec<Outgoing>,
    /// What it is offered.
    incoming: Vec<Incoming>,
}

#[derive(Debug)]
struct Outgoing {
    to: u32,
    size: u32,
    passed_on: u32,
    accepted: bool,
    /// What the receiver has, if it says so: then the sender must not be far ahead of it.
    received: Option<u32>,
}

impl Outgoing {
    fn is_complete(&self) -> bool {
        self.passed_on == self.size
    }
}

#[derive(Debug)]
struct Incoming {
    from: u32,
    accepted: bool,
}

impl Shard {
    pub(super) fn offer_file(&mut self, cx: &mut Cx<'_>, asker: Asker, to: u32, name: &str, size: u32) {
        let visible = self.board.get(to) != OFFLINE;
        let Some(session) = self.session_mut(asker.number) else { return };
        let transfers = session.transfers.get_or_insert_default();
        let others = transfers.outgoing.iter().filter(|one| one.to != to).count();
        let why = if name.is_empty() {
            Refused::new(Code::Malformed, "a file must have a name")
        } else if name.len() > FILE_NAME_BYTES {
            let text = format!("a file name has at most {FILE_NAME_BYTES} bytes; this one has {}", name.len());
            Refused::new(Code::TooLarge, text)
        } else if to == asker.number {
            Refused::new(Code::NotPermitted, "a file for yourself is not passed on")
        } else if !visible {
            // A hidden user is not offered any file: whatever came of it would show that somebody is there.
            gone(to)
        } else if others >= TRANSFERS {
            let text = format!("you offer {TRANSFERS} files already: wait until one is taken or refused");
            Refused::new(Code::Busy, text)
        } else {
            // A new offer to the same user takes the place of the old one; the other side forgets that with it.
            transfers.outgoing.retain(|one| one.to != to);
            transfers.outgoing.push(Outgoing { to, size, passed_on: 0, accepted: false, received: None });
            return self.peer(cx, to, Peer::FileOffer { from: asker.number, name: name.into(), size });
        };
        self.refuse(cx, asker, &why);
    }

    pub(super) fn file_offered(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, name: &str, size: u32) {
        let end = Peer::FileEnd { from: to, offered_by_to: true };
        if self.blocks(to, from) {
            self.peer(cx, from, end);
            return self.notice(cx, from, OFFER, &Refused::blocked());
        }
        let Some(session) = self.session_mut(to) else {
            self.peer(cx, from, end);
            return self.notice(cx, from, OFFER, &gone(to));
        };
        let transfers = session.transfers.get_or_insert_default();
        transfers.incoming.retain(|one| one.from != from);
        if transfers.incoming.len() >= TRANSFERS {
            self.peer(cx, from, end);
            let text = format!("{to} is offered {TRANSFERS} files already: try again later");
            return self.notice(cx, from, OFFER, &Refused::new(Code::Busy, text));
        }
        transfers.incoming.push(Incoming { from, accepted: false });
        session.way.send(cx, &Server::FileOffered { sender: from, name, size, offer: None });
    }

    pub(super) fn answer_file(&mut self, cx: &mut Cx<'_>, asker: Asker, offerer: u32, allow: u8) {
        let Some(session) = self.session_mut(asker.number) else { return };
        let transfers = session.transfers.get_or_insert_default();
        let Some(at) = transfers.incoming.iter().position(|one| one.from == offerer && !one.accepted) else {
            let why = Refused::new(Code::NoSuchTransfer, format!("{offerer} has no open offer to you"));
            return self.refuse(cx, asker, &why);
        };
        match allow {
            0 => drop(transfers.incoming.swap_remove(at)),
            1 => transfers.incoming[at].accepted = true,
            _ => {
                let why = format!("answer {allow} does not exist: 0 refuse, 1 accept");
                return self.refuse(cx, asker, &Refused::new(Code::Malformed, why));
            }
        }
        let paced = session.way.link().is_some();
        self.peer(cx, offerer, Peer::FileAnswer { from: asker.number, allow: allow == 1, paced });
    }

    pub(super) fn file_answered(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, allow: bool, paced: bool) {
        let transfers = self.session_mut(to).and_then(|session| session.transfers.as_mut());
        let offer = transfers.and_then(|all| {
            let at = all.outgoing.iter().position(|one| one.to == from && !one.accepted)?;
            all.outgoing[at].accepted = allow;
            all.outgoing[at].received = paced.then_some(0);
            Some((at, all))
        });
        let Some((at, transfers)) = offer else {
            // The one who offered has gone, or has offered something else since.
            self.peer(cx, from, Peer::FileEnd { from: to, offered_by_to: false });
            let why = Refused::new(Code::NoSuchTransfer, format!("{to} offers that file no more"));
            return self.notice(cx, from, ANSWER, &why);
        };
        let complete = transfers.outgoing[at].is_complete();
        if !allow || complete {
            transfers.outgoing.swap_remove(at);
        }
        if let Some(session) = self.session_mut(to) {
            session.way.send(cx, &Server::FileAnswered { sender: from, allow: u8::from(allow), offer: None });
        }
        if allow && complete {
            self.peer(cx, from, Peer::FileEnd { from: to, offered_by_to: false });
        }
    }

    pub(super) fn file_data(&mut self, cx: &mut Cx<'_>, me: u32, to: u32, data: &[u8]) {
        let session = self.session_mut(me);
        // Over bare frames nobody is told what has arrived.
        let told = session.as_ref().is_some_and(|session| session.way.link().is_some());
        let transfers = session.and_then(|session| session.transfers.as_mut());
        let accepted = transfers.and_then(|all| {
            let at = all.outgoing.iter().position(|one| one.to == to && one.accepted)?;
            Some((at, all))
        });
        let Some((at, transfers)) = accepted else {
            let text = format!("{to} has not accepted a file from you, or it is complete");
            return self.notice(cx, me, DATA, &Refused::new(Code::NoSuchTransfer, text));
        };
        let offer = &mut transfers.outgoing[at];
        let left = (offer.size - offer.passed_on) as usize;
        if data.len() > left {
            let text = format!("the file that {to} accepted has {left} bytes left; this piece has {}", data.len());
            return self.notice(cx, me, DATA, &Refused::new(Code::TooLarge, text));
        }
        let ahead = offer.received.map_or(0, |received| offer.passed_on - received) as usize + data.len();
        if told && offer.received.is_some() && ahead > FILE_AHEAD_BYTES as usize {
            let text =
                format!("{to} has yet to say what has arrived: at most {FILE_AHEAD_BYTES} bytes may be on their way");
            return self.notice(cx, me, DATA, &Refused::new(Code::TooFast, text));
        }
        offer.passed_on += data.len() as u32;
        // One that is told what has arrived is over when all has.
        let complete = offer.is_complete() && offer.received.is_none();
        if complete {
            transfers.outgoing.swap_remove(at);
        }
        if self.territory.owns(to) {
            self.file_piece(cx, to, me, data);
        } else {
            cx.out.peers.push((to, Peer::FilePiece { from: me, data: data.into() }));
        }
        if complete {
            // Behind the last piece, by the same way.
            self.peer(cx, to, Peer::FileEnd { from: me, offered_by_to: false });
        }
    }

    pub(super) fn file_piece(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, data: &[u8]) {
        let accepted = self.session_mut(to).filter(|session| {
            session
                .transfers
                .as_ref()
                .is_some_and(|all| all.incoming.iter().any(|one| one.from == from && one.accepted))
        });
        match accepted {
            Some(session) => session.way.send(cx, &Server::FileData { sender: from, data: Blob(data), offer: None }),
            None => self.notice(cx, from, DATA, &gone(to)),
        }
    }

    /// 0x46: the receiver of a file says how much of it has arrived.
    pub(super) fn progress(&mut self, cx: &mut Cx<'_>, me: u32, peer: u32, received: u32) {
        let transfers = self.session(me).and_then(|session| session.transfers.as_ref());
        if transfers.is_some_and(|all| all.incoming.iter().any(|one| one.from == peer && one.accepted)) {
            return self.peer(cx, peer, Peer::Progress { from: me, received });
        }
        let why = Refused::new(Code::NoSuchTransfer, format!("you take no file from {peer}"));
        self.notice(cx, me, PROGRESS, &why);
    }

    /// The receiver of a file of `to` has so much of it. The transfer is over when that is all.
    pub(super) fn file_progress(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, received: u32) {
        let Some(session) = self.session_mut(to) else { return };
        let Some(transfers) = session.transfers.as_mut() else { return };
        let Some(at) = transfers.outgoing.iter().position(|one| one.to == from && one.accepted) else { return };
        let offer = &mut transfers.outgoing[at];
        let Some(before) = offer.received else { return };
        let received = received.min(offer.passed_on).max(before);
        offer.received = Some(received);
        let over = offer.is_complete() && received == offer.size;
        if over {
            transfers.outgoing.swap_remove(at);
        }
        if let Some(channel) = session.way.link_mut() {
            channel.send(cx, &Server::Progress { peer: from, received, offer: None });
        }
        if over {
            self.peer(cx, from, Peer::FileEnd { from: to, offered_by_to: false });
        }
    }

    /// The other side has ended a transfer.
    pub(super) fn file_ended(&mut self, to: u32, from: u32, offered_by_to: bool) {
        let Some(transfers) = self.session_mut(to).and_then(|session| session.transfers.as_mut()) else { return };
        if offered_by_to {
            transfers.outgoing.retain(|one| one.to != from);
        } else {
            transfers.incoming.retain(|one| one.from != from);
        }
    }

    /// A session has ended, and its transfers with it.
    pub(super) fn end_transfers(&mut self, cx: &mut Cx<'_>, number: u32, transfers: Option<Box<Transfers>>) {
        let Some(transfers) = transfers else { return };
        for one in &transfers.outgoing {
            self.peer(cx, one.to, Peer::FileEnd { from: number, offered_by_to: false });
        }
        for one in &transfers.incoming {
            self.peer(cx, one.from, Peer::FileEnd { from: number, offered_by_to: true });
        }
    }
}

fn gone(number: u32) -> Refused {
    Refused::new(Code::NoSuchTransfer, format!("{number} is not online to take a file"))
}
