//! Presence (protocol.md 1.7): a user's status, and who is told that the visible one has changed.
//!
//! The shard of a user knows which online users list that user, wherever they live: each of them said so at sign-in. So a
//! change is told without a look at the disk.
//!
//! Most who list somebody are listed in turn. If the shard has that user in memory, it is noted in the user's own list that
//! this friend watches, which costs no memory; all other watchers are in a table.

use super::budget::Kind;
use super::friend_list::Friends;
use super::notice::{Code, Refused};
use super::pending::Pending;
use super::user::{Asker, ONLINE, User, visible};
use super::{Cx, OFFLINE, Peer, Shard};
use crate::limits::WATCHERS_A_WRITE;
use crate::link::CloseCode;
use crate::seeded::{Seed, SeededMap};
use crate::store::{Answer, Change, Request, UserRecord};
use crate::wire::Server;

/// No status: whoever believes this of a friend is told the real one, whatever it is.
pub(super) const NEVER_TOLD: u8 = u8::MAX;

impl Shard {
    /// 0x10: another status, or the end of the session.
    pub(super) fn set_status(&mut self, cx: &mut Cx<'_>, asker: Asker, status: u8) {
        if !(ONLINE..=OFFLINE).contains(&status) {
            let why = format!("status {status} does not exist: 1 online, 2 hidden, 3 do not disturb, 4 offline");
            return self.refuse(cx, asker, &Refused::new(Code::Malformed, why));
        }
        if self.session(asker.number).is_some_and(|session| session.way.link().is_some()) {
            // It stays what it is over a restart of the server, so it is on disk before it is answered.
            let (number, session) = (asker.number, asker.session);
            let change = match status {
                // Whoever signs out wants nobody to come in again with what this session was given.
                OFFLINE => Change::EndTokens { number, session },
                _ => Change::SetSessionStatus { number, session, status },
            };
            return self.ask_store(cx, Request::Commit(vec![change]), Pending::StatusKept { asker, status });
        }
        self.status_set(cx, asker, status);
    }

    /// A status is on disk, or could not be written: then it stays as it was.
    pub(super) fn status_kept(&mut self, cx: &mut Cx<'_>, asker: Asker, status: u8, answer: &Answer) {
        if answer.is_done() { self.status_set(cx, asker, status) } else { self.refuse(cx, asker, &Refused::storage()) }
    }

    fn status_set(&mut self, cx: &mut Cx<'_>, asker: Asker, status: u8) {
        if let Some(session) = self.session_mut(asker.number).filter(|session| session.id == asker.session) {
            if status == OFFLINE {
                return self.sign_out(cx, asker);
            }
            let was_hidden = session.is_hidden();
            session.status = status;
            self.reply(cx, asker, &Server::StatusSet { me: asker.number, status });
            self.turned(cx, asker.number, was_hidden);
            let told = self.show(cx, asker.number);
            self.charge(cx, asker.number, Kind::Write, told as u32 / WATCHERS_A_WRITE);
        }
    }

    fn sign_out(&mut self, cx: &mut Cx<'_>, asker: Asker) {
        self.reply(cx, asker, &Server::StatusSet { me: asker.number, status: OFFLINE });
        if let Some(from) = self.session(asker.number).and_then(|session| session.way.bare()) {
            self.signed_out.insert(cx.now.mono_ms, (asker.number, from), ());
        }
        self.end_session_with(cx, asker.number, CloseCode::SignedOut, "");
    }

    /// Puts a user's visible status on the board, and tells those who list the user if it has changed.
    /// Gives how many that are.
    pub(super) fn show(&mut self, cx: &mut Cx<'_>, number: u32) -> usize {
        let status = visible(self.own_status(number));
        if self.board.get(number) == status {
            return 0;
        }
        self.board.set(number, status);
        let watchers = self.watchers_of(number);
        let (mut first, told) = (None, watchers.len());
        for watcher in watchers {
            if !self.territory.owns(watcher) {
                cx.out.peers.push((watcher, Peer::Status { of: number, status }));
                continue;
            }
            let Some(user) = self.users.get_mut(&watcher).filter(|user| !user.lists.blocks.is_by(number)) else {
                continue;
            };
            let Some(session) = &mut user.session else { continue };
            self.counters.presence += 1;
            session.way.send_copy(cx, &mut first, &Server::FriendStatus { friend: number, status });
        }
        told
    }

    /// A user whom the shard has in memory from now on, if it had not before, with these lists.
    pub(super) fn meet(&mut self, number: u32, record: &UserRecord) -> &mut User {
        let watchers = &mut self.watchers;
        // The last word on who blocks this user: it came after the lists were read.
        let news = self.blocks_meanwhile.remove(&number);
        self.users.entry(number).or_insert_with(|| {
            let mut user = Box::new(User::new(record));
            watchers.take_noted(number, &mut user.lists.friends);
            for (by, on) in news.into_iter().flatten() {
                user.lists.blocks.set_by(by, on);
            }
            user
        })
    }

    /// Gives back the memory of a user for whom nothing goes on.
    pub(super) fn forget_if_idle(&mut self, number: u32) {
        if self.users.get(&number).is_some_and(|user| !user.is_needed())
            && let Some(user) = self.users.remove(&number)
        {
            user.lists.friends.watchers().for_each(|watcher| self.watchers.add(number, watcher));
        }
    }

    /// Follows a change of somebody's lists that the store has made.
    pub(super) fn follow(&mut self, number: u32, change: &Change) {
        let Some(user) = self.users.get_mut(&number) else { return };
        if let Change::DeleteFriend { friend, .. } = *change
            && user.lists.friends.is_watched_by(friend)
        {
            self.watchers.add(number, friend);
        }
        user.apply(change);
        if let Change::PutFriend { .. } = change {
            self.watchers.take_noted(number, &mut user.lists.friends);
        }
    }

    /// Who is online and lists this user of the shard.
    #[doc(hidden)]
    pub fn watchers_of(&self, number: u32) -> Vec<u32> {
        let friends = self.users.get(&number).map(|user| &user.lists.friends);
        let listed = friends.into_iter().flat_map(|friends| friends.watchers());
        listed.chain(self.watchers.of(number).iter().copied()).collect()
    }

    pub(super) fn unwatch_friends(&mut self, cx: &mut Cx<'_>, number: u32) {
        for (friend, _) in self.friends_of(number) {
            self.peer(cx, friend, Peer::Unwatch { watcher: number });
        }
    }

    /// A copy of somebody's friends; empty if the shard does not have them in memory.
    pub(super) fn friends_of(&self, number: u32) -> Vec<(u32, u8)> {
        self.users.get(&number).map(|user| user.lists.friends.iter().collect()).unwrap_or_default()
    }

    /// The operator has deleted an account: nobody lists it any more, or monitors it. Every shard is told.
    pub(super) fn forget_account(&mut self, cx: &mut Cx<'_>, number: u32) {
        let mut monitors = Vec::new();
        for (owner, user) in &mut self.users {
            user.lists.friends.remove(number);
            if user
                .session
                .as_ref()
                .is_some_and(|session| session.monitor.as_ref().is_some_and(|one| one.target() == number))
            {
                monitors.push(*owner);
            }
        }
        self.watchers.forget(number);
        monitors.sort_unstable();
        for monitor in monitors {
            self.revoke(cx, monitor, number);
        }
    }

    /// `watcher` is online, lists `of`, and was told `seen`; if that is not so (any more), it is told at once.
    pub(super) fn watch(&mut self, cx: &mut Cx<'_>, of: u32, watcher: u32, seen: u8) {
        let noted = self.users.get_mut(&of).is_some_and(|user| user.lists.friends.note_watcher(watcher, true));
        if !noted {
            self.watchers.add(of, watcher);
        }
        let status = self.board.get(of);
        if status != seen {
            self.peer(cx, watcher, Peer::Status { of, status });
        }
    }

    pub(super) fn unwatch(&mut self, of: u32, watcher: u32) {
        let noted = self.users.get_mut(&of).is_some_and(|user| user.lists.friends.note_watcher(watcher, false));
        if !noted {
            self.watchers.remove(of, watcher);
        }
    }

    /// The status of a friend of `to` has changed.
    pub(super) fn friend_status(&mut self, cx: &mut Cx<'_>, to: u32, of: u32, status: u8) {
        let shown = |user: &&mut Box<User>| user.lists.has_friend(of) && !user.lists.blocks.is_by(of);
        let Some(user) = self.users.get_mut(&to).filter(shown) else { return };
        let Some(session) = &mut user.session else { return };
        session.way.send(cx, &Server::FriendStatus { friend: of, status });
        self.counters.presence += 1;
    }
}

/// Who watches whom, where the watched one's list in memory does not say it.
#[derive(Debug)]
pub(super) struct Watchers(SeededMap<u32, Vec<u32>>);

impl Watchers {
    pub fn new(seed: &Seed) -> Self {
        Self(seed.map())
    }

    /// Those of this user, in order of number.
    pub fn of(&self, number: u32) -> &[u32] {
        self.0.get(&number).map_or(&[], Vec::as_slice)
    }

    /// How many there are.
    #[cfg(any(test, feature = "sim"))]
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn add(&mut self, of: u32, watcher: u32) {
        let watchers = self.0.entry(of).or_default();
        if let Err(at) = watchers.binary_search(&watcher) {
            watchers.insert(at, watcher);
        }
    }

    fn remove(&mut self, of: u32, watcher: u32) {
        let Some(watchers) = self.0.get_mut(&of) else { return };
        if let Ok(at) = watchers.binary_search(&watcher) {
            watchers.remove(at);
        }
        if watchers.is_empty() {
            self.forget(of);
        }
    }

    fn forget(&mut self, of: u32) {
        self.0.remove(&of);
        self.shrink();
    }

    /// Leaves those who are in this list to it.
    fn take_noted(&mut self, of: u32, friends: &mut Friends) {
        let Some(watchers) = self.0.get_mut(&of) else { return };
        watchers.retain(|watcher| !friends.note_watcher(*watcher, true));
        if watchers.is_empty() {
            self.forget(of);
        }
    }

    /// While many sign in the table is large, and nearly empty when all have.
    fn shrink(&mut self) {
        const SMALL: usize = 1_024;
        if self.0.capacity() > SMALL && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }
}
