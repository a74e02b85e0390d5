//! Changes of a user's lists and account, one at a time for each user: decided on what is durable, answered when they are.

use super::friends::Told;
use super::notice::{Code, Refused};
use super::password::NewPassword;
use super::pending::Pending;
use super::user::{Asker, Lists, Session, User};
use super::{Cx, Shard, blocks, friends, groups};
use crate::limits;
use crate::store::{Answer, Card, Change, Request, StoredProfile};
use crate::wire::Server;

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
    /// Nothing more from somebody, or all of it again.
    Block {
        asker: Asker,
        other: u32,
        on: bool,
    },
    /// Another profile, and another password if there is one.
    Update {
        asker: Asker,
        profile: StoredProfile,
        password: Option<NewPassword>,
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
        card: Card,
    },
    Answered {
        by: u32,
        entry: Option<Card>,
        told: Told,
    },
    Blocked {
        asker: Asker,
        other: u32,
        on: bool,
    },
    Updated {
        asker: Asker,
    },
}

impl Op {
    /// Who asked for it; nobody of this shard where it is an answer.
    fn asker(&self) -> Result<Asker, u32> {
        match self {
            Self::AddGroup { asker, .. }
            | Self::RenameGroup { asker, .. }
            | Self::DeleteGroup { asker, .. }
            | Self::MoveFriends { asker, .. }
            | Self::AddFriend { asker, .. }
            | Self::DeleteFriend { asker, .. }
            | Self::Block { asker, .. }
            | Self::Update { asker, .. } => Ok(*asker),
            Self::Answered { by, .. } => Err(*by),
        }
    }
}

impl After {
    /// The same.
    fn asker(&self) -> Result<Asker, u32> {
        match self {
            Self::GroupAdded { asker, .. }
            | Self::GroupRenamed { asker, .. }
            | Self::GroupDeleted { asker, .. }
            | Self::Moved { asker }
            | Self::Added { asker, .. }
            | Self::FriendDeleted { asker, .. }
            | Self::AlreadyListed { asker, .. }
            | Self::Blocked { asker, .. }
            | Self::Updated { asker } => Ok(*asker),
            Self::Answered { by, .. } => Err(*by),
        }
    }
}

/// Changes to commit and what to tell then; nothing to commit where there was nothing to do.
pub(super) type Plan = Result<(Vec<Change>, After), Refused>;

impl Shard {
    /// Does a change as soon as the earlier ones of the same user are done. The user must be in memory.
    pub(super) fn change(&mut self, cx: &mut Cx<'_>, number: u32, op: Op) {
        let Some(user) = self.users.get_mut(&number) else { return };
        if user.changing {
            let waiting = &mut user.waiting.get_or_insert_default().0;
            if waiting.len() < limits::CHANGES_WAITING {
                return waiting.push_back(op);
            }
            return self.change_failed(cx, op.asker(), &Refused::busy());
        }
        self.begin_change(cx, number, op);
    }

    fn begin_change(&mut self, cx: &mut Cx<'_>, number: u32, op: Op) {
        let Some(user) = self.users.get_mut(&number) else { return };
        if let Op::Update { asker, profile, password: Some(password) } = op {
            user.changing = true;
            return self.change_password(cx, asker, profile, password);
        }
        match plan(cx, number, user, &op) {
            Ok((changes, after)) if changes.is_empty() => self.tell_change(cx, number, after),
            Ok((changes, after)) => self.commit_change(cx, number, changes, after),
            Err(why) => self.change_failed(cx, op.asker(), &why),
        }
    }

    pub(super) fn commit_change(&mut self, cx: &mut Cx<'_>, number: u32, changes: Vec<Change>, after: After) {
        let Some(user) = self.users.get_mut(&number) else { return };
        user.changing = true;
        let pending = Pending::Change { number, changes: changes.clone(), after };
        self.add_mail(cx, number, changes, pending);
    }

    /// The store has answered: memory follows, the user is told, and the next change begins.
    pub(super) fn changed(&mut self, cx: &mut Cx<'_>, number: u32, changes: &[Change], after: After, answer: &Answer) {
        self.change_ended(cx, number, |shard, cx| match answer {
            Answer::Done | Answer::Mailed(_) => {
                changes.iter().for_each(|change| shard.follow(number, change));
                shard.tell_change(cx, number, after);
            }
            Answer::Refused(refusal) => shard.change_failed(cx, after.asker(), &Refused::from(*refusal)),
            _ => shard.change_failed(cx, after.asker(), &Refused::storage()),
        });
    }

    /// Ends a change by telling of it, and begins the next.
    pub(super) fn change_ended(&mut self, cx: &mut Cx<'_>, number: u32, tell: impl FnOnce(&mut Self, &mut Cx<'_>)) {
        if let Some(user) = self.users.get_mut(&number) {
            user.changing = false;
        }
        tell(self, cx);
        while let Some(user) = self.users.get_mut(&number).filter(|user| !user.changing)
            && let Some(waiting) = &mut user.waiting
        {
            match waiting.0.pop_front() {
                Some(op) => self.begin_change(cx, number, op),
                None => user.waiting = None,
            }
        }
        self.forget_if_idle(number);
    }

    /// Where the answer to a change goes: a session that has replaced the one which asked was shown the lists as they
    /// were before the change, and must hear of it.
    fn answer_to(&self, asker: Asker) -> Asker {
        match self.session(asker.number) {
            Some(session) if session.id != asker.session => {
                Asker { session: session.id, serial: session.serial.wrapping_sub(1), ..asker }
            }
            _ => asker,
        }
    }

    fn tell_change(&mut self, cx: &mut Cx<'_>, number: u32, after: After) {
        match after {
            After::GroupAdded { asker, group, name } => {
                self.reply(cx, self.answer_to(asker), &Server::GroupAdded { ok: 1, group, name: &name });
            }
            After::GroupRenamed { asker, group, name } => {
                self.reply(cx, self.answer_to(asker), &Server::GroupRenamed { ok: 1, group, name: &name });
            }
            After::GroupDeleted { asker, group } => {
                self.reply(cx, self.answer_to(asker), &Server::GroupDeleted { ok: 1, group })
            }
            After::Moved { asker } => self.reply(cx, asker, &Server::FriendsMoved { ok: 1 }),
            After::Added { asker, card } => self.friend_added(cx, asker, &card),
            After::FriendDeleted { asker, friend } => self.friend_deleted(cx, self.answer_to(asker), friend),
            After::AlreadyListed { asker, card } => self.already_listed(cx, asker, &card),
            After::Answered { by, entry, told } => self.answer_done(cx, number, by, entry, told),
            After::Blocked { asker, other, on } => {
                self.block_done(cx, self.answer_to(asker), other, on);
            }
            After::Updated { asker } => self.reply(cx, asker, &Server::Updated { ok: 1 }),
        }
    }

    /// Tells who asked for a change, or whose answer has caused it, that it was not done.
    fn change_failed(&mut self, cx: &mut Cx<'_>, asker: Result<Asker, u32>, why: &Refused) {
        match asker {
            Ok(asker) => self.refuse(cx, asker, why),
            Err(by) => self.notice(cx, by, friends::ANSWER, why),
        }
    }

    /// A change for a user of this shard who may be offline: the lists are read first if they are not in memory.
    pub(super) fn change_anyone(&mut self, cx: &mut Cx<'_>, number: u32, op: Op) {
        if self.users.contains_key(&number) {
            return self.change(cx, number, op);
        }
        let waiting = self.loading.entry(number).or_default();
        if waiting.len() >= limits::CHANGES_WAITING {
            return self.change_failed(cx, op.asker(), &Refused::busy());
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
                self.meet(number, &record);
            }
            Answer::User(None) => {
                let why = Refused::no_such_user(number);
                return ops.iter().for_each(|op| self.change_failed(cx, op.asker(), &why));
            }
            _ => return ops.iter().for_each(|op| self.change_failed(cx, op.asker(), &Refused::storage())),
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
        Op::Block { asker, other, on } => blocks::plan_block(number, lists, *asker, *other, *on),
        Op::Answered { by, agreed } => {
            let live = user.session.as_ref().is_some_and(Session::takes_mail);
            friends::plan_answered(cx, number, lists, *by, agreed.as_ref(), live)
        }
        // One with a new password goes another way.
        Op::Update { asker, profile, .. } => {
            Ok((vec![Change::PutProfile(number, profile.clone(), None)], After::Updated { asker: *asker }))
        }
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
