//! Friends: the five results of adding, asking and answering, deleting.

use super::world::{Person, World, profile, system};
use crate::limits;
use crate::store::{Account, Answer, Change, Request};
use crate::wire::{Server, User};

fn add(me: Person, friend: u32) -> User<'static> {
    User::AddFriend { me: me.number, friend }
}

fn ask(me: Person, friend: Person, reason: &str) -> User<'_> {
    User::Ask { me: me.number, friend: friend.number, reason }
}

fn answer(me: Person, friend: Person, agree: u8) -> User<'static> {
    User::Answer { me: me.number, friend: friend.number, agree }
}

fn result(result: u8, friend: u32) -> Server<'static> {
    Server::AddResult { result, friend }
}

fn new_friend(friend: u32, nickname: &str, status: u8) -> Server<'_> {
    Server::NewFriend { friend, nickname, portrait: 7, status }
}

#[test]
fn adding_has_five_results() {
    World::everywhere(|world| {
        let (a, free) = (world.person("a"), world.person("free"));
        let (asks, nobody) = (world.person_who("asks", 1), world.person_who("nobody", 2));
        world.send(a.at, &add(a, free.number));
        world.expect(a.at, &[result(1, free.number), new_friend(free.number, "free", 1)]);
        world.expect(free.at, &[system(a.number, 1, "")]);
        world.wait_ms(11_000);
        world.send(a.at, &add(a, free.number));
        world.expect(a.at, &[result(1, free.number)]);
        world.expect(free.at, &[]);
        world.send(a.at, &add(a, asks.number));
        world.expect(a.at, &[result(2, asks.number)]);
        world.send(a.at, &add(a, nobody.number));
        world.expect(a.at, &[result(3, nobody.number)]);
        world.sign_out(asks);
        world.send(a.at, &add(a, asks.number));
        world.expect(a.at, &[result(4, asks.number)]);
        world.send(a.at, &add(a, 88_888));
        world.expect_refused(a.at, Some(result(0, 88_888)), "no user 88888");
        world.send(a.at, &add(a, a.number));
        world.expect_refused(a.at, Some(result(0, a.number)), "yourself");
    });
}

#[test]
fn a_friend_is_an_entry_in_one_list_alone() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.befriend(a, b);
        let again = world.sign_in(b.number);
        assert!(!world.shown(again.at)[0].contains("FriendEntry"));
        assert_eq!(world.shown(a.at).len(), 0, "b was online all the time");
    });
}

#[test]
fn who_is_hidden_is_told_as_offline_when_added() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person_who("b", 1));
        world.send(b.at, &User::SetStatus { me: b.number, status: 2 });
        world.send(a.at, &add(a, b.number));
        world.expect(a.at, &[result(4, b.number)]);
    });
}

#[test]
fn asking_and_agreeing_puts_the_entry_in() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person_who("b", 1));
        world.send(b.at, &answer(b, a, 1));
        world.expect_refused(b.at, None, "no open request");
        world.send(a.at, &ask(a, b, "同学"));
        world.expect(a.at, &[]);
        world.expect(b.at, &[system(a.number, 2, "同学")]);
        world.wait_ms(11_000);
        world.send(b.at, &answer(b, a, 1));
        world.expect(a.at, &[system(b.number, 3, ""), new_friend(b.number, "b", 1)]);
        world.expect(b.at, &[]);
        world.wait_ms(11_000);
        world.send(b.at, &answer(b, a, 1));
        world.expect_refused(b.at, None, "no open request");
        world.send(b.at, &User::SetStatus { me: b.number, status: 3 });
        world.expect(a.at, &[Server::FriendStatus { friend: b.number, status: 3 }]);
        world.send(a.at, &ask(a, b, "again"));
        world.expect_refused(a.at, None, "on your list already");
    });
}

#[test]
fn requests_and_answers_reach_who_is_offline() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person_who("b", 1));
        world.sign_out(b);
        world.send(a.at, &ask(a, b, "hello"));
        world.sign_out(a);
        let b = world.sign_in(b.number);
        assert_eq!(world.shown(b.at)[1..], [format!("{:?}", system(a.number, 2, "hello"))]);
        world.send(b.at, &answer(b, a, 1));
        world.expect(b.at, &[]);
        let a = world.sign_in(a.number);
        let shown = world.shown(a.at);
        assert!(shown[0].contains(&format!("number: {}", b.number)), "{shown:?}");
        assert_eq!(shown[1..], [format!("{:?}", system(b.number, 3, ""))]);

        let c = world.person("c");
        world.send(c.at, &ask(c, b, "me too"));
        world.take(b.at);
        world.sign_out(c);
        world.send(b.at, &answer(b, c, 0));
        let c = world.sign_in(c.number);
        assert_eq!(world.shown(c.at)[1..], [format!("{:?}", system(b.number, 4, ""))]);
        world.send(b.at, &answer(b, c, 0));
        world.wait_ms(11_000);
        assert_eq!(world.store.ask(Request::Asked { target: b.number, asker: c.number }), Answer::Until(None));
    });
}

#[test]
fn a_request_is_open_for_seven_days() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person_who("b", 1));
        world.send(a.at, &ask(a, b, "x"));
        world.now.unix_ms += limits::ASK_OPEN.as_millis() as u64 + 1;
        world.take(b.at);
        world.send(b.at, &answer(b, a, 1));
        world.expect_refused(b.at, None, "no open request");
        let nobody = world.person_who("n", 2);
        world.send(a.at, &ask(a, nobody, "please"));
        world.expect_refused(a.at, None, "lets nobody");
        let long = "r".repeat(256);
        world.send(a.at, &ask(a, b, &long));
        world.expect_refused(a.at, None, "at most 255 bytes");
    });
}

#[test]
fn deleting_needs_somebody_on_the_list() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        let delete = User::DeleteFriend { me: a.number, friend: b.number };
        world.send(a.at, &delete);
        world.expect_refused(a.at, Some(Server::FriendDeleted { ok: 0, friend: 0 }), "not on your list");
        world.befriend(a, b);
        world.send(a.at, &delete);
        world.expect(a.at, &[Server::FriendDeleted { ok: 1, friend: b.number }]);
        world.expect(b.at, &[]);
    });
}

#[test]
fn a_group_holds_255_and_a_list_700() {
    let mut world = World::new(2);
    let a = world.person("a");
    world.sign_out(a);
    let mut others = Vec::new();
    for _ in 0..=limits::FRIENDS {
        let account = Box::new(Account::new(&profile("x", 0), "".into(), 0));
        let Answer::Registered(number) = world.store.ask(Request::Register(account)) else { panic!("registers") };
        others.push(number);
    }
    let put = |friend, group| Change::PutFriend { owner: a.number, friend, group };
    let mut changes: Vec<Change> = others[..255].iter().map(|friend| put(*friend, 1)).collect();
    world.store.ask(Request::Commit(changes.clone()));
    let a = world.sign_in(a.number);
    world.take(a.at);
    world.send(a.at, &add(a, others[255]));
    world.expect_refused(a.at, Some(result(0, others[255])), "group 1 is full");
    world.sign_out(a);
    changes = vec![Change::PutGroup(a.number, 2, "g".into()), Change::PutGroup(a.number, 3, "h".into())];
    changes.extend(others[100..355].iter().map(|friend| put(*friend, 2)));
    changes.extend(others[355..600].iter().map(|friend| put(*friend, 3)));
    changes.extend(others[600..700].iter().map(|friend| put(*friend, 1)));
    world.store.ask(Request::Commit(changes));
    let a = world.sign_in(a.number);
    assert!(world.take(a.at)[0].len() < 60_000);
    world.send(a.at, &add(a, others[700]));
    world.expect_refused(a.at, Some(result(0, others[700])), "at most 700 friends");
}

/// A request is answered once, and asking again while it is open fills nobody's mailbox.
#[test]
fn one_open_request_is_one_message_and_one_answer() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person_who("b", 1));
        world.sign_out(b);
        for reason in ["x", "y", "z"] {
            world.send(a.at, &ask(a, b, reason));
        }
        let b = world.sign_in(b.number);
        assert_eq!(world.shown(b.at)[1..], [format!("{:?}", system(a.number, 2, "x"))]);
        world.store_waits = true;
        world.send(b.at, &answer(b, a, 0));
        world.send(b.at, &answer(b, a, 1));
        world.store_waits = false;
        world.run();
        world.expect(a.at, &[system(b.number, 4, "")]);
        world.expect_refused(b.at, None, "not open any more");
    });
}
