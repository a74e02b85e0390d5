//! What users do, and what their programs do with what comes of it.

use super::oracle::Fact;
use super::person::{Asked, Stream};
use super::world::{Event as Happening, World};
use crate::client::{Action, AddOutcome, Error, Event, Recipient, Reply, RequestId, Secret, Status};
use crate::wire::{List, Move, User};

/// A deadline of the client's core that has passed and brings nothing may be so many times in a row.
const SPINS: u32 = 300;
/// The notice code where there is no such friend.
const NO_FRIEND: u8 = 12;
/// A number that nobody has.
const NOBODY: u32 = 9_999_999;

impl World {
    /// Lets a program send what it has to send, and take what has come.
    pub(super) fn run_program(&mut self, nth: usize) {
        let now = self.agenda.now();
        let mut packet = Vec::new();
        loop {
            let time = self.people[nth].time(now);
            self.people[nth].core.wake(time);
            while self.people[nth].core.poll_packet(time, &mut packet) {
                self.send(nth, std::mem::take(&mut packet));
            }
            let person = &mut self.people[nth];
            if let Some((id, result)) = person.core.poll_reply() {
                self.answered(nth, id, result);
                continue;
            }
            if (now >= person.reads_at || !person.asked.is_empty())
                && let Some(event) = person.core.poll_event(time)
            {
                self.told(nth, event);
                continue;
            }
            let (since, knocking) = (person.core.unanswered_since(), person.core.is_knocking());
            match person.carrier.poll(time, since, knocking) {
                None => break,
                Some(Action::Moved) => person.core.moved(time),
                Some(Action::Connect) => self.connect(nth),
                Some(Action::Disconnect) => {
                    if let Stream::Open(stream) = std::mem::replace(&mut person.stream, Stream::None) {
                        self.close_connection(stream);
                    }
                }
                Some(Action::Probe) => {
                    person.core.probe(&mut packet);
                    self.send_datagram(nth, std::mem::take(&mut packet));
                }
            }
        }
        self.set_alarm(nth);
    }

    fn set_alarm(&mut self, nth: usize) {
        let now = self.agenda.now();
        let person = &mut self.people[nth];
        let (since, knocking) = (person.core.unanswered_since(), person.core.is_knocking());
        let due = person.core.deadline().into_iter().chain(person.carrier.deadline(since, knocking)).min();
        let reads = (person.reads_at > now && person.core.has_event()).then_some(person.reads_at);
        let due = due.map(|due| due.saturating_sub(person.ahead));
        let Some(at) = due.into_iter().chain(reads).min() else { return };
        let at = at.max(now + 1);
        if person.wake_at.is_none_or(|set| at < set) {
            person.wake_at = Some(at);
            self.agenda.at(at, Happening::Wake { nth });
        }
    }

    pub(super) fn wakes(&mut self, nth: usize) {
        let now = self.agenda.now();
        let person = &mut self.people[nth];
        if person.wake_at != Some(now) {
            return;
        }
        person.wake_at = None;
        self.run_program(nth);
        let person = &mut self.people[nth];
        let spins = person.core.deadline().is_some_and(|at| at <= person.time(now));
        person.spins = if spins { person.spins + 1 } else { 0 };
        assert!(person.spins < SPINS, "at {now} ms: client {nth} spins: its deadline passes and nothing comes of it");
    }

    // ---- what comes

    fn answered(&mut self, nth: usize, id: RequestId, result: Result<Reply, Error>) {
        let now = self.agenda.now();
        let person = &mut self.people[nth];
        let Some(asked) = person.asked.remove(&id) else { return };
        let me = person.number.unwrap_or_default();
        match (asked, result) {
            (Asked::Register, Ok(Reply::Registered(number))) => {
                self.oracle.note(u64::from(number));
                self.oracle.figures.sessions += 1;
                person.number = Some(number);
            }
            (Asked::SignIn, Ok(Reply::SignedIn(groups))) => {
                self.oracle.figures.sessions += 1;
                person.show(&groups);
                person.status =
                    person.wants.map(|status| if status == Status::Hidden { status } else { Status::Online });
            }
            (Asked::Register, Err(error)) => {
                self.refused_at_the_door(nth, &error);
            }
            (Asked::SignIn, Err(error)) => {
                if matches!(error, Error::Refused { code: 3, .. }) {
                    self.people[nth].token = None;
                }
                self.refused_at_the_door(nth, &error);
            }
            (Asked::Add(friend), Ok(Reply::Added(_, AddOutcome::Done))) => {
                self.oracle.sure(Fact::Friend(me, friend), true);
                self.look_at(me);
            }
            (
                Asked::Add(friend),
                Ok(Reply::Added(_, AddOutcome::NeedsAuthorization | AddOutcome::NeedsAuthorizationOffline)),
            ) => {
                self.oracle.asks(me, friend);
                self.ask(nth, Asked::Other, &User::Ask { me, friend, reason: "please" });
            }
            (Asked::Delete(friend), Ok(Reply::Done)) => {
                // Answers and events come apart; what was told before this answer must not be shown after it.
                let time = self.people[nth].time(now);
                while let Some(event) = self.people[nth].core.poll_event(time) {
                    self.told(nth, event);
                }
                let person = &mut self.people[nth];
                person.list.remove(&friend);
                self.oracle.sure(Fact::Friend(me, friend), false);
            }
            (Asked::Delete(friend), Err(error)) => {
                if matches!(error, Error::Refused { code: NO_FRIEND, .. }) {
                    person.list.remove(&friend);
                } else {
                    // It may have been done or not: once more, later.
                    person.unwanted.insert(friend);
                }
            }
            (Asked::Add(friend), Err(Error::Timeout)) => _ = person.missing.insert(friend),
            (Asked::Status(_), Ok(Reply::Status(status))) => {
                person.status = Some(status);
                if status == Status::Offline {
                    person.shows_list = false;
                    person.try_at = now + self.chance.below(8_000);
                    let hidden = self.chance.percent(20);
                    person.wants = person.wants.map(|_| if hidden { Status::Hidden } else { Status::Online });
                }
            }
            (Asked::Block(other, on), Ok(Reply::Done)) => self.oracle.sure(Fact::Block(me, other), on),
            (Asked::AddGroup(name), Ok(Reply::Group(..))) => self.oracle.sure(Fact::Group(me, name), true),
            (Asked::Register | Asked::SignIn, Ok(reply)) => panic!("client {nth}: {reply:?} is no answer to this"),
            _ => {}
        }
    }

    fn refused_at_the_door(&mut self, nth: usize, error: &Error) {
        // Wrong passwords are never given; whoever is told so must have used a token.
        let pause = if matches!(error, Error::Refused { code: 6, .. }) { 20_000 } else { 500 };
        self.people[nth].try_at = self.agenda.now() + pause + self.chance.below(2_000);
    }

    fn told(&mut self, nth: usize, event: Event) {
        let now = self.agenda.now();
        let person = &mut self.people[nth];
        let me = person.number.unwrap_or_default();
        match event {
            Event::Message { from, text, id, .. } => self.oracle.shown(me, from, id, &text),
            Event::Receipt { to, id, state } => {
                self.oracle.receipt(me, to, id, state);
                self.look_at(to);
            }
            Event::FriendStatus { friend, status } => {
                match person.list.get_mut(&friend) {
                    Some(shown) => *shown = status,
                    // The list that is shown lacks somebody: the answer that put them in was lost with a restart.
                    None => _ = person.missing.insert(friend),
                }
            }
            Event::NewFriend(friend) => {
                person.missing.remove(&friend.number);
                person.list.insert(friend.number, friend.status);
            }
            Event::Restored { groups } => {
                person.show(&groups);
            }
            Event::Token { token, .. } => person.token = Some(token),
            Event::ServerKey { .. } => person.knows_key = true,
            Event::SignInAgain { .. } => {
                person.shows_list = false;
                person.try_at = now + self.chance.below(5_000);
            }
            Event::Asked { from, .. } => {
                let agree = u8::from(self.chance.percent(70));
                self.ask(nth, Asked::Other, &User::Answer { me, friend: from, agree });
            }
            // What tells the key is not sealed: somebody between can change it.
            Event::KeyChanged { .. } if self.plan.corrupt > 0 => {}
            Event::KeyChanged { .. } => panic!("client {nth} sees another key, and there is none"),
            _ => {}
        }
    }

    /// Now and then somebody looks at once whether what was told is so.
    fn look_at(&mut self, _number: u32) {
        if self.chance.percent(4)
            && let Some(store) = self.cluster.store()
        {
            self.oracle.look_into(store);
        }
    }

    // ---- what users do

    fn ask(&mut self, nth: usize, asked: Asked, frame: &User<'_>) {
        let person = &mut self.people[nth];
        let time = person.time(self.agenda.now());
        if let Ok(id) = person.core.request(time, frame) {
            person.asked.insert(id, asked);
        }
    }

    /// It is time for somebody to do something.
    pub(super) fn act(&mut self, nth: usize) {
        let pause = if self.healed { 300 } else { self.chance.within(&self.plan.act_every.clone()).max(1) };
        self.agenda.after(pause, Happening::Act { nth });
        let now = self.agenda.now();
        let person = &mut self.people[nth];
        let time = person.time(now);
        let entering = person.asked.values().any(|asked| matches!(asked, Asked::Register | Asked::SignIn));
        match (person.number, person.core.number()) {
            (None, _) if now >= person.try_at && !entering => {
                let profile = person.profile();
                let id = person.core.register(time, &profile, None).expect("a good profile");
                person.asked.insert(id, Asked::Register);
            }
            (Some(number), None) if person.wants.is_some() && now >= person.try_at && !entering => {
                // What an earlier session has told comes before the list of this one.
                person.reads_at = 0;
                self.run_program(nth);
                let person = &mut self.people[nth];
                let secret = match &person.token {
                    Some(token) => Secret::Token(token.clone()),
                    None => Secret::Password(person.password.clone()),
                };
                let hidden = person.wants == Some(Status::Hidden);
                let id = person.core.sign_in(time, number, &secret, hidden).expect("a good number");
                person.asked.insert(id, Asked::SignIn);
            }
            (Some(me), Some(_)) if person.asked.is_empty() && !person.missing.is_empty() => {
                let Some(friend) = person.missing.pop_first() else { return };
                if !person.list.contains_key(&friend) {
                    self.oracle.unsure(&Fact::Friend(me, friend));
                    self.ask(nth, Asked::Add(friend), &User::AddFriend { me, friend });
                }
            }
            (Some(me), Some(_)) if person.asked.is_empty() && !person.unwanted.is_empty() => {
                let Some(friend) = person.unwanted.pop_first() else { return };
                self.delete(nth, me, friend);
            }
            (Some(me), Some(_)) if !self.healed => self.do_something(nth, me),
            _ => {}
        }
        self.run_program(nth);
    }

    /// A user signs out, for good.
    pub(super) fn leave(&mut self, nth: usize) {
        let me = self.people[nth].number.unwrap_or_default();
        let status = Status::Offline;
        self.ask(nth, Asked::Status(status), &User::SetStatus { me, status: status.code() });
        self.run_program(nth);
    }

    fn somebody_else(&mut self, me: u32) -> Option<u32> {
        let others: Vec<u32> =
            self.people.iter().filter_map(|person| person.number).filter(|number| *number != me).collect();
        self.chance.pick(&others).copied()
    }

    fn do_something(&mut self, nth: usize, me: u32) {
        let Some(other) = self.somebody_else(me) else { return };
        let busy = !self.people[nth].asked.is_empty();
        match self.chance.below(100) {
            0..=54 => self.say(nth, me, Recipient::User(other)),
            55..=57 => self.say(nth, me, Recipient::Group(0)),
            58 => self.say(nth, me, Recipient::User(NOBODY)),
            59 => {
                for _ in 0..5 + self.chance.below(30) {
                    self.say(nth, me, Recipient::User(other));
                }
            }
            60..=64 if self.people[nth].asked.is_empty() => {
                if self.chance.percent(self.plan.slow) {
                    self.people[nth].reads_at = self.agenda.now() + self.chance.below(5_000);
                }
            }
            // One request at a time, so that each answer says what is so; what has come is read before.
            _ if busy => {}
            what => {
                self.people[nth].reads_at = 0;
                self.run_program(nth);
                self.request(nth, me, other, what);
            }
        }
    }

    fn request(&mut self, nth: usize, me: u32, other: u32, what: u64) {
        match what {
            0..=74 => {
                self.oracle.unsure(&Fact::Friend(me, other));
                self.ask(nth, Asked::Add(other), &User::AddFriend { me, friend: other });
            }
            75..=79 => {
                let friends: Vec<u32> = self.people[nth].list.keys().copied().collect();
                let Some(friend) = self.chance.pick(&friends).copied() else { return };
                self.delete(nth, me, friend);
            }
            80..=85 => {
                let status = [Status::Online, Status::Hidden, Status::Busy][self.chance.below(3) as usize];
                self.people[nth].status = None;
                self.ask(nth, Asked::Status(status), &User::SetStatus { me, status: status.code() });
            }
            86..=88 => {
                self.people[nth].status = None;
                let status = Status::Offline;
                self.ask(nth, Asked::Status(status), &User::SetStatus { me, status: status.code() });
            }
            89..=91 => {
                let on = self.chance.percent(35);
                self.oracle.unsure(&Fact::Block(me, other));
                self.ask(nth, Asked::Block(other, on), &User::Block { me, other, on: on.into() });
            }
            92..=93 => {
                self.words += 1;
                let name = format!("group {}", self.words);
                self.ask(nth, Asked::AddGroup(name.clone()), &User::AddGroup { me, name: &name });
            }
            94 => {
                let moves: Vec<Move> =
                    self.people[nth].list.keys().take(2).map(|friend| Move { friend: *friend, group: 1 }).collect();
                self.ask(nth, Asked::Other, &User::MoveFriends { me, moves: List::new(&moves) });
            }
            95 => self.ask(nth, Asked::Other, &User::View { me, friend: other }),
            96 => self.ask(nth, Asked::Other, &User::Online { me, start: 0, count: 20, direction: 2 }),
            97 => self.ask(nth, Asked::Other, &User::Search { me, sql: "nickname LIKE 'some%'" }),
            _ => self.ask(nth, Asked::Other, &User::Test { me }),
        }
    }

    fn delete(&mut self, nth: usize, me: u32, friend: u32) {
        self.oracle.unsure(&Fact::Friend(me, friend));
        self.ask(nth, Asked::Delete(friend), &User::DeleteFriend { me, friend });
    }

    /// Somebody says something.
    pub(super) fn say(&mut self, nth: usize, me: u32, to: Recipient) {
        self.words += 1;
        let mut text = format!("words {} of {me}", self.words);
        if self.chance.percent(3) {
            text.push_str(&" and more".repeat(self.chance.below(600) as usize));
        }
        let person = &mut self.people[nth];
        let time = person.time(self.agenda.now());
        if let Ok(id) = person.core.message(time, to, &text) {
            self.oracle.said(me, id, to, &text);
        }
    }
}
