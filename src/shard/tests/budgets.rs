//! Budgets of an account (protocol.md 1.7): what is beyond them waits, and is never refused.

use super::linked::Linked;
use super::world::World;
use crate::limits;
use crate::shard::{Budgets, Control, Endpoint, Rate};
use crate::store::{Change, Request};
use crate::wire::{List, ReceivedId, User};

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

fn receipts(shown: &[String]) -> usize {
    shown.iter().filter(|frame| frame.starts_with("Receipt")).count()
}

/// Lets time pass with what the client's link does meanwhile, and gives what came.
fn live(world: &mut World, me: &mut Linked, ms: u64) -> Vec<String> {
    let mut shown = Vec::new();
    for _ in 0..ms / 10 {
        world.wait_ms(10);
        me.push(world);
        let got = me.pull(world);
        shown.extend(got);
    }
    shown
}

#[test]
fn messages_beyond_the_budget_wait_in_the_window_and_all_arrive() {
    World::everywhere(|world| {
        let (mut me, recipient) = (Linked::person(world, "fast"), world.person("recipient"));
        let to = recipient.number;
        // Friends have more room in a mailbox.
        world.send(recipient.at, &User::AddFriend { me: to, friend: me.number });
        world.sign_out(recipient);
        me.pull(world);
        let mut shown = Vec::new();
        for id in 1..=600 {
            me.say(world, to, &format!("{id}"), id);
            shown.extend(me.pull(world));
        }
        assert_eq!(receipts(&shown), limits::MESSAGES_BURST as usize, "{:?}", shown.last());
        assert!(me.link.queued_bytes() > 0, "the rest is still with the sender");
        shown = live(world, &mut me, 5_000);
        let taken = receipts(&shown);
        assert!((95..=105).contains(&taken), "20 a second: {taken}");
        assert!(!shown.iter().any(|frame| frame.contains("Notice")), "not yet");
        shown.extend(live(world, &mut me, 16_000));
        assert_eq!(receipts(&shown), 400, "nothing is lost");
        let notices: Vec<_> = shown.iter().filter(|frame| frame.starts_with("Notice")).collect();
        assert!(notices.len() == 1 && notices[0].starts_with("Notice { about: 0, code: 6,"), "{notices:?}");
        assert!(me.closed.is_none() && !me.link.is_waiting());
        let stored = world.store.mailbox(to).expect("memory can be read");
        assert_eq!(stored, (1..=600).map(|id| (me.number, id)).collect::<Vec<_>>(), "all of them, in order");
    });
}

/// Nothing is done to a session that waits for minutes: the window is 0, and its tests are answered.
#[test]
fn who_waits_stays_signed_in() {
    let mut world = World::new(2);
    world.budgets(Budgets { messages: rate(1, 1), ..Budgets::default() });
    let mut me = Linked::person(&mut world, "slow");
    let to = world.register("recipient", 0);
    (1..=150).for_each(|id| me.say(&mut world, to, "x", id));
    let mut shown = Vec::new();
    for _ in 0..16 {
        shown.extend(live(&mut world, &mut me, 10_000));
        let mut test = Vec::new();
        User::Test { me: me.number }.encode(&mut test);
        me.link.send_loose(&test);
        me.push(&mut world);
        let answers = me.pull(&mut world);
        assert!(answers.iter().any(|frame| frame.starts_with("TestReply")), "{answers:?}");
        shown.extend(answers);
    }
    assert!(me.closed.is_none());
    assert_eq!(receipts(&shown), 150);
    assert_eq!(shown.iter().filter(|frame| frame.contains("code: 6")).count(), 3, "once a minute");
}

#[test]
fn a_new_sign_in_does_not_fill_the_bucket() {
    World::everywhere(|world| {
        let to = world.register("recipient", 0);
        let mut me = Linked::person(world, "fast");
        (1..=250).for_each(|id| me.say(world, to, "x", id));
        assert_eq!(receipts(&me.pull(world)), 200);
        for _ in 0..3 {
            let mut again = Linked::sign_in(world, me.number);
            again.say(world, to, "y", 1_000);
            assert_eq!(receipts(&again.pull(world)), 0, "it waits");
        }
        world.wait_ms(30_000);
        let mut again = Linked::sign_in(world, me.number);
        again.say(world, to, "y", 1_001);
        assert_eq!(receipts(&again.pull(world)), 1);
    });
}

#[test]
fn a_broadcast_is_taken_whole_and_leaves_a_debt() {
    World::everywhere(|world| {
        let mut me = Linked::person(world, "popular");
        for nth in 0..30 {
            let friend = world.register(&format!("friend {nth}"), 0);
            me.ask(world, &User::AddFriend { me: me.number, friend });
        }
        world.budgets(Budgets { messages: rate(10, 2), ..Budgets::default() });
        let broadcast = |id| User::Broadcast { me: 0, group: 0, text: "all", id: Some(id) };
        let with = |frame: User<'static>, number| match frame {
            User::Broadcast { group, text, id, .. } => User::Broadcast { me: number, group, text, id },
            other => other,
        };
        let shown = me.ask(world, &with(broadcast(1), me.number));
        assert_eq!(receipts(&shown), 30, "taken whole");
        let shown = me.ask(world, &with(broadcast(2), me.number));
        assert_eq!(receipts(&shown), 0);
        assert_eq!(receipts(&live(world, &mut me, 2_800)), 0, "28 of 30 are paid");
        assert_eq!(receipts(&live(world, &mut me, 300)), 30);
    });
}

#[test]
fn writes_and_reads_have_their_own_budgets() {
    World::everywhere(|world| {
        let mut me = Linked::person(world, "me");
        world.budgets(Budgets { writes: rate(10, 3), reads: rate(10, 5), ..Budgets::default() });
        let mut shown = Vec::new();
        for _ in 0..8 {
            shown.extend(me.ask(world, &User::AddGroup { me: me.number, name: "g" }));
        }
        // The sign-in has cost more than there is now.
        let added = |shown: &[String]| shown.iter().filter(|frame| frame.contains("GroupAdded { ok: 1")).count();
        assert_eq!(added(&shown), 0);
        shown.extend(live(world, &mut me, 500));
        assert!((1..=6).contains(&added(&shown)), "{}", added(&shown));
        shown.extend(live(world, &mut me, 700));
        assert_eq!(added(&shown), 8, "none is refused");
        let view = User::View { me: me.number, friend: me.number };
        let read: usize = (0..9).map(|_| me.ask(world, &view).len()).sum();
        assert_eq!(read, 5);
        assert_eq!(live(world, &mut me, 500).len(), 4);
    });
}

/// Ids of messages that were never sent cost as much as any request; those that were sent are free.
#[test]
fn rubbish_in_confirmations_is_charged() {
    World::everywhere(|world| {
        let (mut me, mut other) = (Linked::person(world, "me"), Linked::person(world, "other"));
        world.budgets(Budgets { reads: rate(100, 300), ..Budgets::default() });
        let ids: Vec<ReceivedId> = (1..=90).map(|id| ReceivedId { from: 77_777, id }).collect();
        for _ in 0..4 {
            me.send(world, &User::Received { me: me.number, messages: List::new(&ids) });
        }
        assert!(me.ask(world, &User::View { me: me.number, friend: me.number }).is_empty(), "it waits");
        assert_eq!(live(world, &mut me, 1_000).len(), 1);
        for id in 1..=150 {
            other.say(world, me.number, "x", id);
            me.pull(world);
            me.has(world, other.number, id);
            assert_eq!(receipts(&other.pull(world)), 1, "of {id}");
        }
        assert_eq!(me.ask(world, &User::View { me: me.number, friend: me.number }).len(), 1);
    });
}

#[test]
fn a_bare_datagram_is_dropped_and_a_connection_is_not_read() {
    World::everywhere(|world| {
        let (me, to) = (world.person("me"), world.register("recipient", 0));
        world.budgets(Budgets { messages: rate(10, 5), ..Budgets::default() });
        let say = |me, text| User::Message { me, to: 0, text, id: None };
        let with = |frame: User<'static>| match frame {
            User::Message { me, text, id, .. } => User::Message { me, to, text, id },
            other => other,
        };
        for _ in 0..20 {
            world.send(me.at, &with(say(me.number, "udp")));
        }
        world.expect_refused(me.at, None, "too fast");
        world.send(me.at, &with(say(me.number, "udp")));
        world.expect(me.at, &[]);
        world.wait_ms(2_000);
        let stream = Endpoint::stream(me.at.address(), 5);
        world.send(stream, &super::world::sign_in(me.number));
        for _ in 0..20 {
            world.send(stream, &with(say(me.number, "tcp")));
        }
        assert_eq!(world.stalled.len(), 1);
        world.wait_ms(1_600);
        assert!(world.stalled.is_empty(), "it is read again");
        let recipient = world.sign_in(to);
        world.wait_ms(500);
        let shown = world.shown(recipient.at);
        let count = |word: &str| shown.iter().filter(|frame| frame.contains(word)).count();
        assert_eq!((count("udp"), count("tcp")), (5, 20), "all of the connection, in its time");
        // The end of a session lets its connection go.
        (0..9).for_each(|_| world.send(stream, &with(say(me.number, "tcp"))));
        assert_eq!(world.stalled.len(), 1);
        world.sign_in(me.number);
        assert!(world.stalled.is_empty());
    });
}

/// A status costs more the more people are told, and so does coming and going.
#[test]
fn flapping_costs_what_it_makes_others_do() {
    let mut world = World::new(2);
    world.budgets(Budgets::UNLIMITED);
    let mut star = Linked::person(&mut world, "star");
    let mut fans = Vec::new();
    for nth in 0..2 * limits::WATCHERS_A_WRITE {
        let fan = world.person(&format!("fan {nth}"));
        world.send(fan.at, &User::AddFriend { me: fan.number, friend: star.number });
        fans.push(fan);
    }
    star.pull(&mut world);
    world.budgets(Budgets { writes: rate(1, 9), ..Budgets::default() });
    let set = |me, status| User::SetStatus { me, status };
    let mut done = 0;
    for nth in 0..10 {
        done += star.ask(&mut world, &set(star.number, 1 + 2 * (nth % 2))).len();
    }
    assert!((3..=4).contains(&done), "three writes each: {done}");
    let number = star.number;
    let mut sign_ins = 0;
    for _ in 0..60 {
        let mut again = Linked::open(&mut world, number);
        let shown = again.ask(&mut world, &super::world::sign_in(number));
        if shown.iter().any(|frame| frame.starts_with("SignedIn { ok: 1")) {
            sign_ins += 1;
        } else {
            assert!(shown.iter().any(|frame| frame.contains("signs in too often")), "{shown:?}");
        }
    }
    assert!((1..20).contains(&sign_ins), "{sign_ins}");
    world.wait_ms(60_000);
    Linked::sign_in(&mut world, number);
}

/// Adding and deleting somebody again and again does not tell them each time.
#[test]
fn the_same_news_of_the_same_person_comes_a_few_times_at_most() {
    World::everywhere(|world| {
        let (me, other) = (world.person("me"), world.person("other"));
        let mut told = 0;
        for _ in 0..10 {
            world.send(me.at, &User::AddFriend { me: me.number, friend: other.number });
            world.send(me.at, &User::DeleteFriend { me: me.number, friend: other.number });
            told += world.take(other.at).len();
        }
        assert_eq!(told, limits::NEWS_PER_PAIR as usize);
        let shy = world.person_who("shy", 1);
        let ask = User::Ask { me: me.number, friend: shy.number, reason: "please" };
        let asks: Vec<User<'_>> = vec![ask; 6];
        for (nth, ask) in asks.iter().enumerate() {
            // A repeat, byte for byte, would not be done twice.
            world.wait_ms(11_000 * u64::from(nth > 0));
            world.send(me.at, ask);
        }
        assert_eq!(world.take(shy.at).len(), limits::NEWS_PER_PAIR as usize);
        assert!(world.shown(me.at).last().is_some_and(|last| last.contains("wait for the answer")));
    });
}

/// The operator lets one account do more, or less; over restarts, and at once.
#[test]
fn an_account_can_have_limits_of_its_own() {
    let mut world = World::new(2);
    let mut me = Linked::person(&mut world, "bot");
    let to = world.register("recipient", 0);
    let mut next = 0;
    let mut say = |world: &mut World, me: &mut Linked, count: u64| {
        let ids = next + 1..=next + count;
        next += count;
        ids.map(|id| {
            me.say(world, to, "x", id);
            receipts(&me.pull(world))
        })
        .sum::<usize>()
    };
    let limits = [Some([1, 5]), None, None, None];
    world.control(&Control::Limits(me.number, limits));
    assert_eq!(say(&mut world, &mut me, 9), 5);
    world.store.ask(Request::Commit(vec![Change::SetLimits(me.number, limits)]));
    let mut world = world.restarted(1);
    me = Linked::sign_in(&mut world, me.number);
    assert_eq!(say(&mut world, &mut me, 9), 5);
    world.control(&Control::Limits(me.number, Default::default()));
    world.wait_ms(10_000);
    me.pull(&mut world);
    assert_eq!(say(&mut world, &mut me, 100), 100);
}
