//! `link.json` and `link-next.json` byte for byte.

use crate::limits::{HEADER_BYTES, TAG_BYTES};
use crate::link::packet::{begin_data, write_length};
use crate::link::seal::seal;
use crate::link::start::{directions, start_keys};
use crate::link::{
    Ciphers, Frames, Initiator, Keys, Link, Offer, Packet, Resumed, Salt, Side, Start, StaticKey, public_key, respond,
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/link.json")).expect("sound JSON")
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hex");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn key(value: &Value) -> [u8; 32] {
    hex(value).try_into().expect("32 bytes")
}

fn number(value: &Value) -> u32 {
    value.as_u64().expect("a number") as u32
}

#[test]
fn the_handshake() {
    let v = vectors();
    let (number, session) = (number(&v["number"]), number(&v["session"]));
    let private = key(&v["server_static_private"]);
    assert_eq!(public_key(&private), key(&v["server_static_public"]));
    let mut client = Initiator::new(number, &public_key(&private), key(&v["client_ephemeral_private"])).expect("begun");
    assert_eq!(client.message(), hex(&v["noise_message_1"]));
    let offer = Offer { session, idle_secs: 90, largest_datagram: 1_232 };
    let (message, keys) =
        respond(&StaticKey::new(private), number, client.message(), key(&v["server_ephemeral_private"]), offer)
            .expect("answered");
    assert_eq!(message, hex(&v["noise_message_2"]));
    let established = client.finish(&message).expect("finished");
    assert_eq!((established.keys, established.offer), (keys, offer));
    assert_eq!(keys, Keys { to_server: key(&v["key_client_to_server"]), to_client: key(&v["key_server_to_client"]) });

    let (mut hello, mut welcome) = (Vec::new(), Vec::new());
    Packet::Hello { number, cookie: &[], noise: client.message() }.encode(&mut hello);
    assert_eq!(hello, hex(&v["hello"]));
    Packet::Welcome { number, noise: &message }.encode(&mut welcome);
    assert_eq!(welcome, hex(&v["welcome"]));
    let decoded = Packet::decode(&hello, Side::Client);
    assert_eq!(decoded, Ok(Packet::Hello { number, cookie: &[], noise: client.message() }));
    assert_eq!(Packet::decode(&welcome, Side::Server), Ok(Packet::Welcome { number, noise: &message }));
}

#[test]
fn a_handshake_with_another_key_or_number_fails() {
    let (private, offer) = ([7; 32], Offer { session: 1, idle_secs: 90, largest_datagram: 1_232 });
    let begin = |number| Initiator::new(number, &public_key(&private), [8; 32]).expect("begun");
    assert!(
        respond(&StaticKey::new(private), 10_002, begin(10_001).message(), [9; 32], offer).is_err(),
        "another number"
    );
    assert!(respond(&StaticKey::new([6; 32]), 10_001, begin(10_001).message(), [9; 32], offer).is_err(), "another key");
    assert!(respond(&StaticKey::new(private), 10_001, &[0; 48], [9; 32], offer).is_err(), "no key at all");
    assert!(respond(&StaticKey::new(private), 10_001, &[], [9; 32], offer).is_err(), "nothing");
    let (mut message, _) =
        respond(&StaticKey::new(private), 10_001, begin(10_001).message(), [9; 32], offer).expect("answered");
    message[40] ^= 1;
    assert!(begin(10_001).finish(&message).is_err(), "changed on its way");
}

fn next() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/link-next.json")).expect("sound JSON")
}

fn base(v: &Value) -> Keys {
    Keys { to_server: key(&v["base_client_to_server"]), to_client: key(&v["base_server_to_client"]) }
}

/// What a client offers in message 1 is not read yet, and what follows the payload of message 2 is not either.
#[test]
fn a_handshake_with_payloads_of_a_later_version() {
    let (v, v2) = (vectors(), next());
    let handshake = &v2["suites_handshake"];
    let (number, session) = (number(&v2["number"]), number(&v2["session"]));
    let hello = hex(&handshake["hello"]);
    let Ok(Packet::Hello { noise, .. }) = Packet::decode(&hello, Side::Client) else { panic!("a hello of version 2") };
    assert_eq!(noise, hex(&handshake["noise_message_1"]));
    let offer = Offer { session, idle_secs: 90, largest_datagram: 1_232 };
    let server = StaticKey::new(key(&v["server_static_private"]));
    let (_, keys) = respond(&server, number, noise, key(&v["server_ephemeral_private"]), offer).expect("answered");
    assert_eq!(keys, base(handshake));
    assert_eq!(keys, base(&v2));
    let decoded = hex(&handshake["welcome"]);
    let noise = hex(&handshake["noise_message_2"]);
    assert_eq!(Packet::decode(&decoded, Side::Server), Ok(Packet::Welcome { number, noise: &noise }));
}

#[test]
fn a_hello_of_another_version() {
    let mut hello = hex(&vectors()["hello"]);
    hello[12] = 1;
    let error = Packet::decode(&hello, Side::Client).expect_err("it is of version 1");
    assert_eq!((error.fault, error.offset), (crate::wire::Fault::Version, 12));
}

#[test]
fn a_resume() {
    let v = next();
    let (number, session) = (number(&v["number"]), number(&v["session"]));
    let salt = hex(&v["salt"]).try_into().expect("16 bytes");
    let mut packet = Vec::new();
    assert!(Link::kept(number, session, base(&v), salt).write_resume(&mut packet));
    assert_eq!(packet, hex(&v["resume"]));
    let mut client = Link::new(Side::Client, number, session, base(&v));
    for at in 0..packet.len() {
        let mut changed = packet.clone();
        changed[at] ^= 1;
        assert_eq!(client.resume(0, &changed), Resumed::Ignored, "byte {at}");
    }
    assert_eq!(client.resume(0, &packet), Resumed::Proposed);
}

/// Packets of suite 0, byte for byte and at both ends.
#[test]
fn data_packets() {
    let v = next();
    let (number, session) = (number(&v["number"]), number(&v["session"]));
    let mut seen = 0;
    for one in v["packets"].as_array().expect("a list").iter().filter(|one| one["suite"].is_null()) {
        let salt: Salt = hex(&one["salt"]).try_into().expect("16 bytes");
        let keys = start_keys(&base(&v), &salt);
        let side = if one["way"] == "user" { Side::Client } else { Side::Server };
        let (way, _) = directions(side, &keys);
        assert_eq!(*way, key(&one["start_key"]), "{}", one["what"]);
        let counter = one["counter"].as_u64().expect("a counter");
        let mut packet = Vec::new();
        begin_data(&mut packet, side, number, session, counter);
        packet.extend_from_slice(&hex(&one["plaintext"]));
        let length = packet.len() + TAG_BYTES - HEADER_BYTES;
        write_length(&mut packet, length);
        seal(&mut Ciphers::new(2), way, counter, &mut packet, 0);
        assert_eq!(packet, hex(&one["packet"]), "{}", one["what"]);
        seen += 1;
    }
    assert_eq!(seen, 6);
}

/// A client and a server with these keys say the same bytes by themselves, before a start of the server and after it.
#[test]
fn a_sign_in_and_its_refusal() {
    let v = next();
    let (number, session, packets) = (number(&v["number"]), number(&v["session"]), &v["packets"]);
    let mut client = Link::new(Side::Client, number, session, base(&v));
    let mut server = Link::new(Side::Server, number, session, base(&v));
    let (mut ciphers, mut frames) = (Ciphers::new(2), Frames::default());
    // The client's sign-in is the frame of the first segment.
    let plain = hex(&packets[0]["plaintext"]);
    client.send(&plain[8..]);
    let mut packet = Vec::new();
    assert!(client.poll(1_000, &mut ciphers, &mut packet));
    assert_eq!(packet, hex(&packets[0]["packet"]));
    let arrival = server.receive(1_000, &mut packet.clone(), &mut ciphers, &mut frames).expect("taken");
    assert!(arrival.newest && arrival.start == Start::Same);
    assert_eq!(frames.iter().map(|frame| frame.bytes.to_vec()).collect::<Vec<_>>(), [plain[8..].to_vec()]);
    // The server's answer carries an ack of it, three milliseconds old.
    let plain = hex(&packets[1]["plaintext"]);
    server.send(&plain[25..]);
    packet.clear();
    assert!(server.poll(1_003, &mut ciphers, &mut packet));
    assert_eq!(packet, hex(&packets[1]["packet"]));
    frames.clear();
    let arrival = client.receive(1_005, &mut packet, &mut ciphers, &mut frames).expect("taken");
    assert!(arrival.progress);
    assert_eq!(client.round_trip_ms(), Some(2), "the time in which the ack was held back does not count");
    assert_eq!(frames.iter().map(|frame| frame.bytes.to_vec()).collect::<Vec<_>>(), [plain[25..].to_vec()]);
    // The server has started anew, and takes what a client seals for that start.
    let salt = hex(&v["salt"]).try_into().expect("16 bytes");
    let mut server = Link::kept(number, session, base(&v), salt);
    frames.clear();
    server.receive(2_000, &mut hex(&packets[2]["packet"]), &mut ciphers, &mut frames).expect("taken");
    assert!(!frames.is_empty());
}
