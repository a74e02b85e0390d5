//! Who is over budget waits (protocol.md 1.7). Over a link the frames that have come wait here, and the window is shut;
//! a connection is not read; a bare datagram is dropped, and its sender told so.

use super::budget::{Kind, Spent, cost};
use super::endpoint::Endpoint;
use super::event::What;
use super::notice::{Code, Hush, Refused};
use super::policy::{Budgets, Policy};
use super::user::{Session, User};
use super::way::Way;
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::limits;
use crate::seeded::{Seed, SeededMap};
use crate::store::Limits;
use crate::wire::{self, Dialect, WireError};
use std::collections::{BTreeSet, VecDeque};

/// What is known of how much a session does. Most do nothing for a while, and have none.
#[derive(Debug, Default)]
pub(super) struct Meter {
    spent: Spent,
    /// The limits of this account, if it has any of its own.
    own: Option<Box<Limits>>,
    /// Frames over budget, in order, and when the next of them can be afforded.
    backlog: VecDeque<Box<[u8]>>,
    backlog_bytes: usize,
    due_ms: u64,
    /// Since when the account is over budget nearly all the time, and when it last was.
    over_since_ms: u64,
    over_ms: u64,
    too_fast: Hush,
    /// When it was told that messages of its user cannot be taken for now.
    not_now: Hush,
}

/// An account that is over budget again so soon has been so all the time.
const ALL_THE_TIME_MS: u64 = 2_000;

impl Meter {
    /// The account is over budget until then.
    fn over(&mut self, now_ms: u64, due_ms: u64) {
        if now_ms > self.over_ms + ALL_THE_TIME_MS {
            self.over_since_ms = now_ms;
        }
        (self.over_ms, self.due_ms) = (now_ms, due_ms);
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.backlog_bytes += bytes.len();
        self.backlog.push_back(bytes.into());
    }

    fn next(&mut self) -> Option<Box<[u8]>> {
        let bytes = self.backlog.pop_front()?;
        self.backlog_bytes -= bytes.len();
        if self.backlog.is_empty() {
            self.backlog = VecDeque::new();
        }
        Some(bytes)
    }

    fn is_full(&self) -> bool {
        self.backlog.len() >= limits::OVER_BUDGET_FRAMES || self.backlog_bytes >= limits::OVER_BUDGET_BYTES
    }

    /// Whether nothing in it matters any more.
    fn is_idle(&self, now_ms: u64) -> bool {
        self.own.is_none() && self.backlog.is_empty() && self.spent.over_ms() <= now_ms
    }
}

/// What accounts without a session have spent: signing in anew does not fill a bucket.
#[derive(Debug)]
pub(super) struct Debts {
    by_number: SeededMap<u32, Spent>,
    by_end: BTreeSet<(u64, u32)>,
}

impl Debts {
    pub fn new(seed: &Seed) -> Self {
        Self { by_number: seed.map(), by_end: BTreeSet::new() }
    }

    /// Keeps what an account has spent, until it does not matter any more.
    fn keep(&mut self, now_ms: u64, number: u32, spent: Spent) {
        self.take(number);
        while let Some((end_ms, other)) = self.by_end.first().copied()
            && (end_ms <= now_ms || self.by_end.len() >= limits::DEBTS)
        {
            self.by_end.remove(&(end_ms, other));
            self.by_number.remove(&other);
        }
        if spent.over_ms() > now_ms {
            self.by_end.insert((spent.over_ms(), number));
            self.by_number.insert(number, spent);
        }
    }

    fn take(&mut self, number: u32) -> Spent {
        let Some(spent) = self.by_number.remove(&number) else { return Spent::default() };
        self.by_end.remove(&(spent.over_ms(), number));
        spent
    }
}

/// What becomes of a frame that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is handled.
    Handled,
    /// It waits, or was dropped.
    Waits,
}

/// The session of a user with its meter, and what it may do.
fn meter<'a>(
    users: &'a mut SeededMap<u32, Box<User>>,
    debts: &mut Debts,
    policy: &Policy,
    number: u32,
) -> Option<(&'a mut Session, Budgets)> {
    let session = users.get_mut(&number)?.session.as_mut()?;
    let meter = session.meter.get_or_insert_with(|| Box::new(Meter { spent: debts.take(number), ..Meter::default() }));
    let budgets = meter.own.as_ref().map_or(policy.budgets, |own| policy.budgets.with(own));
    Some((session, budgets))
}

impl Shard {
    /// What this user's session does, and may do.
    fn meter(&mut self, number: u32) -> Option<(&mut Session, Budgets)> {
        meter(&mut self.users, &mut self.debts, &self.policy, number)
    }

    /// Spends something that was done already: what comes next may have to wait for it.
    pub(super) fn charge(&mut self, cx: &Cx<'_>, number: u32, kind: Kind, tokens: u32) {
        if tokens > 0
            && let Some((session, budgets)) = self.meter(number)
            && let Some(meter) = &mut session.meter
        {
            meter.spent.charge(cx.now.mono_ms, &budgets, kind, tokens);
        }
    }

    /// A session has begun or ended, and so many were told. What that costs stands where sessions that do nothing need no
    /// memory for it.
    pub(super) fn charge_sign_in(&mut self, cx: &Cx<'_>, number: u32, writes: u32, told: usize) {
        let now_ms = cx.now.mono_ms;
        let tokens = writes + told as u32 / limits::WATCHERS_A_WRITE;
        if tokens > 0 {
            let mut spent = self.debts.take(number);
            spent.charge(now_ms, &self.policy.budgets, Kind::Write, tokens);
            self.debts.keep(now_ms, number, spent);
        }
    }

    /// An account has these limits of its own, from now on.
    pub(super) fn set_limits(&mut self, number: u32, limits: &Limits) {
        let own = (*limits != Limits::default()).then(|| Box::new(*limits));
        let metered = self.session(number).is_some_and(|session| session.meter.is_some());
        if (own.is_some() || metered)
            && let Some((session, _)) = self.meter(number)
            && let Some(meter) = &mut session.meter
        {
            meter.own = own;
        }
    }

    /// Whether the account signs in and out far more often than it may.
    pub(super) fn signs_in_too_often(&mut self, now_ms: u64, number: u32) -> bool {
        let budgets = self.policy.budgets;
        self.debts.by_number.get(&number).is_some_and(|spent| spent.bars_sign_in(now_ms, &budgets))
    }

    /// A session has ended: what it has spent is remembered, and frames that waited for their budget are gone.
    pub(super) fn keep_debts(&mut self, cx: &mut Cx<'_>, number: u32, meter: Option<Box<Meter>>, way: &Way) {
        let Some(meter) = meter else { return };
        self.debts.keep(cx.now.mono_ms, number, meter.spent);
        if let Some(from) = way.bare().filter(|_| !meter.backlog.is_empty()) {
            cx.out.stalls.push((from, false));
        }
    }

    /// Gives back the memory of a meter that says nothing any more.
    pub(super) fn rest_meter(&mut self, now_ms: u64, number: u32) {
        if let Some(session) = self.session_mut(number)
            && session.meter.as_ref().is_some_and(|meter| meter.is_idle(now_ms))
        {
            session.meter = None;
        }
    }

    /// A frame has come over a link, in its order.
    #[inline]
    pub(super) fn spend_on_link(
        &mut self,
        cx: &mut Cx<'_>,
        key: SessionKey,
        request: &Result<wire::User<'_>, WireError>,
        bytes: &[u8],
    ) -> Fate {
        // What cannot be read is answered, too.
        let (kind, tokens) = request.as_ref().map_or((Kind::Read, 1), cost);
        let now_ms = cx.now.mono_ms;
        if tokens == 0 && self.session(key.number).is_none_or(|session| session.meter.is_none()) {
            return Fate::Handled;
        }
        let Some((session, budgets)) = meter(&mut self.users, &mut self.debts, &self.policy, key.number) else {
            return Fate::Handled;
        };
        let (Some(meter), Way::Link(channel)) = (&mut session.meter, &mut session.way) else { return Fate::Handled };
        // What is free passes what waits: it says that messages have arrived, and those have senders.
        if meter.backlog.is_empty() || tokens == 0 {
            match meter.spent.take(now_ms, &budgets, kind, tokens) {
                Ok(()) => return Fate::Handled,
                Err(due_ms) if meter.backlog.is_empty() => meter.over(now_ms, due_ms),
                Err(_) => {}
            }
        }
        if meter.backlog.is_empty() {
            channel.link.shut_window();
            channel.touch(cx);
            self.wheel.soon(meter.due_ms, key);
        }
        meter.hold(bytes);
        Fate::Waits
    }

    /// A bare frame has come from where its session is.
    pub(super) fn spend_on_bare(
        &mut self,
        cx: &mut Cx<'_>,
        from: Endpoint,
        key: SessionKey,
        (kind, tokens): (Kind, u32),
        bytes: &[u8],
    ) -> Fate {
        let now_ms = cx.now.mono_ms;
        let Some((session, budgets)) = meter(&mut self.users, &mut self.debts, &self.policy, key.number) else {
            return Fate::Handled;
        };
        let Some(meter) = &mut session.meter else { return Fate::Handled };
        if meter.backlog.is_empty() {
            match meter.spent.take(now_ms, &budgets, kind, tokens) {
                Ok(()) => return Fate::Handled,
                Err(due_ms) => meter.over(now_ms, due_ms),
            }
            if from.connection().is_some() {
                cx.out.stalls.push((from, true));
                self.wheel.soon(meter.due_ms, key);
            }
        }
        if from.connection().is_some() && !meter.is_full() {
            meter.hold(bytes);
            return Fate::Waits;
        }
        // A datagram; or so much of a connection was under way from one shard to another.
        if meter.too_fast.allows(now_ms) {
            let text = "you are too fast: some of what you send is dropped";
            session.way.send(cx, &super::sending::words(text));
            self.log_over_budget(cx, key.number);
        }
        Fate::Waits
    }

    fn log_over_budget(&mut self, cx: &mut Cx<'_>, number: u32) {
        let seat = self.seat(number);
        cx.event(What::Limit("the account is over budget"), number, seat);
    }

    /// Handles what waits for its budget, as far as there is any again.
    pub(super) fn spend_more(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        let now_ms = cx.now.mono_ms;
        loop {
            if !self.session(key.number).is_some_and(|session| session.id == key.session && session.has_backlog()) {
                return;
            }
            let Some((session, budgets)) = meter(&mut self.users, &mut self.debts, &self.policy, key.number) else {
                return;
            };
            let (Some(meter), way) = (&mut session.meter, &mut session.way) else { return };
            if meter.due_ms > now_ms {
                return self.wheel.soon(meter.due_ms, key);
            }
            let Some(front) = meter.backlog.front() else { return };
            let dialect = if way.link().is_some() { Dialect::Link } else { Dialect::Classic };
            let request = wire::User::decode(front, dialect);
            let (kind, tokens) = request.as_ref().map_or((Kind::Read, 1), cost);
            if let Err(due_ms) = meter.spent.take(now_ms, &budgets, kind, tokens) {
                meter.over(now_ms, due_ms);
                self.wheel.soon(due_ms, key);
                return self.say_too_fast(cx, key.number);
            }
            let Some(bytes) = meter.next() else { return };
            session.heard_ms = now_ms as u32;
            let from = session.way.bare();
            match from {
                Some(_) => self.bare_frame_again(cx, &bytes),
                None => self.link_frame_again(cx, key, &bytes),
            }
            let session = self.session_mut(key.number).filter(|session| session.id == key.session);
            if let Some(session) = session.filter(|session| !session.has_backlog()) {
                match &mut session.way {
                    Way::Bare(from) => cx.out.stalls.push((**from, false)),
                    Way::Link(channel) => {
                        channel.link.open_window();
                        channel.touch(cx);
                    }
                }
                return;
            }
        }
    }

    /// Whether a user may be told now that messages cannot be taken, which is told once a minute.
    pub(super) fn may_say_not_now(&mut self, now_ms: u64, number: u32) -> bool {
        let meter = self.meter(number).and_then(|(session, _)| session.meter.as_mut());
        meter.is_some_and(|meter| meter.not_now.allows(now_ms))
    }

    /// Who has been over budget for a while learns why nothing goes on.
    fn say_too_fast(&mut self, cx: &mut Cx<'_>, number: u32) {
        let now_ms = cx.now.mono_ms;
        let Some(session) = self.session_mut(number) else { return };
        let Some(meter) = &mut session.meter else { return };
        let long = now_ms - meter.over_since_ms >= limits::OVER_BUDGET_NOTICE.as_millis() as u64;
        if long && meter.too_fast.allows(now_ms) {
            // Nothing was refused, so it is about no request: all of it is done when its turn comes.
            let why = Refused::new(Code::TooFast, "you are too fast: what you send waits for its turn");
            match &mut session.way {
                Way::Bare(_) => session.way.send(cx, &super::sending::words(&why.text)),
                Way::Link(channel) => _ = channel.send(cx, &why.notice(0)),
            }
            self.log_over_budget(cx, number);
        }
    }
}

impl Session {
    /// Whether frames wait for their budget.
    pub fn has_backlog(&self) -> bool {
        self.meter.as_ref().is_some_and(|meter| !meter.backlog.is_empty())
    }

    /// Whether it is a connection that is not read: then nothing can be heard from it.
    pub fn is_stalled(&self) -> bool {
        self.way.bare().is_some_and(|from| from.connection().is_some()) && self.has_backlog()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debts_are_kept_until_they_end_and_only_so_many() {
        let mut debts = Debts::new(&Seed::new([7; 32]));
        let budgets = Budgets::default();
        let spent = |tokens| {
            let mut spent = Spent::default();
            spent.charge(0, &budgets, Kind::Write, tokens);
            spent
        };
        debts.keep(0, 10_000, spent(50));
        assert_eq!((debts.take(10_001), debts.take(10_000)), (Spent::default(), spent(50)));
        assert!(debts.by_end.is_empty() && debts.by_number.is_empty());
        debts.keep(5_000, 10_000, spent(50));
        assert!(debts.by_number.is_empty(), "it is over");
        (0..limits::DEBTS as u32).for_each(|number| debts.keep(0, number, spent(100 + number)));
        debts.keep(0, 1_000_000, spent(500));
        assert_eq!((debts.by_number.len(), debts.by_end.len()), (limits::DEBTS, limits::DEBTS));
        assert_eq!(debts.take(0), Spent::default(), "the least made room");
        debts.keep(100_000_000, 1, spent(1));
        assert!(debts.by_number.is_empty(), "all have ended");
    }
}
