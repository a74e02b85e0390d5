//! Monitoring: only with a grant, only while it lasts, and never without a line in the audit log.

use super::world::{World, message, system};
use crate::shard::Control;
use crate::store::{Change, Disk, Grant, Request};
use crate::wire::User;

fn grant(world: &mut World, monitor: u32, target: u32) {
    let until_ms = world.now.unix_ms + 60_000;
    let grant = Grant { monitor, target, until_ms, reason: "a complaint".into() };
    world.store.ask(Request::Commit(vec![Change::PutGrant(grant)]));
}

fn say(me: u32, to: u32, text: &str) -> User<'_> {
    User::Message { me, to, text, id: None }
}

#[test]
fn copies_come_while_the_grant_lasts_and_every_step_is_logged() {
    World::everywhere(|world| {
        let (m, a, b) = (world.person("m"), world.person("a"), world.person("b"));
        let start = User::Monitor { me: m.number, target: a.number };
        world.send(m.at, &start);
        world.expect_refused(m.at, None, "not permitted");
        grant(world, m.number, a.number);
        world.wait_ms(11_000);
        world.send(m.at, &start);
        world.expect(m.at, &[]);
        world.send(a.at, &say(a.number, b.number, "from"));
        world.send(b.at, &say(b.number, a.number, "to"));
        world.send(b.at, &say(b.number, m.number, "else"));
        world.expect(m.at, &[system(a.number, 16, "from"), system(b.number, 16, "to"), message(b.number, "else")]);
        world.expect(a.at, &[message(b.number, "to")]);
        world.send(m.at, &User::Monitor { me: m.number, target: 0 });
        world.send(a.at, &say(a.number, b.number, "unheard"));
        world.expect(m.at, &[]);
        world.send(m.at, &start);
        world.wait_ms(50_000);
        world.expect(m.at, &[system(0, 0, &format!("the grant to monitor {} has ended", a.number))]);
        world.send(a.at, &say(a.number, b.number, "unheard"));
        world.expect(m.at, &[]);
        let log = world.store.disk().read("audit.log", 0, 1 << 20).expect("there is a log");
        let log = String::from_utf8(log).expect("text");
        let action = |line: &str| line.split(' ').nth(2).map(str::to_owned).expect("an action");
        let actions: Vec<String> = log.lines().map(action).collect();
        assert_eq!(actions, ["refuse", "start", "stop", "start", "stop"], "{log}");
    });
}

#[test]
fn a_grant_that_is_taken_back_stops_it() {
    World::everywhere(|world| {
        let (m, a, b) = (world.person("m"), world.person("a"), world.person("b"));
        grant(world, m.number, a.number);
        world.send(m.at, &User::Monitor { me: m.number, target: a.number });
        world.control(&Control::Revoke { monitor: m.number, target: a.number });
        assert_eq!(world.take(m.at).len(), 1);
        world.send(a.at, &say(a.number, b.number, "x"));
        world.expect(m.at, &[]);
        assert!(world.shards.iter().all(|shard| shard.monitored.is_empty()));
    });
}

/// Neither a stop nor a revocation is lost while the start waits for the audit log.
#[test]
fn what_ends_before_it_has_begun_copies_nothing() {
    World::everywhere(|world| {
        let (m, a, b) = (world.person("m"), world.person("a"), world.person("b"));
        for by_operator in [false, true] {
            grant(world, m.number, a.number);
            world.store_waits = true;
            world.send(m.at, &User::Monitor { me: m.number, target: a.number });
            if by_operator {
                world.control(&Control::Revoke { monitor: m.number, target: a.number });
            } else {
                world.send(m.at, &User::Monitor { me: m.number, target: 0 });
            }
            world.store_waits = false;
            world.run();
            world.take(m.at);
            world.send(a.at, &say(a.number, b.number, "unheard"));
            world.expect(m.at, &[]);
            world.wait_ms(11_000);
        }
        assert!(world.shards.iter().all(|shard| shard.monitored.is_empty()));
    });
}
