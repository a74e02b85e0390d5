//! Which way packets take: UDP first, TCP where UDP does not get through, and back (protocol.md 2.3). The choice alone,
//! without I/O; the driver has the sockets.

/// A hello over UDP that nobody has answered for so long: TCP is tried.
const HELLO_MS: u64 = 3_000;
/// Something in a session that nobody has answered for so long: the way is broken.
const BROKEN_MS: u64 = 2_500;
/// How often UDP is tried again while TCP carries the session,
const PROBE_MS: u64 = 30_000;
/// at most so rarely if it breaks each time it is taken,
const PROBE_LONGEST_MS: u64 = 480_000;
/// and how long it must hold until that is forgotten.
const HOLDS_MS: u64 = 120_000;
/// How long until a connection that could not be made is tried again; each time twice as long,
const CONNECT_AGAIN_MS: u64 = 1_000;
/// up to this.
const CONNECT_LONGEST_MS: u64 = 16_000;

/// What carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One packet a datagram.
    Udp,
    /// Packets one after the other.
    Tcp,
}

/// Which ways may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ways {
    /// UDP where it gets through, TCP where it does not.
    #[default]
    Both,
    /// UDP alone.
    Udp,
    /// TCP alone.
    Tcp,
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make a TCP connection, and tell what came of it.
    Connect,
    /// Close it.
    Disconnect,
    /// Ask over UDP whether the server answers ([`Core::probe`](super::Core::probe)).
    Probe,
    /// The way has changed: tell the core ([`Core::moved`](super::Core::moved)), so that the session moves, too.
    Moved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// None, and none is tried before this time.
    None(u64),
    Connecting,
    Open,
}

/// The choice between UDP and TCP.
///
/// Tell it what happens, then take [`Action`]s from [`poll`](Self::poll) until there are none.
#[derive(Debug)]
pub struct Carrier {
    ways: Ways,
    way: Way,
    connection: Connection,
    /// Until the next try, if this one fails.
    connect_again: u64,
    /// While on TCP: when UDP is probed next.
    probe_at: u64,
    probe_every: u64,
    /// When UDP was taken.
    since: u64,
    /// Something has come by UDP since it was taken, or since it was probed.
    udp_works: bool,
    moved: bool,
}

impl Carrier {
    /// Begins with UDP, where that may be taken.
    pub fn new(now: u64, ways: Ways) -> Self {
        Self {
            ways,
            way: if ways == Ways::Tcp { Way::Tcp } else { Way::Udp },
            connection: Connection::None(now),
            connect_again: CONNECT_AGAIN_MS,
            probe_at: 0,
            probe_every: PROBE_MS,
            since: now,
            udp_works: false,
            moved: false,
        }
    }

    /// Which way packets take now. On TCP without a connection they are lost, as on UDP.
    pub fn way(&self) -> Way {
        self.way
    }

    /// A packet of the server's has come this way.
    pub fn heard(&mut self, now: u64, way: Way) {
        if way == Way::Tcp || self.ways == Ways::Tcp {
            return;
        }
        self.udp_works = true;
        if self.way == Way::Tcp {
            self.take(now, Way::Udp);
        }
    }

    /// The connection stands.
    pub fn connected(&mut self, now: u64) {
        self.connection = Connection::Open;
        self.connect_again = CONNECT_AGAIN_MS;
        if self.ways == Ways::Tcp {
            self.moved = true;
        } else if self.way == Way::Udp {
            self.take(now, Way::Tcp);
        }
    }

    /// The connection could not be made, or has ended.
    pub fn disconnected(&mut self, now: u64) {
        if self.connection == Connection::Open {
            self.connection = Connection::None(now);
            // Nobody can tell us anything until we are heard from another connection.
            self.moved |= self.ways == Ways::Tcp;
        } else {
            self.connection = Connection::None(now + self.connect_again);
            self.connect_again = (self.connect_again * 2).min(CONNECT_LONGEST_MS);
        }
        if self.way == Way::Tcp && self.ways == Ways::Both {
            self.take(now, Way::Udp);
        }
    }

    fn take(&mut self, now: u64, way: Way) {
        match way {
            Way::Udp => self.since = now,
            Way::Tcp => {
                if now >= self.since + HOLDS_MS {
                    self.probe_every = PROBE_MS;
                }
                self.probe_at = now + self.probe_every;
                self.probe_every = (self.probe_every * 2).min(PROBE_LONGEST_MS);
                self.udp_works = false;
            }
        }
        self.way = way;
        self.moved = true;
    }

    /// What is to be done now. `unanswered_since` and `knocking` are the core's.
    pub fn poll(&mut self, now: u64, unanswered_since: Option<u64>, knocking: bool) -> Option<Action> {
        if std::mem::take(&mut self.moved) {
            return Some(Action::Moved);
        }
        match (self.way, self.connection) {
            (Way::Tcp, Connection::None(not_before)) if now >= not_before && unanswered_since.is_some() => {
                self.connection = Connection::Connecting;
                Some(Action::Connect)
            }
            (Way::Tcp, _) if self.ways == Ways::Both && now >= self.probe_at => {
                self.probe_at = now + self.probe_every;
                Some(Action::Probe)
            }
            (Way::Udp, Connection::Open) if self.udp_works => {
                self.connection = Connection::None(now);
                Some(Action::Disconnect)
            }
            (Way::Udp, connection) if self.broken_at(unanswered_since, knocking).is_some_and(|at| now >= at) => {
                match connection {
                    Connection::Connecting => None,
                    Connection::None(not_before) if now < not_before => None,
                    Connection::None(_) => {
                        self.connection = Connection::Connecting;
                        Some(Action::Connect)
                    }
                    Connection::Open => {
                        self.take(now, Way::Tcp);
                        self.poll(now, unanswered_since, knocking)
                    }
                }
            }
            _ => None,
        }
    }

    fn broken_at(&self, unanswered_since: Option<u64>, knocking: bool) -> Option<u64> {
        let patience = if knocking { HELLO_MS } else { BROKEN_MS };
        let since = unanswered_since.filter(|_| self.ways == Ways::Both)?;
        // What was asked on another way says nothing about this one.
        Some(since.max(self.since) + patience)
    }

    /// When [`poll`](Self::poll) may have something again.
    pub fn deadline(&self, unanswered_since: Option<u64>, knocking: bool) -> Option<u64> {
        if self.moved {
            return Some(0);
        }
        let connect = match self.connection {
            Connection::None(not_before) => Some(not_before),
            Connection::Connecting => None,
            Connection::Open => Some(0),
        };
        match self.way {
            Way::Udp => Some(self.broken_at(unanswered_since, knocking)?.max(connect?)),
            Way::Tcp => {
                let connect = connect.filter(|_| self.connection != Connection::Open && unanswered_since.is_some());
                let probe = (self.ways == Ways::Both).then_some(self.probe_at);
                connect.into_iter().chain(probe).min()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets time pass until something is to be done.
    fn next(carrier: &mut Carrier, mut now: u64, since: Option<u64>, knocking: bool) -> Option<(u64, Action)> {
        loop {
            if let Some(action) = carrier.poll(now, since, knocking) {
                return Some((now, action));
            }
            now = carrier.deadline(since, knocking).filter(|&at| at > now)?;
        }
    }

    #[test]
    fn a_hello_waits_three_seconds_and_a_session_less() {
        let mut carrier = Carrier::new(0, Ways::Both);
        assert_eq!(next(&mut carrier, 0, None, true), None);
        assert_eq!(next(&mut carrier, 0, Some(100), true), Some((3_100, Action::Connect)));
        let mut carrier = Carrier::new(0, Ways::Both);
        assert_eq!(next(&mut carrier, 0, Some(100), false), Some((2_600, Action::Connect)));
        assert_eq!(next(&mut carrier, 2_600, Some(100), false), None, "while it connects");
        carrier.disconnected(3_000);
        assert_eq!(next(&mut carrier, 3_000, Some(100), false), Some((4_000, Action::Connect)));
        carrier.disconnected(5_000);
        assert_eq!(next(&mut carrier, 5_000, Some(100), false), Some((7_000, Action::Connect)));
    }

    #[test]
    fn from_udp_to_tcp_and_back() {
        let mut carrier = Carrier::new(0, Ways::Both);
        assert_eq!(carrier.poll(3_000, Some(0), true), Some(Action::Connect));
        assert_eq!(carrier.way(), Way::Udp, "until the connection stands");
        carrier.connected(3_100);
        assert_eq!(carrier.way(), Way::Tcp);
        assert_eq!(next(&mut carrier, 3_100, None, false), Some((3_100, Action::Moved)));
        assert_eq!(next(&mut carrier, 3_100, None, false), Some((33_100, Action::Probe)));
        carrier.heard(33_150, Way::Udp);
        assert_eq!(next(&mut carrier, 33_150, Some(33_150), false), Some((33_150, Action::Moved)));
        assert_eq!(carrier.way(), Way::Udp);
        assert_eq!(carrier.poll(33_200, None, false), Some(Action::Disconnect));
        assert_eq!(next(&mut carrier, 33_200, None, false), None);
    }

    #[test]
    fn udp_that_breaks_each_time_is_tried_more_and_more_rarely() {
        let mut carrier = Carrier::new(0, Ways::Both);
        let mut now = 0;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let (at, action) = next(&mut carrier, now, Some(now), false).unwrap();
            assert_eq!(action, Action::Connect);
            carrier.connected(at);
            assert_eq!(next(&mut carrier, at, None, false), Some((at, Action::Moved)));
            let (probed, action) = next(&mut carrier, at, None, false).unwrap();
            assert_eq!(action, Action::Probe);
            pauses.push((probed - at) / 1_000);
            carrier.heard(probed, Way::Udp);
            assert_eq!(carrier.poll(probed, None, false), Some(Action::Moved));
            assert_eq!(carrier.poll(probed, None, false), Some(Action::Disconnect));
            now = probed;
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 480, 480]);
        let later = now + HOLDS_MS;
        assert_eq!(next(&mut carrier, later, Some(later), false).unwrap().1, Action::Connect);
        carrier.connected(later + 3_000);
        carrier.poll(later + 3_000, None, false);
        assert_eq!(next(&mut carrier, later + 3_000, None, false), Some((later + 33_000, Action::Probe)));
    }

    #[test]
    fn a_connection_that_ends_is_no_end() {
        let mut carrier = Carrier::new(0, Ways::Both);
        carrier.poll(3_000, Some(0), true);
        carrier.connected(3_000);
        carrier.disconnected(5_000);
        assert_eq!((carrier.way(), carrier.poll(5_000, Some(5_000), false)), (Way::Udp, Some(Action::Moved)));
        assert_eq!(next(&mut carrier, 5_000, Some(5_000), false), Some((7_500, Action::Connect)));

        let mut carrier = Carrier::new(0, Ways::Tcp);
        assert_eq!(carrier.poll(0, None, true), None, "nothing is to be said");
        assert_eq!(carrier.poll(0, Some(0), true), Some(Action::Connect));
        carrier.connected(1);
        assert_eq!(carrier.poll(1, Some(0), true), Some(Action::Moved));
        carrier.disconnected(9);
        assert_eq!(carrier.poll(9, None, false), Some(Action::Moved), "the session is asked for at once");
        assert_eq!(next(&mut carrier, 9, Some(9), false), Some((9, Action::Connect)));
        carrier.disconnected(20);
        assert_eq!(next(&mut carrier, 20, Some(9), false), Some((1_020, Action::Connect)));
        assert_eq!(carrier.way(), Way::Tcp);
    }

    #[test]
    fn one_way_alone() {
        let mut carrier = Carrier::new(0, Ways::Udp);
        assert_eq!(next(&mut carrier, 0, Some(0), true), None);
    }
}
