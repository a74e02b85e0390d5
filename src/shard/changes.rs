//! Changes of a user's lists and account, one at a time for each user: decided on what is durable, answered when they are.

use super::friends::Told;
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::requests::failed_reply;
use super::user::{Asker, Lists, User};
use super::{Cx, Shard, friends, groups};
use crate::limits;
use crate::store::{Answer, Card, Change, Request};
use crate::wire::{Dialect, Server, User as Frame};

/// A change that a user asked for, or that somebody's answer causes.
#[derive(Debug)]
pub(super) enum Op {
    AddGroup {
        asker: Asker,
        name: Box<str>,
    },
    RenameGroup {
        asker: Asker,
        group: u8,
        name: Box<str>,
    },
    DeleteGroup {
        asker: Asker,
        group: u8,
    },
    MoveFriends {
        asker: Asker,
        moves: Vec<(u32, u8)>,
    },
    AddFriend {
        asker: Asker,
        card: Card,
    },
    DeleteFriend {
        asker: Asker,
        friend: u32,
    },
    /// `by` has answered this user's request for authorization; with a card if they agreed.
    Answered {
        by: u32,
        agreed: Option<Card>,
    },
    /// Another profile: the request as it came, and the hash of the new password if there is one.
    Update {
        asker: Asker,
        request: Box<[u8]>,
        hash: Option<Box<str>>,
    },
}

/// What is to be told when a change is durable.
#[derive(Debug)]
pub(super) enum After {
    GroupAdded {
        asker: Asker,
        group: u8,
        name: Box<str>,
    },
    GroupRenamed {
        asker: Asker,
        group: u8,
        name: Box<str>,
    },
    GroupDeleted {
        asker: Asker,
        group: u8,
    },
    Moved {
        asker: Asker,
    },
    Added {
        asker: Asker,
        card: Card,
    },
    FriendDeleted {
        asker: Asker,
        friend: u32,
    },
    /// The friend was on the list already: nobody is told again.
    AlreadyListed {
        asker: Asker,
        friend: u32,
    },
    Answered {
        by: u32,
        entry: Option<Card>,
        told: Told,
    },
    Updated {
        asker: Asker,
    },
}

impl Op {
    /// Who asked for it, and the reply that says "not done".
    fn asker(&self) -> Option<(Asker, Option<Server<'static>>)> {
        let (asker, request) = match self {
            Self::AddGroup { asker, .. } => (*asker, Frame::AddGroup { me: 0, name: "" }),
            Self::RenameGroup { asker, .. } => (*asker, Frame::RenameGroup { me: 0, group: 0, name: "" }),
            Self::DeleteGroup { asker, .. } => (*asker, Frame::DeleteGroup { me: 0, group: 0 }),
            Self::MoveFriends { asker, .. } => (*asker, Frame::MoveFriends { me: 0, moves: crate::wire::List::NONE }),
            Self::AddFriend { asker, card } => (*asker, Frame::AddFriend { me: 0, friend: card.number }),
            Self::DeleteFriend { asker, .. } => (*asker, Frame::DeleteFriend { me: 0, friend: 0 }),
            Self::Update { asker, .. } => return Some((*asker, Some(Server::Updated { ok: 0 }))),
            Self::Answered { .. } => return None,
        };
        Some((asker, failed_reply(&request)))
    }
}

/// Changes to commit and what to tell then; nothing to commit where there was nothing to do.
pub(super) type Plan = Result<(Vec<Change>, After), Refused>;

impl Shard {
    /// Does a change as soon as the earlier ones of the same user are done. The user must be in memory.
    pub(super) fn change(&mut self, cx: &mut Cx<'_>, number: u32, op: Op) {
        let Some(user) = self.users.get_mut(&number) else { return };
        if user.changing {
            if user.waiting.len() < limits::CHANGES_WAITING {
                user.waiting.push_back(op);
                return;
            }
            return self.refuse_op(cx, &op, &Refused::busy());
        }
        self.begin_change(cx, number, op);
    }

    fn begin_change(&mut self, cx: &mut Cx<'_>, number: u32, op: Op) {
        let Some(user) = self.users.get_mut(&number) else { return };
        if let Op::Update { .. } = op {
            user.changing = true;
            return self.ask_store(cx, Request::Account(number), Pending::UpdateAccount { number, op });
        }
        match plan(cx, number, user, &op) {
            Ok((changes, after)) if changes.is_empty() => self.tell_change(cx, number, after),
            Ok((changes, after)) => self.commit_change(cx, number, changes, after),
            Err(why) => self.refuse_op(cx, &op, &why),
        }
    }

    fn commit_change(&mut self, cx: &mut Cx<'_>, number: u32, changes: Vec<Change>, after: After) {
        let Some(user) = self.users.get_mut(&number) else { return };
        user.changing = true;
        let pending = Pending::Change { number, changes: changes.clone(), after };
        self.add_mail(cx, number, changes, pending);
    }

    /// The account that is to get another profile was read.
    pub(super) fn update_account(&mut self, cx: &mut Cx<'_>, number: u32, op: Op, answer: Answer) {
        let Op::Update { asker, request, hash } = op else { unreachable!("only updates read the account") };
        let Answer::Account(Some(mut account)) = answer else {
            let after = After::Updated { asker };
            return self.changed(cx, number, &[], after, &Answer::Failed);
        };
        let Ok(Frame::Update { profile, .. }) = Frame::decode(&request, Dialect::Classic) else {
            unreachable!("decoded before")
        };
        account.set_profile(&profile);
        if let Some(hash) = hash {
            account.password = hash;
        }
        self.commit_change(cx, number, vec![Change::PutAccount(number, account)], After::Updated { asker });
    }

    /// The store has answered: memory follows, the user is told, and the next change begins.
    pub(super) fn changed(&mut self, cx: &mut Cx<'_>, number: u32, changes: &[Change], after: After, answer: &Answer) {
        let Some(user) = self.users.get_mut(&number) else { return };
        user.changing = false;
        match answer {
            Answer::Done => {
                changes.iter().for_each(|change| user.lists.apply(change));
                self.tell_change(cx, number, after);
            }
            Answer::Refused(refusal) => self.change_failed(cx, after, &Refused::from(*refusal)),
            _ => self.change_failed(cx, after, &Refused::storage()),
        }
        while let Some(op) =
            self.users.get_mut(&number).filter(|user| !user.changing).and_then(|user| user.waiting.pop_front())
        {
            self.begin_change(cx, number, op);
        }
        self.forget_if_idle(number);
    }

    fn tell_change(&mut self, cx: &mut Cx<'_>, number: u32, after: After) {
        match after {
            After::GroupAdded { asker, group, name } => {
                self.reply(cx, asker, &Server::GroupAdded { ok: 1, group, name: &name });
            }
            After::GroupRenamed { asker, group, name } => {
                self.reply(cx, asker, &Server::GroupRenamed { ok: 1, group, name: &name });
            }
            After::GroupDeleted { asker, group } => self.reply(cx, asker, &Server::GroupDeleted { ok: 1, group }),
            After::Moved { asker } => self.reply(cx, asker, &Server::FriendsMoved { ok: 1 }),
            After::Added { asker, card } => self.friend_added(cx, asker, &card),
            After::FriendDeleted { asker, friend } => self.friend_deleted(cx, asker, friend),
            After::AlreadyListed { asker, friend } => {
                self.reply(cx, asker, &Server::AddResult { result: friends::DONE, friend });
            }
            After::Answered { by, entry, told } => self.answer_done(cx, number, by, entry, told),
            After::Updated { asker } => self.reply(cx, asker, &Server::Updated { ok: 1 }),
        }
    }

    fn change_failed(&mut self, cx: &mut Cx<'_>, after: After, why: &Refused) {
        let (asker, failed) = match after {
            After::GroupAdded { asker, .. } => (asker, Server::GroupAdded { ok: 0, group: 0, name: "" }),
            After::GroupRenamed { asker, .. } => (asker, Server::GroupRenamed { ok: 0, group: 0, name: "" }),
            After::GroupDeleted { asker, .. } => (asker, Server::GroupDeleted { ok: 0, group: 0 }),
            After::Moved { asker } => (asker, Server::FriendsMoved { ok: 0 }),
            After::Added { asker, card } => (asker, Server::AddResult { result: 0, friend: card.number }),
            After::AlreadyListed { asker, friend } => (asker, Server::AddResult { result: 0, friend }),
            After::FriendDeleted { asker, .. } => (asker, Server::FriendDeleted { ok: 0, friend: 0 }),
            After::Updated { asker } => (asker, Server::Updated { ok: 0 }),
            After::Answered { by, .. } => return self.notice(cx, by, friends::ANSWER, why),
        };
        self.refuse(cx, asker, Some(failed), why);
    }

    fn refuse_op(&mut self, cx: &mut Cx<'_>, op: &Op, why: &Refused) {
        match (op.asker(), op) {
            (Some((asker, failed)), _) => self.refuse(cx, asker, failed, why),
            (None, Op::Answered { by, .. }) => self.notice(cx, *by, friends::ANSWER, why),
            (None, _) => {}
        }
    }

    /// A change for a user of this shard who may be offline: the lists are read first if they are not in memory.
    pub(super) fn change_anyone(&mut self, cx: &mut Cx<'_>, number: u32, op: Op) {
        if self.users.contains_key(&number) {
            return self.change(cx, number, op);
        }
        let waiting = self.loading.entry(number).or_default();
        if waiting.len() >= limits::CHANGES_WAITING {
            return self.refuse_op(cx, &op, &Refused::busy());
        }
        waiting.push(op);
        if waiting.len() == 1 {
            self.ask_store(cx, Request::User(number), Pending::Lists { number });
        }
    }

    pub(super) fn lists_loaded(&mut self, cx: &mut Cx<'_>, number: u32, answer: Answer) {
        let ops = self.loading.remove(&number).unwrap_or_default();
        match answer {
            // If the user has signed in meanwhile, the lists in memory are the newer ones.
            Answer::User(Some(record)) => {
                self.users.entry(number).or_insert_with(|| Box::new(User::new(Lists::of(&record))));
            }
            Answer::User(None) => {
                return ops.iter().for_each(|op| self.refuse_op(cx, op, &Refused::no_such_user(number)));
            }
            _ => return ops.iter().for_each(|op| self.refuse_op(cx, op, &Refused::storage())),
        }
        for op in ops {
            self.change(cx, number, op);
        }
        self.forget_if_idle(number);
    }
}

fn plan(cx: &Cx<'_>, number: u32, user: &User, op: &Op) -> Plan {
    let lists = &user.lists;
    match op {
        Op::AddGroup { asker, name } => groups::plan_add(number, lists, *asker, name),
        Op::RenameGroup { asker, group, name } => groups::plan_rename(number, lists, *asker, *group, name),
        Op::DeleteGroup { asker, group } => groups::plan_delete(number, lists, *asker, *group),
        Op::MoveFriends { asker, moves } => groups::plan_move(number, lists, *asker, moves),
        Op::AddFriend { asker, card } => friends::plan_add(number, lists, *asker, card),
        Op::DeleteFriend { asker, friend } => friends::plan_delete(number, lists, *asker, *friend),
        Op::Answered { by, agreed } => {
            let live = user.session.as_ref().is_some_and(|session| session.delivery.is_live());
            friends::plan_answered(cx, number, lists, *by, agreed.as_ref(), live)
        }
        Op::Update { .. } => unreachable!("planned when the account was read"),
    }
}

/// Where a list has no room for one more friend in this group.
pub(super) fn no_room(lists: &Lists, group: u8) -> Result<(), Refused> {
    if lists.friends.len() >= limits::FRIENDS {
        let why = format!("a list has at most {} friends", limits::FRIENDS);
        return Err(Refused::new(Code::TooLarge, why));
    }
    if lists.size(group) >= limits::GROUP_FRIENDS {
        let why = format!("group {group} is full: it has {} friends", limits::GROUP_FRIENDS);
        return Err(Refused::new(Code::TooLarge, why));
    }
    Ok(())
}
