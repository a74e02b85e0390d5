//! Messages: at once, stored, to groups, refused.

use super::world::{World, message, profile};
use crate::limits;
use crate::shard::{Budgets, Endpoint};
use crate::store::{Change, Mail, Request};
use crate::wire::{List, Move, Profile, Server, User};

fn say(me: u32, to: u32, text: &str) -> User<'_> {
    User::Message { me, to, text, id: None }
}

#[test]
fn a_message_reaches_who_is_online_hidden_or_busy() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        for status in [1, 2, 3] {
            world.send(b.at, &User::SetStatus { me: b.number, status });
            world.take(b.at);
            // What comes from the mailbox comes in bursts, with a pause behind each.
            world.wait_ms(10);
            world.send(a.at, &say(a.number, b.number, "你好"));
            world.expect(b.at, &[message(a.number, "你好")]);
            world.expect(a.at, &[]);
        }
        // The same again is the same again: messages are never repeats.
        world.send(a.at, &say(a.number, b.number, "你好"));
        world.expect(b.at, &[message(a.number, "你好")]);
    });
}

#[test]
fn stored_messages_come_in_order_at_the_next_sign_in_and_once() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.budgets(Budgets::UNLIMITED);
        world.sign_out(b);
        world.list(b.number, a.number);
        let texts: Vec<String> = (0..700).map(|at| format!("number {at}")).collect();
        for text in &texts {
            world.send(a.at, &say(a.number, b.number, text));
        }
        let again = world.sign_in(b.number);
        world.send(a.at, &say(a.number, b.number, "the newest"));
        world.wait_ms(2_000);
        let shown = world.shown(again.at);
        assert_eq!(shown.len(), 702, "the list, {} stored, one new", texts.len());
        let want = texts.iter().map(String::as_str).chain(["the newest"]);
        for (shown, want) in shown[1..].iter().zip(want) {
            assert!(shown.contains(&format!("\"{want}\"")), "{shown} is not {want}");
        }
        let third = world.sign_in(b.number);
        world.wait_ms(2_000);
        assert_eq!(world.take(third.at).len(), 1, "nothing is left");
        assert_eq!(world.store.ask(Request::Mail(b.number)), crate::store::Answer::Mail(vec![]));
    });
}

/// Over TCP the next burst waits until the last was taken: a slow reader loses nothing, and holds no memory.
#[test]
fn a_slow_reader_gets_its_mail_as_fast_as_it_reads() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.budgets(Budgets::UNLIMITED);
        world.sign_out(b);
        world.list(b.number, a.number);
        for at in 0..300 {
            world.send(a.at, &say(a.number, b.number, &format!("number {at}")));
        }
        world.readers_wait = true;
        let stream = Endpoint::stream(b.at.address(), 5);
        world.send(stream, &super::world::sign_in(b.number));
        world.wait_ms(60_000);
        assert_eq!(world.take(stream).len(), 1 + limits::BURST_FRAMES);
        world.readers_wait = false;
        world.run();
        assert_eq!(world.take(stream).len(), 300 - limits::BURST_FRAMES);
    });
}

#[test]
fn a_full_mailbox_is_told_to_the_sender_and_loses_nothing() {
    let mut world = World::new(2);
    let (a, b) = (world.person("a"), world.person("b"));
    world.sign_out(b);
    // Nobody but the system fills it alone.
    let words = || Mail { seq: 0, flag: 1, kind: 0, from: 0, id: 0, time_ms: 0, text: "x".into() };
    for _ in 0..limits::MAILBOX_MESSAGES - 1 {
        assert!(world.store.ask(Request::Commit(vec![Change::AddMail(b.number, words())])).is_done());
    }
    world.send(a.at, &say(a.number, b.number, "the last"));
    world.expect(a.at, &[]);
    world.send(a.at, &say(a.number, b.number, "one too many"));
    world.expect_refused(a.at, None, "mailbox is full");
    let again = world.sign_in(b.number);
    for _ in 0..20 {
        world.wait_ms(500);
    }
    let shown = world.shown(again.at);
    assert_eq!(shown.len(), 1 + limits::MAILBOX_MESSAGES);
    assert!(shown.last().expect("many").contains("the last"));
}

#[test]
fn what_cannot_be_delivered_is_told() {
    World::everywhere(|world| {
        let a = world.person("a");
        let long = "x".repeat(limits::TEXT_BYTES + 1);
        for (to, text, words) in [
            (a.number, "me", "yourself"),
            (a.number + 5, "x", "no such user"),
            (0, "x", "no user 0"),
            (77, "x", "no program 77"),
            (0x8000_0001, "x", "no user"),
            (a.number + 5, "", "must not be empty"),
            (a.number + 5, &long, "at most 8000 bytes"),
        ] {
            world.send(a.at, &say(a.number, to, text));
            world.expect_refused(a.at, None, words);
        }
    });
}

#[test]
fn a_broadcast_goes_to_the_group_or_to_everyone_on_the_list() {
    World::everywhere(|world| {
        let (a, b, c, d) = (world.person("a"), world.person("b"), world.person("c"), world.person("d"));
        for friend in [b, c, d] {
            world.befriend(a, friend);
        }
        world.send(a.at, &User::AddGroup { me: a.number, name: "work" });
        let moves = [Move { friend: c.number, group: 2 }];
        world.send(a.at, &User::MoveFriends { me: a.number, moves: List::new(&moves) });
        world.sign_out(d);
        world.take(a.at);
        world.send(a.at, &User::Broadcast { me: a.number, group: 2, text: "work", id: None });
        world.expect(b.at, &[]);
        world.expect(c.at, &[message(a.number, "work")]);
        world.send(a.at, &User::Broadcast { me: a.number, group: 0, text: "all", id: None });
        world.expect(b.at, &[message(a.number, "all")]);
        world.expect(c.at, &[message(a.number, "all")]);
        let again = world.sign_in(d.number);
        assert_eq!(world.shown(again.at).len(), 2, "the list, and the stored broadcast");
        for group in [3, 257] {
            world.take(a.at);
            world.send(a.at, &User::Broadcast { me: a.number, group, text: "x", id: None });
            world.expect_refused(a.at, None, "there is no group");
        }
    });
}

#[test]
fn a_full_disk_is_told_and_changes_nothing() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.befriend(a, b);
        world.sign_out(b);
        world.take(a.at);
        world.store.disk().set_room(Some(0));
        world.send(a.at, &say(a.number, b.number, "x"));
        world.expect_refused(a.at, None, "could not store");
        world.send(a.at, &User::AddGroup { me: a.number, name: "g" });
        world.expect_refused(a.at, Some(Server::GroupAdded { ok: 0, group: 0, name: "" }), "could not store");
        world.send(a.at, &User::DeleteFriend { me: a.number, friend: b.number });
        world.expect_refused(a.at, Some(Server::FriendDeleted { ok: 0, friend: 0 }), "could not store");
        let changed = Profile { password: "", ..profile("changed", 0) };
        world.send(a.at, &User::update(a.number, changed));
        world.expect_refused(a.at, Some(Server::Updated { ok: 0 }), "could not store");
        let at = world.address();
        world.send(at, &User::register(profile("late", 0)));
        world.expect(at, &[Server::Registered { ok: 0, number: 0 }]);
        world.store.disk().set_room(None);
        world.send(a.at, &User::AddGroup { me: a.number, name: "h" });
        world.expect(a.at, &[Server::GroupAdded { ok: 1, group: 2, name: "h" }]);
        assert_eq!(world.register("later", 0), 10_002);
    });
}

/// What was sent and cannot be deleted is not sent again and again.
#[test]
fn a_disk_that_fails_during_delivery_does_not_repeat_the_page() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.sign_out(b);
        world.send(a.at, &say(a.number, b.number, "once"));
        world.store.disk().set_room(Some(0));
        let again = world.sign_in(b.number);
        world.wait_ms(20_000);
        let shown = world.shown(again.at);
        assert_eq!(shown.iter().filter(|one| one.contains("once")).count(), 1, "{shown:?}");
        world.store.disk().set_room(None);
        world.send(a.at, &say(a.number, b.number, "new"));
        world.expect(again.at, &[message(a.number, "new")]);
    });
}
