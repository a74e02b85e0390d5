//! Files: offered, answered, passed on up to the size that was accepted.

use super::linked::Linked;
use super::world::{Person, World};
use crate::limits;
use crate::wire::{Blob, Server, User};

fn offer(me: Person, friend: Person, size: u32) -> User<'static> {
    User::OfferFile { me: me.number, friend: friend.number, name: "照片.jpg", size, offer: None }
}

fn answer(me: Person, friend: Person, allow: u8) -> User<'static> {
    User::AnswerFile { me: me.number, friend: friend.number, allow, offer: None }
}

fn piece<'a>(me: Person, friend: Person, data: &'a [u8]) -> User<'a> {
    User::FileData { me: me.number, friend: friend.number, data: Blob(data), offer: None }
}

#[test]
fn pieces_pass_after_a_yes_and_only_up_to_the_size() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.send(a.at, &piece(a, b, b"early"));
        world.expect_refused(a.at, None, "has not accepted");
        world.send(a.at, &offer(a, b, 10));
        world.expect(b.at, &[Server::FileOffered { sender: a.number, name: "照片.jpg", size: 10, offer: None }]);
        world.send(a.at, &piece(a, b, b"early"));
        world.expect_refused(a.at, None, "has not accepted");
        world.send(b.at, &answer(b, a, 1));
        world.expect(a.at, &[Server::FileAnswered { sender: b.number, allow: 1, offer: None }]);
        world.send(a.at, &piece(a, b, b"123456"));
        world.send(a.at, &piece(a, b, b"78901"));
        world.expect(b.at, &[Server::FileData { sender: a.number, data: Blob(b"123456"), offer: None }]);
        world.expect_refused(a.at, None, "4 bytes left");
        world.send(a.at, &piece(a, b, b"7890"));
        world.expect(b.at, &[Server::FileData { sender: a.number, data: Blob(b"7890"), offer: None }]);
        world.send(b.at, &piece(b, a, b"back"));
        world.expect_refused(b.at, None, "has not accepted");
    });
}

#[test]
fn a_no_ends_it_and_nobody_answers_what_was_not_offered() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        world.send(b.at, &answer(b, a, 1));
        world.expect_refused(b.at, None, "no open offer");
        world.send(a.at, &offer(a, b, 10));
        world.take(b.at);
        world.send(b.at, &answer(b, a, 0));
        world.expect(a.at, &[Server::FileAnswered { sender: b.number, allow: 0, offer: None }]);
        world.wait_ms(11_000);
        world.send(b.at, &answer(b, a, 1));
        world.expect_refused(b.at, None, "no open offer");
    });
}

#[test]
fn who_has_gone_takes_no_more_and_being_hidden_does_not_show() {
    World::everywhere(|world| {
        let (a, b, c) = (world.person("a"), world.person("b"), world.person("c"));
        world.send(a.at, &offer(a, b, 100));
        world.take(b.at);
        world.send(b.at, &answer(b, a, 1));
        world.sign_out(b);
        world.take(a.at);
        world.send(a.at, &piece(a, b, b"x"));
        world.expect_refused(a.at, None, "has not accepted");
        world.send(a.at, &offer(a, b, 101));
        let offline = world.shown(a.at);
        world.send(c.at, &User::SetStatus { me: c.number, status: 2 });
        world.take(c.at);
        world.send(a.at, &offer(a, c, 100));
        let hidden: Vec<_> =
            world.shown(a.at).iter().map(|one| one.replace(&c.number.to_string(), &b.number.to_string())).collect();
        assert_eq!(hidden, offline);
        world.expect(c.at, &[]);
    });
}

#[test]
fn a_complete_file_makes_room_for_the_next() {
    World::everywhere(|world| {
        let (a, b) = (world.person("a"), world.person("b"));
        for at in 0..40 {
            // Every fourth is empty, and complete when it is accepted.
            let size = at % 4;
            world.wait_ms(11_000);
            for person in [a, b] {
                world.send(person.at, &User::Test { me: person.number });
                world.take(person.at);
            }
            world.send(a.at, &offer(a, b, size));
            assert_eq!(world.take(b.at).len(), 1);
            world.send(b.at, &answer(b, a, 1));
            world.expect(a.at, &[Server::FileAnswered { sender: b.number, allow: 1, offer: None }]);
            if size > 0 {
                world.send(a.at, &piece(a, b, &vec![7; size as usize]));
                assert_eq!(world.take(b.at).len(), 1);
            }
            world.send(a.at, &piece(a, b, b"more"));
            world.expect_refused(a.at, None, "or it is complete");
            world.send(b.at, &User::Test { me: b.number });
            world.take(b.at);
        }
    });
}

#[test]
fn a_file_is_passed_on_as_fast_as_it_is_acknowledged() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let size = 400_000;
        a.send(world, &User::OfferFile { me: a.number, friend: b.number, name: "f", size, offer: None });
        b.pull(world);
        b.send(world, &User::AnswerFile { me: b.number, friend: a.number, allow: 1, offer: None });
        assert_eq!(a.pull(world).len(), 1);
        let piece = vec![7; 20_000];
        let mut passed = 0;
        let mut send = |a: &mut Linked, b: &mut Linked, world: &mut World| {
            let data = Blob(&piece);
            a.send(world, &User::FileData { me: a.number, friend: 10_001, data, offer: None });
            let mut shown = Vec::new();
            for _ in 0..8 {
                world.wait_ms(10);
                shown.extend(a.pull(world));
                passed += b.pull(world).iter().filter(|frame| frame.starts_with("FileData")).count();
                a.push(world);
                b.push(world);
            }
            (passed, shown)
        };
        let mut shown = Vec::new();
        for _ in 0..14 {
            let (passed, told) = send(&mut a, &mut b, world);
            assert!(passed <= 13, "262,144 bytes ahead at most");
            shown.extend(told);
        }
        assert!(shown.last().is_some_and(|last| last.contains("about: 21, code: 6")), "{shown:?}");
        b.send(world, &User::Progress { me: b.number, peer: a.number, received: 260_000, offer: None });
        assert_eq!(
            a.pull(world),
            [format!("{:?}", Server::Progress { peer: b.number, received: 260_000, offer: Some(0) })]
        );
        for _ in 0..7 {
            send(&mut a, &mut b, world);
        }
        assert_eq!(send(&mut a, &mut b, world).0, 20, "the file is complete");
        a.pull(world);
        b.send(world, &User::Progress { me: b.number, peer: a.number, received: size, offer: None });
        assert_eq!(a.pull(world).len(), 1, "the last progress is told");
        b.send(world, &User::Progress { me: b.number, peer: a.number, received: size, offer: None });
        assert!(b.pull(world)[0].contains("code: 13"), "then it is over");
    });
}

#[test]
fn who_sends_a_file_by_bare_frames_is_not_held_back() {
    World::everywhere(|world| {
        let (bare, mut b) = (world.person("bare"), Linked::person(world, "b"));
        let size = 400_000;
        world.send(bare.at, &User::OfferFile { me: bare.number, friend: b.number, name: "f", size, offer: None });
        b.pull(world);
        b.send(world, &User::AnswerFile { me: b.number, friend: bare.number, allow: 1, offer: None });
        assert_eq!(world.take(bare.at).len(), 1);
        let piece = vec![7; 20_000];
        let mut came = 0;
        for _ in 0..20 {
            let data = Blob(&piece);
            world.send(bare.at, &User::FileData { me: bare.number, friend: b.number, data, offer: None });
            assert_eq!(world.take(bare.at), Vec::<Vec<u8>>::new(), "nothing is refused");
            for _ in 0..8 {
                world.wait_ms(10);
                came += b.pull(world).iter().filter(|frame| frame.starts_with("FileData")).count();
                b.push(world);
            }
        }
        assert_eq!(came, 20);
        assert_eq!(
            b.ask(world, &User::Progress { me: b.number, peer: bare.number, received: size, offer: None }).len(),
            0
        );
    });
}

#[test]
fn several_files_stand_between_the_same_two_people() {
    World::everywhere(|world| {
        let (mut a, mut b) = (Linked::person(world, "a"), Linked::person(world, "b"));
        let (from, to) = (a.number, b.number);
        for offer in [31, 32, 33] {
            let name = format!("{offer}.jpg");
            a.send(world, &User::OfferFile { me: from, friend: to, name: &name, size: 3, offer: Some(offer) });
        }
        let shown = b.pull(world);
        assert!(shown.len() == 3 && shown[1].contains("\"32.jpg\", size: 3, offer: Some(32)"), "{shown:?}");
        for (offer, allow) in [(33, 1), (31, 1), (32, 0)] {
            b.send(world, &User::AnswerFile { me: to, friend: from, allow, offer: Some(offer) });
        }
        assert_eq!(a.pull(world).len(), 3);
        let piece = |text: &'static str, offer| User::FileData {
            me: from,
            friend: to,
            data: Blob(text.as_bytes()),
            offer: Some(offer),
        };
        a.send(world, &piece("one", 31));
        a.send(world, &piece("no", 32));
        a.send(world, &piece("33", 33));
        let data = |text: &'static str, offer| {
            format!("{:?}", Server::FileData { sender: from, data: Blob(text.as_bytes()), offer: Some(offer) })
        };
        assert_eq!(b.pull(world), [data("one", 31), data("33", 33)]);
        let refused = a.pull(world);
        assert!(refused.len() == 1 && refused[0].contains("about: 21, code: 13"), "{refused:?}");
        b.send(world, &User::Progress { me: to, peer: from, received: 2, offer: Some(33) });
        b.send(world, &User::Progress { me: to, peer: from, received: 3, offer: Some(31) });
        let progress = |received, offer| format!("{:?}", Server::Progress { peer: to, received, offer: Some(offer) });
        assert_eq!(a.pull(world), [progress(2, 33), progress(3, 31)]);
        // The one is over, the other goes on.
        assert!(a.ask(world, &piece("x", 31))[0].contains("code: 13"));
        a.send(world, &piece("3", 33));
        assert_eq!(b.pull(world), [data("3", 33)]);
    });
}

/// Bare frames cannot tell offers apart: the latest is the one that counts.
#[test]
fn in_bare_frames_an_offer_takes_the_place_of_the_one_before() {
    World::everywhere(|world| {
        let (mut a, bare) = (Linked::person(world, "a"), world.person("bare"));
        for offer in [8, 9] {
            let frame = User::OfferFile { me: a.number, friend: bare.number, name: "f", size: 1, offer: Some(offer) };
            a.send(world, &frame);
        }
        let offered = Server::FileOffered { sender: a.number, name: "f", size: 1, offer: None };
        world.expect(bare.at, &[offered, offered]);
        world.send(bare.at, &User::AnswerFile { me: bare.number, friend: a.number, allow: 1, offer: None });
        let answered = Server::FileAnswered { sender: bare.number, allow: 1, offer: Some(9) };
        assert_eq!(a.pull(world), [format!("{answered:?}")]);
        let piece = |offer| User::FileData { me: 10_000, friend: 10_001, data: Blob(b"x"), offer: Some(offer) };
        assert!(a.ask(world, &piece(8))[0].contains("code: 13"));
        a.send(world, &piece(9));
        world.expect(bare.at, &[Server::FileData { sender: a.number, data: Blob(b"x"), offer: None }]);
        world.wait_ms(11_000);
        world.send(bare.at, &User::AnswerFile { me: bare.number, friend: a.number, allow: 1, offer: None });
        world.expect_refused(bare.at, None, "no open offer");
    });
}

#[test]
fn one_person_leaves_room_for_the_offers_of_others() {
    World::everywhere(|world| {
        let (mut a, mut b, mut c) =
            (Linked::person(world, "a"), Linked::person(world, "b"), Linked::person(world, "c"));
        for offer in 0..=limits::TRANSFERS_FROM_ONE as u32 {
            let frame = User::OfferFile { me: a.number, friend: b.number, name: "f", size: 1, offer: Some(offer) };
            let refused = a.ask(world, &frame);
            let full = offer == limits::TRANSFERS_FROM_ONE as u32;
            assert_eq!(refused.first().is_some_and(|one| one.contains("about: 19, code: 9")), full, "{refused:?}");
            assert_eq!(b.pull(world).len(), usize::from(!full));
        }
        c.send(world, &User::OfferFile { me: c.number, friend: b.number, name: "f", size: 1, offer: Some(1) });
        assert_eq!(b.pull(world).len(), 1);
    });
}
