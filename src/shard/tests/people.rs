//! Registration, signing in and out, profiles, who is online, search.

use super::world::{World, profile, sign_in};
use crate::limits;
use crate::shard::Control;
use crate::wire::{Found, GroupEntry, List, Profile, Server, User};

fn first_list() -> [GroupEntry<'static>; 1] {
    [GroupEntry { name: "My Friends", group: 1, friends: List::NONE }]
}

#[test]
fn numbers_are_handed_out_upwards_from_10000() {
    World::everywhere(|world| {
        let numbers: Vec<u32> = (0..5).map(|_| world.register("a", 0)).collect();
        assert_eq!(numbers, [10_000, 10_001, 10_002, 10_003, 10_004]);
    });
}

#[test]
fn a_profile_that_breaks_a_rule_is_refused_and_costs_no_number() {
    let mut world = World::new(1);
    let long = "x".repeat(65);
    for bad in [
        Profile { nickname: "", ..profile("a", 0) },
        Profile { nickname: &long, ..profile("a", 0) },
        Profile { sex: 3, ..profile("a", 0) },
        Profile { portrait: 256, ..profile("a", 0) },
    ] {
        let at = world.address();
        world.send(at, &User::register(bad));
        world.expect(at, &[Server::Registered { ok: 0, number: 0 }]);
    }
    assert_eq!(world.register("a", 0), 10_000);
}

#[test]
fn sign_in_shows_the_list_and_a_wrong_password_does_not() {
    World::everywhere(|world| {
        let number = world.register("a", 0);
        let at = world.address();
        world.send(at, &sign_in(number));
        world.expect(at, &[Server::SignedIn { ok: 1, groups: List::new(&first_list()), token: None }]);
        for (me, password, mode) in
            [(number, "Secret", 0), (number, "", 0), (number + 1, "secret", 0), (number, "secret", 2)]
        {
            let at = world.address();
            world.send(at, &User::SignIn { me, password, mode, token: None });
            world.expect(at, &[Server::SignedIn { ok: 0, groups: List::NONE, token: None }]);
        }
    });
}

#[test]
fn a_new_sign_in_ends_the_older_session() {
    World::everywhere(|world| {
        let (a, watcher) = (world.person("a"), world.person("w"));
        world.befriend(watcher, a);
        let again = world.sign_in(a.number);
        assert_eq!(world.take(again.at).len(), 1);
        assert_eq!(world.take(a.at).len(), 1, "the older session is told");
        world.expect(watcher.at, &[]);
        world.send(a.at, &User::Test { me: a.number });
        world.expect(a.at, &[]);
        world.send(again.at, &User::Test { me: a.number });
        world.expect(again.at, &[Server::TestReply { me: a.number }]);
    });
}

#[test]
fn timers_that_have_run_together_are_handled_in_parts() {
    let mut world = World::new(1);
    let sixteen = limits::TIMERS_TOGETHER as u64;
    for nth in 0..2 * sixteen + 1 {
        world.person(&nth.to_string());
        // Not more than may register in a minute.
        world.wait_ms(2_000);
    }
    world.wait_ms(12_000);
    // They have all been silent for too long when the shard is told the time again.
    world.now.mono_ms += 200_000;
    let mut online = Vec::new();
    for _ in 0..3 {
        world.wait_ms(1);
        online.push((world.counters().online, world.shards[0].deadline() == Some(0)));
    }
    assert_eq!(online, [(sixteen + 1, true), (1, true), (0, false)]);
}

#[test]
fn silence_of_ninety_seconds_is_the_end_of_a_session() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.befriend(b, a);
        world.wait_ms(60_000);
        world.send(b.at, &User::Test { me: b.number });
        world.take(b.at);
        world.wait_ms(29_000);
        world.expect(b.at, &[]);
        world.wait_ms(2_000);
        world.expect(b.at, &[Server::FriendStatus { friend: a.number, status: 4 }]);
        world.wait_ms(80_000);
        let online: u64 = world.shards.iter().map(|shard| shard.counters().online).sum();
        assert_eq!(online, 0);
        assert!(world.shards.iter().all(|shard| shard.users.is_empty() && shard.watchers.len() == 0));
        assert!(world.shards.iter().all(|shard| shard.deadline().is_none() && shard.pending.is_empty()));
    });
}

#[test]
fn profiles_are_read_and_changed() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.send(a.at, &User::View { me: a.number, friend: b.number });
        let public = profile("b", 0).public();
        world.expect(a.at, &[Server::Profile { ok: 1, number: b.number, profile: public, reach: None, details: None }]);
        world.send(a.at, &User::View { me: a.number, friend: 99_999 });
        let none = Server::Profile { ok: 0, number: 0, profile: Default::default(), reach: None, details: None };
        world.expect_refused(a.at, Some(none), "no user 99999");

        let changed = Profile { city: "北京", password: "", ..profile("bb", 2) };
        world.send(b.at, &User::update(b.number, changed));
        world.expect(b.at, &[Server::Updated { ok: 1 }]);
        world.wait_ms(11_000);
        world.send(a.at, &User::View { me: a.number, friend: b.number });
        world.expect(
            a.at,
            &[Server::Profile { ok: 1, number: b.number, profile: changed.public(), reach: None, details: None }],
        );
        let at = world.address();
        world.send(at, &sign_in(b.number));
        assert!(world.shown(at)[0].contains("ok: 1"), "an empty password keeps the old one");
    });
}

#[test]
fn a_changed_password_is_the_one_that_counts() {
    World::everywhere(|world| {
        let a = world.person("a");
        world.send(a.at, &User::update(a.number, Profile { password: "new one", ..profile("a", 0) }));
        world.expect(a.at, &[Server::Updated { ok: 1 }]);
        let at = world.address();
        world.send(at, &sign_in(a.number));
        assert!(world.shown(at)[0].contains("ok: 0"));
        world.send(at, &User::SignIn { me: a.number, password: "new one", mode: 0, token: None });
        assert!(world.shown(at)[0].contains("ok: 1"));
        let long = "p".repeat(129);
        world.send(at, &User::update(a.number, Profile { password: &long, ..profile("a", 0) }));
        world.expect_refused(at, Some(Server::Updated { ok: 0 }), "password is 129 bytes");
    });
}

fn found(number: u32, nickname: &str) -> Found<'_> {
    Found { number, nickname, portrait: 7, province: 11, city: "深圳" }
}

#[test]
fn who_is_online_comes_in_strict_order_across_shards() {
    World::everywhere(|world| {
        let people: Vec<_> = (0..7).map(|_| world.person("p")).collect();
        world.send(people[2].at, &User::SetStatus { me: people[2].number, status: 2 });
        world.send(people[4].at, &User::SetStatus { me: people[4].number, status: 3 });
        world.sign_out(people[5]);
        let me = people[0];
        let ask = |start, count, direction| User::Online { me: me.number, start, count, direction };
        world.send(me.at, &ask(10_000, 3, 2));
        let users = [10_001, 10_003, 10_004].map(|number| found(number, "p"));
        world.expect(me.at, &[Server::OnlineList { ok: 1, users: List::new(&users) }]);
        world.send(me.at, &ask(10_006, 10, 1));
        let users = [10_004, 10_003, 10_001, 10_000].map(|number| found(number, "p"));
        world.expect(me.at, &[Server::OnlineList { ok: 1, users: List::new(&users) }]);
        world.send(me.at, &ask(10_006, 10, 2));
        world.expect(me.at, &[Server::OnlineList { ok: 1, users: List::NONE }]);
        world.send(me.at, &ask(10_006, 10, 3));
        world.expect_refused(me.at, Some(Server::OnlineList { ok: 0, users: List::NONE }), "direction 3");
    });
}

#[test]
fn a_search_finds_and_a_bad_one_names_the_word() {
    World::everywhere(|world| {
        let (a, b) = (world.person("anna"), world.person("bea"));
        world.send(a.at, &User::Search { me: a.number, sql: "昵称 LIKE 'B%' AND 状态 = 1" });
        world.expect(a.at, &[Server::Found { ok: 1, users: List::new(&[found(b.number, "bea")]) }]);
        world.send(a.at, &User::Search { me: a.number, sql: "DELETE FROM users" });
        world.expect_refused(a.at, Some(Server::Found { ok: 0, users: List::NONE }), "DELETE");
        world.send(a.at, &User::Search { me: a.number, sql: "SELECT * FROM users ORDER BY number DESC LIMIT 1" });
        world.expect(a.at, &[Server::Found { ok: 1, users: List::new(&[found(b.number, "bea")]) }]);
    });
}

/// One search at a time for the account: signing in anew does not give another, and a session's end cancels its search.
#[test]
fn an_account_has_one_search_whatever_its_sessions() {
    World::everywhere(|world| {
        let (mut a, b) = (world.person("anna"), world.person("bea"));
        world.searches_wait = true;
        let sql = "nickname = 'bea'";
        for _ in 0..5 {
            world.send(a.at, &User::Search { me: a.number, sql });
            assert_eq!(world.searches.len(), 1);
            world.send(a.at, &User::Search { me: a.number, sql: "nickname = 'anna'" });
            world.expect_refused(a.at, Some(Server::Found { ok: 0, users: List::NONE }), "one search at a time");
            let earlier = world.searches[0].1.ticket;
            a = world.sign_in(a.number);
            assert!(world.searches.is_empty(), "the session's end has cancelled it");
            // Its answer was on its way already.
            world.answer_search(a.number, earlier);
            assert_eq!(world.take(a.at).len(), 1, "the answer to the sign-in alone");
        }
        world.send(a.at, &User::Search { me: a.number, sql });
        world.send(b.at, &User::Search { me: b.number, sql });
        assert_eq!(world.searches.len(), 2, "another account is not held up");
        world.searches_wait = false;
        world.run();
        for person in [a, b] {
            world.expect(person.at, &[Server::Found { ok: 1, users: List::new(&[found(b.number, "bea")]) }]);
        }
        world.searches_wait = true;
        world.send(a.at, &User::Search { me: a.number, sql });
        world.sign_out(a);
        assert!(world.searches.is_empty());
    });
}

#[test]
fn the_operator_speaks_to_everyone_and_ends_sessions() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.befriend(b, a);
        world.control(&Control::Announce("tea is ready".into()));
        for person in [a, b] {
            world.expect(person.at, &[super::world::system(0, 0, "tea is ready")]);
        }
        world.control(&Control::SignOut(a.number, "shut".into()));
        world.expect(a.at, &[super::world::system(0, 0, "shut")]);
        world.expect(b.at, &[Server::FriendStatus { friend: a.number, status: 4 }]);
    });
}

/// Two updates in a hurry are done in their order, though only the first needs the password pool.
#[test]
fn a_later_profile_is_not_overtaken_by_an_earlier_one() {
    World::everywhere(|world| {
        let a = world.person("a");
        world.passwords_wait = true;
        let update = |nickname, password| User::update(10_000, Profile { password, ..profile(nickname, 0) });
        world.send(a.at, &update("first", "new one"));
        world.send(a.at, &update("second", ""));
        world.passwords_wait = false;
        world.run();
        world.expect(a.at, &[Server::Updated { ok: 1 }, Server::Updated { ok: 1 }]);
        world.send(a.at, &User::View { me: a.number, friend: a.number });
        assert!(world.shown(a.at)[0].contains("second"));
        let at = world.address();
        world.send(at, &User::SignIn { me: a.number, password: "new one", mode: 0, token: None });
        assert!(world.shown(at)[0].contains("ok: 1"));
    });
}

/// The operator deletes an account: lists that are in memory forget it, so that nothing about it stands in the way.
#[test]
fn a_deleted_friend_does_not_block_changes() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.befriend(a, b);
        world.send(a.at, &User::AddGroup { me: a.number, name: "g" });
        let moves = [crate::wire::Move { friend: b.number, group: 2 }];
        world.send(a.at, &User::MoveFriends { me: a.number, moves: List::new(&moves) });
        world.store.ask(crate::store::Request::Commit(vec![crate::store::Change::DeleteAccount(b.number)]));
        world.control(&Control::Deleted(b.number));
        world.take(a.at);
        world.send(a.at, &User::DeleteGroup { me: a.number, group: 2 });
        world.expect(a.at, &[Server::GroupDeleted { ok: 1, group: 2 }]);
    });
}
