//! The rules of OICQ for the users of one shard (protocol.md 1.4–1.8 and 4), without I/O.
//!
//! A shard is given everything as an [`Input`]: frames, the time, what the store and the other shards answered. What is
//! to be done about it is left in an [`Outbox`]. It never waits, has no clock and no randomness, so a whole server runs
//! in a test under a virtual clock.
//!
//! ```text
//! shard.handle(now, Input::Frame { from, bytes }, &mut outbox);   // as often as there is input
//! // when all inputs of a turn are handled:
//! shard.flush(now, &mut outbox);                                  // what links have to send
//! // then do what the outbox says, empty it with `clear`, and come back at `deadline` at the latest
//! ```

mod apart;
mod attempts;
mod bans;
mod blocks;
mod board;
mod budget;
#[cfg(any(test, feature = "sim"))]
mod census;
mod changes;
mod channel;
mod custody;
mod endpoint;
mod event;
mod failures;
mod files;
mod friend_list;
mod friends;
mod groups;
mod handshakes;
mod hidden;
mod io;
mod mailbox;
mod messages;
mod monitor;
mod notice;
mod operator;
mod packets;
mod password;
mod path;
mod peer;
mod pending;
mod policy;
mod prefix;
mod presence;
mod profiles;
mod recent;
mod registration;
mod requests;
pub mod search;
mod sending;
mod shares;
mod shown;
mod signin;
mod user;
mod waiting;
mod way;
mod wheel;

#[cfg(test)]
mod tests;

pub use bans::Bans;
pub use board::{Board, OFFLINE};
#[cfg(any(test, feature = "sim"))]
pub use census::Census;
pub use custody::MessageId;
pub use endpoint::Endpoint;
pub use event::{Event, Presence, What};
pub use files::FileOffer;
pub use handshakes::Identity;
pub use io::{
    Applicant, Control, Counters, Input, Now, Outbox, PasswordJob, PasswordOutcome, SearchJob, SearchOrder, Send,
    Territory, Ticket, steer,
};
pub use peer::Peer;
pub use policy::{Budgets, Policy, Rate, RegistrationMode};
pub use prefix::Prefix;

use crate::limits;
use crate::link::{Ciphers, Frames, Salt};
use crate::seeded::{Seed, SeededMap};
use crate::store::Stalled;
use apart::Apart;
use attempts::Attempt;
use failures::Failures;
use handshakes::{Handshakes, random};
use pending::Pending;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use recent::{Lately, PrefixCounts, Recent};
use registration::Registration;
use shares::Shares;
use std::collections::VecDeque;
use std::sync::Arc;
use user::User;
use waiting::Debts;
use wheel::{Due, SessionKey, Wheel};

/// From where bare frames are taken (`--classic`, protocol.md 1.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classic {
    /// From nowhere.
    Off,
    /// From loopback addresses.
    Loopback,
    /// From everywhere.
    Any,
}

/// The rules for the users of one shard.
pub struct Shard {
    territory: Territory,
    board: Arc<Board>,
    classic: Classic,
    policy: Arc<Policy>,
    bans: Arc<Bans>,
    /// Users who may have been banned, to be looked at.
    to_look_at: Vec<u32>,
    /// Banned prefixes that were answered in this second.
    barred: PrefixCounts,
    counters: Counters,
    /// Users who are online or for whom a change is in progress.
    users: SeededMap<u32, Box<User>>,
    /// Users who are being read from the store for a change while they are offline, and those changes.
    loading: SeededMap<u32, Vec<changes::Op>>,
    /// Who is online and lists a user of this shard, in order of number: but for those of which the user's own list says
    /// so. See [`presence`].
    watchers: presence::Watchers,
    /// Who has blocked a user of this shard, or does so no more, while the user's lists were read.
    blocks_meanwhile: SeededMap<u32, Vec<(u32, bool)>>,
    /// Who monitors a user of this shard, until when.
    monitored: SeededMap<u32, Vec<(u32, u64)>>,
    /// Sign-ins that wait for the store or the password pool.
    attempts: SeededMap<u32, Vec<Attempt>>,
    /// Questions that are open, by ticket.
    pending: SeededMap<Ticket, Pending>,
    next_ticket: u64,
    /// The search of each account that has one running: a new session of the account does not get another.
    searches: SeededMap<u32, Ticket>,
    next_session: u32,
    next_attempt: u64,
    wheel: Wheel,
    /// Timers that have run and are still to be handled.
    due: VecDeque<Due>,
    /// Registrations by source address, so that a repeat is not done twice (protocol.md 1.8).
    registrations: Recent<Endpoint, Registration>,
    /// How many are in progress, by prefix.
    registering: SeededMap<Prefix, u32>,
    registrations_by_prefix: PrefixCounts,
    failures: Failures,
    handshakes: Handshakes,
    /// Links that carry no session: see [`apart`].
    apart: SeededMap<SessionKey, Box<Apart>>,
    /// Whose the ones are by which nobody has signed in, and those that have ended.
    entering: Shares<SessionKey>,
    leaving: Shares<SessionKey>,
    /// Those of them that are sessions from before the server started: which of each number.
    kept: SeededMap<u32, u32>,
    /// See [`Identity::salt`].
    salt: Salt,
    ciphers: Ciphers,
    frames: Frames,
    /// Messages that were delivered lately: to whom, from whom, which.
    delivered: Lately<(u32, u32, u64)>,
    /// How often one person has made another be told something lately: to whom, from whom.
    news: Recent<(u32, u32), u32>,
    /// What accounts without a session have spent of their budgets.
    debts: Debts,
    /// Messages that could not be taken for now: nothing newer is taken first.
    stalled: Stalled,
    /// The server ends.
    stopped: bool,
    /// The last id that was given to a message without one.
    next_id: u64,
    /// Who has just signed out, and from where.
    signed_out: Recent<(u32, Endpoint), ()>,
}

/// The time of the present input, and where what is to be done goes.
struct Cx<'o> {
    now: Now,
    out: &'o mut Outbox,
}

impl Shard {
    /// A shard without users, under the default policy. All shards of a server share one board.
    pub fn new(territory: Territory, board: Arc<Board>, classic: Classic, identity: &Identity) -> Self {
        let mut chance = ChaCha20Rng::from_seed(identity.seed);
        let seed = &Seed::new(random(&mut chance));
        Self {
            territory,
            board,
            classic,
            policy: Arc::default(),
            bans: Arc::default(),
            to_look_at: Vec::new(),
            barred: PrefixCounts::new(limits::BANNED_WINDOW, limits::BANNED_PREFIXES, seed),
            counters: Counters::default(),
            users: seed.map(),
            loading: seed.map(),
            watchers: presence::Watchers::new(seed),
            blocks_meanwhile: seed.map(),
            monitored: seed.map(),
            attempts: seed.map(),
            pending: seed.map(),
            next_ticket: 0,
            searches: seed.map(),
            next_session: 0,
            next_attempt: 0,
            wheel: Wheel::new(),
            due: VecDeque::new(),
            registrations: Recent::new(limits::REPEAT, limits::REPEAT_REGISTRATIONS, seed),
            registering: seed.map(),
            registrations_by_prefix: PrefixCounts::new(limits::BUDGET_WINDOW, limits::REGISTRATION_PREFIXES, seed),
            failures: Failures::new(seed),
            handshakes: Handshakes::new(identity, chance, seed),
            apart: seed.map(),
            entering: Shares::new(limits::ENTERING_LINKS),
            leaving: Shares::new(limits::LEAVING),
            kept: seed.map(),
            salt: identity.salt,
            ciphers: Ciphers::new(limits::CIPHERS),
            frames: Frames::default(),
            delivered: Lately::new(limits::DELIVERED, seed),
            news: Recent::new(limits::NEWS_WINDOW, limits::NEWS_PAIRS, seed),
            debts: Debts::new(seed),
            stalled: Stalled::new(limits::STALLED),
            stopped: false,
            next_id: 0,
            signed_out: Recent::new(limits::REPEAT, limits::SIGN_OUTS, seed),
        }
    }

    /// The same shard under another policy than the default one, and with these bans.
    pub fn under(mut self, policy: Arc<Policy>, bans: Arc<Bans>) -> Self {
        (self.policy, self.bans) = (policy, bans);
        self
    }

    /// Takes one input and adds what is to be done to `out`.
    pub fn handle(&mut self, now: Now, input: Input<'_>, out: &mut Outbox) {
        let cx = &mut Cx { now, out };
        match input {
            Input::Frame { from, bytes } => self.frame(cx, from, bytes),
            Input::Packet { from, bytes } => self.packet(cx, from, bytes),
            Input::Stop => {
                // From now on nothing is kept in memory alone.
                self.stopped = true;
                self.store_all_custody(cx);
            }
            Input::Peer { to, message } => self.peer_message(cx, to, message),
            Input::Stored { ticket, answer } => self.stored(cx, ticket, answer),
            Input::Password { ticket, outcome } => self.password(cx, ticket, outcome),
            Input::Searched { ticket, found } => self.searched(cx, ticket, found),
            Input::Flushed { from, number } => self.flushed(cx, from, number),
            Input::StreamClosed { from, number } => self.stream_closed(cx, from, number),
            Input::Control(control) => self.control(cx, control),
            Input::Tick => self.tick(cx),
        }
    }

    /// The next packets are about these numbers. What the shard knows of them is not in the processor's cache if there are
    /// many users: looked at together it comes for all of them in the time in which it would come for one.
    pub fn expect(&self, numbers: &[u32]) {
        let users = numbers.iter().map(|number| self.users.get(number));
        let mut found: [Option<&User>; limits::DATAGRAM_BATCH] = [None; limits::DATAGRAM_BATCH];
        found.iter_mut().zip(users).for_each(|(place, user)| *place = user.map(|user| &**user));
        let sessions = found.iter().flatten().filter_map(|user| user.session.as_ref());
        let mut links: [Option<&channel::Channel>; limits::DATAGRAM_BATCH] = [None; limits::DATAGRAM_BATCH];
        links.iter_mut().zip(sessions).for_each(|(place, session)| *place = session.way.link());
        for channel in links.iter().flatten() {
            channel.expect();
        }
    }

    /// When [`Input::Tick`] is wanted at the latest, in ms of [`Now::mono_ms`]; `None` while there is nothing to wait for, 0
    /// while timers that have run are still to be handled.
    pub fn deadline(&self) -> Option<u64> {
        if !self.due.is_empty() || !self.to_look_at.is_empty() {
            return Some(0);
        }
        let recent = [
            self.registrations.deadline(),
            self.registrations_by_prefix.deadline(),
            self.failures.deadline(),
            self.handshakes.deadline(),
            self.signed_out.deadline(),
        ];
        recent.into_iter().chain([self.wheel.deadline()]).flatten().min()
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.look_for_banned(cx);
        if self.due.is_empty() {
            self.registrations.forget(cx.now.mono_ms);
            self.registrations_by_prefix.forget(cx.now.mono_ms);
            self.failures.forget(cx.now.mono_ms);
            self.check_waiting(cx);
            self.handshakes.tick(cx.now.mono_ms);
            self.signed_out.forget(cx.now.mono_ms);
            self.wheel.take_due(cx.now.mono_ms, &mut self.due);
        }
        for _ in 0..limits::TIMERS_TOGETHER {
            match self.due.pop_front() {
                Some(Due::Slow(key)) => self.check_silence(cx, key),
                Some(Due::Soon(key)) => self.timer(cx, key),
                None => break,
            }
        }
    }

    /// A timer of a session has run, or of a link apart. Most are of links whose acks rode along meanwhile.
    fn timer(&mut self, cx: &mut Cx<'_>, key: SessionKey) {
        if let Some(session) = self.session(key.number).filter(|session| session.id == key.session) {
            let monitors = session.monitor.is_some();
            let over_budget = session.has_backlog();
            if session.way.bare().is_some() {
                self.forget_latest(cx.now.mono_ms, key);
                self.deliver_in_time(cx, key);
            }
            if monitors {
                self.check_monitoring_end(cx, key);
            }
            if over_budget {
                self.spend_more(cx, key);
            }
        }
        self.link_timer(cx, key);
    }

    fn control(&mut self, cx: &mut Cx<'_>, control: Control) {
        match control {
            Control::Announce(text) => self.announce(cx, &text),
            Control::SignOut(number, words) => self.expel(cx, number, &words),
            Control::SignOutAll => self.expel_all(cx),
            Control::Revoke { monitor, target } => self.revoke(cx, monitor, target),
            Control::Deleted(number) => self.forget_account(cx, number),
            Control::Policy(policy) => self.policy = policy,
            Control::Limits(number, limits) => self.set_limits(number, &limits),
            Control::Bans(bans) => self.set_bans(cx, bans),
        }
    }

    /// A message from the shard of another user, or from this one, for `to`.
    fn peer_message(&mut self, cx: &mut Cx<'_>, to: u32, message: Peer) {
        debug_assert!(self.territory.owns(to), "the server delivers to the owner");
        match message {
            Peer::Message { from, id, time_ms, text } => self.deliver(cx, from, to, id, time_ms, text),
            Peer::Receipt { to: recipient, id, state, reason } => {
                self.receipt_for(cx, to, recipient, id, state, reason);
            }
            Peer::Progress { from, offer, received } => self.file_progress(cx, to, from, offer, received),
            Peer::Notice { about, code, text } => self.notice_words(cx, to, about, code, &text),
            Peer::Watch { watcher, seen } => self.watch(cx, to, watcher, seen),
            Peer::Unwatch { watcher } => self.unwatch(to, watcher),
            Peer::Status { of, status } => self.friend_status(cx, to, of, status),
            Peer::BlockedBy { by, on } => self.blocked_by(cx, to, by, on),
            Peer::Added { from } => self.added(cx, to, from),
            Peer::Ask { applicant, reason } => self.asked(cx, to, applicant, reason),
            Peer::Answered { by, agree } => self.answered(cx, to, by, agree),
            Peer::FileOffer { from, file } => self.file_offered(cx, to, from, file),
            Peer::FileAnswer { from, offer, allow, paced } => {
                self.file_answered(cx, to, from, offer, allow, paced);
            }
            Peer::FilePiece { from, offer, data } => self.file_piece(cx, to, from, offer, &data),
            Peer::FileEnd { from, offer, offered_by_to } => self.file_ended(to, from, offer, offered_by_to),
            Peer::Monitor { monitor, until_ms } => self.monitor_on(to, monitor, until_ms),
            Peer::Unmonitor { monitor } => self.monitor_off(to, monitor),
            Peer::Copy { target, from, text } => self.monitored_copy(cx, to, target, from, &text),
        }
    }

    /// Sends a message to the shard of `to`: at once if that is this one.
    fn peer(&mut self, cx: &mut Cx<'_>, to: u32, message: Peer) {
        if self.territory.owns(to) {
            self.peer_message(cx, to, message);
        } else {
            cx.out.peers.push((to, message));
        }
    }
}

/// What a user who is signed in over the link takes in memory while nothing goes on: each part and its bytes, without
/// friends.
#[cfg(test)]
fn sizes() -> Vec<(&'static str, usize)> {
    // A hash table keeps an eighth to a half of its places free: with its byte of control about 1.5 entries each.
    let entry = (size_of::<(u32, Box<User>)>() + 1) * 3 / 2;
    vec![
        ("user: lists, session", size_of::<User>()),
        ("link: keys, replay window, what is known of the peer", size_of::<crate::link::Link>()),
        ("path and timers of the link", size_of::<channel::Channel>() - size_of::<crate::link::Link>()),
        ("place in the table of users", entry),
        ("place in the wheel of timers", size_of::<SessionKey>()),
        ("board", 1),
    ]
}
