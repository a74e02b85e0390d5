//! Failed sign-ins (protocol.md 2.6): what is counted, and who has to wait for it.
//!
//! Nothing here bars the owner of an account: failures count by account *and* prefix, so the right password from elsewhere is
//! always checked, and a token is never held up. Against guesses from many prefixes an account that is being attacked makes
//! whoever comes from a prefix new to it wait.

use super::Territory;
use super::prefix::Prefix;
use super::recent::{Lately, PrefixCounts, Recent};
use super::shares::{Place, Room, Shares};
use crate::limits;
use crate::seeded::{Seed, SeededMap};
use std::collections::VecDeque;

/// Failures, and password checks that wait for their time.
pub(super) struct Failures {
    of_account: Recent<(u32, Prefix), u32>,
    of_prefix: PrefixCounts,
    in_an_hour: Recent<u32, u32>,
    /// Hashes of (account, prefix) for those who have signed in lately.
    known: Lately<u64>,
    seed: Seed,
    waiting: SeededMap<u64, Waiting>,
    /// In the order of their time.
    order: VecDeque<(u64, u64)>,
    shares: Shares<u64>,
}

/// A check that waits.
struct Waiting {
    number: u32,
    password: Box<str>,
    place: Place,
}

impl Failures {
    pub fn new(seed: &Seed) -> Self {
        Self {
            of_account: Recent::new(limits::BUDGET_WINDOW, limits::SIGN_IN_FAILURE_ACCOUNTS, seed),
            of_prefix: PrefixCounts::new(limits::BUDGET_WINDOW, limits::SIGN_IN_FAILURE_ACCOUNTS, seed),
            in_an_hour: Recent::new(limits::ATTACK_WINDOW, limits::SIGN_IN_FAILURE_ACCOUNTS, seed),
            known: Lately::new(limits::KNOWN_PREFIXES, seed),
            seed: seed.clone(),
            waiting: seed.map(),
            order: VecDeque::new(),
            shares: Shares::new(limits::WAITING_CHECKS),
        }
    }

    /// A password of this account was wrong.
    pub fn count(&mut self, now_ms: u64, number: u32, from: Prefix) {
        self.of_account.add(now_ms, (number, from));
        self.in_an_hour.add(now_ms, number);
        if !from.is_loopback() {
            self.of_prefix.add(now_ms, from);
        }
    }

    /// Whether passwords of this account from this prefix are not even checked for now. Each shard has its part of what a
    /// prefix may try in all.
    pub fn too_many(&self, now_ms: u64, territory: Territory, number: u32, from: Prefix) -> bool {
        let of_prefix = limits::PREFIX_FAILURES.div_ceil(territory.shards);
        self.of_account.count(now_ms, &(number, from)) >= limits::SIGN_IN_FAILURES
            || !from.is_loopback() && self.of_prefix.is_over(now_ms, from, of_prefix)
    }

    /// Somebody has signed in to this account from this prefix.
    pub fn signed_in(&mut self, number: u32, from: Prefix) {
        self.known.insert(self.seed.hash((number, from)));
    }

    /// Whether somebody has, lately.
    pub fn is_known(&self, number: u32, from: Prefix) -> bool {
        self.known.has(&self.seed.hash((number, from)))
    }

    /// Whether the account is being attacked, and this prefix is new to it.
    pub fn must_wait(&self, now_ms: u64, number: u32, from: Prefix) -> bool {
        self.in_an_hour.count(now_ms, &number) >= limits::ATTACK_FAILURES && !self.is_known(number, from)
    }

    /// The check of this attempt is done later. Which attempt gives way to it, or that there is no room: with its number.
    pub fn wait(
        &mut self,
        now_ms: u64,
        attempt: u64,
        number: u32,
        password: Box<str>,
        from: Prefix,
    ) -> Room<(u32, u64)> {
        let room = match self.shares.room(from) {
            Room::Full => return Room::Full,
            Room::Free => Room::Free,
            Room::Replaces(oldest) => self.take(oldest).map_or(Room::Free, |one| Room::Replaces((one.number, oldest))),
        };
        let place = self.shares.enter(attempt, from);
        self.waiting.insert(attempt, Waiting { number, password, place });
        self.order.push_back((now_ms + limits::ATTACK_PAUSE.as_millis() as u64, attempt));
        room
    }

    fn take(&mut self, attempt: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&attempt)?;
        self.shares.leave(waiting.place);
        Some(waiting)
    }

    /// A check whose time has come: number, attempt, password.
    pub fn due(&mut self, now_ms: u64) -> Option<(u32, u64, Box<str>)> {
        while let Some((_, attempt)) = self.order.front().copied().filter(|(at, _)| *at <= now_ms) {
            self.order.pop_front();
            if let Some(Waiting { number, password, .. }) = self.take(attempt) {
                return Some((number, attempt, password));
            }
        }
        None
    }

    /// When there is something to do or to forget.
    pub fn deadline(&self) -> Option<u64> {
        let due = self.order.front().map(|(at, _)| *at);
        let forget = [self.of_account.deadline(), self.of_prefix.deadline(), self.in_an_hour.deadline()];
        forget.into_iter().flatten().chain(due).min()
    }

    /// Forgets what is too old.
    pub fn forget(&mut self, now_ms: u64) {
        self.of_account.forget(now_ms);
        self.of_prefix.forget(now_ms);
        self.in_an_hour.forget(now_ms);
    }
}
