//! Blocks (protocol.md 3.2, 0x44): who takes nothing from whom, and shows them nothing.

use super::changes::{After, Op, Plan};
use super::notice::{Code, Refused};
use super::user::{Asker, Lists};
use super::{Cx, OFFLINE, Peer, Shard};
use crate::limits::{self, BLOCKS};
use crate::store::Change;
use crate::wire::Server;

impl Shard {
    /// 0x44: refuse, or accept again, anything from `other`.
    pub(super) fn block(&mut self, cx: &mut Cx<'_>, asker: Asker, other: u32, on: u8) {
        if on > 1 {
            let why = format!("block {on} does not exist: 0 accept, 1 refuse");
            return self.refuse(cx, asker, &Refused::new(Code::Malformed, why));
        }
        if other == asker.number {
            return self.refuse(cx, asker, &Refused::new(Code::NotPermitted, "you cannot block yourself"));
        }
        self.change(cx, asker.number, Op::Block { asker, other, on: on == 1 });
    }

    /// The status of somebody as this user sees it: who is blocked sees who blocks offline (protocol.md 3.2).
    pub(super) fn status_for(&self, viewer: u32, number: u32) -> u8 {
        if self.is_blocked_by(viewer, number) { OFFLINE } else { self.board.get(number) }
    }

    /// Whether this user of the shard, who is in memory, is blocked by that one.
    pub(super) fn is_blocked_by(&self, number: u32, by: u32) -> bool {
        self.users.get(&number).is_some_and(|user| user.lists.blocks.is_by(by))
    }

    /// A block is set or lifted: the other's shard learns it at once, and nothing goes on between the two.
    pub(super) fn block_done(&mut self, cx: &mut Cx<'_>, asker: Asker, other: u32, on: bool) {
        self.reply(cx, asker, &Server::Blocked { ok: 1, other, on: on.into() });
        if on {
            self.end_transfers_with(cx, asker.number, other);
        }
        self.peer(cx, other, Peer::BlockedBy { by: asker.number, on });
    }

    /// `by` blocks `number`, a user of this shard, or does so no more.
    pub(super) fn blocked_by(&mut self, cx: &mut Cx<'_>, number: u32, by: u32, on: bool) {
        let Some(user) = self.users.get_mut(&number) else { return self.blocked_meanwhile(number, by, on) };
        if !user.lists.blocks.set_by(by, on) || !user.lists.has_friend(by) {
            return;
        }
        let status = self.board.get(by);
        if status != OFFLINE
            && let Some(session) = &mut user.session
        {
            let status = if on { OFFLINE } else { status };
            session.way.send(cx, &Server::FriendStatus { friend: by, status });
        }
    }

    /// The same of somebody whose lists may be on their way from the store, read before the block.
    fn blocked_meanwhile(&mut self, number: u32, by: u32, on: bool) {
        let read = self.attempts.contains_key(&number)
            || self.loading.contains_key(&number)
            || self.kept.contains_key(&number);
        let noted = self.blocks_meanwhile.len();
        match self.blocks_meanwhile.get_mut(&number) {
            // Once there is one, all that follow are noted, so that the last of them counts.
            Some(news) => news.push((by, on)),
            None if read && noted < limits::BLOCKS_MEANWHILE => {
                self.blocks_meanwhile.insert(number, vec![(by, on)]);
            }
            None => {}
        }
    }

    /// Whether `owner`, a user of this shard who is in memory, takes neither messages nor files from `other`. The store
    /// knows it of everybody else.
    pub(super) fn refuses(&self, owner: u32, other: u32) -> bool {
        self.users.get(&owner).is_some_and(|user| user.refuses(other))
    }

    /// Whether `owner`, a user of this shard who is in memory, blocks `other`. The store knows it of everybody else.
    pub(super) fn blocks(&self, owner: u32, other: u32) -> bool {
        self.users.get(&owner).is_some_and(|user| user.lists.blocks.has(other))
    }
}

pub(super) fn plan_block(number: u32, lists: &Lists, asker: Asker, other: u32, on: bool) -> Plan {
    let after = After::Blocked { asker, other, on };
    let blocked = lists.blocks.has(other);
    if blocked == on {
        return Ok((Vec::new(), after));
    }
    if on && lists.blocks.len() >= BLOCKS {
        return Err(Refused::new(Code::TooLarge, format!("you block {BLOCKS} people already: nobody can block more")));
    }
    let change = match on {
        true => Change::PutBlock { owner: number, other },
        false => Change::DeleteBlock { owner: number, other },
    };
    Ok((vec![change], after))
}
