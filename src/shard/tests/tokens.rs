//! Tokens (protocol.md 2.6): what lets somebody in without a password, and when it does no more.

use super::linked::Linked;
use super::world::{World, profile};
use crate::store::{Change, Request};
use crate::wire::{Profile, User};

pub fn token_sign_in(me: u32, token: &str) -> User<'_> {
    User::SignIn { me, password: "", mode: 0, token: Some(token) }
}

#[test]
fn a_token_is_as_good_as_the_password_until_it_is_taken_back() {
    World::everywhere(|world| {
        let first = Linked::person(world, "a");
        let number = first.number;
        let mut second = Linked::open(world, number);
        let shown = second.ask(world, &token_sign_in(number, &first.token));
        assert!(shown[0].starts_with("SignedIn { ok: 1") && second.token != first.token, "{shown:?}");
        // The first session was told.
        let mut first = first;
        first.pull(world);
        assert_eq!(first.closed.as_ref().map(|close| close.code), Some(1));
        // Once the password is another one, no token is good but that of the session that has changed it.
        let update = User::Update {
            me: number,
            profile: Profile { password: "another", ..profile("a", 0) },
            reach: Some(0),
            details: Some(1),
            old_password: Some("secret"),
        };
        assert_eq!(second.ask(world, &update), ["Updated { ok: 1 }"]);
        let mut third = Linked::open(world, number);
        let shown = third.ask(world, &token_sign_in(number, &first.token));
        assert!(shown[0].starts_with("SignedIn { ok: 0") && shown[1].contains("code: 3"), "{shown:?}");
        assert_eq!(second.ask(world, &User::Test { me: number }), ["TestReply { me: 10000 }"], "it goes on");
        let mut third = Linked::open(world, number);
        let shown = third.ask(world, &token_sign_in(number, &second.token));
        assert!(shown[0].starts_with("SignedIn { ok: 1"), "{shown:?}");
    });
}

/// Protocol.md 2.6: what a token that was stolen, or has been signed out, is worth.
#[test]
fn a_token_ends_when_the_next_is_used_and_when_its_session_signs_out() {
    World::everywhere(|world| {
        let first = Linked::person(world, "a");
        let number = first.number;
        let comes_in = |world: &mut World, token: &str| {
            let mut me = Linked::open(world, number);
            let shown = me.ask(world, &token_sign_in(number, token));
            shown[0].starts_with("SignedIn { ok: 1").then_some(me)
        };
        // The answer with the next token may have been lost: the same is good again.
        let lost = comes_in(world, &first.token).expect("it is good");
        let second = comes_in(world, &first.token).expect("it is good again");
        let mut third = comes_in(world, &second.token).expect("it is good");
        assert!(comes_in(world, &first.token).is_none(), "its successor was used");
        assert!(comes_in(world, &lost.token).is_some(), "nobody knows who has this one");
        third = comes_in(world, &third.token).expect("it is good");
        let shown = third.ask(world, &User::SetStatus { me: number, status: 4 });
        assert_eq!(shown[0], format!("StatusSet {{ me: {number}, status: 4 }}"));
        assert!(comes_in(world, &third.token).is_none() && comes_in(world, &second.token).is_none());
    });
}

#[test]
fn the_operator_ends_a_session_with_its_tokens() {
    let mut world = World::new(2);
    let mut a = Linked::person(&mut world, "a");
    world.store.ask(Request::Commit(vec![Change::DeleteTokens(a.number)]));
    world.control(&crate::shard::Control::SignOut(a.number, "by the operator".into()));
    a.pull(&mut world);
    assert_eq!(a.closed.as_ref().map(|close| (close.code, close.reason.as_str())), Some((5, "by the operator")));
    let mut again = Linked::open(&mut world, a.number);
    let shown = again.ask(&mut world, &token_sign_in(a.number, &a.token));
    assert!(shown[0].starts_with("SignedIn { ok: 0"), "{shown:?}");
}
