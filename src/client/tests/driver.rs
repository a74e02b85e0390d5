//! The driver: a whole conversation over real sockets with a server of a few lines.

use super::{encoded, signed_in, words};
use crate::client::{Client, Error, Event, OwnedProfile, Status, Transport};
use crate::wire::{Dialect, Server, User, stream_frame_bytes};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

/// What the small server answers: it signs anybody in, gives each message back, and stops at a status of 4.
fn answer(request: &[u8]) -> (Vec<u8>, bool) {
    let reply = match User::decode(request, Dialect::Classic).expect("the client sends frames") {
        User::Register { .. } => encoded(&Server::Registered { ok: 1, number: 10_000 }),
        User::SignIn { .. } => signed_in(),
        User::Message { to, text, .. } => {
            encoded(&Server::Message { flag: 2, sender: to, text, kind: 0, id: None, time: None })
        }
        User::AddGroup { .. } => {
            [encoded(&Server::GroupAdded { ok: 0, group: 0, name: "" }), words("too many")].concat()
        }
        User::SetStatus { me, status } => return (encoded(&Server::StatusSet { me, status }), status == 4),
        other => panic!("the test makes no such request: {other:?}"),
    };
    (reply, false)
}

fn whole_frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Ok(Some(length)) = stream_frame_bytes(bytes)
        && length <= bytes.len()
    {
        let (frame, rest) = bytes.split_at(length);
        frames.push(frame);
        bytes = rest;
    }
    frames
}

fn udp_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_535];
        loop {
            let (count, from) = socket.recv_from(&mut buffer).unwrap();
            let (replies, last) = answer(&buffer[..count]);
            for frame in whole_frames(&replies) {
                socket.send_to(frame, from).unwrap();
            }
            if last {
                return;
            }
        }
    });
    address
}

fn tcp_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
        loop {
            let count = stream.read(&mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..count]);
            let mut used = 0;
            for frame in whole_frames(&bytes) {
                used += frame.len();
                let (replies, last) = answer(frame);
                stream.write_all(&replies).unwrap();
                if last {
                    return;
                }
            }
            bytes.drain(..used);
        }
    });
    address
}

fn converse(server: SocketAddr, transport: Transport) -> (Client, std::sync::mpsc::Receiver<Event>) {
    let (client, events) = Client::connect(server, transport).unwrap();
    assert!(matches!(client.message(10_001, "too early"), Err(Error::NotSignedIn)));
    let number = client.register(&OwnedProfile::new("Li Lei", "secret")).unwrap();
    let groups = client.sign_in(number, "secret", false).unwrap();
    assert_eq!(groups[0].friends[0].status, Status::Online);
    client.message(10_001, "你好").unwrap();
    let event = events.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(event, Event::Message { from: 10_001, text: "你好".into() });
    assert!(matches!(client.add_group("one more"), Err(Error::Refused { text }) if text == "too many"));
    client.set_status(Status::Offline).unwrap();
    assert_eq!(client.number(), None);
    (client, events)
}

#[test]
fn a_conversation_over_udp() {
    converse(udp_server(), Transport::Udp);
}

#[test]
fn a_conversation_over_tcp_and_its_end() {
    let (client, events) = converse(tcp_server(), Transport::Tcp);
    let event = events.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(event, Event::Closed { .. }), "{event:?}");
    assert!(matches!(client.register(&OwnedProfile::new("a", "b")), Err(Error::Closed)));
}
