//! What must be so while it runs, and what must come to be so once nothing goes wrong any more.

use super::world::World;
use crate::client::{Recipient, Status};
use crate::limits;
use crate::shard::OFFLINE;
use std::collections::BTreeSet;

/// Within so long after the last fault everybody is signed in and every message is where it should be.
const LIVENESS_MS: u64 = 150_000;
/// So long after everybody has signed out, nothing of them is left: farewells, repeats and handshakes have an end.
const LEAVING_MS: u64 = 100_000;
/// Within so long a message has its receipt: it is stored if nobody says in a second to have it, and may have to be sent twice.
const SOON_MS: u64 = 3_000;
/// How often a client tests its connection, and a little more.
const TEST_MS: u64 = 34_000;
/// The same where some datagrams are lost.
const LOSSY_MS: u64 = 10_000;
/// How often it is looked whether that is so.
const STEP_MS: u64 = 1_000;

impl World {
    /// Nothing goes wrong any more: the network carries everything, the server runs, whoever has signed out signs in.
    #[must_use]
    pub fn heal(mut self) -> Self {
        self.plan.heal();
        self.healed = true;
        self.cluster.end_in = None;
        self.cluster.no_more_faults();
        self.cluster.set_budgets(&mut self.agenda, self.plan.budgets);
        for person in &mut self.people {
            person.cut_until = 0;
            person.reads_at = 0;
        }
        self
    }

    /// Checks that everything comes to rest as it should (architecture.md 5), and that nothing is left behind.
    #[must_use]
    pub fn check(mut self) -> Self {
        let until = self.agenda.now() + LIVENESS_MS;
        loop {
            self.pass(STEP_MS);
            let Some(why) = self.unfinished() else { break };
            assert!(self.agenda.now() < until, "at {} ms, long after the last fault: {why}", self.agenda.now());
        }
        // It stays so, but for what is written now and then.
        self.pass(5_000);
        if let Some(why) = self.unfinished().filter(|_| self.waiting().is_none()) {
            panic!("at {} ms, after all was well: {why}", self.agenda.now());
        }
        self.look();
        self.answers_soon();
        self.look();
        self.everybody_leaves();
        self
    }

    /// Now that all is well, a message has its receipt as soon as it should: a timer that is lost would only show as a long
    /// wait, until something else comes by.
    fn answers_soon(&mut self) {
        // Whoever was thought to be elsewhere proves to be here by two packets, the later of which can be the next test.
        self.everybody_says_something(1);
        self.receipts_within(TEST_MS, "the first");
        self.everybody_says_something(1);
        self.receipts_within(SOON_MS, "read at once");
        let now = self.agenda.now();
        self.people.iter_mut().for_each(|person| person.reads_at = now + 2 * SOON_MS);
        self.everybody_says_something(1);
        self.receipts_within(SOON_MS, "not read");
        self.pass(2 * SOON_MS);
        self.plan.loss = 5;
        self.everybody_says_something(5);
        self.receipts_within(LOSSY_MS, "lost at times");
        self.plan.loss = 0;
        let until = self.agenda.now() + LIVENESS_MS;
        while let Some(why) = self.unfinished() {
            assert!(self.agenda.now() < until, "at {} ms, after some messages more: {why}", self.agenda.now());
            self.pass(STEP_MS);
        }
    }

    fn everybody_says_something(&mut self, messages: usize) {
        let count = self.people.len();
        for nth in (0..count).flat_map(|nth| std::iter::repeat_n(nth, messages)) {
            let (me, other) = (self.people[nth].number, self.people[(nth + 1) % count].number);
            if let (Some(me), Some(other)) = (me, other) {
                self.say(nth, me, Recipient::User(other));
                self.run_program(nth);
            }
        }
    }

    fn receipts_within(&mut self, ms: u64, what: &str) {
        let until = self.agenda.now() + ms;
        while let Some(person) = self.people.iter().find(|person| person.core.unsent_count() > 0) {
            let number = person.number.unwrap_or_default();
            assert!(
                self.agenda.now() < until,
                "at {} ms: {number} has no receipt of a message {what}",
                self.agenda.now()
            );
            self.pass(50);
        }
    }

    /// What is not yet as it should be, if anything.
    fn unfinished(&self) -> Option<String> {
        if !self.cluster.runs() {
            return Some("the server does not run".to_owned());
        }
        for (nth, person) in self.people.iter().enumerate() {
            let Some(number) = person.number else { return Some(format!("client {nth} is not registered")) };
            if person.core.number().is_none() || !person.shows_list {
                return Some(format!("client {nth}, {number}, is not signed in"));
            }
            if person.core.unsent_count() > 0 {
                return Some(format!("{} messages of {number} have no receipt", person.core.unsent_count()));
            }
            if !person.asked.is_empty() {
                return Some(format!("{number} waits for {:?}", person.asked.values().collect::<Vec<_>>()));
            }
            if person.core.unanswered_since().is_some_and(|since| person.time(self.agenda.now()) > since + 5_000) {
                return Some(format!("{number} waits for an answer of the server"));
            }
        }
        let sessions: usize =
            self.cluster.shards().iter().map(|shard| shard.census()).map(|one| one.sessions + one.kept).sum();
        if sessions != self.people.len() {
            return Some(format!("{sessions} sessions stand, of {}", self.people.len()));
        }
        if let Some((to, from, id)) = self.oracle.not_shown().next() {
            return Some(format!("{from}/{id} is stored for {to}, and was not shown"));
        }
        self.wrong_status().or_else(|| self.wrong_watchers()).or_else(|| self.waiting())
    }

    /// Whoever is shown a status that is not so.
    fn wrong_status(&self) -> Option<String> {
        let board = self.cluster.board()?;
        for person in &self.people {
            let number = person.number?;
            let visible = board.get(number);
            let told = person.status.map(|status| if status == Status::Hidden { OFFLINE } else { status.code() });
            if told.is_some_and(|told| told != visible) {
                return Some(format!("{number} is {:?}, and others see {visible}", person.status));
            }
            for (friend, shown) in &person.list {
                let blocked = self.cluster.shards().iter().any(|shard| shard.is_blocking(*friend, number));
                let real = if blocked { OFFLINE } else { board.get(*friend) };
                if shown.code() != real {
                    return Some(format!("{number} sees {friend} as {shown:?}; it is {real}"));
                }
            }
        }
        None
    }

    /// Whoever watches and should not, or the other way round.
    fn wrong_watchers(&self) -> Option<String> {
        for person in &self.people {
            let number = person.number?;
            let watchers: BTreeSet<u32> = self.cluster.shard_of(number)?.watchers_of(number).into_iter().collect();
            let listing = |other: &&super::person::Person| other.list.contains_key(&number);
            let expected: BTreeSet<u32> = self.people.iter().filter(listing).filter_map(|other| other.number).collect();
            if watchers != expected {
                return Some(format!("{number} is listed by {expected:?} and watched by {watchers:?}"));
            }
        }
        None
    }

    /// What waits for something, if anything does.
    fn waiting(&self) -> Option<String> {
        if self.cluster.store_backlog() > 0 {
            return Some("something waits for the store".to_owned());
        }
        for (index, shard) in self.cluster.shards().iter().enumerate() {
            let census = shard.census();
            if census.pending + census.attempts + census.loading + census.changing + census.custody + census.backlog > 0
            {
                return Some(format!("shard {index} waits: {census:?}"));
            }
        }
        None
    }

    /// The lists that programs show are those in the store.
    pub(super) fn check_lists_shown(&mut self) {
        for nth in 0..self.people.len() {
            self.check_list(nth);
        }
    }

    /// The list that a program has just been told has what was answered before.
    pub(super) fn check_list(&mut self, nth: usize) {
        let person = &self.people[nth];
        let (Some(number), true) = (person.number, person.asked.is_empty() && person.shows_list) else { return };
        if !self.healed {
            return;
        }
        let shown: Vec<u32> = person.list.keys().copied().collect();
        let Some(store) = self.cluster.store() else { return };
        let lists = store.lists(number).expect("memory can be read").expect("it was registered");
        let stored: Vec<u32> = lists.friends.iter().map(|entry| entry.0).collect();
        assert_eq!(
            shown,
            stored,
            "at {} ms: the list that {number} is shown and the one in the store",
            self.agenda.now()
        );
    }

    /// Everything that has a bound is within it (architecture.md 5.5).
    pub(super) fn check_bounds(&self) {
        for (index, shard) in self.cluster.shards().iter().enumerate() {
            let census = shard.census();
            let bounded = census.handshakes <= limits::HANDSHAKES
                && census.entering <= limits::ENTERING_LINKS
                && census.apart - census.kept - census.entering <= limits::LEAVING
                && census.custody <= limits::CUSTODY
                && census.backlog <= limits::LINK_BACKLOG_BYTES + 2 * limits::FRAME_BYTES
                && census.pending <= limits::QUESTIONS
                && census.attempts <= limits::SIGN_IN_ATTEMPTS * self.people.len();
            assert!(bounded, "at {} ms: shard {index} holds too much: {census:?}", self.agenda.now());
        }
    }

    /// Everybody signs out, and nothing of them is left.
    fn everybody_leaves(&mut self) {
        self.check_lists_shown();
        for nth in 0..self.people.len() {
            self.people[nth].wants = None;
            self.leave(nth);
        }
        let until = self.agenda.now() + LEAVING_MS;
        loop {
            self.pass(STEP_MS);
            let Some(why) = self.left_behind() else { return };
            assert!(self.agenda.now() < until, "at {} ms, long after everybody has left: {why}", self.agenda.now());
        }
    }

    fn left_behind(&mut self) -> Option<String> {
        for (index, shard) in self.cluster.shards().iter().enumerate() {
            let census = shard.census();
            let left = census.users + census.watchers + census.pending + census.apart + census.handshakes;
            if left + census.attempts + census.loading > 0 {
                return Some(format!("shard {index} still holds {census:?}"));
            }
            if shard.counters().online > 0 {
                return Some(format!("shard {index} counts {} online", shard.counters().online));
            }
        }
        let board = self.cluster.board()?;
        for person in &self.people {
            let number = person.number?;
            if board.get(number) != OFFLINE {
                return Some(format!("{number} is shown as {}", board.get(number)));
            }
        }
        let mut kept = Vec::new();
        let store = self.cluster.store()?;
        store.sessions(&mut |record| kept.push(record.number)).expect("memory can be read");
        let mut mail = Vec::new();
        for person in &self.people {
            let number = person.number?;
            let names = store.undelivered(number).expect("memory can be read");
            mail.extend(names.into_iter().map(|(from, id)| (number, from, id)));
        }
        if !kept.is_empty() {
            return Some(format!("sessions of {kept:?} are kept"));
        }
        // A message that was shown and was not deleted, or was said again, comes again with the next sign-in, and is
        // deleted then.
        let twice = self.oracle.disk_fails || self.oracle.figures.ends > 0;
        (!mail.is_empty() && !twice).then(|| format!("mailboxes hold {mail:?}"))
    }
}
