//! Files (protocol.md 1.5, 0x13 to 0x15; 1.7; 3.1): offered, answered, and passed on piece by piece.
//!
//! The shard of the one who offers keeps the size and what was passed on; the shard of the other only that an offer is
//! open or accepted, so that nobody answers, or fills, what was never offered.
//!
//! The sender chooses a number for each offer, so several can stand between the same two people. Bare frames have none:
//! theirs is 0, and a new one takes the place of the old.

use super::notice::{Code, Refused};
use super::pending::Pending;
use super::user::{Asker, HIDDEN, Session};
use super::{Cx, Peer, Shard};
use crate::limits::{self, FILE_AHEAD_BYTES, FILE_NAME_BYTES, TRANSFERS, TRANSFERS_FROM_ONE};
use crate::store::{Answer, Request};
use crate::wire::{Blob, Server, check_name};

const OFFER: u8 = 0x13;
const ANSWER: u8 = 0x14;
const DATA: u8 = 0x15;
const PROGRESS: u8 = 0x46;

/// The transfers of one session. Most have none.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    /// What it offers.
    outgoing: Vec<Outgoing>,
    /// What it is offered.
    incoming: Vec<Incoming>,
}

/// Which transfer: with whom, and the offer's number where the frame has one. In bare frames it is the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Which {
    pub peer: u32,
    pub offer: Option<u32>,
}

impl Which {
    fn is(self, peer: u32, offer: u32) -> bool {
        self.peer == peer && self.offer.is_none_or(|one| one == offer)
    }
}

/// A file that somebody offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOffer {
    /// Its number.
    pub offer: u32,
    /// The name of the file.
    pub name: Box<str>,
    /// Its size in bytes.
    pub size: u32,
}

#[derive(Debug)]
struct Outgoing {
    to: u32,
    offer: u32,
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
    offer: u32,
    accepted: bool,
}

impl Session {
    /// An offer's number, as this session is told it.
    fn told(&self, offer: u32) -> Option<u32> {
        self.way.link().map(|_| offer)
    }
}

/// Offering: 0x13.
impl Shard {
    pub(super) fn offer_file(&mut self, cx: &mut Cx<'_>, asker: Asker, to: Which, name: &str, size: u32) {
        let Which { peer: to, offer } = to;
        let offer = offer.unwrap_or(0);
        let Some(session) = self.session_mut(asker.number) else { return };
        let transfers = session.transfers.get_or_insert_default();
        let others = transfers.outgoing.iter().filter(|one| (one.to, one.offer) != (to, offer)).count();
        let why = if let Err(fault) = check_name("the name of a file", name, FILE_NAME_BYTES) {
            Refused::from(fault)
        } else if to == asker.number {
            Refused::new(Code::NotPermitted, "a file for yourself is not passed on")
        } else if !(limits::FIRST_USER..=limits::LAST_USER).contains(&to) {
            gone(to)
        } else if others >= TRANSFERS {
            let text = format!("you offer {TRANSFERS} files already: wait until one is taken or refused");
            Refused::new(Code::Busy, text)
        } else {
            // The same offer again takes the place of the old one; the other side forgets that with it.
            transfers.outgoing.retain(|one| (one.to, one.offer) != (to, offer));
            transfers.outgoing.push(Outgoing { to, offer, size, passed_on: 0, accepted: false, received: None });
            let file = FileOffer { offer, name: name.into(), size };
            return self.peer(cx, to, Peer::FileOffer { from: asker.number, file });
        };
        self.refuse(cx, asker, &why);
    }

    /// Whoever is hidden is offered nothing: whatever came of it would show that somebody is there.
    pub(super) fn file_offered(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, file: FileOffer) {
        let offer = file.offer;
        if self.refuses(to, from) {
            return self.offer_failed(cx, to, from, offer, &Refused::blocked());
        }
        let Some(session) = self.session_mut(to).filter(|session| session.status != HIDDEN) else {
            if self.users.contains_key(&to) {
                return self.offer_failed(cx, to, from, offer, &gone(to));
            }
            // Who refuses it says so whether online or not: the answer must not tell which.
            let request = Request::Refuses { owner: to, other: from };
            return self.ask_store(cx, request, Pending::OfferOffline { to, from, offer });
        };
        let bare = session.way.bare().is_some();
        let transfers = session.transfers.get_or_insert_default();
        // In bare frames a new offer takes the place of the old one: nothing in them could tell the two apart.
        let replaced = |one: &Incoming| one.from == from && (bare || one.offer == offer);
        let ended: Vec<u32> = transfers.incoming.extract_if(.., |one| replaced(one)).map(|one| one.offer).collect();
        let of_one = transfers.incoming.iter().filter(|one| one.from == from).count();
        let full = transfers.incoming.len() >= TRANSFERS || of_one >= TRANSFERS_FROM_ONE;
        if !full {
            transfers.incoming.push(Incoming { from, offer, accepted: false });
            let FileOffer { name, size, .. } = &file;
            let offer = session.told(offer);
            session.way.send(cx, &Server::FileOffered { sender: from, name, size: *size, offer });
        }
        for old in ended.into_iter().filter(|old| *old != offer) {
            self.peer(cx, from, Peer::FileEnd { from: to, offer: old, offered_by_to: true });
        }
        if full {
            let text = format!("{to} is offered as many files as can be: try again later");
            self.offer_failed(cx, to, from, offer, &Refused::new(Code::Busy, text));
        }
    }

    /// Somebody who is not there was offered a file: whether the sender is refused is in the store.
    pub(super) fn offer_offline(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, offer: u32, answer: &Answer) {
        let refused = *answer == Answer::Refuses(true);
        self.offer_failed(cx, to, from, offer, &if refused { Refused::blocked() } else { gone(to) });
    }

    fn offer_failed(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, offer: u32, why: &Refused) {
        self.peer(cx, from, Peer::FileEnd { from: to, offer, offered_by_to: true });
        self.notice(cx, from, OFFER, why);
    }
}

/// Answering: 0x14.
impl Shard {
    pub(super) fn answer_file(&mut self, cx: &mut Cx<'_>, asker: Asker, which: Which, allow: u8) {
        let Some(session) = self.session_mut(asker.number) else { return };
        let transfers = session.transfers.get_or_insert_default();
        let open = |one: &Incoming| which.is(one.from, one.offer) && !one.accepted;
        let Some(at) = transfers.incoming.iter().position(open) else {
            let why = Refused::new(Code::NoSuchTransfer, format!("{} has no open offer to you", which.peer));
            return self.refuse(cx, asker, &why);
        };
        let (offerer, offer) = (transfers.incoming[at].from, transfers.incoming[at].offer);
        match allow {
            0 => drop(transfers.incoming.swap_remove(at)),
            1 => transfers.incoming[at].accepted = true,
            _ => {
                let why = format!("answer {allow} does not exist: 0 refuse, 1 accept");
                return self.refuse(cx, asker, &Refused::new(Code::Malformed, why));
            }
        }
        let paced = session.way.link().is_some();
        self.peer(cx, offerer, Peer::FileAnswer { from: asker.number, offer, allow: allow == 1, paced });
    }

    pub(super) fn file_answered(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, offer: u32, allow: bool, paced: bool) {
        let transfers = self.session_mut(to).and_then(|session| session.transfers.as_mut());
        let open = transfers.and_then(|all| {
            let at = all.outgoing.iter().position(|one| (one.to, one.offer) == (from, offer) && !one.accepted)?;
            all.outgoing[at].accepted = allow;
            all.outgoing[at].received = paced.then_some(0);
            Some((at, all))
        });
        let Some((at, transfers)) = open else {
            // The one who offered has gone, or has offered something else since.
            self.peer(cx, from, Peer::FileEnd { from: to, offer, offered_by_to: false });
            let why = Refused::new(Code::NoSuchTransfer, format!("{to} offers that file no more"));
            return self.notice(cx, from, ANSWER, &why);
        };
        let complete = transfers.outgoing[at].is_complete();
        if !allow || complete {
            transfers.outgoing.swap_remove(at);
        }
        if let Some(session) = self.session_mut(to) {
            let told = session.told(offer);
            session.way.send(cx, &Server::FileAnswered { sender: from, allow: u8::from(allow), offer: told });
        }
        if allow && complete {
            self.peer(cx, from, Peer::FileEnd { from: to, offer, offered_by_to: false });
        }
    }
}

/// The bytes: 0x15 and 0x46.
impl Shard {
    pub(super) fn file_data(&mut self, cx: &mut Cx<'_>, me: u32, which: Which, data: &[u8]) {
        let to = which.peer;
        let session = self.session_mut(me);
        // Over bare frames nobody is told what has arrived.
        let told = session.as_ref().is_some_and(|session| session.way.link().is_some());
        let transfers = session.and_then(|session| session.transfers.as_mut());
        let accepted = transfers.and_then(|all| {
            let at = all.outgoing.iter().position(|one| which.is(one.to, one.offer) && one.accepted)?;
            Some((at, all))
        });
        let Some((at, transfers)) = accepted else {
            let text = format!("{to} has not accepted a file from you, or it is complete");
            return self.notice(cx, me, DATA, &Refused::new(Code::NoSuchTransfer, text));
        };
        let file = &mut transfers.outgoing[at];
        let offer = file.offer;
        let left = (file.size - file.passed_on) as usize;
        if data.len() > left {
            let text = format!("the file that {to} accepted has {left} bytes left; this piece has {}", data.len());
            return self.notice(cx, me, DATA, &Refused::new(Code::TooLarge, text));
        }
        let ahead = file.received.map_or(0, |received| file.passed_on - received) as usize + data.len();
        if told && file.received.is_some() && ahead > FILE_AHEAD_BYTES as usize {
            let text =
                format!("{to} has yet to say what has arrived: at most {FILE_AHEAD_BYTES} bytes may be on their way");
            return self.notice(cx, me, DATA, &Refused::new(Code::TooFast, text));
        }
        file.passed_on += data.len() as u32;
        // One that is told what has arrived is over when all has.
        let complete = file.is_complete() && file.received.is_none();
        if complete {
            transfers.outgoing.swap_remove(at);
        }
        if self.territory.owns(to) {
            self.file_piece(cx, to, me, offer, data);
        } else {
            cx.out.peers.push((to, Peer::FilePiece { from: me, offer, data: data.into() }));
        }
        if complete {
            // Behind the last piece, by the same way.
            self.peer(cx, to, Peer::FileEnd { from: me, offer, offered_by_to: false });
        }
    }

    pub(super) fn file_piece(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, offer: u32, data: &[u8]) {
        let accepted = |one: &Incoming| (one.from, one.offer) == (from, offer) && one.accepted;
        let session = self
            .session_mut(to)
            .filter(|session| session.transfers.as_ref().is_some_and(|all| all.incoming.iter().any(accepted)));
        match session {
            Some(session) => {
                let offer = session.told(offer);
                session.way.send(cx, &Server::FileData { sender: from, data: Blob(data), offer });
            }
            None => self.notice(cx, from, DATA, &gone(to)),
        }
    }

    /// 0x46: the receiver of a file says how much of it has arrived.
    pub(super) fn progress(&mut self, cx: &mut Cx<'_>, me: u32, which: Which, received: u32) {
        let transfers = self.session(me).and_then(|session| session.transfers.as_ref());
        let accepted = |one: &&Incoming| which.is(one.from, one.offer) && one.accepted;
        if let Some(offer) = transfers.and_then(|all| all.incoming.iter().find(accepted)).map(|one| one.offer) {
            return self.peer(cx, which.peer, Peer::Progress { from: me, offer, received });
        }
        let why = Refused::new(Code::NoSuchTransfer, format!("you take no file from {}", which.peer));
        self.notice(cx, me, PROGRESS, &why);
    }

    /// The receiver of a file of `to` has so much of it. The transfer is over when that is all.
    pub(super) fn file_progress(&mut self, cx: &mut Cx<'_>, to: u32, from: u32, offer: u32, received: u32) {
        let Some(session) = self.session_mut(to) else { return };
        let Some(transfers) = session.transfers.as_mut() else { return };
        let taken = |one: &Outgoing| (one.to, one.offer) == (from, offer) && one.accepted;
        let Some(at) = transfers.outgoing.iter().position(taken) else { return };
        let file = &mut transfers.outgoing[at];
        let Some(before) = file.received else { return };
        let received = received.min(file.passed_on).max(before);
        file.received = Some(received);
        let over = file.is_complete() && received == file.size;
        if over {
            transfers.outgoing.swap_remove(at);
        }
        if let Some(channel) = session.way.link_mut() {
            channel.send(cx, &Server::Progress { peer: from, received, offer: Some(offer) });
        }
        if over {
            self.peer(cx, from, Peer::FileEnd { from: to, offer, offered_by_to: false });
        }
    }
}

/// The end.
impl Shard {
    /// The other side has ended a transfer.
    pub(super) fn file_ended(&mut self, to: u32, from: u32, offer: u32, offered_by_to: bool) {
        let Some(transfers) = self.session_mut(to).and_then(|session| session.transfers.as_mut()) else { return };
        if offered_by_to {
            transfers.outgoing.retain(|one| (one.to, one.offer) != (from, offer));
        } else {
            transfers.incoming.retain(|one| (one.from, one.offer) != (from, offer));
        }
    }

    /// Nothing more is passed on between these two.
    pub(super) fn end_transfers_with(&mut self, cx: &mut Cx<'_>, number: u32, other: u32) {
        let Some(transfers) = self.session_mut(number).and_then(|session| session.transfers.as_mut()) else { return };
        let ended = Transfers {
            outgoing: transfers.outgoing.extract_if(.., |one| one.to == other).collect(),
            incoming: transfers.incoming.extract_if(.., |one| one.from == other).collect(),
        };
        self.end_transfers(cx, number, Some(Box::new(ended)));
    }

    /// A session has ended, or nobody is to see it any more, and its transfers are over with it.
    pub(super) fn end_transfers(&mut self, cx: &mut Cx<'_>, number: u32, transfers: Option<Box<Transfers>>) {
        let Some(transfers) = transfers else { return };
        for Outgoing { to, offer, .. } in transfers.outgoing {
            self.peer(cx, to, Peer::FileEnd { from: number, offer, offered_by_to: false });
        }
        for Incoming { from, offer, .. } in transfers.incoming {
            self.peer(cx, from, Peer::FileEnd { from: number, offer, offered_by_to: true });
        }
    }
}

fn gone(number: u32) -> Refused {
    Refused::new(Code::NoSuchTransfer, format!("{number} is not online to take a file"))
}
