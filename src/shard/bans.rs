//! Bans (protocol.md 2.6): who is banned, and what becomes of those who are.
//!
//! All shards share one table, which is replaced as a whole when the operator bans somebody or lifts a ban. Looking up an
//! address allocates nothing: for each length of network that is banned at all, the longest first, one look into a tree.

use super::endpoint::Endpoint;
use super::event::What;
use super::notice::{Code, Refused};
use super::way::Origin;
use super::wheel::SessionKey;
use super::{Cx, Shard};
use crate::limits;
use crate::link::CloseCode;
use crate::store::{Ban, Banned, Network};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Sessions that are looked at in one step when a network is banned.
const STEP: usize = 1_024;

/// Everybody who is banned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bans {
    accounts: BTreeMap<u32, Ban>,
    networks: BTreeMap<Network, Ban>,
    /// The lengths of networks that there are: one bit each, the highest for 0.
    lengths: u128,
    /// All of IPv4 and IPv6 have no bits in common, so a length of 128 bits needs a place of its own.
    hosts: bool,
}

impl Bans {
    /// The table of these bans. Those that have ended do no harm.
    pub fn of(bans: Vec<Ban>) -> Self {
        let mut table = Self::default();
        for ban in bans {
            match ban.who {
                Banned::Account(number) => drop(table.accounts.insert(number, ban)),
                Banned::Network(network) => {
                    match network.length() {
                        128 => table.hosts = true,
                        length => table.lengths |= 1 << (127 - length),
                    }
                    table.networks.insert(network, ban);
                }
            }
        }
        table
    }

    /// The ban of an account, if one is in force.
    pub fn of_account(&self, number: u32, now_ms: u64) -> Option<&Ban> {
        self.accounts.get(&number).filter(|ban| ban.holds(now_ms))
    }

    /// The ban of an address, if one is in force: that of the smallest network.
    pub fn of_address(&self, ip: IpAddr, now_ms: u64) -> Option<&Ban> {
        if self.networks.is_empty() {
            return None;
        }
        let find = |length| self.networks.get(&Network::around(ip, length)).filter(|ban| ban.holds(now_ms));
        if self.hosts
            && let Some(ban) = find(128)
        {
            return Some(ban);
        }
        let mut left = self.lengths;
        while left != 0 {
            let shortest_of_longest = left.trailing_zeros();
            left &= left - 1;
            if let Some(ban) = find(127 - shortest_of_longest as u8) {
                return Some(ban);
            }
        }
        None
    }
}

impl Refused {
    /// The operator's words, and the end.
    pub fn banned(ban: &Ban) -> Self {
        Self::new(Code::Banned, ban.words())
    }
}

impl Shard {
    /// Why whoever is there is banned, if they are.
    pub(super) fn ban_of(&self, cx: &Cx<'_>, number: u32, from: Option<Endpoint>) -> Option<Refused> {
        let now_ms = cx.now.unix_ms;
        let account = self.bans.of_account(number, now_ms);
        account.or_else(|| self.bans.of_address(from?.ip(), now_ms)).map(Refused::banned)
    }

    /// Whether an address is banned; and if so, whether it is so seldom heard of that it may be told: then it goes on to where
    /// it is refused in words.
    pub(super) fn is_barred(&mut self, cx: &mut Cx<'_>, from: Endpoint) -> bool {
        if self.bans.of_address(from.ip(), cx.now.unix_ms).is_none() {
            return false;
        }
        let (now_ms, prefix) = (cx.now.mono_ms, from.prefix());
        if !self.barred.is_over(now_ms, prefix, limits::BANNED_ANSWERS) {
            self.barred.add(now_ms, prefix);
            return false;
        }
        cx.event(What::Limit("banned address"), 0, Some(from));
        super::requests::close_stream(cx, from);
        true
    }

    /// Refuses a request of somebody who is not signed in and banned. False if they are not.
    pub(super) fn refuse_banned(&mut self, cx: &mut Cx<'_>, origin: Origin, number: u32) -> bool {
        let from = self.address_of(origin);
        let Some(why) = from.and_then(|from| self.bans.of_address(from.ip(), cx.now.unix_ms)).map(Refused::banned)
        else {
            return false;
        };
        if number == 0 {
            self.refuse_registration(cx, origin, &why);
        } else {
            self.sign_in_refused(cx, origin, number, Some(&why));
        }
        true
    }

    /// The operator has banned somebody or lifted a ban: sessions of the banned end.
    pub(super) fn set_bans(&mut self, cx: &mut Cx<'_>, bans: std::sync::Arc<Bans>) {
        let before = std::mem::replace(&mut self.bans, bans);
        let now = std::sync::Arc::clone(&self.bans);
        let territory = self.territory;
        for number in now.accounts.keys().filter(|number| territory.owns(**number)) {
            if before.accounts.get(number) != now.accounts.get(number) {
                self.expel_banned(cx, *number);
            }
        }
        if now.networks.iter().any(|(network, ban)| before.networks.get(network) != Some(ban)) {
            // Somebody may be there: all are looked at, a part in each step.
            self.to_look_at = self.users.keys().copied().collect();
        }
    }

    /// Looks at some of those who may be banned.
    pub(super) fn look_for_banned(&mut self, cx: &mut Cx<'_>) {
        let from = self.to_look_at.len().saturating_sub(STEP);
        for number in self.to_look_at.split_off(from) {
            self.expel_banned(cx, number);
        }
    }

    /// Ends the session of a user who is banned, if there is one.
    fn expel_banned(&mut self, cx: &mut Cx<'_>, number: u32) {
        let seat = self.seat(number);
        if let Some(why) = self.ban_of(cx, number, seat) {
            self.expel_for(cx, number, &why);
        }
    }

    /// A session has moved to this address, or wakes there: it ends if that is banned.
    pub(super) fn end_if_banned(&mut self, cx: &mut Cx<'_>, key: SessionKey, from: Option<Endpoint>) -> bool {
        let Some(why) = self.ban_of(cx, key.number, from) else { return false };
        if let Some(channel) = self.channel(key) {
            channel.send_loose(cx, &why.notice(0));
        }
        self.end_link(cx, key, CloseCode::Operator, &why.text);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(who: &str, until_ms: u64) -> Ban {
        let who = who.parse().map(Banned::Account).unwrap_or_else(|_| Banned::Network(who.parse().expect("a network")));
        Ban { who, since_ms: 0, until_ms, reason: "why".into() }
    }

    #[test]
    fn the_smallest_network_that_holds_an_address_counts() {
        let all =
            ["10001", "0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "::/0", "2001:db8::/32", "2001:db8::1"];
        let bans = Bans::of(all.iter().map(|who| ban(who, 100)).collect());
        let found = |ip: &str| bans.of_address(ip.parse().expect("an address"), 5).map(|ban| ban.who.to_string());
        for (ip, network) in [
            ("10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("10.1.2.4", "10.1.0.0/16"),
            ("10.2.0.1", "10.0.0.0/8"),
            ("11.0.0.1", "0.0.0.0/0"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::2", "2001:db8::/32"),
            ("2001:db9::", "::/0"),
        ] {
            assert_eq!(found(ip).as_deref(), Some(network), "{ip}");
        }
        assert!(bans.of_account(10_001, 99).is_some());
        assert!(
            bans.of_account(10_001, 100).is_none() && bans.of_account(10_002, 5).is_none(),
            "ended, and never begun"
        );
    }

    #[test]
    fn a_ban_that_has_ended_uncovers_the_one_around_it() {
        let bans = Bans::of(vec![ban("10.1.2.3", 10), ban("10.0.0.0/8", 20)]);
        let found = |now_ms| bans.of_address([10, 1, 2, 3].into(), now_ms).map(|ban| ban.who.to_string());
        assert_eq!([9, 10, 20].map(found), [Some("10.1.2.3".into()), Some("10.0.0.0/8".into()), None]);
        assert!(Bans::default().of_address([10, 1, 2, 3].into(), 0).is_none());
    }
}
