//! One shard that is driven by hand, and its users over the link: what the link and the mailbox are measured in.

use oicq::limits::MAILBOX_PAGE;
use oicq::link::{Ciphers, Frames, Initiator, Link, Packet, Side, public_key};
use oicq::seeded::Seed;
use oicq::shard::{Board, Classic, Endpoint, Identity, Input, Now, Outbox, PasswordOutcome, Shard, Territory, Ticket};
use oicq::store::{Account, Answer, Mail, Request, UserRecord};
use oicq::wire::{Profile, User};
use std::sync::Arc;

/// Number of the first user.
pub const FIRST: u32 = 10_000;

/// A frame as bytes.
pub fn encoded(frame: &User<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

/// A user's end of a link with a shard that is driven by hand.
pub struct Client {
    /// Its service number.
    pub number: u32,
    at: Endpoint,
    link: Link,
}

/// One shard, its users, and the time.
pub struct World {
    shard: Shard,
    out: Outbox,
    /// Who is signed in.
    pub clients: Vec<Client>,
    ciphers: Ciphers,
    frames: Frames,
    now: Now,
    packet: Vec<u8>,
    /// What is stored for those who sign in, in the order of its seq.
    pub mail: Vec<Mail>,
    /// Requests for it, which wait for [`answer_mail`](World::answer_mail).
    asked: Vec<(Ticket, Request)>,
}

impl World {
    /// So many users have signed in.
    pub fn new(users: u32) -> Self {
        let shard =
            Shard::new(Territory::ALL, Arc::new(Board::new(Seed::new([8; 32]))), Classic::Off, &Identity::EXAMPLE);
        let mut world = Self {
            shard,
            out: Outbox::default(),
            clients: Vec::new(),
            ciphers: Ciphers::new(2 * users.max(1) as usize),
            frames: Frames::default(),
            now: Now { mono_ms: 1_000_000, unix_ms: 1_700_000_000_000 },
            packet: Vec::new(),
            mail: Vec::new(),
            asked: Vec::new(),
        };
        (0..users).for_each(|at| world.sign_in(FIRST + at));
        world
    }

    fn input(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input, &mut self.out);
        self.shard.flush(self.now, &mut self.out);
    }

    /// A handshake and a sign-in. What is stored for the user is only asked for.
    pub fn sign_in(&mut self, number: u32) {
        let [_, b, c, d] = number.to_be_bytes();
        let at = Endpoint::datagram(([127, b, c, d], 10_000).into(), 0);
        let key = public_key(&Identity::EXAMPLE.private);
        let mut initiator = Initiator::new(number, &key, [5; 32]).expect("begun");
        let mut hello = Vec::new();
        Packet::Hello { number, cookie: &[], noise: initiator.message() }.encode(&mut hello);
        self.input(Input::Packet { from: at, bytes: &mut hello });
        let welcome = self.out.frame(&self.out.sends[0]).to_vec();
        let Ok(Packet::Welcome { noise, .. }) = Packet::decode(&welcome, Side::Server) else { panic!("a welcome") };
        let established = initiator.finish(noise).expect("the server's key");
        let link = Link::new(Side::Client, number, established.offer.session, established.keys);
        self.out.clear();
        self.clients.push(Client { number, at, link });
        let me = self.clients.len() - 1;
        self.send(me, &User::SignIn { me: number, password: "secret", mode: 0, token: None });
        self.answer_all();
        self.deliver(|_| {});
    }

    /// Answers for the store and the password pool.
    fn answer_all(&mut self) {
        let account = Account::new(&Profile { nickname: "小明", ..Profile::default() }, "hash".into(), 0);
        loop {
            let (passwords, store) = (std::mem::take(&mut self.out.passwords), std::mem::take(&mut self.out.store));
            if passwords.is_empty() && store.is_empty() {
                return;
            }
            for (ticket, ..) in passwords {
                self.input(Input::Password { ticket, outcome: PasswordOutcome::Good });
            }
            for (ticket, request) in store {
                if let Request::MailAfter(..) = request {
                    self.asked.push((ticket, request));
                    continue;
                }
                let answer = match request {
                    Request::Account(_) => Answer::Account(Some(Box::new(account.clone()))),
                    Request::User(_) => Answer::User(Some(Box::new(UserRecord {
                        account: account.clone(),
                        groups: vec![(1, "My Friends".into())],
                        friends: Vec::new(),
                        blocks: Vec::new(),
                        blockers: Vec::new(),
                        has_mail: !self.mail.is_empty(),
                        cards: Vec::new(),
                    }))),
                    _ => Answer::Done,
                };
                self.input(Input::Stored { ticket, answer });
            }
        }
    }

    /// A client says something.
    pub fn send(&mut self, from: usize, frame: &User<'_>) {
        self.clients[from].link.send(&encoded(frame));
        self.push(from);
    }

    /// What a client has to send goes to the shard.
    fn push(&mut self, from: usize) {
        let mut packet = std::mem::take(&mut self.packet);
        loop {
            packet.clear();
            let client = &mut self.clients[from];
            if !client.link.poll(self.now.mono_ms, &mut self.ciphers, &mut packet) {
                break;
            }
            let from = client.at;
            self.input(Input::Packet { from, bytes: &mut packet });
        }
        self.packet = packet;
    }

    /// What the shard has sent goes to the clients; `take` gets the frames. Tells whether there was anything.
    pub fn deliver(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let (bytes, sends) = (std::mem::take(&mut self.out.bytes), std::mem::take(&mut self.out.sends));
        for send in &sends {
            let mut packet = bytes[send.start as usize..][..send.length as usize].to_vec();
            let Some(client) = self.clients.iter_mut().find(|client| client.at == send.to) else { continue };
            client.link.receive(self.now.mono_ms, &mut packet, &mut self.ciphers, &mut self.frames).expect("ours");
            self.frames.iter().for_each(|frame| take(frame.bytes));
            self.frames.clear();
        }
        !sends.is_empty()
    }

    /// The store answers, with a page where stored messages were asked for. Tells whether it was asked anything.
    pub fn answer_mail(&mut self) -> bool {
        self.answer_all();
        let asked = std::mem::take(&mut self.asked);
        for (ticket, request) in &asked {
            let Request::MailAfter(_, after) = request else { unreachable!("only these wait") };
            let first = self.mail.partition_point(|mail| mail.seq <= *after);
            let page = self.mail[first..].iter().take(MAILBOX_PAGE).cloned().collect();
            self.input(Input::Stored { ticket: *ticket, answer: Answer::Mail(page) });
        }
        !asked.is_empty()
    }

    /// So many milliseconds pass, and what is due by then is sent.
    pub fn pass(&mut self, millis: u64) {
        self.now.mono_ms += millis;
        self.now.unix_ms += millis;
        self.input(Input::Tick);
        (0..self.clients.len()).for_each(|client| self.push(client));
    }
}
