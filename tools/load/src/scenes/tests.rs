//! Each scene against a real server in this process, for a moment.

use super::Dice;
use super::comeback::{Knocker, follow};
use super::drain::Drain;
use super::idle::Idle;
use super::messages::{Messages, To};
use super::presence::Presence;
use super::search::Search;
use super::sign_ins::SignIns;
use super::workday::Workday;
use crate::args::{Cli, Job};
use crate::carrier::Linked;
use crate::child::Scratch;
use crate::classic::register;
use crate::clock::{Clock, millis};
use crate::crowd::{Crowd, Event, learn_key};
use crate::flights::Done;
use crate::play::{Pace, Player, Scene, Tally};
use crate::report::{Beside, Report, Turn};
use crate::table;
use crate::target::{leave, sign_in};
use clap::Parser;
use oicq::server::Trial;
use oicq::wire::User as Said;
use std::time::Duration;

const USERS: u32 = 6;
const SHORT: Duration = Duration::from_millis(300);

/// A server and its users, all of them signed in.
struct Place {
    crowd: Crowd,
    player: Player,
    server: Trial,
}

impl Place {
    fn new() -> Self {
        let server = Trial::start().unwrap();
        let first = register(server.address, USERS as usize, "loadtest").unwrap();
        let clock = Clock::start();
        let key = learn_key(server.address, Duration::from_secs(10)).unwrap();
        let tokens = vec![String::new(); USERS as usize];
        let mut crowd = Crowd::new(server.address, key, first, tokens, 3, millis(clock.ns())).unwrap();
        crowd.set_password("loadtest");
        sign_in(&mut crowd, clock, 0, USERS).unwrap();
        let player = Player { clock, pid: Some(std::process::id()) };
        Self { crowd, player, server }
    }

    fn play<'a>(&'a mut self, scene: &mut impl Scene<Linked<'a>>) -> Tally {
        let mut linked = Linked { crowd: &mut self.crowd, text: "hello".into() };
        let tally = self.player.play(&mut linked, scene, SHORT, &mut |_| {}).unwrap();
        let counted = &tally.counted;
        assert!(counted.begun > 0, "{}", counted.unit);
        assert_eq!((counted.lost, counted.doubled), (0, 0), "{} of {}", counted.unit, counted.begun);
        tally
    }
}

#[test]
fn messages_arrive_and_are_known_to() {
    let mut place = Place::new();
    for to in [To::Partner, To::Anyone, To::Popular] {
        let tally = place.play(&mut Messages::between(USERS, to, Pace::Window(8), 1));
        let counted = &tally.counted;
        assert_eq!(counted.latencies[0].1.len(), counted.done);
        assert_eq!(counted.latencies[1].1.len(), counted.done);
        assert!(tally.used.is_some() && tally.datagrams.to_server >= 2 * counted.done / 8);
    }
}

#[test]
fn partners_who_talk_answer_each_other() {
    let mut place = Place::new();
    let mut scene = Messages::between(USERS, To::Partner, Pace::Window(2), 1);
    scene.talk = 5;
    let tally = place.play(&mut scene);
    assert!(tally.counted.done > 5);
}

#[test]
fn the_link_makes_good_what_is_lost_on_the_way() {
    let mut place = Place::new();
    place.crowd.lose(0.1, 1);
    let tally = place.play(&mut Messages::between(USERS, To::Anyone, Pace::Rate(200.0), 1));
    assert!(tally.datagrams.dropped > 0);
}

#[test]
fn what_is_stored_is_delivered_at_the_next_sign_in() {
    let mut place = Place::new();
    let absent = 2..USERS;
    leave(&mut place.crowd, place.player.clock, absent.clone()).unwrap();
    let mut scene = Messages::new(0..2, absent.clone(), To::Anyone, Pace::Window(16), Done::Stored, 1);
    scene.most = 100;
    let stored = place.play(&mut scene);
    assert!(stored.counted.done <= 100);
    let delivered = place.play(&mut Drain::new(absent, scene.flights.ids()));
    assert_eq!(delivered.counted.done, stored.counted.done);
}

#[test]
fn watchers_see_each_change() {
    let mut place = Place::new();
    for watcher in 1..USERS {
        let (me, friend) = (place.crowd.number(watcher), place.crowd.number(0));
        place.crowd.say(watcher, &Said::AddFriend { me, friend });
    }
    let mut linked = Linked { crowd: &mut place.crowd, text: String::new() };
    place.player.rest(&mut linked, SHORT).unwrap();
    let tally = place.play(&mut Presence::new(USERS - 1, Pace::Window(1)));
    assert_eq!(tally.counted.done % u64::from(USERS - 1), 0);
}

#[test]
fn searches_end_and_messages_go_on() {
    let mut place = Place::new();
    let beside = Messages::between(USERS, To::Anyone, Pace::Rate(100.0), 1);
    let tally = place.play(&mut Search::new("nickname LIKE 'load%'".into(), USERS, Pace::Window(2), Some(beside)));
    assert!(tally.counted.latencies[1].1.len() > 1, "messages meanwhile");
}

#[test]
fn people_sign_in_again_and_again() {
    let mut place = Place::new();
    // A password costs its time: a few.
    let tally = place.play(&mut SignIns::new(USERS, Pace::Rate(20.0)));
    assert!(tally.counted.latencies[0].1.len() >= 5);
    let mut events = Vec::new();
    place.crowd.turn(millis(place.player.clock.ns()), 0, &mut events).unwrap();
    assert!(!events.iter().any(|event| matches!(event, Event::Ended { .. })));
}

#[test]
fn a_working_day_loses_nothing() {
    let mut place = Place::new();
    place.play(&mut Workday::new(USERS, Pace::Rate(300.0), 1));
}

#[test]
fn a_run_is_kept_as_json_and_drawn_and_compared() {
    let mut place = Place::new();
    let tally = place.play(&mut Messages::between(USERS, To::Anyone, Pace::Window(8), 1));
    let cli = Cli::try_parse_from(["oicq-load", "sign-in", "--server", "127.0.0.1:1", "--json"]).unwrap();
    let Job::SignIn(args) = cli.job else { panic!("it was asked for") };
    let mut report = Report::new("relay", &args.load);
    report.turn(Turn { round: 1, who: "oicqd", tally, beside: Some(Beside { floor: 5.0, with_acks: Some(8.0) }) });
    let json = report.json();
    let ratios = ["ratio", "ratio_acks"].map(|which| json["median"][which].as_f64().unwrap());
    assert!(ratios[0] > 0.0 && (ratios[0] / ratios[1] - 1.6).abs() < 1e-9, "{json}");
    assert_eq!(json["turns"][0]["lost"], 0);
    let scratch = Scratch::new().unwrap();
    let (run, plot) = (scratch.path().join("run.json"), scratch.path().join("run.svg"));
    std::fs::write(&run, json.to_string()).unwrap();
    table::print(&run, &run).unwrap();
    std::fs::write(&plot, "{}").unwrap();
    assert!(table::print(&run, &plot).unwrap_err().contains("is no run of oicq-load"));
    crate::plot::draw(&plot, "relay", &report.turns).unwrap();
    let drawn = std::fs::read_to_string(&plot).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("p99") && drawn.contains("polyline"));
}

#[test]
fn users_at_rest_keep_their_sessions() {
    let mut place = Place::new();
    let mut linked = Linked { crowd: &mut place.crowd, text: String::new() };
    place.player.rest(&mut linked, SHORT).unwrap();
    // They are heard of every 30 s, six of them: the first after 5 s.
    let length = Duration::from_millis(5_500);
    let tally = place.player.play(&mut linked, &mut Idle::new(USERS), length, &mut |_| {}).unwrap();
    let counted = &tally.counted;
    assert_eq!((counted.begun, counted.done, counted.lost, counted.doubled), (1, 1, 0, 0));
    assert_eq!((tally.datagrams.to_server, tally.datagrams.from_server), (1, 1));
    leave(&mut place.crowd, place.player.clock, 0..1).unwrap();
    let mut linked = Linked { crowd: &mut place.crowd, text: String::new() };
    let tally = place.player.play(&mut linked, &mut Idle::new(USERS), SHORT, &mut |_| {}).unwrap();
    assert_eq!(tally.counted.lost, 1, "one was not there");
}

#[test]
fn tokens_of_another_server_are_wrong_use() {
    let place = Place::new();
    let (first, clock) = (place.crowd.number(0), place.player.clock);
    let key = learn_key(place.server.address, Duration::from_secs(10)).unwrap();
    let tokens = vec!["A".repeat(43); 2];
    let mut crowd = Crowd::new(place.server.address, key, first, tokens, 1, millis(clock.ns())).unwrap();
    let failure = sign_in(&mut crowd, clock, 0, 2).unwrap_err();
    assert_eq!(failure.status(), 2, "{failure}");
    assert!(failure.to_string().contains("refuses the sign-in"), "{failure}");
}

#[test]
fn a_server_that_answers_is_heard() {
    let mut place = Place::new();
    let (mut knocker, since) = (Knocker::new(place.server.address).unwrap(), place.player.clock.ns());
    let comeback = follow(&mut place.crowd, place.player, &mut knocker, 0, since, || true).unwrap();
    assert!(comeback.answers < Duration::from_secs(10));
    assert_eq!((comeback.tally.counted.done, comeback.tally.counted.lost), (0, 0));
}

#[test]
fn dice_are_fair_or_skewed_as_asked() {
    let mut dice = Dice::new(1);
    let low = (0..10_000).filter(|_| dice.below(100) < 10).count();
    assert!((900..1_100).contains(&low), "{low}");
    let low = (0..10_000).filter(|_| dice.skewed(100) < 10).count();
    assert!((4_400..4_900).contains(&low), "{low}");
}
