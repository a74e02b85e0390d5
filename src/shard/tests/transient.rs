//! What cannot be taken for now is not final (protocol.md 3.3): no receipt, a notice once a minute, and the order stays.

use super::linked::Linked;
use super::world::World;
use crate::wire::{Server, User};

const STORED: u8 = 1;
const DELIVERED: u8 = 2;

fn receipt(to: u32, id: u64, state: u8) -> String {
    format!("{:?}", Server::Receipt { to, id, state, reason: 0 })
}

fn shown(from: &Linked, id: u64) -> String {
    format!("sender: {}, text: \"{id}\"", from.number)
}

/// A sender over the link, and somebody who is offline.
fn pair(world: &mut World) -> (Linked, u32) {
    (Linked::person(world, "sender"), world.register("recipient", 0))
}

fn say(world: &mut World, sender: &mut Linked, to: u32, id: u64) -> Vec<String> {
    sender.say(world, to, &id.to_string(), id);
    sender.pull(world)
}

#[test]
fn a_failing_disk_is_told_once_a_minute_and_never_by_a_receipt() {
    World::everywhere(|world| {
        let (mut sender, to) = pair(world);
        for minute in 1..4 {
            world.store.disk().set_room(Some(0));
            let mut told = Vec::new();
            for _ in 0..4 {
                told.extend(say(world, &mut sender, to, minute));
                told.extend(say(world, &mut sender, to, minute + 1));
                world.wait_ms(500);
            }
            assert!(told.len() == 1 && told[0].starts_with("Notice { about: 3, code: 10,"), "{told:?}");
            world.store.disk().set_room(None);
            assert_eq!(say(world, &mut sender, to, minute), [receipt(to, minute, STORED)]);
            // Clients test their connections.
            for _ in 0..2 {
                world.wait_ms(30_000);
                sender.ask(world, &User::Test { me: sender.number });
            }
        }
    });
}

#[test]
fn nothing_newer_is_taken_before_what_failed() {
    World::everywhere(|world| {
        let (mut sender, to) = pair(world);
        world.store.disk().fail_syncs(1);
        assert!(say(world, &mut sender, to, 5)[0].starts_with("Notice"));
        // The disk works again.
        assert!(say(world, &mut sender, to, 6).is_empty());
        let other = world.register("other", 0);
        assert_eq!(say(world, &mut sender, other, 7), [receipt(other, 7, STORED)], "another pair");
        // Nor does it go straight out when its recipient comes.
        let mut recipient = Linked::sign_in(world, to);
        assert!(say(world, &mut sender, to, 8).is_empty() && recipient.pull(world).is_empty());
        for id in [5, 6, 8] {
            assert!(say(world, &mut sender, to, id).is_empty());
            let got = recipient.pull(world);
            assert!(got.len() == 1 && got[0].contains(&shown(&sender, id)), "{got:?}");
            recipient.has(world, sender.number, id);
            assert_eq!(sender.pull(world), [receipt(to, id, DELIVERED)]);
        }
    });
}

/// Messages are sent again in order: one that has waited and comes again shows that what it waited for was given up.
#[test]
fn a_message_that_is_never_sent_again_does_not_hold_up_the_others_for_long() {
    World::everywhere(|world| {
        let (mut sender, to) = pair(world);
        world.store.disk().fail_syncs(1);
        say(world, &mut sender, to, 5);
        assert!(say(world, &mut sender, to, 6).is_empty() && say(world, &mut sender, to, 7).is_empty());
        world.wait_ms(11_000);
        assert_eq!(say(world, &mut sender, to, 6), [receipt(to, 6, STORED)]);
        assert_eq!(say(world, &mut sender, to, 7), [receipt(to, 7, STORED)]);
    });
}

/// Bare frames have no receipts, and nobody sends them again.
#[test]
fn in_a_bare_frame_it_is_told_in_words_once_a_minute() {
    World::everywhere(|world| {
        let (sender, to) = (world.person("sender"), world.register("recipient", 0));
        world.store.disk().set_room(Some(0));
        for text in ["one", "two", "three"] {
            world.send(sender.at, &User::Message { me: sender.number, to, text, id: None });
        }
        world.expect_refused(sender.at, None, "was not taken");
        world.store.disk().set_room(None);
        world.send(sender.at, &User::Message { me: sender.number, to, text: "four", id: None });
        let recipient = world.sign_in(to);
        let got = world.shown(recipient.at);
        assert!(got.len() == 2 && got[1].contains("four"), "{got:?}");
    });
}
