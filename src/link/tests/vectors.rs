//! `link.json` byte for byte.

use crate::link::{
    Ciphers, EpochChange, Frames, Initiator, Keys, Link, Offer, Packet, Side, StaticKey, public_key, respond,
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

#[test]
fn data_packets() {
    let v = vectors();
    let keys = Keys { to_server: key(&v["key_client_to_server"]), to_client: key(&v["key_server_to_client"]) };
    let (number, session) = (number(&v["number"]), number(&v["session"]));
    let mut client = Link::new(Side::Client, number, session, keys, 0);
    let mut server = Link::new(Side::Server, number, session, keys, 0);
    let (mut ciphers, mut frames) = (Ciphers::new(2), Frames::default());

    // The client's sign-in is the frame of the first segment.
    let (first, plain) = (&v["data"][0], hex(&v["data"][0]["plaintext"]));
    client.send(&plain[10..]);
    let mut packet = Vec::new();
    assert!(client.poll(1_000, &mut ciphers, &mut packet));
    assert_eq!(packet, hex(&first["packet"]));
    let arrival = server.receive(1_000, &mut packet.clone(), &mut ciphers, &mut frames).expect("taken");
    assert!(arrival.newest && arrival.epoch == EpochChange::Same);
    assert_eq!(frames.iter().map(|frame| frame.bytes.to_vec()).collect::<Vec<_>>(), [plain[10..].to_vec()]);

    // The server's answer carries an ack of it, three milliseconds old.
    let (second, plain) = (&v["data"][1], hex(&v["data"][1]["plaintext"]));
    server.send(&plain[27..]);
    packet.clear();
    assert!(server.poll(1_003, &mut ciphers, &mut packet));
    assert_eq!(packet, hex(&second["packet"]));
    frames.clear();
    let arrival = client.receive(1_005, &mut packet, &mut ciphers, &mut frames).expect("taken");
    assert!(arrival.progress);
    assert_eq!(client.round_trip_ms(), Some(2), "the time in which the ack was held back does not count");
    assert_eq!(frames.iter().map(|frame| frame.bytes.to_vec()).collect::<Vec<_>>(), [plain[27..].to_vec()]);
}
