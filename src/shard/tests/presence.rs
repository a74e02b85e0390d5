//! Who is told of which status.

use super::world::World;
use crate::wire::{Dialect, Server, User};

fn status(friend: u32, status: u8) -> Server<'static> {
    Server::FriendStatus { friend, status }
}

#[test]
fn visible_changes_reach_those_who_list_the_user() {
    World::everywhere(|world| {
        let (a, b, c) = (world.person("a"), world.person("b"), world.person("c"));
        world.befriend(a, b);
        let set = |status| User::SetStatus { me: b.number, status };
        for (next, told) in [(3, Some(3)), (2, Some(4)), (2, None), (1, Some(1)), (4, Some(4))] {
            world.send(b.at, &set(next));
            world.expect(b.at, &[Server::StatusSet { me: b.number, status: next }]);
            world.expect(a.at, &told.map(|told| status(b.number, told)).into_iter().collect::<Vec<_>>());
            world.expect(c.at, &[]);
            world.wait_ms(11_000);
            for person in [a, c] {
                world.send(person.at, &User::Test { me: person.number });
                world.take(person.at);
            }
            if next != 4 {
                world.send(b.at, &User::Test { me: b.number });
                world.take(b.at);
            }
        }
        let hidden = world.address();
        world.send(hidden, &User::SignIn { me: b.number, password: "secret", mode: 1, token: None });
        world.expect(a.at, &[]);
        world.send(hidden, &User::SetStatus { me: b.number, status: 1 });
        world.expect(a.at, &[status(b.number, 1)]);
        world.take(hidden);
        world.send(hidden, &User::SetStatus { me: b.number, status: 0 });
        world.expect_refused(hidden, None, "status 0");
    });
}

#[test]
fn the_list_shows_friends_as_they_are() {
    World::everywhere(|world| {
        let (a, b, c, d) = (world.person("a"), world.person("b"), world.person("c"), world.person("d"));
        for friend in [d, c, b] {
            world.befriend(a, friend);
        }
        world.send(b.at, &User::SetStatus { me: b.number, status: 3 });
        world.send(c.at, &User::SetStatus { me: c.number, status: 2 });
        let again = world.sign_in(a.number);
        let frames = world.take(again.at);
        let Ok(Server::SignedIn { ok: 1, groups, .. }) = Server::decode(&frames[0], Dialect::Classic) else {
            panic!("{frames:?}")
        };
        let group = groups.iter().next().expect("group 1");
        let shown: Vec<_> =
            group.friends.iter().map(|one| (one.number, one.status, one.nickname.to_string())).collect();
        let want = [(b.number, 3, "b"), (c.number, 4, "c"), (d.number, 1, "d")];
        assert_eq!(shown, want.map(|(number, status, name)| (number, status, name.to_string())));
    });
}

/// The status on the list and the first push cannot miss a change between them.
#[test]
fn a_change_while_somebody_signs_in_is_not_lost() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.befriend(a, b);
        world.sign_out(a);
        world.store_waits = true;
        let at = world.address();
        world.send(at, &super::world::sign_in(a.number));
        world.send(b.at, &User::SetStatus { me: b.number, status: 3 });
        world.store_waits = false;
        world.run();
        let shown = world.shown(at);
        assert!(
            shown[0].contains("status: 3") || shown.get(1).is_some_and(|push| push.contains("status: 3")),
            "{shown:?}"
        );
    });
}

#[test]
fn who_is_deleted_from_a_list_is_watched_no_more() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.befriend(a, b);
        world.send(a.at, &User::DeleteFriend { me: a.number, friend: b.number });
        world.expect(a.at, &[Server::FriendDeleted { ok: 1, friend: b.number }]);
        world.send(b.at, &User::SetStatus { me: b.number, status: 3 });
        world.expect(a.at, &[]);
    });
}
