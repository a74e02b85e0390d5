//! What a shard holds, counted for tests and simulations: bounds are checked, and that nothing is left behind.

use super::Shard;
use super::user::User;
use super::way::Way;

/// How much a shard holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Users in memory.
    pub users: usize,
    /// Of those, with a session.
    pub sessions: usize,
    /// Of those, with a change that is not done.
    pub changing: usize,
    /// Users who are being read for a change.
    pub loading: usize,
    /// Sign-ins in progress.
    pub attempts: usize,
    /// Questions that are open.
    pub pending: usize,
    /// Handshakes in progress.
    pub handshakes: usize,
    /// Links without a session.
    pub apart: usize,
    /// Of those that are apart, links by which nobody has signed in.
    pub entering: usize,
    /// Of those that are apart, sessions from before the start.
    pub kept: usize,
    /// Entries of who watches whom.
    pub watchers: usize,
    /// Messages in custody, of the link with the most.
    pub custody: usize,
    /// Bytes that wait for one link, of the one with the most.
    pub backlog: usize,
}

impl Shard {
    /// Counts what it holds.
    #[doc(hidden)]
    pub fn census(&self) -> Census {
        let channels = self.users.values().filter_map(|user| match &user.session.as_ref()?.way {
            Way::Link(channel) => Some(channel),
            Way::Bare(_) => None,
        });
        let (mut custody, mut backlog) = (0, 0);
        for channel in channels {
            custody = custody.max(channel.custody.as_ref().map_or(0, |custody| custody.len()));
            backlog = backlog.max(channel.link.queued_bytes());
        }
        let entering = self.apart.values().filter(|apart| apart.role == super::apart::Role::Entering).count();
        assert_eq!(self.entering.len(), entering, "links by which nobody has signed in");
        let leaving = self.apart.len() - entering - self.kept.len();
        assert_eq!(self.leaving.len(), leaving, "links that have ended");
        let count = |what: fn(&User) -> bool| self.users.values().filter(|user| what(user)).count();
        let listed = self.users.values().map(|user| user.lists.friends.watchers().count()).sum::<usize>();
        Census {
            users: self.users.len(),
            sessions: count(|user| user.session.is_some()),
            changing: count(|user| user.changing || user.waiting.is_some()),
            loading: self.loading.len(),
            attempts: self.attempts.values().map(Vec::len).sum(),
            pending: self.pending.len(),
            handshakes: self.handshakes.len(),
            apart: self.apart.len(),
            entering,
            kept: self.kept.len(),
            watchers: self.watchers.len() + listed,
            custody,
            backlog,
        }
    }

    /// Whether one user, who is in memory here, shows another nothing: what others see of a user depends on it.
    pub fn is_blocking(&self, owner: u32, other: u32) -> bool {
        self.blocks(owner, other)
    }
}
