//! A second, simple store to compare with: maps in memory, and random requests for both.

use super::*;
use std::collections::BTreeSet;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn user(&mut self) -> u32 {
        10_000 + self.below(8) as u32
    }
}

/// What must be durable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) registered: u32,
    pub(super) accounts: BTreeMap<u32, String>,
    pub(super) groups: BTreeMap<(u32, u8), String>,
    pub(super) friends: BTreeMap<(u32, u32), u8>,
    pub(super) asks: BTreeMap<(u32, u32), u64>,
    pub(super) mail: BTreeMap<u32, Vec<u64>>,
    /// What is left of mail that was given to somebody hidden.
    pub(super) given: BTreeSet<(u32, u64)>,
    pub(super) grants: BTreeSet<(u32, u32)>,
    /// Who blocks whom.
    pub(super) blocks: BTreeSet<(u32, u32)>,
    /// The end and the first byte of the hash.
    pub(super) tokens: BTreeMap<u32, Vec<token::Token>>,
    pub(super) sessions: BTreeMap<(u32, u32), SessionRecord>,
}

impl Model {
    pub(super) fn register(&mut self, nickname: &str) -> u32 {
        let number = 10_000 + self.registered;
        self.registered += 1;
        self.accounts.insert(number, nickname.into());
        number
    }

    /// All or none.
    pub(super) fn commit(&mut self, changes: &[Change]) -> Result<(), Refusal> {
        let mut next = self.clone();
        changes.iter().try_for_each(|change| next.change(change))?;
        *self = next;
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), Refusal> {
        let needed = match change {
            Change::PutProfile(number, ..)
            | Change::PutPassword(number, _)
            | Change::SetDisabled(number, _)
            | Change::SetLimits(number, _)
            | Change::PutGroup(number, ..)
            | Change::AddMail(number, _)
            | Change::PutToken(NewToken { number, .. })
            | Change::DeleteAccount(number) => vec![number],
            Change::PutSession(record, _) => vec![&record.number],
            Change::PutFriend { owner: a, friend: b, .. }
            | Change::PutAsk { target: a, asker: b, .. }
            | Change::PutBlock { owner: a, other: b }
            | Change::PutGrant(Grant { monitor: a, target: b, .. }) => vec![a, b],
            _ => vec![],
        };
        if needed.iter().any(|number| !self.accounts.contains_key(number)) {
            return Err(Refusal::NoSuchUser);
        }
        if let Change::DeleteAsk { target, asker } = change
            && !self.asks.contains_key(&(*target, *asker))
        {
            return Err(Refusal::NoSuchAsk);
        }
        let blocked = match change {
            Change::PutAsk { target, asker, .. } => self.blocks.contains(&(*target, *asker)),
            Change::AddMail(to, mail) if self.has_mail(*to, mail) => return Ok(()),
            Change::AddMail(to, mail) => mail.kind < 3 && self.blocks.contains(&(*to, mail.from)),
            _ => false,
        };
        if blocked {
            return Err(Refusal::Blocked);
        }
        self.apply(change);
        Ok(())
    }

    /// No two senders use the same id here.
    fn has_mail(&self, to: u32, mail: &Mail) -> bool {
        mail.id != 0 && self.mail.get(&to).is_some_and(|ids| ids.contains(&mail.id))
    }

    fn shut_out(&mut self, number: u32) {
        self.tokens.remove(&number);
        self.sessions.retain(|(of, _), _| *of != number);
    }

    fn kept(&mut self, number: u32, session: u32) -> Option<&mut SessionRecord> {
        self.sessions.get_mut(&(number, session))
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::PutProfile(number, profile, _) => {
                let account = Account::of(profile.clone(), "".into(), 0);
                self.accounts.insert(*number, account.profile().nickname.into());
            }
            Change::PutPassword(number, _) | Change::SetDisabled(number, true) => self.shut_out(*number),
            Change::SetDisabled(_, false) | Change::SetLimits(..) => {}
            Change::PutGroup(owner, group, name) => {
                self.groups.insert((*owner, *group), name.to_string());
            }
            Change::DeleteGroup(owner, group) => {
                self.groups.remove(&(*owner, *group));
                let left = self.friends.iter_mut().filter(|((who, _), at)| who == owner && *at == group);
                left.for_each(|(_, at)| *at = 1);
            }
            Change::PutFriend { owner, friend, group } => {
                self.friends.insert((*owner, *friend), *group);
            }
            Change::DeleteFriend { owner, friend } => {
                self.friends.remove(&(*owner, *friend));
            }
            Change::PutAsk { target, asker, until_ms } => {
                self.asks.insert((*target, *asker), *until_ms);
            }
            Change::DeleteAsk { target, asker } => {
                self.asks.remove(&(*target, *asker));
            }
            Change::AddMail(number, mail) => self.mail.entry(*number).or_default().push(mail.id),
            // The random requests delete whole mailboxes only: the model knows no places.
            Change::DeleteMail(number, _) => {
                self.mail.remove(number);
                self.given.retain(|(of, _)| of != number);
            }
            Change::GiveMail(number, _) => {
                let Some(mail) = self.mail.get_mut(number) else { return };
                mail.retain(|id| *id != 0);
                self.given.extend(mail.iter().map(|id| (*number, *id)));
                if mail.is_empty() {
                    self.mail.remove(number);
                }
            }
            Change::GiveMailAt(_, places) => assert_eq!(places, &[0], "no message has this place"),
            Change::DeleteGiven(number) => {
                let Some(mail) = self.mail.get_mut(number) else { return };
                mail.retain(|id| !self.given.contains(&(*number, *id)));
                if mail.is_empty() {
                    self.mail.remove(number);
                }
                self.given.retain(|(of, _)| of != number);
            }
            Change::DeleteMailAt(_, places) => assert_eq!(places, &[0], "no message has this place"),
            Change::PutBlock { owner, other } => {
                self.blocks.insert((*owner, *other));
            }
            Change::DeleteBlock { owner, other } => {
                self.blocks.remove(&(*owner, *other));
            }
            Change::PutToken(NewToken { number, hash, until_ms, session, instead_of }) => {
                let tokens = self.tokens.entry(*number).or_default();
                if let Some(used) = tokens.iter().find(|token| Some(token.hash) == *instead_of)
                    && let Some(parent) = used.parent
                {
                    tokens.retain(|token| token.hash[..8] != parent);
                }
                tokens.retain(|token| token.hash != *hash && token.until_ms > 0);
                if tokens.len() == crate::limits::TOKENS {
                    let oldest = tokens.iter().map(|token| token.until_ms).min().expect("some");
                    let at = tokens.iter().position(|token| token.until_ms == oldest).expect("it is there");
                    tokens.remove(at);
                }
                let parent = instead_of.map(|hash| [hash[0]; 8]);
                tokens.push(token::Token { until_ms: *until_ms, hash: *hash, session: *session, parent });
            }
            Change::EndTokens { number, session } => {
                let tokens = self.tokens.entry(*number).or_default();
                let mine = |token: &token::Token| token.session == *session;
                let parents: Vec<u8> =
                    tokens.iter().filter(|token| mine(token)).filter_map(|token| Some(token.parent?[0])).collect();
                tokens.retain(|token| !mine(token) && !parents.contains(&token.hash[0]));
                self.tokens.retain(|_, tokens| !tokens.is_empty());
            }
            Change::KeepOnly { number, session } => {
                self.tokens.entry(*number).or_default().retain(|token| token.session == *session);
                self.tokens.retain(|_, tokens| !tokens.is_empty());
                self.sessions.retain(|(of, id), _| of != number || id == session);
            }
            Change::DeleteTokens(number) => drop(self.tokens.remove(number)),
            Change::PutSession(record, beside) => {
                self.sessions.retain(|(of, session), _| *of != record.number || Some(*session) == *beside);
                self.sessions.insert((record.number, record.session), (**record).clone());
            }
            Change::DeleteSession { number, session } => {
                self.sessions.remove(&(*number, *session));
            }
            Change::SetSessionAddress { number, session, address } => {
                self.kept(*number, *session).into_iter().for_each(|record| record.address = *address);
            }
            Change::SetSessionStatus { number, session, status } => {
                self.kept(*number, *session).into_iter().for_each(|record| record.status = *status);
            }
            Change::PutGrant(grant) => {
                self.grants.insert((grant.monitor, grant.target));
            }
            Change::DeleteGrant { monitor, target } => {
                self.grants.remove(&(*monitor, *target));
            }
            // The model has no office.
            Change::AcknowledgeAudit
            | Change::Approve(_)
            | Change::PutInvite(_)
            | Change::DeleteInvite(_)
            | Change::PutBan(_)
            | Change::LiftBan(_)
            | Change::PutSeen(..) => {}
            Change::DeleteAccount(gone) => {
                self.accounts.remove(gone);
                self.mail.remove(gone);
                self.given.retain(|(of, _)| of != gone);
                self.groups.retain(|(owner, _), _| owner != gone);
                self.friends.retain(|(a, b), _| a != gone && b != gone);
                self.asks.retain(|(a, b), _| a != gone && b != gone);
                self.grants.retain(|(a, b)| a != gone && b != gone);
                self.blocks.retain(|(a, b)| a != gone && b != gone);
                self.shut_out(*gone);
            }
        }
    }

    /// What a store holds, read from its keys; panics where lists and reverse lists disagree.
    pub(super) fn of<D: Disk, I: Index>(store: &Store<D, I>) -> Self {
        let mut model = Self::default();
        let (mut watchers, mut asked, mut blockers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (key, value) in dump(store) {
            let number = |at: usize| u32::from_be_bytes(key[at..at + 4].try_into().expect("a number"));
            let text = || String::from_utf8(value.clone()).expect("text");
            match key[0] {
                1 => {
                    let counters = ledger::Counters::decode(&value).expect("counters");
                    model.registered = counters.next_number - 10_000;
                    assert_eq!(counters.accounts, store.account_count());
                }
                2 => {
                    let account = Account::decode(&value).expect("an account");
                    model.accounts.insert(number(1), account.profile().nickname.into());
                }
                3 => drop(model.groups.insert((number(1), key[5]), text())),
                4 => {
                    let friends = lists::read_friends(&value).expect("friends");
                    model.friends.extend(friends.into_iter().map(|(friend, group)| ((number(1), friend), group)));
                }
                5 => {
                    let block = lists::read_watchers(&value).expect("a block");
                    watchers.extend(block.into_iter().map(|owner| (owner, number(1))));
                }
                6 => drop(model.asks.insert((number(1), number(5)), plan::read_until(&value).expect("a time"))),
                7 => drop(asked.insert((number(5), number(1)))),
                8 => {
                    let head = record::Head::of(&value).expect("mail");
                    model.mail.entry(number(1)).or_default().push(head.id);
                    if head.given {
                        model.given.insert((number(1), head.id));
                    }
                }
                9 => drop(model.grants.insert((number(1), number(5)))),
                10 => drop(model.blocks.insert((number(1), number(5)))),
                11 => drop(blockers.insert((number(5), number(1)))),
                12 => {
                    let tokens = token::decode(&value).expect("tokens");
                    model.tokens.insert(number(1), tokens);
                }
                23 => {
                    let record = SessionRecord::decode(number(1), number(5), &value).expect("a session");
                    model.sessions.insert((number(1), number(5)), record);
                }
                14..=19 => {}
                kind => panic!("a key of kind {kind}"),
            }
        }
        assert!(model.friends.keys().eq(&watchers), "friends {:?}, watchers {watchers:?}", model.friends);
        assert!(model.asks.keys().eq(&asked), "asks {:?}, asked {asked:?}", model.asks);
        assert_eq!(model.blocks, blockers);
        assert_eq!(model.accounts.len(), store.account_count() as usize);
        assert_eq!(store.check_lists().expect("the index can be read"), [""; 0]);
        assert_eq!(store.check_mail().expect("the index can be read"), [""; 0]);
        model
    }
}

/// Something to ask for.
pub(super) fn random_request(random: &mut Random, id: &mut u64) -> Request {
    if random.below(8) == 0 {
        *id += 1;
        return Request::Register(Box::new(account(&format!("n{id}"))));
    }
    let changes = 1 + random.below(4);
    Request::Commit((0..changes).map(|_| random_change(random, id)).collect())
}

fn random_change(random: &mut Random, id: &mut u64) -> Change {
    *id += 1;
    let (a, b) = (random.user(), random.user());
    match random.below(26) {
        0 => {
            let password = (random.below(4) == 0).then(|| "changed".into());
            Change::PutProfile(a, stored_profile(&format!("n{id}")), password)
        }
        1 => Change::PutGroup(a, 2 + random.below(3) as u8, format!("g{id}").into()),
        2 => Change::DeleteGroup(a, 2 + random.below(3) as u8),
        3..=5 => Change::PutFriend { owner: a, friend: b, group: 1 + random.below(4) as u8 },
        6 => Change::DeleteFriend { owner: a, friend: b },
        // All end at about the same time, so that none has ended when another comes.
        7 => Change::PutAsk { target: a, asker: b, until_ms: 700_000_000 + random.below(1000) },
        8 => Change::DeleteAsk { target: a, asker: b },
        9..=11 => Change::AddMail(a, random_mail(random, *id)),
        12 => Change::DeleteMail(a, u64::MAX),
        13 => Change::PutGrant(Grant { monitor: a, target: b, until_ms: 1, reason: "r".into() }),
        14 => Change::DeleteGrant { monitor: a, target: b },
        15..=16 => Change::PutBlock { owner: a, other: b },
        17 => Change::DeleteBlock { owner: a, other: b },
        18 => Change::PutToken(NewToken {
            number: a,
            hash: [1 + random.below(20) as u8; 32],
            until_ms: random.below(1000),
            session: random.below(3) as u32,
            instead_of: (random.below(2) == 0).then(|| [1 + random.below(20) as u8; 32]),
        }),
        19..=21 => random_session_change(random, a),
        22 => match random.below(6) {
            4 => Change::EndTokens { number: a, session: random.below(3) as u32 },
            5 => Change::KeepOnly { number: a, session: random.below(3) as u32 },
            0 => Change::DeleteTokens(a),
            1 => Change::PutPassword(a, "by hand".into()),
            2 => Change::DeleteMailAt(a, vec![0]),
            _ => Change::SetDisabled(a, random.below(2) == 0),
        },
        23 => Change::GiveMail(a, u64::MAX),
        24 => match random.below(3) {
            0 => Change::GiveMailAt(a, vec![0]),
            _ => Change::DeleteGiven(a),
        },
        _ if random.below(4) == 0 => Change::DeleteAccount(a),
        _ => Change::AddMail(b, random_mail(random, *id)),
    }
}

/// A message, new or again, of a sender who is known by the id; or the words of the system.
fn random_mail(random: &mut Random, id: u64) -> Mail {
    let text = "m".repeat(random.below(200) as usize + 1);
    if random.below(4) == 0 {
        return Mail { flag: 1, kind: 1 + random.below(4) as u8, from: random.user(), ..mail(0, &text) };
    }
    let id = id.saturating_sub(random.below(40)).max(1);
    let mut mail = Mail { from: 10_000 + (id % 8) as u32, ..mail(id, &text) };
    if random.below(3) > 0 {
        // Seldom one id for two texts.
        mail.text = Text::Shared(format!("to all of you {}", random.below(12) / 11).as_str().into());
    }
    mail
}

fn random_session_change(random: &mut Random, number: u32) -> Change {
    let session = random.below(2) as u32;
    let address = (random.below(2) == 0).then_some(([127, 0, 0, 1].into(), 4_000, 3));
    let address = address.map(|(ip, port, listener): (std::net::IpAddr, u16, u16)| ((ip, port).into(), listener));
    let status = random.below(4) as u8;
    match random.below(5) {
        0..=1 => {
            let record = SessionRecord { status, address, ..super::session(number, session) };
            Change::PutSession(Box::new(record), (status > 1).then_some(session ^ 1))
        }
        2 => Change::DeleteSession { number, session },
        3 => Change::SetSessionAddress { number, session, address },
        _ => Change::SetSessionStatus { number, session, status },
    }
}
