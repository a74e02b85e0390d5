//! Friends (protocol.md 1.5, 0x0C to 0x0E and 0x17; 1.7): adding and deleting, asking to be authorized, and answering.

use super::changes::{After, Op, Plan, no_room};
use super::messages::{Kind, system_mail};
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::user::{Asker, Lists, Session};
use super::{Cx, OFFLINE, Peer, Shard};
use crate::limits::{self, ASK_OPEN, FIRST_GROUP, SHORT_TEXT_BYTES};
use crate::store::{Answer, Card, Change, Refusal, Request};
use crate::wire::Server;

const ASK: u8 = 0x0D;
pub(super) const ANSWER: u8 = 0x17;

/// Results of adding a friend (protocol.md 1.6, 0x0B).
pub(super) const DONE: u8 = 1;
const NEEDS_AUTHORIZATION: u8 = 2;
const NOBODY_MAY: u8 = 3;
const NEEDS_AUTHORIZATION_OFFLINE: u8 = 4;

/// Adding: 0x0C.
impl Shard {
    pub(super) fn add_friend(&mut self, cx: &mut Cx<'_>, asker: Asker, friend: u32) {
        if friend == asker.number {
            let why = Refused::new(Code::NotPermitted, "you are always with yourself: add somebody else");
            return self.refuse(cx, asker, &why);
        }
        let listed = self.users.get(&asker.number).is_some_and(|user| user.lists.has_friend(friend));
        if listed && self.session(asker.number).is_some_and(|session| session.way.bare().is_some()) {
            return self.reply(cx, asker, &Server::AddResult { result: DONE, friend });
        }
        self.ask_store(cx, Request::Cards(vec![friend]), Pending::AddCard { asker, friend });
    }

    pub(super) fn add_card(&mut self, cx: &mut Cx<'_>, asker: Asker, friend: u32, answer: Answer) {
        let card = match answer {
            Answer::Cards(mut cards) => match cards.pop() {
                Some(card) => card,
                None => return self.refuse(cx, asker, &Refused::no_such_user(friend)),
            },
            _ => return self.refuse(cx, asker, &Refused::storage()),
        };
        let listed = self.users.get(&asker.number).is_some_and(|user| user.lists.has_friend(friend));
        let result = match card.authorization {
            _ if listed => return self.already_listed(cx, asker, &card),
            _ if self.is_blocked_by(asker.number, friend) => NOBODY_MAY,
            0 => return self.change(cx, asker.number, Op::AddFriend { asker, card }),
            1 if self.status_for(asker.number, friend) == OFFLINE => NEEDS_AUTHORIZATION_OFFLINE,
            1 => NEEDS_AUTHORIZATION,
            _ => NOBODY_MAY,
        };
        self.reply(cx, asker, &Server::AddResult { result, friend });
    }

    /// A friend was put on the list: the user is told, the friend is told, and the friend's status is watched.
    pub(super) fn friend_added(&mut self, cx: &mut Cx<'_>, asker: Asker, card: &Card) {
        self.reply(cx, asker, &Server::AddResult { result: DONE, friend: card.number });
        self.new_entry(cx, asker.number, Some(asker), card);
        self.peer(cx, card.number, Peer::Added { from: asker.number });
    }

    /// The friend was on the list before. Over the link the entry is shown all the same: the answer that showed it may have
    /// been lost with a restart of the server, and the user asks again.
    pub(super) fn already_listed(&mut self, cx: &mut Cx<'_>, asker: Asker, card: &Card) {
        self.reply(cx, asker, &Server::AddResult { result: DONE, friend: card.number });
        if self.session(asker.number).is_some_and(|session| session.way.link().is_some()) {
            self.new_entry(cx, asker.number, Some(asker), card);
        }
    }

    /// Shows a new friend (0x0C) and watches the friend's status: as part of the reply to `asker`, unless another session
    /// has begun since, which was shown the list without this friend.
    fn new_entry(&mut self, cx: &mut Cx<'_>, number: u32, asker: Option<Asker>, card: &Card) {
        let Some(id) = self.session(number).map(|session| session.id) else { return };
        let status = self.status_for(number, card.number);
        let Card { number: friend, nickname, portrait, .. } = card;
        let frame = Server::NewFriend { friend: *friend, nickname, portrait: *portrait, status };
        match asker.filter(|asker| asker.session == id) {
            Some(asker) => self.reply(cx, asker, &frame),
            None => {
                if let Some(session) = self.session_mut(number) {
                    session.way.send(cx, &frame);
                }
            }
        }
        self.peer(cx, *friend, Peer::Watch { watcher: number, seen: status });
    }
}

pub(super) fn plan_add(number: u32, lists: &Lists, asker: Asker, card: &Card) -> Plan {
    if lists.has_friend(card.number) {
        return Ok((Vec::new(), After::AlreadyListed { asker, card: card.clone() }));
    }
    no_room(lists, FIRST_GROUP)?;
    let change = Change::PutFriend { owner: number, friend: card.number, group: FIRST_GROUP };
    Ok((vec![change], After::Added { asker, card: card.clone() }))
}

/// Deleting: 0x0E.
impl Shard {
    pub(super) fn delete_friend(&mut self, cx: &mut Cx<'_>, asker: Asker, friend: u32) {
        self.change(cx, asker.number, Op::DeleteFriend { asker, friend });
    }

    pub(super) fn friend_deleted(&mut self, cx: &mut Cx<'_>, asker: Asker, friend: u32) {
        self.reply(cx, asker, &Server::FriendDeleted { ok: 1, friend });
        self.peer(cx, friend, Peer::Unwatch { watcher: asker.number });
    }
}

pub(super) fn plan_delete(number: u32, lists: &Lists, asker: Asker, friend: u32) -> Plan {
    if !lists.has_friend(friend) {
        return Err(Refused::new(Code::NoSuchEntry, format!("{friend} is not on your list")));
    }
    Ok((vec![Change::DeleteFriend { owner: number, friend }], After::FriendDeleted { asker, friend }))
}

/// Asking: 0x0D. The shard of the one who is asked keeps the request.
impl Shard {
    pub(super) fn ask(&mut self, cx: &mut Cx<'_>, asker: Asker, friend: u32, reason: &str) {
        let listed = self.users.get(&asker.number).is_some_and(|user| user.lists.has_friend(friend));
        let why = if reason.len() > SHORT_TEXT_BYTES {
            Refused::new(Code::TooLarge, format!("a reason has at most {SHORT_TEXT_BYTES} bytes"))
        } else if friend == asker.number {
            Refused::new(Code::NotPermitted, "you need not ask yourself")
        } else if listed {
            Refused::new(Code::NotPermitted, format!("{friend} is on your list already"))
        } else if self.is_blocked_by(asker.number, friend) {
            nobody_may(friend)
        } else {
            return self.peer(cx, friend, Peer::Ask { applicant: asker.number, reason: reason.into() });
        };
        self.refuse(cx, asker, &why);
    }

    /// Whether `from` may make `to` be told something once more: adding and asking cost next to nothing, and cannot be
    /// refused.
    fn may_bring_news(&mut self, cx: &Cx<'_>, to: u32, from: u32) -> bool {
        let now_ms = cx.now.mono_ms;
        let few = self.news.count(now_ms, &(to, from)) < limits::NEWS_PER_PAIR;
        if few {
            self.news.add(now_ms, (to, from));
        }
        few
    }

    /// `from` has put `to` on its list.
    pub(super) fn added(&mut self, cx: &mut Cx<'_>, to: u32, from: u32) {
        if self.may_bring_news(cx, to, from) {
            self.tell(cx, to, from, Kind::Added, "");
        }
    }

    pub(super) fn asked(&mut self, cx: &mut Cx<'_>, target: u32, applicant: u32, reason: Box<str>) {
        if self.blocks(target, applicant) {
            return self.notice(cx, applicant, ASK, &nobody_may(target));
        }
        if !self.may_bring_news(cx, target, applicant) {
            let text = format!("you have asked {target} several times: wait for the answer");
            return self.notice(cx, applicant, ASK, &Refused::new(Code::TooFast, text));
        }
        self.ask_store(cx, Request::Cards(vec![target]), Pending::AskCard { target, applicant, reason });
    }

    pub(super) fn ask_card(&mut self, cx: &mut Cx<'_>, target: u32, applicant: u32, reason: Box<str>, answer: &Answer) {
        let why = match answer {
            Answer::Cards(cards) => match cards.first() {
                None => Refused::no_such_user(target),
                Some(card) if card.authorization >= NOBODY_ALLOWED => nobody_may(target),
                Some(_) => {
                    let request = Request::Asked { target, asker: applicant };
                    return self.ask_store(cx, request, Pending::AskAgain { target, applicant, reason });
                }
            },
            _ => Refused::storage(),
        };
        self.notice(cx, applicant, ASK, &why);
    }

    /// Stores the request. While an earlier one is open, it waits in the mailbox already: another would only fill it.
    pub(super) fn store_ask(
        &mut self,
        cx: &mut Cx<'_>,
        target: u32,
        applicant: u32,
        reason: Box<str>,
        earlier: &Answer,
    ) {
        let until_ms = cx.now.unix_ms + ASK_OPEN.as_millis() as u64;
        let mut changes = vec![Change::PutAsk { target, asker: applicant, until_ms }];
        let live = self.session(target).is_some_and(Session::takes_mail);
        let open = matches!(earlier, Answer::Until(Some(until_ms)) if *until_ms >= cx.now.unix_ms);
        if !live && !open {
            changes.push(Change::AddMail(target, system_mail(cx, applicant, Kind::Asks, &reason)));
        }
        self.add_mail(cx, target, changes, Pending::Ask { target, applicant, reason, tell: live });
    }

    pub(super) fn ask_stored(
        &mut self,
        cx: &mut Cx<'_>,
        target: u32,
        applicant: u32,
        reason: &str,
        tell: bool,
        answer: &Answer,
    ) {
        let why = match answer {
            Answer::Done | Answer::Mailed(_) if tell => return self.tell(cx, target, applicant, Kind::Asks, reason),
            Answer::Done | Answer::Mailed(_) => return,
            Answer::Refused(Refusal::Blocked) => nobody_may(target),
            Answer::Refused(refusal) => Refused::from(*refusal),
            _ => Refused::storage(),
        };
        self.notice(cx, applicant, ASK, &why);
    }
}

/// Also said to who is blocked: the answer does not tell the two apart.
fn nobody_may(number: u32) -> Refused {
    Refused::new(Code::RefusedByOther, format!("{number} lets nobody add them"))
}

/// The authorization with which nobody may add a user, and need not ask (protocol.md 1.4).
const NOBODY_ALLOWED: u8 = 2;

/// Answering: 0x17. The shard of the one who asked puts the entry in: it owns that list.
impl Shard {
    pub(super) fn answer(&mut self, cx: &mut Cx<'_>, asker: Asker, friend: u32, agree: u8) {
        if agree > 1 {
            let why = Refused::new(Code::Malformed, format!("answer {agree} does not exist: 0 refuse, 1 agree"));
            return self.refuse(cx, asker, &why);
        }
        let request = Request::Asked { target: asker.number, asker: friend };
        self.ask_store(cx, request, Pending::Asked { asker, friend, agree: agree == 1 });
    }

    pub(super) fn answer_open(&mut self, cx: &mut Cx<'_>, asker: Asker, friend: u32, agree: bool, answer: &Answer) {
        let why = match answer {
            Answer::Until(Some(until_ms)) if *until_ms >= cx.now.unix_ms => {
                return self.peer(cx, friend, Peer::Answered { by: asker.number, agree });
            }
            Answer::Until(_) => Refused::new(Code::NoSuchEntry, format!("{friend} has no open request to you")),
            _ => Refused::storage(),
        };
        self.refuse(cx, asker, &why);
    }

    /// `by` has answered the request of `to`, a user of this shard.
    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, to: u32, by: u32, agree: bool) {
        if agree {
            self.ask_store(cx, Request::Cards(vec![by]), Pending::AnswerCard { applicant: to, by });
        } else {
            self.change_anyone(cx, to, Op::Answered { by, agreed: None });
        }
    }

    pub(super) fn answer_card(&mut self, cx: &mut Cx<'_>, applicant: u32, by: u32, answer: Answer) {
        match answer {
            // An account that is gone meanwhile has no card, and nobody there to tell.
            Answer::Cards(mut cards) => {
                if let Some(card) = cards.pop() {
                    self.change_anyone(cx, applicant, Op::Answered { by, agreed: Some(card) });
                }
            }
            _ => self.notice(cx, by, ANSWER, &Refused::storage()),
        }
    }

    /// The answer is durable: the one who asked is told, now or at the next sign-in.
    pub(super) fn answer_done(&mut self, cx: &mut Cx<'_>, number: u32, by: u32, entry: Option<Card>, told: Told) {
        match told {
            Told::Mailed => {}
            Told::Agreed => self.tell(cx, number, by, Kind::Agreed, ""),
            Told::Refused => self.tell(cx, number, by, Kind::Refused, ""),
        }
        if let Some(card) = entry {
            self.new_entry(cx, number, None, &card);
        }
    }
}

/// How the one who asked learns of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It is in the mailbox, by the same commit.
    Mailed,
    Agreed,
    Refused,
}

/// The request is closed; if it was agreed to, the entry is put in. `live`: whether the user can be told at once.
pub(super) fn plan_answered(
    cx: &Cx<'_>,
    number: u32,
    lists: &Lists,
    by: u32,
    agreed: Option<&Card>,
    live: bool,
) -> Plan {
    let mut changes = vec![Change::DeleteAsk { target: by, asker: number }];
    let entry = agreed.filter(|card| !lists.has_friend(card.number));
    if let Some(card) = entry {
        no_room(lists, FIRST_GROUP).map_err(|why| {
            // The one who agreed is told: it is not their own list that is full.
            let text = format!("{number} cannot list you: {}", why.text);
            Refused { text, ..why }
        })?;
        changes.push(Change::PutFriend { owner: number, friend: card.number, group: FIRST_GROUP });
    }
    let (kind, told) = if agreed.is_some() { (Kind::Agreed, Told::Agreed) } else { (Kind::Refused, Told::Refused) };
    if !live {
        changes.push(Change::AddMail(number, system_mail(cx, by, kind, "")));
    }
    let told = if live { told } else { Told::Mailed };
    Ok((changes, After::Answered { by, entry: entry.cloned(), told }))
}
