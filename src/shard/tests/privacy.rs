//! Who may write to whom, and who sees what of whom (protocol.md 3.1).

use super::linked::Linked;
use super::world::{World, profile, sign_in};
use crate::wire::{Profile, Server, User};

/// Sets `reach` and `details` of somebody who is signed in over the link; or changes the profile without them.
fn set(world: &mut World, person: &mut Linked, privacy: Option<(u8, u8)>) {
    let profile = Profile { password: "", address: "华强北路", telephone: "0755", ..profile("x", 0) };
    let (reach, details) = privacy.unzip();
    let update = User::Update { me: person.number, profile, reach, details, old_password: None };
    assert_eq!(person.ask(world, &update), ["Updated { ok: 1 }"]);
}

fn add(world: &mut World, person: &mut Linked, friend: u32) {
    let shown = person.ask(world, &User::AddFriend { me: person.number, friend });
    assert!(shown[0].contains("result: 1"), "{shown:?}");
}

fn refused(to: u32, id: u64) -> String {
    format!("{:?}", Server::Receipt { to, id, state: 3, reason: 5 })
}

#[test]
fn whoever_is_reached_by_those_listed_refuses_the_others_online_and_offline() {
    World::everywhere(|world| {
        let (mut a, mut b, mut friend) =
            (Linked::person(world, "a"), Linked::person(world, "b"), Linked::person(world, "friend"));
        add(world, &mut b, friend.number);
        friend.pull(world);
        set(world, &mut b, Some((1, 1)));
        a.say(world, b.number, "x", 1);
        assert_eq!(a.pull(world), [refused(b.number, 1)]);
        friend.say(world, b.number, "x", 1);
        assert_eq!(b.pull(world).len(), 1);
        // What is not said stays as it was.
        set(world, &mut b, None);
        a.say(world, b.number, "x", 2);
        assert_eq!(a.pull(world), [refused(b.number, 2)]);
        let offer = User::OfferFile { me: a.number, friend: b.number, name: "f", size: 1, offer: Some(1) };
        let online = a.ask(world, &offer);
        assert!(online[0].contains("about: 19, code: 5"), "{online:?}");
        b.ask(world, &User::SetStatus { me: b.number, status: 4 });
        friend.pull(world);
        a.say(world, b.number, "x", 3);
        assert_eq!(a.pull(world), [refused(b.number, 3)]);
        assert_eq!(a.ask(world, &offer), online, "it does not tell who is online");
        friend.say(world, b.number, "x", 2);
        world.wait_ms(1_500);
        assert!(friend.pull(world).iter().any(|one| one.contains("id: 2, state: 1")));
        // A request to be listed comes through.
        let shown = a.ask(world, &User::Ask { me: a.number, friend: b.number, reason: "hello" });
        assert_eq!(shown, [""; 0]);
        let mut b = Linked::open(world, b.number);
        assert!(b.ask(world, &sign_in(10_001)).iter().any(|one| one.contains("kind: 2")));
        set(world, &mut b, Some((0, 1)));
        a.say(world, b.number, "x", 4);
        assert_eq!(b.pull(world).len(), 1);
    });
}

#[test]
fn a_block_and_a_closed_reach_look_alike() {
    World::everywhere(|world| {
        let (mut a, mut b, mut c) =
            (Linked::person(world, "a"), Linked::person(world, "b"), Linked::person(world, "c"));
        b.ask(world, &User::Block { me: b.number, other: a.number, on: 1 });
        set(world, &mut c, Some((1, 1)));
        for round in 0..2 {
            let mut seen = Vec::new();
            for to in [b.number, c.number] {
                let name = "f";
                let mut shown = a.ask(world, &User::Message { me: a.number, to, text: "x", id: Some(7 + round) });
                shown
                    .extend(a.ask(world, &User::OfferFile { me: a.number, friend: to, name, size: 1, offer: Some(1) }));
                seen.push(shown.join("\n").replace(&to.to_string(), "N"));
            }
            assert_eq!(seen[0], seen[1]);
            b.ask(world, &User::SetStatus { me: b.number, status: 4 });
            c.ask(world, &User::SetStatus { me: c.number, status: 4 });
        }
    });
}

#[test]
fn details_are_for_those_whom_their_owner_allows() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let view = |world: &mut World, who: &mut Linked, friend| who.ask(world, &User::View { me: who.number, friend });
        for (details, lists, seen) in
            [(None, false, false), (None, true, true), (Some(2), true, false), (Some(0), false, true)]
        {
            set(world, &mut b, details.map(|details| (0, details)));
            match lists {
                true => drop(b.ask(world, &User::AddFriend { me: b.number, friend: a.number })),
                false => drop(b.ask(world, &User::DeleteFriend { me: b.number, friend: a.number })),
            }
            a.pull(world);
            let shown = view(world, &mut a, b.number);
            let all = shown[0].contains("华强北路") && shown[0].contains("0755");
            let none = shown[0].contains("address: \"\"") && shown[0].contains("telephone: \"\"");
            assert_eq!((all, none), (seen, !seen), "details {details:?}, listed {lists}: {shown:?}");
            assert!(shown[0].contains("city: \"深圳\"") && shown[0].ends_with("reach: None, details: None }"));
            let me = b.number;
            let own = view(world, &mut b, me);
            let details = details.unwrap_or(1);
            assert!(own[0].contains("0755") && own[0].contains(&format!("reach: Some(0), details: Some({details})")));
        }
        // Who is listed, and blocked, is not one of those who are allowed.
        b.ask(world, &User::AddFriend { me: b.number, friend: a.number });
        set(world, &mut b, Some((0, 1)));
        b.ask(world, &User::Block { me: b.number, other: a.number, on: 1 });
        a.pull(world);
        assert!(view(world, &mut a, b.number)[0].contains("telephone: \"\""));
    });
}

#[test]
fn reach_and_details_that_do_not_exist_are_refused() {
    World::everywhere(|world| {
        let mut a = Linked::person(world, "a");
        for (reach, details) in [(Some(2), Some(0)), (Some(0), Some(3))] {
            let profile = Profile { password: "", ..profile("a", 0) };
            let update = User::Update { me: a.number, profile, reach, details, old_password: None };
            let shown = a.ask(world, &update);
            assert!(shown[0] == "Updated { ok: 0 }" && shown[1].contains("about: 18, code: 1"), "{shown:?}");
        }
        let mut guest = Linked::open(world, 0x8000_0001);
        let sign_up = User::Register { profile: profile("g", 0), reach: Some(1), details: Some(2), invite: None };
        let shown = guest.ask(world, &sign_up);
        assert_eq!(shown, ["Registered { ok: 1, number: 10001 }"]);
        let mut g = Linked::sign_in(world, 10_001);
        let own = g.ask(world, &User::View { me: 10_001, friend: 10_001 });
        assert!(own[0].ends_with("reach: Some(1), details: Some(2) }"), "{own:?}");
    });
}

#[test]
fn a_new_password_takes_the_old_one() {
    World::everywhere(|world| {
        world.budgets(crate::shard::Budgets::UNLIMITED);
        let mut a = Linked::person(world, "a");
        let update = |old| User::Update {
            me: 10_000,
            profile: Profile { password: "another", ..profile("a", 0) },
            reach: Some(0),
            details: Some(1),
            old_password: old,
        };
        for old in [None, Some(""), Some("wrong one")] {
            let shown = a.ask(world, &update(old));
            assert!(shown[0] == "Updated { ok: 0 }" && shown[1].contains("about: 18, code: 3"), "{old:?}: {shown:?}");
        }
        assert_eq!(a.ask(world, &update(Some("secret"))), ["Updated { ok: 1 }"]);
        let mut again = Linked::open(world, a.number);
        let shown = again.ask(world, &sign_in(a.number));
        assert!(shown[0].starts_with("SignedIn { ok: 0"), "{shown:?}");
        // The session that is there is no place for guessing.
        for _ in 0..5 {
            a.ask(world, &update(Some("a guess")));
        }
        let shown = a.ask(world, &update(Some("another")));
        assert!(shown[1].contains("code: 6"), "{shown:?}");
    });
}

#[test]
fn an_id_is_between_one_and_the_largest() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        add(world, &mut a, b.number);
        b.pull(world);
        for (at, id) in [0, 1 << 63, u64::MAX].into_iter().enumerate() {
            a.say(world, b.number, "x", id);
            let receipt = Server::Receipt { to: b.number, id, state: 3, reason: 1 };
            assert_eq!(a.pull(world), [format!("{receipt:?}")], "{at}");
            let me = a.number;
            let shown = a.ask(world, &User::Broadcast { me, group: 0, text: "x", id: Some(id) });
            assert_eq!(shown, [format!("{receipt:?}")], "{at}");
        }
        assert_eq!(b.pull(world), [""; 0]);
        a.say(world, b.number, "x", (1 << 63) - 1);
        assert_eq!(b.pull(world).len(), 1);
    });
}

fn receipt(to: u32, id: u64, state: u8) -> String {
    format!("{:?}", Server::Receipt { to, id, state, reason: 0 })
}

fn hide(world: &mut World, person: &mut Linked, status: u8) {
    let me = person.number;
    let shown = person.ask(world, &User::SetStatus { me, status });
    assert!(shown.contains(&format!("StatusSet {{ me: {me}, status: {status} }}")), "{shown:?}");
}

/// How many messages the store keeps for somebody, given ones included: what counts in shares.
fn kept(world: &World, number: u32) -> usize {
    world.store.mailbox_len(number).expect("it reads")
}

#[test]
fn whoever_is_hidden_gets_messages_at_once_and_nobody_can_tell() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        hide(world, &mut b, 2);
        a.say(world, b.number, "one", 1);
        assert!(b.pull(world)[0].contains("\"one\""), "at once");
        assert_eq!(a.pull(world), [receipt(b.number, 1, 1)]);
        b.has(world, a.number, 1);
        world.wait_ms(2_000);
        assert_eq!(a.pull(world), [""; 0], "nothing tells that somebody has it");
        assert_eq!(kept(world, b.number), 1, "and it counts in the share");
        a.say(world, b.number, "one", 1);
        assert_eq!(a.pull(world), [receipt(b.number, 1, 1)], "a repeat gets the same");
        assert_eq!(b.pull(world), [""; 0]);
        // Not taken before it is visible: still no other receipt.
        a.say(world, b.number, "two", 2);
        b.pull(world);
        a.pull(world);
        hide(world, &mut b, 1);
        assert_eq!(kept(world, b.number), 1, "what was given is gone");
        b.has(world, a.number, 2);
        assert_eq!((a.pull(world), kept(world, b.number)), (vec![], 0));
        a.say(world, b.number, "three", 3);
        b.pull(world);
        b.has(world, a.number, 3);
        assert_eq!(a.pull(world), [receipt(b.number, 3, 2)]);
    });
}

#[test]
fn a_message_on_its_way_to_somebody_who_hides_gets_receipt_one() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        a.say(world, b.number, "x", 1);
        b.pull(world);
        hide(world, &mut b, 2);
        b.has(world, a.number, 1);
        world.wait_ms(2_000);
        assert_eq!(a.pull(world), [receipt(b.number, 1, 1)]);
        // The same where it was stored while nobody was there, and is fetched hidden.
        hide(world, &mut b, 4);
        a.say(world, b.number, "y", 2);
        assert_eq!(a.pull(world), [receipt(b.number, 2, 1)]);
        let mut b = Linked::open(world, b.number);
        let hidden = User::SignIn { me: b.number, password: "secret", mode: 1, token: None };
        assert_eq!(b.ask(world, &hidden).iter().filter(|one| one.starts_with("Message")).count(), 1);
        b.has(world, a.number, 2);
        world.wait_ms(2_000);
        assert_eq!((a.pull(world), kept(world, b.number)), (vec![], 2));
        // It is not given out again.
        hide(world, &mut b, 4);
        let mut b = Linked::open(world, b.number);
        assert_eq!(b.ask(world, &hidden).iter().filter(|one| one.starts_with("Message")).count(), 0);
        let mut b = Linked::sign_in(world, b.number);
        assert_eq!((b.pull(world), kept(world, b.number)), (vec![], 0));
    });
}

#[test]
fn in_bare_frames_hidden_is_offline_too() {
    World::everywhere(|world| {
        let (mut a, b) = (Linked::person(world, "a"), world.person("b"));
        world.send(b.at, &User::SetStatus { me: b.number, status: 2 });
        world.take(b.at);
        for id in 1..=3 {
            a.say(world, b.number, "x", id);
            assert_eq!(a.pull(world), [receipt(b.number, id, 1)]);
            // A pause between two bursts.
            world.wait_ms(10);
            world.expect(b.at, &[super::world::message(a.number, "x")]);
        }
        assert_eq!(kept(world, b.number), 3);
        world.send(b.at, &User::SetStatus { me: b.number, status: 1 });
        world.take(b.at);
        world.wait_ms(10);
        assert_eq!(kept(world, b.number), 0);
        a.say(world, b.number, "y", 4);
        assert_eq!(a.pull(world), [receipt(b.number, 4, 2)]);
    });
}

#[test]
fn whoever_hides_takes_no_more_of_a_file() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let offer = User::OfferFile { me: a.number, friend: b.number, name: "f", size: 9, offer: Some(1) };
        a.send(world, &offer);
        b.pull(world);
        b.send(world, &User::AnswerFile { me: b.number, friend: a.number, allow: 1, offer: Some(1) });
        a.pull(world);
        hide(world, &mut b, 2);
        let data = crate::wire::Blob(b"x");
        let piece = User::FileData { me: a.number, friend: b.number, data, offer: Some(1) };
        let shown = a.ask(world, &piece);
        assert!(shown[0].contains("about: 21, code: 13") && b.pull(world).is_empty(), "{shown:?}");
        let hidden = a.ask(world, &offer);
        hide(world, &mut b, 4);
        assert_eq!(a.ask(world, &offer), hidden);
    });
}

#[test]
fn hidden_stays_hidden_over_a_restart() {
    let mut world = World::new(2);
    let (mut a, mut b) = (Linked::person(&mut world, "a"), Linked::person(&mut world, "b"));
    hide(&mut world, &mut b, 2);
    let mut world = world.restarted(2);
    a.ask(&mut world, &User::Test { me: a.number });
    a.say(&mut world, b.number, "x", 1);
    assert_eq!(a.pull(&mut world).last(), Some(&receipt(b.number, 1, 1)), "at once: nobody waits for b");
    let shown = b.ask(&mut world, &User::Test { me: b.number });
    let shown = [shown, b.pull(&mut world)].concat();
    assert!(shown.iter().any(|one| one.contains("\"x\"")), "{shown:?}");
    b.has(&mut world, a.number, 1);
    world.wait_ms(2_000);
    assert!(!a.pull(&mut world).iter().any(|one| one.starts_with("Receipt")));
}

fn block(world: &mut World, who: &mut Linked, other: u32, on: u8) {
    let me = who.number;
    let shown = who.ask(world, &User::Block { me, other, on });
    assert_eq!(shown, [format!("Blocked {{ ok: 1, other: {other}, on: {on} }}")]);
}

fn told(friend: u32, status: u8) -> String {
    format!("{:?}", Server::FriendStatus { friend, status })
}

/// What somebody sees of another: in the list of who is online, and by searches for and against a status.
fn sees_online(world: &mut World, who: &mut Linked, number: u32) -> bool {
    let me = who.number;
    let named = format!("number: {number},");
    let mut ask = |frame: &User<'_>| who.ask(world, frame).concat().contains(&named);
    let listed = ask(&User::Online { me, start: 0, count: 50, direction: 2 });
    let online = ask(&User::Search { me, sql: "status <> 4" });
    let offline = ask(&User::Search { me, sql: "status = 4" });
    assert!(listed == online && online != offline, "{listed} {online} {offline}");
    online
}

#[test]
fn who_is_blocked_sees_nothing_of_who_blocks() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        add(world, &mut a, b.number);
        b.pull(world);
        assert!(sees_online(world, &mut a, b.number));
        block(world, &mut b, a.number, 1);
        assert_eq!(a.pull(world), [told(b.number, 4)], "offline from the moment of the block");
        assert!(!sees_online(world, &mut a, b.number));
        for status in [3, 2, 1, 4] {
            let me = b.number;
            b.ask(world, &User::SetStatus { me, status });
            assert_eq!(a.pull(world), [""; 0], "status {status} is not told");
        }
        let mut b = Linked::sign_in(world, b.number);
        assert_eq!(a.pull(world), [""; 0]);
        assert!(!sees_online(world, &mut a, b.number));
        // A new sign-in shows the same.
        let mut a = Linked::open(world, a.number);
        let shown = a.ask(world, &sign_in(10_000));
        assert!(shown[0].contains("number: 10001, portrait: 7, status: 4"), "{shown:?}");
        assert!(!sees_online(world, &mut a, b.number));
        a.ask(world, &User::DeleteFriend { me: a.number, friend: b.number });
        // Nor can it be added or asked, as with somebody who lets nobody.
        let nobody = world.register("nobody", 2);
        let mut answers = Vec::new();
        for friend in [b.number, nobody] {
            let me = a.number;
            let mut shown = a.ask(world, &User::AddFriend { me, friend });
            shown.extend(a.ask(world, &User::Ask { me, friend, reason: "please" }));
            answers.push(shown.join("\n").replace(&friend.to_string(), "N"));
        }
        assert!(answers[0].contains("result: 3"), "{answers:?}");
        assert_eq!(answers[0], answers[1]);
        assert_eq!(b.pull(world), [""; 0], "and b hears nothing of it");
        // The truth again after it.
        block(world, &mut b, a.number, 0);
        assert!(sees_online(world, &mut a, b.number));
        add(world, &mut a, b.number);
        b.pull(world);
        let me = b.number;
        b.ask(world, &User::SetStatus { me, status: 3 });
        assert_eq!(a.pull(world), [told(b.number, 3)]);
        block(world, &mut b, a.number, 1);
        a.pull(world);
        block(world, &mut b, a.number, 0);
        assert_eq!(a.pull(world), [told(b.number, 3)]);
    });
}

#[test]
fn a_block_holds_for_who_signs_in_meanwhile_and_after_a_restart() {
    for shards in 1..=3 {
        let mut world = World::new(shards);
        let (mut a, mut b) = (Linked::person(&mut world, "a"), Linked::person(&mut world, "b"));
        add(&mut world, &mut a, b.number);
        a.ask(&mut world, &User::SetStatus { me: 10_000, status: 4 });
        // The lists of a are read before the block, and the sign-in ends after it.
        world.passwords_wait = true;
        let mut a = Linked::open(&mut world, 10_000);
        a.send(&mut world, &sign_in(10_000));
        b.pull(&mut world);
        block(&mut world, &mut b, 10_000, 1);
        world.passwords_wait = false;
        world.run();
        let shown = a.pull(&mut world);
        assert!(shown[0].contains("number: 10001, portrait: 7, status: 4"), "{shown:?}");
        let mut world = world.restarted(shards);
        let shown = [a.ask(&mut world, &User::Test { me: 10_000 }), a.pull(&mut world)].concat();
        assert!(shown.contains(&told(10_001, 4)) && !shown.contains(&told(10_001, 1)), "{shown:?}");
        assert!(!sees_online(&mut world, &mut a, 10_001));
        b.ask(&mut world, &User::Test { me: 10_001 });
        assert!(!sees_online(&mut world, &mut a, 10_001));
    }
}

#[test]
fn a_search_by_details_finds_those_who_show_them() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let finds = |world: &mut World, who: &mut Linked, sql: &str| {
            let me = who.number;
            who.ask(world, &User::Search { me, sql }).concat().contains("number: 10001,")
        };
        let not = "NOT telephone = '0755' AND number = 10001";
        let either = "telephone = '0755' OR number = 10001";
        for (details, listed, shown) in [(1, false, false), (1, true, true), (2, true, false), (0, false, true)] {
            set(world, &mut b, Some((0, details)));
            match listed {
                true => drop(b.ask(world, &User::AddFriend { me: b.number, friend: 10_000 })),
                false => drop(b.ask(world, &User::DeleteFriend { me: b.number, friend: 10_000 })),
            }
            a.pull(world);
            let what = format!("details {details}, listed {listed}");
            assert_eq!(finds(world, &mut a, "telephone = '0755'"), shown, "{what}");
            assert_eq!(finds(world, &mut a, "telephone <> '1'"), shown, "{what}");
            assert_eq!(finds(world, &mut a, "telephone LIKE '%' AND number > 0"), shown, "{what}");
            assert!(!finds(world, &mut a, not), "{what}");
            assert!(!finds(world, &mut a, "NOT (telephone <> '9' AND number = 10001) AND number = 10001"), "{what}");
            assert!(finds(world, &mut a, either), "{what}");
            assert!(finds(world, &mut b, "telephone = '0755'"), "one's own are always there");
        }
    });
}
