//! Presence (protocol.md 1.7): who is told that somebody's visible status has changed.
//!
//! The shard of a user knows which online users list that user, wherever they live: each of them said so at sign-in. So a
//! change is told without a look at the disk.

use super::user::visible;
use super::{Cx, Peer, Shard};
use crate::wire::Server;

/// No status: whoever believes this of a friend is told the real one, whatever it is.
pub(super) const NEVER_TOLD: u8 = u8::MAX;

impl Shard {
    /// Puts a user's visible status on the board, and tells those who list the user if it has changed.
    pub(super) fn show(&mut self, cx: &mut Cx<'_>, number: u32) {
        let status = visible(self.own_status(number));
        if self.board.get(number) == status {
            return;
        }
        self.board.set(number, status);
        let Some(watchers) = self.watchers.remove(&number) else { return };
        let mut first = None;
        for watcher in &watchers {
            if !self.territory.owns(*watcher) {
                cx.out.peers.push((*watcher, Peer::Status { of: number, status }));
                continue;
            }
            let Some(session) = self.users.get_mut(watcher).and_then(|user| user.session.as_mut()) else { continue };
            self.counters.presence += 1;
            session.way.send_copy(cx, &mut first, &Server::FriendStatus { friend: number, status });
        }
        self.watchers.insert(number, watchers);
    }

    pub(super) fn unwatch_friends(&mut self, cx: &mut Cx<'_>, number: u32) {
        for (friend, _) in self.friends_of(number) {
            self.peer(cx, friend, Peer::Unwatch { watcher: number });
        }
    }

    /// A copy of somebody's friends; empty if the shard does not have them in memory.
    pub(super) fn friends_of(&self, number: u32) -> Vec<(u32, u8)> {
        self.users.get(&number).map(|user| user.lists.friends.clone()).unwrap_or_default()
    }

    /// The operator has deleted an account: nobody lists it any more, or monitors it. Every shard is told.
    pub(super) fn forget_account(&mut self, cx: &mut Cx<'_>, number: u32) {
        let mut monitors = Vec::new();
        for (owner, user) in &mut self.users {
            user.lists.friends.retain(|entry| entry.0 != number);
            if user
                .session
                .as_ref()
                .is_some_and(|session| session.monitor.as_ref().is_some_and(|one| one.target() == number))
            {
                monitors.push(*owner);
            }
        }
        self.watchers.remove(&number);
        monitors.sort_unstable();
        for monitor in monitors {
            self.revoke(cx, monitor, number);
        }
    }

    /// `watcher` is online, lists `of`, and was told `seen`; if that is not so (any more), it is told at once.
    pub(super) fn watch(&mut self, cx: &mut Cx<'_>, of: u32, watcher: u32, seen: u8) {
        let watchers = self.watchers.entry(of).or_default();
        if let Err(at) = watchers.binary_search(&watcher) {
            watchers.insert(at, watcher);
        }
        let status = self.board.get(of);
        if status != seen {
            self.peer(cx, watcher, Peer::Status { of, status });
        }
    }

    pub(super) fn unwatch(&mut self, of: u32, watcher: u32) {
        let Some(watchers) = self.watchers.get_mut(&of) else { return };
        if let Ok(at) = watchers.binary_search(&watcher) {
            watchers.remove(at);
        }
        if watchers.is_empty() {
            self.watchers.remove(&of);
        }
    }

    /// The status of a friend of `to` has changed.
    pub(super) fn friend_status(&mut self, cx: &mut Cx<'_>, to: u32, of: u32, status: u8) {
        let Some(user) = self.users.get_mut(&to).filter(|user| user.lists.has_friend(of)) else { return };
        let Some(session) = &mut user.session else { return };
        session.way.send(cx, &Server::FriendStatus { friend: of, status });
        self.counters.presence += 1;
    }
}
