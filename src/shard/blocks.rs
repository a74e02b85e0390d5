//! Blocks and the progress of files (protocol.md 3.2, 0x44 and 0x46).

use super::changes::{After, Op, Plan};
use super::notice::{Code, Refused};
use super::user::{Asker, Lists};
use super::{Cx, Shard};
use crate::limits::BLOCKS;
use crate::store::Change;

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
