//! Reading and changing profiles, who is online, and search (protocol.md 1.5, 0x05, 0x0A, 0x0B, 0x12; 4).

use super::changes::Op;
use super::io::{SearchJob, SearchOrder};
use super::notice::{Code, Refused};
use super::password::NewPassword;
use super::pending::Pending;
use super::search::{self, Query, Viewer};
use super::user::Asker;
use super::{Cx, Shard};
use crate::store::{Answer, Card, Request, StoredProfile};
use crate::wire::{Found, List, Profile, Server, check_privacy};

/// Who may write to a user, and who sees the details (protocol.md 3.1); `None`: as it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Privacy {
    pub reach: Option<u8>,
    pub details: Option<u8>,
}

impl Shard {
    pub(super) fn view(&mut self, cx: &mut Cx<'_>, asker: Asker, friend: u32) {
        let request = Request::View { number: friend, viewer: asker.number };
        self.ask_store(cx, request, Pending::View { asker, number: friend });
    }

    pub(super) fn viewed(&mut self, cx: &mut Cx<'_>, asker: Asker, number: u32, answer: &Answer) {
        let why = match answer {
            Answer::Account(Some(account)) => {
                let linked = self.asking(asker).is_some_and(|session| session.way.link().is_some());
                let own = |value| (linked && number == asker.number).then_some(value);
                let (reach, details) = (own(account.reach), own(account.details));
                let frame = Server::Profile { ok: 1, number, profile: account.profile(), reach, details };
                return self.reply(cx, asker, &frame);
            }
            Answer::Account(None) => Refused::no_such_user(number),
            _ => Refused::storage(),
        };
        self.refuse(cx, asker, &why);
    }

    pub(super) fn update(
        &mut self,
        cx: &mut Cx<'_>,
        asker: Asker,
        profile: &Profile<'_>,
        privacy: Privacy,
        old: Option<&str>,
    ) {
        let Privacy { reach, details } = privacy;
        if let Err(fault) = profile.check().and_then(|()| check_privacy(reach, details)) {
            return self.refuse(cx, asker, &Refused::from(fault));
        }
        let linked = self.asking(asker).is_some_and(|session| session.way.link().is_some());
        let password = (!profile.password.is_empty())
            .then(|| NewPassword { new: profile.password.into(), old: linked.then(|| old.unwrap_or_default().into()) });
        let profile = StoredProfile::of(profile, reach, details);
        self.change(cx, asker.number, Op::Update { asker, profile, password });
    }

    pub(super) fn online(&mut self, cx: &mut Cx<'_>, asker: Asker, start: u32, count: u8, direction: u8) {
        if !matches!(direction, 1 | 2) {
            let why = format!("direction {direction} does not exist: 1 smaller, 2 larger");
            return self.refuse(cx, asker, &Refused::new(Code::Malformed, why));
        }
        let lists = self.users.get(&asker.number).map(|user| &user.lists);
        let shown = |number: u32| !lists.is_some_and(|lists| lists.blocks.is_by(number));
        let numbers = self.board.beyond(start, usize::from(count), direction == 2, shown);
        self.ask_store(cx, Request::Cards(numbers), Pending::Online(asker));
    }

    pub(super) fn online_cards(&mut self, cx: &mut Cx<'_>, asker: Asker, answer: &Answer) {
        let Answer::Cards(cards) = answer else { return self.refuse(cx, asker, &Refused::storage()) };
        let users: Vec<Found<'_>> = cards.iter().map(Card::found).collect();
        self.reply(cx, asker, &Server::OnlineList { ok: 1, users: List::new(&users) });
    }

    pub(super) fn search(&mut self, cx: &mut Cx<'_>, asker: Asker, sql: &str) {
        if self.searches.contains_key(&asker.number) {
            let why = Refused::new(Code::TooFast, "one search at a time: your last one is still running");
            return self.refuse(cx, asker, &why);
        }
        match search::parse(sql) {
            Ok(query) if query.looks_at_details() => {
                // Whose details are shown depends on who lists the one who asks.
                let ticket = self.ticket(Pending::SearchListed { asker, query });
                self.searches.insert(asker.number, ticket);
                cx.out.store.push((ticket, Request::ListedBy(asker.number)));
            }
            Ok(query) => self.begin_search(cx, asker, query, Vec::new()),
            Err(error) => self.refuse(cx, asker, &Refused::new(Code::BadQuery, error.to_string())),
        }
    }

    /// Who lists the one who searches is known.
    pub(super) fn search_listed(&mut self, cx: &mut Cx<'_>, asker: Asker, query: Query, answer: Answer) {
        match answer {
            Answer::Numbers(listed_by) => self.begin_search(cx, asker, query, listed_by),
            _ => {
                self.searches.remove(&asker.number);
                self.refuse(cx, asker, &Refused::storage());
            }
        }
    }

    fn begin_search(&mut self, cx: &mut Cx<'_>, asker: Asker, query: Query, listed_by: Vec<u32>) {
        let blocked_by = self.users.get(&asker.number).map_or(&[][..], |user| user.lists.blocks.by());
        let viewer = Viewer::new(asker.number, blocked_by, listed_by);
        let ticket = self.search_ticket(asker);
        self.searches.insert(asker.number, ticket);
        cx.out.searches.push(SearchOrder::Begin(SearchJob { ticket, query, viewer }));
    }

    /// A session has ended: nobody waits for what its search finds.
    pub(super) fn cancel_search(&mut self, cx: &mut Cx<'_>, number: u32) {
        if let Some(ticket) = self.searches.remove(&number) {
            self.pending.remove(&ticket);
            cx.out.searches.push(SearchOrder::Cancel(ticket));
        }
    }

    pub(super) fn found(&mut self, cx: &mut Cx<'_>, asker: Asker, found: Option<Vec<Card>>) {
        self.searches.remove(&asker.number);
        let Some(cards) = found else {
            return self.refuse(cx, asker, &Refused::busy());
        };
        let users: Vec<Found<'_>> = cards.iter().map(Card::found).collect();
        self.reply(cx, asker, &Server::Found { ok: 1, users: List::new(&users) });
    }
}
