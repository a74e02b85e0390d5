//! What carries messages between users: the link and a server, or the floor.

use crate::crowd::{Crowd, Event};
use crate::net::Datagrams;
use oicq::wire::User as Said;

/// Users who can write to each other.
pub trait Carrier {
    /// From now on the sockets are this one's.
    fn begin(&mut self) -> Result<(), String>;
    /// Queues a message from a user to another.
    fn send(&mut self, from: u32, to: u32, id: u64);
    /// Queues a change of a user's status that so many others see: those after that user.
    fn change(&mut self, user: u32, watchers: u32, status: u8);
    /// Takes what has arrived, waiting so many milliseconds for the first, and tells what happened by it.
    fn turn(&mut self, now_ms: u64, wait: i32, events: &mut Vec<Event>) -> Result<usize, String>;
    /// Sends what is queued, answers included.
    fn flush(&mut self, now_ms: u64) -> Result<(), String>;
    /// Datagrams over its sockets.
    fn datagrams(&self) -> Datagrams;
}

/// Users signed in over the link, and the text of their messages.
pub struct Linked<'a> {
    /// Who.
    pub crowd: &'a mut Crowd,
    /// Their text.
    pub text: String,
}

impl Carrier for Linked<'_> {
    fn begin(&mut self) -> Result<(), String> {
        self.crowd.net().aim()
    }

    fn send(&mut self, from: u32, to: u32, id: u64) {
        let (me, to) = (self.crowd.number(from), self.crowd.number(to));
        self.crowd.say(from, &Said::Message { me, to, text: &self.text, id: Some(id) });
    }

    fn change(&mut self, user: u32, _watchers: u32, status: u8) {
        let me = self.crowd.number(user);
        self.crowd.say(user, &Said::SetStatus { me, status });
    }

    fn turn(&mut self, now_ms: u64, wait: i32, events: &mut Vec<Event>) -> Result<usize, String> {
        self.crowd.turn(now_ms, wait, events)
    }

    fn flush(&mut self, now_ms: u64) -> Result<(), String> {
        self.crowd.flush(now_ms)
    }

    fn datagrams(&self) -> Datagrams {
        self.crowd.datagrams()
    }
}
