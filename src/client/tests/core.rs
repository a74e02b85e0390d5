//! The core: repetition, order, refusals, connection tests.

use super::{encoded, signed_in, words};
use crate::client::{Core, Error, Event, OwnedProfile, Reply, RequestId, Transport};
use crate::wire::{Blob, List, Server, User};

const ME: u32 = 10_000;

fn ready(transport: Transport) -> Core {
    let mut core = Core::new(transport);
    core.request(0, &User::SignIn { me: ME, password: "p", mode: 0, token: None }).unwrap();
    core.poll_frame().expect("the sign-in");
    core.receive(0, &signed_in()).unwrap();
    let (_, reply) = core.poll_reply().expect("the answer");
    assert!(matches!(reply, Ok(Reply::SignedIn(groups)) if groups[0].friends[0].nickname == "Han Meimei"));
    assert_eq!(core.number(), Some(ME));
    core
}

fn frames(core: &mut Core) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| core.poll_frame()).collect()
}

fn view(core: &mut Core, now: u64, friend: u32) -> RequestId {
    core.request(now, &User::View { me: ME, friend }).unwrap()
}

fn profile_of(number: u32) -> Vec<u8> {
    encoded(&Server::Profile { ok: 1, number, profile: OwnedProfile::new("n", "").as_wire().public() })
}

/// Lets time pass, deadline by deadline, and notes when something was sent.
fn times_of_sending(core: &mut Core, until: u64) -> Vec<u64> {
    let mut times = Vec::new();
    while let Some(now) = core.deadline().filter(|&now| now <= until) {
        core.wake(now);
        times.extend(frames(core).iter().map(|_| now));
    }
    times
}

#[test]
fn a_request_over_udp_is_repeated_byte_for_byte_and_then_given_up() {
    let mut core = ready(Transport::Udp);
    let id = view(&mut core, 100, 10_001);
    let first = frames(&mut core);
    assert_eq!((first.len(), core.deadline()), (1, Some(1_100)));
    core.wake(1_100);
    assert_eq!(frames(&mut core), first);
    assert_eq!(times_of_sending(&mut core, 20_000), [3_100, 7_100]);
    assert!(matches!(core.poll_reply(), Some((same, Err(Error::Timeout))) if same == id));
}

#[test]
fn over_tcp_nothing_is_repeated() {
    let mut core = ready(Transport::Tcp);
    view(&mut core, 0, 10_001);
    assert_eq!(frames(&mut core).len(), 1);
    assert_eq!(times_of_sending(&mut core, 20_000), [0_u64; 0]);
    assert!(matches!(core.poll_reply(), Some((_, Err(Error::Timeout)))));
}

#[test]
fn one_request_at_a_time_and_late_answers_are_not_taken() {
    let mut core = ready(Transport::Udp);
    let (one, two) = (view(&mut core, 0, 10_001), view(&mut core, 0, 10_002));
    assert_eq!(frames(&mut core).len(), 1, "the second waits");
    core.receive(10, &profile_of(10_001)).unwrap();
    assert_eq!(core.poll_reply().unwrap().0, one);
    assert_eq!(frames(&mut core).len(), 1, "now it goes");
    core.receive(20, &profile_of(10_001)).unwrap();
    assert!(core.poll_reply().is_none() && core.poll_event().is_none(), "the answer to a repeat of the first");
    core.receive(30, &profile_of(10_002)).unwrap();
    assert!(matches!(core.poll_reply(), Some((id, Ok(Reply::Profile(10_002, _)))) if id == two));
}

#[test]
fn messages_and_pieces_go_at_once_and_once() {
    let mut core = ready(Transport::Udp);
    view(&mut core, 0, 10_001);
    core.request(0, &User::Message { me: ME, to: 10_001, text: "hi", id: None }).unwrap();
    core.request(0, &User::FileData { me: ME, friend: 10_001, data: Blob(&[1]) }).unwrap();
    let sent = frames(&mut core);
    assert_eq!(sent.iter().map(|frame| frame[3]).collect::<Vec<_>>(), [0x05, 0x03, 0x15]);
    core.wake(1_000);
    assert_eq!(frames(&mut core), sent[..1], "only the request is repeated");
}

#[test]
fn a_refusal_is_explained_by_words_before_or_after_it() {
    let refused = encoded(&Server::GroupDeleted { ok: 0, group: 0 });
    for order in [[&refused, &words("group 1 stays")], [&words("group 1 stays"), &refused]] {
        let mut core = ready(Transport::Udp);
        core.request(0, &User::DeleteGroup { me: ME, group: 1 }).unwrap();
        core.receive(10, order[0]).unwrap();
        assert!(core.poll_reply().is_none());
        core.receive(20, order[1]).unwrap();
        assert!(matches!(core.poll_reply(), Some((_, Err(Error::Refused { text }))) if text == "group 1 stays"));
        assert!(core.poll_event().is_none());
    }
}

#[test]
fn a_refusal_without_words_waits_for_them_only_a_moment() {
    let mut core = ready(Transport::Udp);
    core.request(0, &User::AddFriend { me: ME, friend: 77_777 }).unwrap();
    core.receive(10, &encoded(&Server::AddResult { result: 0, friend: 77_777 })).unwrap();
    core.wake(core.deadline().unwrap());
    assert!(matches!(core.poll_reply(), Some((_, Err(Error::Refused { text }))) if text.is_empty()));
}

#[test]
fn words_that_explain_no_refusal_are_an_event() {
    let mut core = ready(Transport::Udp);
    view(&mut core, 0, 10_001);
    core.receive(10, &words("maintenance at noon")).unwrap();
    core.receive(20, &profile_of(10_001)).unwrap();
    assert!(matches!(core.poll_reply(), Some((_, Ok(_)))));
    assert_eq!(core.poll_event(), Some(Event::Words { text: "maintenance at noon".into() }));
}

#[test]
fn a_request_without_an_answer_is_done_when_nobody_objects() {
    let mut core = ready(Transport::Udp);
    core.request(0, &User::Ask { me: ME, friend: 10_001, reason: "me" }).unwrap();
    frames(&mut core);
    assert_eq!(times_of_sending(&mut core, 1_000), [200], "once more, against loss");
    assert!(matches!(core.poll_reply(), Some((_, Ok(Reply::Done)))));

    core.request(1_000, &User::Ask { me: ME, friend: 77_777, reason: "me" }).unwrap();
    core.receive(1_100, &words("there is no user 77777")).unwrap();
    assert!(matches!(core.poll_reply(), Some((_, Err(Error::Refused { .. })))));
}

#[test]
fn the_connection_is_tested_every_thirty_seconds() {
    let mut core = ready(Transport::Udp);
    frames(&mut core);
    assert_eq!(core.deadline(), Some(30_000));
    core.wake(30_000);
    assert_eq!(frames(&mut core)[0][3], 0x16);
    core.receive(30_001, &encoded(&Server::TestReply { me: ME })).unwrap();
    assert_eq!(core.deadline(), Some(60_000));
    assert_eq!(times_of_sending(&mut core, 75_000), [60_000, 61_000, 63_000, 67_000]);
    assert_eq!(core.poll_event(), Some(Event::Silent));
    assert!(core.poll_reply().is_none(), "nobody asked for these answers");
}

#[test]
fn a_lost_session_ends_what_waits_but_not_a_sign_in() {
    let mut core = ready(Transport::Udp);
    view(&mut core, 0, 10_001);
    view(&mut core, 0, 10_002);
    let again = core.request(0, &User::SignIn { me: ME, password: "p", mode: 0, token: None }).unwrap();
    frames(&mut core);
    core.receive(10, &encoded(&Server::SignedIn { ok: 0, groups: List::new(&[]), token: None })).unwrap();
    assert_eq!(core.poll_event(), Some(Event::SignInAgain));
    for _ in 0..2 {
        assert!(matches!(core.poll_reply(), Some((_, Err(Error::NotSignedIn)))));
    }
    assert_eq!(frames(&mut core)[0][3], 0x02);
    core.receive(20, &signed_in()).unwrap();
    assert!(matches!(core.poll_reply(), Some((id, Ok(_))) if id == again));
}

#[test]
fn a_stream_is_cut_into_frames_wherever_it_breaks() {
    let message = |text| encoded(&Server::Message { flag: 2, sender: 10_001, text, kind: 0, id: None, time: None });
    let bytes = [message("one"), message("two"), message("three")].concat();
    for cut in 0..bytes.len() {
        let mut core = ready(Transport::Tcp);
        core.receive(0, &bytes[..cut]).unwrap();
        core.receive(0, &bytes[cut..]).unwrap();
        for text in ["one", "two", "three"] {
            assert_eq!(core.poll_event(), Some(Event::Message { from: 10_001, text: text.into() }), "cut at {cut}");
        }
    }
    assert!(ready(Transport::Tcp).receive(0, b"HTTP/1.1 400").is_err());
    assert!(ready(Transport::Udp).receive(0, b"HTTP/1.1 400").is_ok(), "a datagram that is no frame is dropped");
}

#[test]
fn what_the_server_would_refuse_is_not_sent() {
    let mut core = ready(Transport::Udp);
    let long = "x".repeat(8_001);
    let wrong = [
        User::Message { me: ME, to: 10_001, text: "", id: None },
        User::Message { me: ME, to: 10_001, text: &long, id: None },
        User::Message { me: ME, to: ME, text: "hi", id: None },
        User::AddGroup { me: ME, name: &long },
        User::Search { me: ME, sql: &long },
        User::MoveFriends { me: ME, moves: List::new(&[]) },
    ];
    for frame in &wrong {
        assert!(matches!(core.request(0, frame), Err(Error::Invalid(_))), "{frame:?}");
    }
    let mut stranger = Core::new(Transport::Udp);
    assert!(matches!(stranger.request(0, &User::Test { me: ME }), Err(Error::NotSignedIn)));
    assert!(core.poll_frame().is_none() && stranger.poll_frame().is_none());
}
