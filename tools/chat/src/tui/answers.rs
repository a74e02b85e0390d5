//! What the server has answered to what was asked.

use super::effect::{Answer, Effect, Request};
use super::lang::fill;
use super::model::{FileLine, Link, Model};
use super::popup::{Action, Form, Kind, Menu, Page, People, Popup, Purpose, Question};
use super::runtime::PEOPLE;
use super::text::fit;
use crate::fields;
use crate::notice::NOT_OPEN;
use crate::show::clean;
use oicq::client::{AddOutcome, Person};

/// Columns for the name of a profile's field.
const FIELD: usize = 20;

impl Model {
    /// A form's request has failed: it comes back with what was entered, and what was wrong.
    pub fn submit_failed(&mut self, error: &str) {
        let error = &*self.words.said(error);
        match self.submitted.take() {
            Some(mut form) => {
                let at = form.at;
                form.again(at, error.to_owned());
                self.popups.push(Popup::Form(form));
            }
            None => self.notice("{}", &[error]),
        }
    }

    pub fn done(&mut self, request: Request, form: bool, result: Result<Answer, String>) {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) if form => return self.submit_failed(&error),
            Err(error) => return self.notice("{}", &[&self.words.said(&error)]),
        };
        let submitted = if form { self.submitted.take() } else { None };
        let words = self.words;
        match (request, answer) {
            (Request::SignUp { .. }, Answer::NotOpen { invite: true, text }) => self.ask_invite(submitted, &text),
            (Request::SignUp { .. }, Answer::NotOpen { invite: false, text }) => {
                self.link = Link::Out;
                self.ask_account();
                self.bar(words.closed_title, &fill(words.closed, &[&words.server_said(NOT_OPEN, &text)]));
            }
            (Request::SignUp { .. }, Answer::Registered { number, password }) => {
                self.close_setup();
                let number_text = number.to_string();
                self.note(fill(words.your_number, &[&number_text]));
                let (title, text) = (number_text.clone(), fill(words.your_number, &[&number_text]));
                self.link = Link::Connecting;
                self.effects.push(Effect::Begin(number));
                self.effects.push(Effect::SignIn { number, password: Some(password), hidden: false });
                self.popups.push(Popup::Page(Page { title, text, scroll: 0 }));
            }
            (Request::SignOut, _) => {
                self.link = Link::Out;
                self.notice(words.signed_out, &[]);
                self.ask_account();
                if let Some(Popup::Menu(menu)) = self.popups.last_mut() {
                    menu.stays = false;
                }
            }
            (Request::SetStatus(status), _) => {
                self.status = status;
                self.flash = Some(words.status(status).to_owned());
            }
            (Request::Add(number), Answer::Added(outcome)) => self.add_outcome(number, outcome),
            (Request::AskFor { number, .. }, _) => {
                let person = self.person(number);
                self.notice(words.asked, &[&person]);
            }
            (Request::Answer { number, agree }, _) => {
                self.requests.retain(|(asker, _)| *asker != number);
                self.keep_requests();
                let person = self.person(number);
                self.notice(if agree { words.accepted } else { words.you_refused }, &[&person]);
                if agree && self.status_of(number).is_none() {
                    self.requests.push((number, None));
                    self.keep_requests();
                }
            }
            (Request::Delete(number), _) => {
                let person = self.person(number);
                self.notice(words.deleted, &[&person]);
                self.chosen = self.people().first().copied();
            }
            (Request::AddGroup(_) | Request::RenameGroup { .. } | Request::DeleteGroup(_), _) => {
                self.notice(words.group_done, &[]);
            }
            (Request::Move { number, .. }, _) => {
                let person = self.person(number);
                self.notice(words.moved, &[&person]);
            }
            (Request::Broadcast { .. }, _) => {
                if let Some(chat) = &self.chat {
                    let (peer, after) = (chat.peer, chat.span().map_or(0, |(_, last)| last));
                    self.effects.push(Effect::Newer { peer, after });
                }
            }
            (Request::View(number), Answer::Profile(_, profile)) => {
                let lines = fields::lines(&profile);
                let line = |(field, value): (&str, String)| {
                    format!("{} {}", fit(words.field(field), FIELD), words.value(field, &clean(&value)))
                };
                let text: Vec<String> = std::iter::once(format!("{} {number}", fit(words.field("number"), FIELD)))
                    .chain(lines.into_iter().map(line))
                    .collect();
                self.names.insert(number, profile.nickname);
                self.popups.push(Popup::Page(Page { title: self.person(number), text: text.join("\n"), scroll: 0 }));
            }
            (Request::Mine { privacy }, Answer::Mine { number, profile, authorization }) => {
                let values = fields::lines(&profile);
                let may_add = authorization.and_then(|at| fields::choices(fields::AUTHORIZATION).get(usize::from(at)));
                let value = |field: &str| match may_add {
                    Some(word) if field == fields::AUTHORIZATION => (*word).to_owned(),
                    _ => {
                        values.iter().find(|(name, _)| *name == field).map_or(String::new(), |(_, value)| clean(value))
                    }
                };
                let names = if privacy { fields::PRIVACY.to_vec() } else { fields::names() };
                let item = |name| {
                    let value = value(name);
                    let shown = words.value(name, &value);
                    (
                        format!("{} {shown}", fit(words.field(name), FIELD)),
                        Action::Field(name, fields::entered(name, &value)),
                    )
                };
                let at = names.iter().position(|name| self.changed == Some(*name)).unwrap_or(0);
                let items = names.into_iter().map(item).collect();
                self.changed = None;
                self.privacy = privacy;
                self.names.insert(number, profile.nickname);
                let title = if privacy { words.m_privacy } else { words.m_my_profile };
                self.popups.push(Popup::Menu(Menu { at, ..Menu::new(title, items) }));
            }
            (Request::SetField { field, .. }, _) => {
                self.notice(words.profile_saved, &[]);
                self.popups.clear();
                // The mark stands again where it was.
                self.changed = fields::names().into_iter().find(|name| *name == field);
                self.effects.push(Effect::Ask { request: Request::Mine { privacy: self.privacy }, form: false });
            }
            (Request::SetPassword { .. }, Answer::OtherPassword) => {
                if let Some(mut form) = submitted {
                    form.again(0, words.other_password.to_owned());
                    self.popups.push(Popup::Form(form));
                }
            }
            (Request::SetPassword { .. }, _) => self.notice(words.password_saved, &[]),
            (Request::Online(_), Answer::People(people)) => self.found(words.m_online, people, true),
            (Request::Find(_), Answer::People(people)) => self.found(words.m_find, people, false),
            (Request::Block { number, on }, _) => {
                let person = self.person(number);
                self.notice(if on { words.blocked } else { words.unblocked }, &[&person]);
            }
            (Request::OfferFile { number, .. }, Answer::Offered { id, name, size }) => {
                let name = clean(&name);
                self.notice(words.offered, &[&name]);
                let since = (self.now, 0);
                self.files.push(FileLine {
                    peer: number,
                    id,
                    incoming: false,
                    name,
                    done: 0,
                    size,
                    speed: 0,
                    since,
                    ended: false,
                });
            }
            (Request::TakeFile(number, offer) | Request::RejectFile(number, offer), _) => {
                let is_it = |(from, id): (u32, u32)| from == number && offer.is_none_or(|offer| offer == id);
                if let Some(at) = self.offers.iter().position(|(key, ..)| is_it(*key)) {
                    self.offers.remove(at);
                }
                self.ask_about(0);
            }
            _ => {}
        }
    }

    /// The form comes back, with one more question.
    fn ask_invite(&mut self, form: Option<Form>, text: &str) {
        self.link = Link::Out;
        let words = self.words;
        let Some(mut form) = form else { return self.notice("{}", &[&words.server_said(NOT_OPEN, text)]) };
        let at = form.questions.iter().position(|question| question.kind == Kind::Invite).unwrap_or_else(|| {
            form.questions.push(Question::new(words.invite, words.invite_hint, Kind::Invite));
            form.questions.len() - 1
        });
        form.again(at, words.server_said(NOT_OPEN, text));
        self.popups.push(Popup::Form(form));
    }

    fn found(&mut self, title: &str, people: Vec<Person>, more: bool) {
        self.names.extend(people.iter().map(|person| (person.number, person.nickname.clone())));
        let more = more && people.len() >= PEOPLE.into();
        let title = format!("{title} · {}", fill(self.words.found, &[&people.len().to_string()]));
        self.popups.push(Popup::People(People { title, people, at: 0, more }));
    }

    fn add_outcome(&mut self, number: u32, outcome: AddOutcome) {
        let (words, person) = (self.words, self.person(number));
        let about = match outcome {
            AddOutcome::Done => {
                self.requests.retain(|(asker, _)| *asker != number);
                self.keep_requests();
                return self.notice(words.added, &[&person]);
            }
            AddOutcome::Nobody => return self.notice(words.nobody_may, &[&person]),
            AddOutcome::NeedsAuthorization => words.needs_ask,
            AddOutcome::NeedsAuthorizationOffline => words.needs_ask_offline,
        };
        let question = Question::new(words.reason, words.reason_hint, Kind::Optional);
        let mut form = Form::new(Purpose::AskFor(number), words.m_add, vec![question]);
        form.about = fill(about, &[&person]);
        self.popups.push(Popup::Form(form));
    }
}
