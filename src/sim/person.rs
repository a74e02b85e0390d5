//! A user's program: the client's core with a carrier, and what the program keeps on its own disk.

use super::chance::Chance;
use super::cluster::{PRIVATE, UNIX_MS};
use crate::client::{Carrier, Core, Group, OwnedProfile, RequestId, SeenList, Setup, Status, Unsent, Ways};
use crate::link::public_key;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// What a program has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    Register,
    SignIn,
    Add(u32),
    Delete(u32),
    Status(Status),
    Block(u32, bool),
    AddGroup(String),
    Other,
}

/// A TCP connection of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    None,
    /// Its number; it does not stand yet.
    Connecting(u32),
    Open(u32),
}

/// One user and the program.
#[derive(Debug)]
pub struct Person {
    pub core: Core,
    pub carrier: Carrier,
    ways: Ways,
    /// The clock of this machine is ahead by so much.
    pub ahead: u64,
    pub address: SocketAddr,
    moves: u64,
    /// Something of the server's has come at this address.
    pub heard_here: bool,
    pub stream: Stream,
    pub number: Option<u32>,
    pub password: String,
    pub authorization: u8,
    pub token: Option<String>,
    keep_password: bool,
    pub knows_key: bool,
    /// Loses the messages without a receipt when it ends.
    pub forgetful: bool,
    /// Whether the user wants to be signed in, and with which status.
    pub wants: Option<Status>,
    /// Not before this the program tries to sign in or to register again.
    pub try_at: u64,
    pub asked: BTreeMap<RequestId, Asked>,
    /// The friend list as it is shown.
    pub list: BTreeMap<u32, Status>,
    /// Who should be on it, as it seems.
    pub missing: BTreeSet<u32>,
    /// Who should not be on it any more: nobody has answered that.
    pub unwanted: BTreeSet<u32>,
    /// Whether the server has told the list since the program has started.
    pub shows_list: bool,
    /// Its status as far as the program knows; `None` after a change that was not answered.
    pub status: Option<Status>,
    /// The program does not read before this.
    pub reads_at: u64,
    /// Its way is cut until then.
    pub cut_until: u64,
    pub udp_blocked: bool,
    pub wake_at: Option<u64>,
    pub spins: u32,
}

impl Person {
    pub fn new(nth: usize, plan: &super::Plan, chance: &mut Chance) -> Self {
        let ways = if chance.percent(15) { Ways::Tcp } else { Ways::Both };
        let udp_blocked = chance.percent(plan.tcp);
        let address = address(nth, 0, chance);
        let knows_key = chance.percent(70);
        let mut person = Self {
            core: Core::new(Setup::default()),
            carrier: Carrier::new(0, ways),
            ways,
            ahead: chance.below(100_000),
            address,
            moves: 0,
            heard_here: false,
            stream: Stream::None,
            number: None,
            password: format!("secret {nth}"),
            authorization: u8::from(chance.percent(20)),
            token: None,
            keep_password: chance.percent(60),
            knows_key,
            forgetful: chance.percent(plan.forgetful),
            wants: Some(Status::Online),
            try_at: 0,
            asked: BTreeMap::new(),
            list: BTreeMap::new(),
            missing: BTreeSet::new(),
            unwanted: BTreeSet::new(),
            shows_list: false,
            status: None,
            reads_at: 0,
            cut_until: 0,
            udp_blocked,
            wake_at: None,
            spins: 0,
        };
        person.begin(0, chance, Vec::new(), SeenList::default());
        person
    }

    /// The time on its machine.
    pub fn time(&self, now: u64) -> u64 {
        now + self.ahead
    }

    /// The program starts with what an earlier one has left.
    fn begin(&mut self, now: u64, chance: &mut Chance, outbox: Vec<Unsent>, seen: SeenList) {
        self.core = Core::new(Setup {
            key: self.knows_key.then(|| public_key(&PRIVATE)),
            seed: chance.key(),
            first_id: (UNIX_MS + self.time(now)) << 20,
            keep_password: self.keep_password,
            outbox,
            seen,
        });
        self.carrier = Carrier::new(self.time(now), self.ways);
        self.stream = Stream::None;
        self.asked.clear();
        self.shows_list = false;
        self.reads_at = 0;
    }

    /// The program ends without a word and starts again. What it keeps on its disk is written as soon as it is known.
    pub fn restart(&mut self, now: u64, chance: &mut Chance) -> Vec<Unsent> {
        let outbox = self.core.unsent();
        let seen = self.core.seen();
        let (kept, lost) = if self.forgetful { (Vec::new(), outbox) } else { (outbox, Vec::new()) };
        if chance.percent(30) {
            self.token = None;
        }
        self.begin(now, chance, kept, seen);
        lost
    }

    /// Its connection, if one stands.
    pub fn connection(&self) -> Option<u32> {
        if let Stream::Open(stream) = self.stream { Some(stream) } else { None }
    }

    pub fn profile(&self) -> OwnedProfile {
        let mut profile = OwnedProfile::new("somebody", &self.password);
        profile.authorization = self.authorization;
        profile
    }

    /// The friend list was told anew.
    pub fn show(&mut self, groups: &[Group]) {
        self.shows_list = true;
        self.missing.clear();
        self.unwanted.clear();
        self.list =
            groups.iter().flat_map(|group| &group.friends).map(|friend| (friend.number, friend.status)).collect();
    }

    /// Somewhere else: another port, or another network.
    pub fn go(&mut self, nth: usize, chance: &mut Chance) {
        self.moves += 1;
        let before = self.address;
        self.address = if chance.percent(50) {
            SocketAddr::new(self.address.ip(), 1_024 + (chance.below(60_000) as u16))
        } else {
            address(nth, self.moves, chance)
        };
        self.heard_here &= self.address == before;
    }
}

fn address(nth: usize, times: u64, chance: &mut Chance) -> SocketAddr {
    let ip = [10, nth as u8, times as u8, 1 + chance.below(250) as u8];
    SocketAddr::from((ip, 1_024 + chance.below(60_000) as u16))
}
