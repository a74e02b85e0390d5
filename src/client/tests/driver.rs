//! The driver: whole conversations over real sockets with the small server.
#![allow(clippy::disallowed_methods, reason = "real sockets need real time")]

use super::fake::{Fake, PASSWORD};
use crate::client::{Client, Connect, Error, Event, Events, OwnedProfile, ReceiptState, ServerLine, Status, Way, Ways};
use crate::link::{Packet, Side};
use crate::wire::{Blob, Server, stream_frame_bytes};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// Where a packet came from, and where its answer goes.
#[derive(Clone)]
enum Route {
    Udp(SocketAddr),
    Tcp(Arc<TcpStream>),
}

struct Host {
    fake: Mutex<Fake>,
    route: Mutex<Option<Route>>,
    udp: UdpSocket,
    /// UDP gets through.
    open: AtomicBool,
    begun: Instant,
}

impl Host {
    fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let udp = UdpSocket::bind(address).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        let host = Arc::new(Self {
            fake: Mutex::new(Fake::new()),
            route: Mutex::default(),
            udp,
            open: AtomicBool::new(true),
            begun: Instant::now(),
        });
        let datagrams = Arc::clone(&host);
        std::thread::spawn(move || datagrams.read_datagrams());
        let streams = Arc::clone(&host);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let host = Arc::clone(&streams);
                std::thread::spawn(move || host.read_stream(Arc::new(stream)));
            }
        });
        (host, address)
    }

    fn fake(&self) -> MutexGuard<'_, Fake> {
        self.fake.lock().unwrap()
    }

    fn read_datagrams(&self) {
        let mut buffer = [0; 2_000];
        loop {
            match self.udp.recv_from(&mut buffer) {
                Ok((count, from)) if self.open.load(Ordering::Relaxed) => {
                    self.take(&mut buffer[..count], &Route::Udp(from));
                }
                _ => self.send(None),
            }
        }
    }

    fn read_stream(&self, stream: Arc<TcpStream>) {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
        let route = Route::Tcp(Arc::clone(&stream));
        while let Ok(count @ 1..) = (&*stream).read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            while let Some(length) = stream_frame_bytes(&bytes).unwrap().filter(|&length| length <= bytes.len()) {
                let mut packet: Vec<u8> = bytes.drain(..length).collect();
                self.take(&mut packet, &route);
            }
        }
    }

    fn take(&self, packet: &mut [u8], from: &Route) {
        if let Ok(Packet::Data { .. }) = Packet::decode(packet, Side::Client) {
            *self.route.lock().unwrap() = Some(from.clone());
        }
        self.fake().receive(self.begun.elapsed().as_millis() as u64, packet);
        self.send(Some(from));
    }

    fn send(&self, to: Option<&Route>) {
        let route = self.route.lock().unwrap().clone();
        let Some(to) = to.or(route.as_ref()) else { return };
        let mut fake = self.fake();
        while let Some(packet) = fake.poll(self.begun.elapsed().as_millis() as u64) {
            let _ = match to {
                Route::Udp(to) => self.udp.send_to(&packet, to),
                Route::Tcp(stream) => (&**stream).write(&packet),
            };
        }
    }
}

fn connect(address: SocketAddr, ways: Ways) -> (Client, Events) {
    let line = ServerLine { host: address.ip().to_string(), port: address.port(), key: None };
    Client::connect(Connect { ways, ..Connect::new(line) }).unwrap()
}

/// The next event for which this gives something.
fn until<T>(events: &Events, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    while let Some(event) = events.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
    panic!("it did not happen");
}

fn converse(ways: Ways) -> (Arc<Host>, Client, Events) {
    let (host, address) = Host::start();
    let (client, events) = connect(address, ways);
    assert!(matches!(client.message(10_001, "too early"), Err(Error::NotSignedIn)));
    let number = client.register(&OwnedProfile::new("Li Lei", "secret")).unwrap();
    let groups = client.sign_in(number, PASSWORD, false).unwrap();
    assert_eq!(groups[0].friends[0].status, Status::Online);
    let key = until(&events, |event| if let Event::ServerKey { key } = event { Some(*key) } else { None });
    assert_eq!((key, client.server_key()), (host.fake().key(), Some(key)));

    host.fake().receipts = 2;
    let receipt = client.message(10_001, "你好").unwrap();
    assert_eq!(receipt.wait_timeout(PATIENCE).unwrap(), ReceiptState::Delivered);
    assert_eq!((receipt.state(), client.unsent().len()), (ReceiptState::Delivered, 0));

    let hello = Server::Message { flag: 2, sender: 10_001, text: "hi", kind: 0, id: Some(5), time: Some(6) };
    host.fake().tell(&hello);
    let shown = until(&events, |event| matches!(event, Event::Message { .. }).then(|| event.clone()));
    assert_eq!(shown, Event::Message { from: 10_001, text: "hi".into(), id: 5, time: 6 });
    assert_eq!(client.seen().messages, [(10_001, 5)]);
    assert!(matches!(client.delete_group(1), Err(Error::Refused { code: 8, text }) if text == "group 1 stays"));
    (host, client, events)
}

fn end(client: Client, events: Events) {
    client.set_status(Status::Offline).unwrap();
    assert_eq!(client.number(), None);
    drop(client);
    assert_eq!(events.filter(|event| matches!(event, Event::SignInAgain { .. })).count(), 0);
}

#[test]
fn a_conversation_over_udp() {
    let (host, client, events) = converse(Ways::Both);
    assert_eq!(client.way(), Way::Udp);
    host.fake().forget_sessions();
    let receipt = client.message(10_001, "still there?").unwrap();
    until(&events, |event| matches!(event, Event::Restored { .. }).then_some(()));
    assert_eq!(receipt.wait_timeout(PATIENCE).unwrap(), ReceiptState::Delivered);
    end(client, events);
}

#[test]
fn a_conversation_over_tcp() {
    let (_host, client, events) = converse(Ways::Tcp);
    assert_eq!(client.way(), Way::Tcp);
    end(client, events);
}

#[test]
fn where_udp_does_not_get_through_tcp_does() {
    let (host, address) = Host::start();
    host.open.store(false, Ordering::Relaxed);
    let (client, events) = connect(address, Ways::Both);
    let begun = Instant::now();
    client.sign_in(10_000, PASSWORD, false).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert_eq!(client.way(), Way::Tcp);
    end(client, events);
}

#[test]
fn a_way_that_breaks_in_the_middle_costs_nothing() {
    let (host, client, events) = converse(Ways::Both);
    host.open.store(false, Ordering::Relaxed);
    let receipt = client.message(10_001, "over there").unwrap();
    assert_eq!(receipt.wait_timeout(PATIENCE).unwrap(), ReceiptState::Delivered);
    assert_eq!((client.way(), host.fake().count("SignIn")), (Way::Tcp, 1));
    end(client, events);
}

#[test]
fn a_file_is_sent_as_fast_as_it_is_taken() {
    let (host, client, _events) = converse(Ways::Both);
    let offer = client.offer_file(10_001, "a.bin", 600_000).unwrap();
    let data: Vec<u8> = (0..600_000_u32).map(|at| at as u8).collect();
    let sent = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut told = 0;
            while !sent.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
                let mut fake = host.fake();
                let received = fake.file_bytes;
                if received > told {
                    told = received;
                    fake.tell(&Server::Progress { peer: 10_001, received, offer: Some(offer) });
                }
            }
        });
        let mut arrived = 0;
        let result = client.send_file(10_001, offer, 600_000, &mut &data[..], &mut |bytes| arrived = bytes);
        sent.store(true, Ordering::Relaxed);
        result.unwrap();
        assert_eq!(arrived, 600_000);
    });
    assert!(matches!(client.send_file(10_001, offer, 1, &mut &data[..], &mut |_| ()), Err(Error::Unknown)));
    let piece = Server::FileData { sender: 10_001, data: Blob(&[1, 2]), offer: None };
    host.fake().tell(&piece);
}

#[test]
fn a_key_that_contradicts_the_one_that_was_kept_is_refused() {
    let line: ServerLine = format!("127.0.0.1:9/?key={}", "01".repeat(32)).parse().unwrap();
    let connected = Client::connect(Connect { pinned: Some([2; 32]), ..Connect::new(line) });
    assert!(matches!(connected, Err(Error::KeyChanged { pinned, shown }) if pinned == [2; 32] && shown == [1; 32]));
}

#[test]
fn a_name_with_several_addresses_leads_to_the_one_that_answers() {
    let (_host, address) = Host::start();
    let line = ServerLine { host: "localhost".into(), port: address.port(), key: None };
    let (client, _events) = Client::connect(Connect { ways: Ways::Udp, ..Connect::new(line) }).unwrap();
    client.sign_in(10_000, PASSWORD, false).unwrap();
}
