//! What a run is made of: how many take part, and what goes wrong how often. It reads like a sentence.

use super::chance::Chance;
use super::world::World;
use crate::shard::{Budgets, Rate};
use std::ops::Range;

/// Times are in ms, shares in percent.
#[derive(Debug, Clone)]
pub struct Plan {
    pub shards: u32,
    pub clients: usize,
    /// A program does something about so often.
    pub act_every: Range<u64>,
    // What happens to datagrams.
    pub loss: u64,
    pub repeat: u64,
    pub delay: Range<u64>,
    /// Delayed far longer than others.
    pub late: u64,
    pub corrupt: u64,
    /// A copy arrives from an address that is not the sender's, before it or after it.
    pub spoof: u64,
    // What happens to ways.
    pub move_every: Range<u64>,
    pub cut_every: Range<u64>,
    pub cut_for: Range<u64>,
    pub stream_cut_every: Range<u64>,
    /// Clients through whose firewall no UDP comes.
    pub tcp: u64,
    // What happens to the server.
    pub kill_every: Range<u64>,
    pub down_for: Range<u64>,
    /// Ends are power cuts, and the power may fail in the middle of a write and of a start.
    pub cuts_power: bool,
    /// Ends are the operator's.
    pub only_stops: bool,
    pub reshards: bool,
    pub sync_fails_every: Range<u64>,
    pub disk_full_every: Range<u64>,
    pub disk_full_for: Range<u64>,
    pub always_retry: bool,
    /// What an account may do.
    pub budgets: Budgets,
    // What happens to clients.
    pub restart_every: Range<u64>,
    /// Programs that do not read what has come for a while.
    pub slow: u64,
    /// Programs that forget the messages without a receipt when they are started anew.
    pub forgetful: u64,
}

const NEVER: Range<u64> = 0..0;

impl Default for Plan {
    fn default() -> Self {
        Self {
            shards: 1,
            clients: 6,
            act_every: 200..1_500,
            loss: 0,
            repeat: 0,
            delay: 1..20,
            late: 0,
            corrupt: 0,
            spoof: 0,
            move_every: NEVER,
            cut_every: NEVER,
            cut_for: 500..20_000,
            stream_cut_every: NEVER,
            tcp: 0,
            kill_every: NEVER,
            down_for: 100..5_000,
            cuts_power: false,
            only_stops: false,
            reshards: false,
            sync_fails_every: NEVER,
            disk_full_every: NEVER,
            disk_full_for: 100..20_000,
            always_retry: false,
            budgets: Budgets::default(),
            restart_every: NEVER,
            slow: 0,
            forgetful: 0,
        }
    }
}

impl Plan {
    /// Everything that was chosen, by this stream of chance.
    pub fn random(chance: &mut Chance) -> Self {
        let mut plan = Self::default();
        let often = |chance: &mut Chance, share: u64, from: u64| {
            let every = from + chance.below(8 * from);
            if chance.percent(share) { every..3 * every } else { NEVER }
        };
        plan.shards = 1 + chance.below(4) as u32;
        plan.clients = 2 + chance.below(12) as usize;
        let pace = 100 + chance.below(1_500);
        plan.act_every = pace / 4..2 * pace;
        if chance.percent(70) {
            plan.loss = chance.below(30);
        }
        if chance.percent(50) {
            plan.repeat = chance.below(20);
        }
        let delay = 1 + chance.below(100);
        plan.delay = delay..delay + 1 + chance.below(150);
        if chance.percent(50) {
            plan.late = chance.below(10);
        }
        if chance.percent(30) {
            plan.corrupt = chance.below(8);
        }
        if chance.percent(30) {
            plan.spoof = chance.below(10);
        }
        plan.move_every = often(chance, 40, 1_000);
        plan.cut_every = often(chance, 30, 2_000);
        plan.stream_cut_every = often(chance, 50, 2_000);
        plan.tcp = if chance.percent(40) { chance.below(100) } else { 0 };
        plan.kill_every = often(chance, 70, 1_000);
        plan.down_for = if chance.percent(80) { 50..3_000 } else { 1_000..100_000 };
        plan.cuts_power = chance.percent(60);
        plan.only_stops = chance.percent(15);
        plan.reshards = chance.percent(30);
        plan.sync_fails_every = often(chance, 20, 2_000);
        plan.always_retry = chance.percent(20);
        plan.restart_every = often(chance, 40, 2_000);
        plan.slow = if chance.percent(40) { chance.below(40) } else { 0 };
        plan.forgetful = if chance.percent(30) { chance.below(60) } else { 0 };
        plan.disk_full_every = often(chance, 20, 3_000);
        if chance.percent(30) {
            plan.budgets = small_budgets(chance);
        }
        plan
    }

    /// Nothing goes wrong any more.
    pub fn heal(&mut self) {
        let Self { shards, clients, always_retry, tcp, .. } = *self;
        *self = Self { shards, clients, always_retry, tcp, delay: 1..20, ..Self::default() };
    }
}

/// So little that every program reaches it now and then.
fn small_budgets(chance: &mut Chance) -> Budgets {
    let mut rate = |per_second: u64, burst: u64| Rate {
        per_second: 1 + chance.below(per_second) as u32,
        burst: 1 + chance.below(burst) as u32,
    };
    Budgets { messages: rate(8, 30), writes: rate(5, 30), reads: rate(5, 30), ..Budgets::default() }
}

/// One word each.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        impl World {
            $($(#[$doc])* #[must_use] pub fn $name(mut self, $name: $type) -> Self {
                self.plan.$name = $name;
                self
            })*
        }
    };
}

words! {
    /// So many shards.
    shards: u32;
    /// So many clients.
    clients: usize;
    /// Each does something so often.
    act_every: Range<u64>;
    /// So many datagrams in a hundred are lost.
    loss: u64;
    /// So many arrive twice.
    repeat: u64;
    /// They take so long, each its own time.
    delay: Range<u64>;
    /// So many are far later than the others.
    late: u64;
    /// So many are damaged.
    corrupt: u64;
    /// Of so many somebody sends a copy from elsewhere.
    spoof: u64;
    /// Clients move to another address so often.
    move_every: Range<u64>;
    /// The way of a client is cut so often,
    cut_every: Range<u64>;
    /// and for so long.
    cut_for: Range<u64>;
    /// Connections break so often.
    stream_cut_every: Range<u64>;
    /// So many clients have no UDP.
    tcp: u64;
    /// The server ends so often, at any step,
    kill_every: Range<u64>;
    /// and starts after so long.
    down_for: Range<u64>;
    /// Syncs fail so often.
    sync_fails_every: Range<u64>;
    /// The disk is full so often,
    disk_full_every: Range<u64>;
    /// and for so long.
    disk_full_for: Range<u64>;
    /// Client programs end and start so often.
    restart_every: Range<u64>;
    /// What an account may do.
    budgets: Budgets;
    /// So many programs stop reading at times.
    slow: u64;
    /// So many forget what has no receipt when they start.
    forgetful: u64;
}

impl World {
    /// Ends are power cuts, at times in the middle of a write.
    #[must_use]
    pub fn by_power_cuts(mut self) -> Self {
        self.plan.cuts_power = true;
        self
    }

    /// Ends are the operator's: nothing is lost.
    #[must_use]
    pub fn by_the_operator(mut self) -> Self {
        self.plan.only_stops = true;
        self
    }

    /// It starts with another number of shards each time.
    #[must_use]
    pub fn with_other_shards(mut self) -> Self {
        self.plan.reshards = true;
        self
    }

    /// Every hello is answered with a cookie first.
    #[must_use]
    pub fn always_retry(mut self) -> Self {
        self.plan.always_retry = true;
        self
    }

    /// All of it as this plan says.
    #[must_use]
    pub fn as_planned(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }
}
