//! Groups: added, renamed, deleted, and friends moved between them.

use super::world::World;
use crate::limits;
use crate::wire::{Dialect, List, Move, Server, User};

#[test]
fn the_smallest_free_number_is_taken() {
    World::everywhere(|world| {
        let a = world.person("a");
        for (name, group) in [("二", 2), ("三", 3), ("四", 4)] {
            world.send(a.at, &User::AddGroup { me: a.number, name });
            world.expect(a.at, &[Server::GroupAdded { ok: 1, group, name }]);
        }
        world.send(a.at, &User::DeleteGroup { me: a.number, group: 3 });
        world.expect(a.at, &[Server::GroupDeleted { ok: 1, group: 3 }]);
        world.send(a.at, &User::AddGroup { me: a.number, name: "again" });
        world.expect(a.at, &[Server::GroupAdded { ok: 1, group: 3, name: "again" }]);
        world.send(a.at, &User::RenameGroup { me: a.number, group: 1, name: "best" });
        world.expect(a.at, &[Server::GroupRenamed { ok: 1, group: 1, name: "best" }]);
        let again = world.sign_in(a.number);
        let frames = world.take(again.at);
        let Ok(Server::SignedIn { groups, .. }) = Server::decode(&frames[0], Dialect::Classic) else { panic!() };
        let names: Vec<_> = groups.iter().map(|one| (one.group, one.name)).collect();
        assert_eq!(names, [(1, "best"), (2, "二"), (3, "again"), (4, "四")]);
    });
}

#[test]
fn what_is_not_allowed_is_refused() {
    World::everywhere(|world| {
        let a = world.person("a");
        let long = "g".repeat(65);
        let failed = Server::GroupAdded { ok: 0, group: 0, name: "" };
        world.send(a.at, &User::AddGroup { me: a.number, name: &long });
        world.expect_refused(a.at, Some(failed), "at most 64 are");
        for (group, name, words) in [(2, "x", "no group 2"), (0, "x", "no group 0"), (1, &*long, "at most 64 are")] {
            world.send(a.at, &User::RenameGroup { me: a.number, group, name });
            world.expect_refused(a.at, Some(Server::GroupRenamed { ok: 0, group: 0, name: "" }), words);
        }
        for (group, words) in [(1, "group 1 stays"), (9, "no group 9")] {
            world.send(a.at, &User::DeleteGroup { me: a.number, group });
            world.expect_refused(a.at, Some(Server::GroupDeleted { ok: 0, group: 0 }), words);
        }
        for at in 2..=limits::GROUPS {
            let name = format!("g{at}");
            world.send(a.at, &User::AddGroup { me: a.number, name: &name });
            world.expect(a.at, &[Server::GroupAdded { ok: 1, group: at as u8, name: &name }]);
        }
        world.send(a.at, &User::AddGroup { me: a.number, name: "one too many" });
        world.expect_refused(a.at, Some(failed), "at most 64 groups");
    });
}

#[test]
fn moves_are_all_or_nothing_and_a_deleted_group_empties_into_group_one() {
    World::everywhere(|world| {
        let (a, b, c) = (world.person("a"), world.person("b"), world.person("c"));
        world.befriend(a, b);
        world.befriend(a, c);
        world.send(a.at, &User::AddGroup { me: a.number, name: "g" });
        world.take(a.at);
        let groups = |world: &mut World| {
            let again = world.sign_in(a.number);
            let frames = world.take(again.at);
            let Ok(Server::SignedIn { groups, .. }) = Server::decode(&frames[0], Dialect::Classic) else { panic!() };
            let members = |one: crate::wire::GroupEntry<'_>| one.friends.iter().map(|friend| friend.number).collect();
            (again, groups.iter().map(members).collect::<Vec<Vec<u32>>>())
        };
        let bad = [Move { friend: b.number, group: 2 }, Move { friend: c.number, group: 9 }];
        world.send(a.at, &User::MoveFriends { me: a.number, moves: List::new(&bad) });
        world.expect_refused(a.at, Some(Server::FriendsMoved { ok: 0 }), "no group 9");
        let bad = [Move { friend: b.number, group: 2 }, Move { friend: 77_777, group: 2 }];
        world.send(a.at, &User::MoveFriends { me: a.number, moves: List::new(&bad) });
        world.expect_refused(a.at, Some(Server::FriendsMoved { ok: 0 }), "77777 is not on your list");
        let (a, now) = groups(world);
        assert_eq!(now, [vec![b.number, c.number], vec![]]);
        let good = [Move { friend: b.number, group: 2 }, Move { friend: c.number, group: 2 }];
        world.send(a.at, &User::MoveFriends { me: a.number, moves: List::new(&good) });
        world.expect(a.at, &[Server::FriendsMoved { ok: 1 }]);
        let (a, now) = groups(world);
        assert_eq!(now, [vec![], vec![b.number, c.number]]);
        world.send(a.at, &User::DeleteGroup { me: a.number, group: 2 });
        world.expect(a.at, &[Server::GroupDeleted { ok: 1, group: 2 }]);
        let (_, now) = groups(world);
        assert_eq!(now, [vec![b.number, c.number]]);
    });
}

/// Requests sent without waiting for answers are done one after the other, each on what the last one left.
#[test]
fn changes_in_a_hurry_do_not_trip_over_each_other() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.befriend(a, b);
        world.store_waits = true;
        world.send(a.at, &User::AddGroup { me: a.number, name: "g" });
        let moves = [Move { friend: b.number, group: 2 }];
        world.send(a.at, &User::MoveFriends { me: a.number, moves: List::new(&moves) });
        world.send(a.at, &User::AddGroup { me: a.number, name: "h" });
        world.send(a.at, &User::DeleteGroup { me: a.number, group: 2 });
        world.expect(a.at, &[]);
        world.store_waits = false;
        world.run();
        world.expect(
            a.at,
            &[
                Server::GroupAdded { ok: 1, group: 2, name: "g" },
                Server::FriendsMoved { ok: 1 },
                Server::GroupAdded { ok: 1, group: 3, name: "h" },
                Server::GroupDeleted { ok: 1, group: 2 },
            ],
        );
    });
}
