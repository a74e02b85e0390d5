//! The client library against the program: what a user's program sees over the link, over both transports, and over the
//! end and the next start of the server.
#![allow(clippy::disallowed_methods, reason = "a real server needs real time")]

mod common;

use common::Server;
use oicq::client::{
    AddOutcome, Client, Connect, Error, Event, Events, OwnedProfile, ReceiptState, ServerLine, Status, Ways,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "correct horse";

/// Somebody who is signed in.
struct Person {
    number: u32,
    client: Client,
    events: Events,
}

fn connect(address: SocketAddr, ways: Ways) -> (Client, Events) {
    let line = ServerLine { host: address.ip().to_string(), port: address.port(), key: None };
    Client::connect(Connect { ways, ..Connect::new(line) }).expect("sockets")
}

impl Person {
    fn new(address: SocketAddr, ways: Ways, nickname: &str, authorization: u8) -> Self {
        let (client, events) = connect(address, ways);
        let profile = OwnedProfile { authorization, ..OwnedProfile::new(nickname, PASSWORD) };
        let number = client.register(&profile).expect("registered");
        client.sign_in(number, PASSWORD, false).expect("signed in");
        Self { number, client, events }
    }

    /// The next event for which this gives something; others are passed over.
    #[track_caller]
    fn until<T>(&self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut passed = Vec::new();
        while let Some(event) = self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            passed.push(format!("{event:?}"));
            if let Some(found) = wanted(event) {
                return found;
            }
        }
        panic!("it did not happen to {}: {passed:?}, {:?}", self.number, self.client);
    }

    #[track_caller]
    fn hears(&self, from: &Person, words: &str) {
        let text = self.until(|event| match event {
            Event::Message { from: sender, text, .. } if sender == from.number => Some(text),
            _ => None,
        });
        assert_eq!(text, words);
    }

    #[track_caller]
    fn says(&self, to: &Person, words: &str) -> ReceiptState {
        let receipt = self.client.message(to.number, words).expect("taken");
        receipt.wait_delivered(PATIENCE).expect("open")
    }
}

fn everywhere(story: impl Fn(SocketAddr, Ways)) {
    for shards in [1, 2] {
        let data = tempfile::tempdir().expect("a directory");
        let server = Server::start(data.path(), shards);
        for ways in [Ways::Udp, Ways::Tcp] {
            story(server.address, ways);
        }
    }
}

#[test]
fn friends_find_each_other_and_talk() {
    everywhere(|address, ways| {
        let li = Person::new(address, ways, "Li Lei", 0);
        let han = Person::new(address, ways, "Han Meimei", 1);
        assert_eq!(han.client.add_friend(li.number).expect("added"), AddOutcome::Done);
        li.until(|event| (event == Event::AddedBy { from: han.number }).then_some(()));
        assert_eq!(li.client.add_friend(han.number).expect("answered"), AddOutcome::NeedsAuthorization);
        li.client.ask(han.number, "classmates").expect("asked");
        let reason = han.until(|event| if let Event::Asked { reason, .. } = event { Some(reason) } else { None });
        assert_eq!(reason, "classmates");
        han.client.answer(li.number, true).expect("answered");
        li.until(|event| (event == Event::AskAnswered { from: han.number, agreed: true }).then_some(()));
        assert!(matches!(li.client.ask(1_000_000, "who?"), Err(Error::Refused { code: 4, .. })));

        std::thread::scope(|scope| {
            scope.spawn(|| han.hears(&li, "你好"));
            assert_eq!(li.says(&han, "你好"), ReceiptState::Delivered);
        });
        let receipt = han.client.broadcast(0, "to all").expect("taken");
        li.hears(&han, "to all");
        assert_eq!(receipt.wait_delivered(PATIENCE).expect("open"), ReceiptState::Delivered);

        let group = li.client.add_group("Work").expect("added");
        li.client.move_friends(&[(han.number, group)]).expect("moved");
        li.client.rename_group(group, "School").expect("renamed");
        li.client.delete_group(group).expect("deleted");
        assert!(matches!(li.client.delete_group(group), Err(Error::Refused { code: 12, .. })));
        assert_eq!(li.client.view(han.number).expect("there").nickname, "Han Meimei");
        let found = li.client.search(&format!("number = {}", han.number)).expect("searched");
        assert_eq!(found[0].nickname, "Han Meimei");
        assert!(matches!(li.client.search("DROP TABLE users"), Err(Error::Refused { code: 11, .. })));
        assert!(li.client.online(0, 255, false).expect("listed").iter().any(|one| one.number == han.number));
        li.client.test().expect("there");

        han.client.set_status(Status::Busy).expect("set");
        let status = li.until(|event| match event {
            Event::FriendStatus { status, .. } if status != Status::Online => Some(status),
            _ => None,
        });
        assert_eq!(status, Status::Busy);
        li.client.block(han.number, true).expect("blocked");
        assert_eq!(han.says(&li, "still there?"), ReceiptState::Refused { code: 5 });
        li.client.block(han.number, false).expect("open again");
        std::thread::scope(|scope| {
            scope.spawn(|| li.hears(&han, "now?"));
            assert_eq!(han.says(&li, "now?"), ReceiptState::Delivered);
        });
        han.client.set_status(Status::Offline).expect("signed out");
        assert!(matches!(han.client.test(), Err(Error::NotSignedIn)));
    });
}

#[test]
fn tokens_sign_in_and_a_new_sign_in_ends_the_older() {
    everywhere(|address, ways| {
        let li = Person::new(address, ways, "Li Lei", 0);
        let token = li.until(|event| if let Event::Token { token, .. } = event { Some(token) } else { None });
        let (other, events) = connect(address, ways);
        assert!(matches!(other.sign_in(li.number, "wrong", false), Err(Error::Refused { code: 3, .. })));
        assert!(matches!(other.sign_in_with_token(li.number, "wrong", false), Err(Error::Refused { code: 3, .. })));
        other.sign_in_with_token(li.number, &token, false).expect("signed in");
        li.until(|event| matches!(event, Event::SignInAgain { .. }).then_some(()));
        assert_eq!((li.client.number(), other.number()), (None, Some(li.number)));
        drop(events);
    });
}

#[test]
fn a_file_arrives_whole() {
    everywhere(|address, ways| {
        let (li, han) = (Person::new(address, ways, "Li Lei", 0), Person::new(address, ways, "Han Meimei", 0));
        let data: Vec<u8> = (0..1_000_000_u32).map(|at| (at / 251) as u8).collect();
        let offer = li.client.offer_file(han.number, "a.bin", data.len() as u32).expect("offered");
        han.until(|event| matches!(event, Event::FileOffered { size: 1_000_000, .. }).then_some(()));
        han.client.answer_file(li.number, offer, true).expect("taken");
        li.until(|event| matches!(event, Event::FileAnswered { allow: true, .. }).then_some(()));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut arrived = Vec::new();
                while arrived.len() < data.len() {
                    arrived.extend(han.until(|event| match event {
                        Event::FilePiece { data, .. } => Some(data),
                        _ => None,
                    }));
                }
                assert!(arrived == data, "the same bytes");
            });
            let mut told = 0;
            li.client
                .send_file(han.number, offer, data.len() as u32, &mut &data[..], &mut |bytes| told = bytes)
                .expect("sent");
            assert_eq!(told as usize, data.len());
        });
    });
}

#[test]
fn a_server_that_is_killed_and_started_again_costs_nothing() {
    for ways in [Ways::Udp, Ways::Tcp] {
        let data = tempfile::tempdir().expect("a directory");
        let server = Server::start(data.path(), 2);
        let address = server.address;
        let (li, han) = (Person::new(address, ways, "Li Lei", 0), Person::new(address, ways, "Han Meimei", 0));
        std::thread::scope(|scope| {
            scope.spawn(|| han.hears(&li, "before"));
            assert_eq!(li.says(&han, "before"), ReceiptState::Delivered);
        });
        server.kill();
        let receipts: Vec<_> = (0..20).map(|n| li.client.message(han.number, &format!("{n}")).expect("held")).collect();
        assert_eq!(li.client.unsent().len(), 20);
        let server = Server::start_at(data.path(), 2, &address.to_string());
        (0..20).for_each(|n| han.hears(&li, &n.to_string()));
        for receipt in &receipts {
            let state = receipt.wait_timeout(PATIENCE).expect("open");
            assert!(matches!(state, ReceiptState::Stored | ReceiptState::Delivered), "{state:?}");
        }
        std::thread::sleep(Duration::from_secs(2));
        let more: Vec<Event> = std::iter::from_fn(|| han.events.try_recv()).collect();
        assert!(!more.iter().any(|event| matches!(event, Event::Message { .. })), "shown once: {more:?}");
        let anew = |event: &Event| matches!(event, Event::Restored { .. } | Event::SignInAgain { .. });
        assert!(!more.iter().any(anew), "the session goes on: {more:?}");
        drop(server);
    }
}
