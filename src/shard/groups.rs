//! Groups of friends (protocol.md 1.5, 0x06 to 0x09; 1.7).

use super::changes::{After, Op, Plan};
use super::notice::{Code, Refused};
use super::user::{Asker, Lists};
use super::{Cx, Shard};
use crate::limits::{FIRST_GROUP, GROUP_FRIENDS, GROUPS, NAME_BYTES};
use crate::store::Change;
use crate::wire::{List, Move, check_name};

impl Shard {
    pub(super) fn add_group(&mut self, cx: &mut Cx<'_>, asker: Asker, name: &str) {
        match check_name("a group's name", name, NAME_BYTES) {
            Ok(()) => self.change(cx, asker.number, Op::AddGroup { asker, name: name.into() }),
            Err(fault) => self.refuse(cx, asker, &Refused::from(fault)),
        }
    }

    pub(super) fn rename_group(&mut self, cx: &mut Cx<'_>, asker: Asker, group: u8, name: &str) {
        match check_name("a group's name", name, NAME_BYTES) {
            Ok(()) => self.change(cx, asker.number, Op::RenameGroup { asker, group, name: name.into() }),
            Err(fault) => self.refuse(cx, asker, &Refused::from(fault)),
        }
    }

    pub(super) fn delete_group(&mut self, cx: &mut Cx<'_>, asker: Asker, group: u8) {
        self.change(cx, asker.number, Op::DeleteGroup { asker, group });
    }

    pub(super) fn move_friends(&mut self, cx: &mut Cx<'_>, asker: Asker, moves: List<'_, Move>) {
        let moves = moves.iter().map(|one| (one.friend, one.group)).collect();
        self.change(cx, asker.number, Op::MoveFriends { asker, moves });
    }
}

fn no_such_group(group: u8) -> Refused {
    Refused::new(Code::NoSuchEntry, format!("there is no group {group}"))
}

pub(super) fn plan_add(number: u32, lists: &Lists, asker: Asker, name: &str) -> Plan {
    let free = lists.free_group().filter(|_| lists.groups.len() < GROUPS);
    let group = free.ok_or_else(|| Refused::new(Code::TooLarge, format!("a list has at most {GROUPS} groups")))?;
    let after = After::GroupAdded { asker, group, name: name.into() };
    Ok((vec![Change::PutGroup(number, group, name.into())], after))
}

pub(super) fn plan_rename(number: u32, lists: &Lists, asker: Asker, group: u8, name: &str) -> Plan {
    if !lists.has_group(group) {
        return Err(no_such_group(group));
    }
    let after = After::GroupRenamed { asker, group, name: name.into() };
    Ok((vec![Change::PutGroup(number, group, name.into())], after))
}

pub(super) fn plan_delete(number: u32, lists: &Lists, asker: Asker, group: u8) -> Plan {
    if group == FIRST_GROUP {
        return Err(Refused::new(Code::NotPermitted, "group 1 stays: it can be renamed, not deleted"));
    }
    if !lists.has_group(group) {
        return Err(no_such_group(group));
    }
    if lists.size(FIRST_GROUP) + lists.size(group) > GROUP_FRIENDS {
        let why = format!("its friends would move to group 1, which holds at most {GROUP_FRIENDS}: move some first");
        return Err(Refused::new(Code::TooLarge, why));
    }
    let moved = lists.friends.iter().filter(|entry| entry.1 == group);
    let mut changes: Vec<Change> =
        moved.map(|(friend, _)| Change::PutFriend { owner: number, friend, group: FIRST_GROUP }).collect();
    changes.push(Change::DeleteGroup(number, group));
    Ok((changes, After::GroupDeleted { asker, group }))
}

/// All or nothing: what it would lead to is tried on a copy.
pub(super) fn plan_move(number: u32, lists: &Lists, asker: Asker, moves: &[(u32, u8)]) -> Plan {
    let mut result = lists.clone();
    let mut changes = Vec::with_capacity(moves.len());
    for (friend, group) in moves {
        if !lists.has_friend(*friend) {
            return Err(Refused::new(Code::NoSuchEntry, format!("{friend} is not on your list")));
        }
        if !lists.has_group(*group) {
            return Err(no_such_group(*group));
        }
        let change = Change::PutFriend { owner: number, friend: *friend, group: *group };
        result.apply(&change);
        changes.push(change);
    }
    if let Some((_, group)) = moves.iter().find(|(_, group)| result.size(*group) > GROUP_FRIENDS) {
        let why = format!("group {group} holds at most {GROUP_FRIENDS} friends");
        return Err(Refused::new(Code::TooLarge, why));
    }
    Ok((changes, After::Moved { asker }))
}
