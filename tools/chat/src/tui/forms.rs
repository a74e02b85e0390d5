//! Forms: their answers are checked one at a time, and at the end something is done with them.

use super::effect::{Effect, Request};
use super::lang::fill;
use super::model::{Link, Model};
use super::popup::{Action, Form, Kind, Popup, Purpose};
use crate::fields;
use oicq::client::OwnedProfile;
use oicq::limits::{FIRST_USER, LAST_USER, PASSWORD_BYTES_LEAST};
use std::path::PathBuf;

/// What accepts a new key.
const TRUST: &str = "trust";

impl Model {
    /// A form is closed; at the first start there is something before it.
    pub fn close_form(&mut self) {
        let Some(Popup::Form(form)) = self.popups.pop() else { return };
        match form.purpose {
            _ if !self.popups.is_empty() || self.me.is_some() => {}
            Purpose::Server => self.act(Action::Quit),
            _ => self.ask_account(),
        }
    }

    /// Checks an answer, and goes on to the next question or to what the answers are for.
    pub fn next_question(&mut self) {
        let words = self.words;
        let Some(Popup::Form(form)) = self.popups.last_mut() else { return };
        let answer = form.editor.text().to_owned();
        let question = &form.questions[form.at];
        let wrong = match question.kind {
            Kind::Text | Kind::Secret | Kind::Invite if answer.trim().is_empty() => Some(words.not_empty.to_owned()),
            Kind::NewSecret if answer.len() < PASSWORD_BYTES_LEAST => Some(words.too_short.to_owned()),
            Kind::Number if !answer.trim().parse().is_ok_and(|number| (FIRST_USER..=LAST_USER).contains(&number)) => {
                Some(fill(words.not_a_number, &[answer.trim()]))
            }
            Kind::Again if form.questions[form.at - 1].answer != answer => {
                form.again(form.at - 1, words.two_passwords.to_owned());
                return;
            }
            Kind::Optional if question.field.is_some() && !answer.is_empty() => {
                let set = |field| fields::set(&mut OwnedProfile::default(), field, answer.trim()).err();
                question.field.and_then(set).map(|error| words.said(&error))
            }
            _ => None,
        };
        if let Some(error) = wrong {
            form.error = Some(error);
            return;
        }
        form.error = None;
        let place = form.at;
        let question = &mut form.questions[place];
        question.answer = if question.is_secret() { answer } else { answer.trim().to_owned() };
        if place + 1 < form.questions.len() {
            form.at += 1;
            form.editor = super::editor::Editor::new(&form.questions[form.at].answer);
            return;
        }
        if let Some(Popup::Form(form)) = self.popups.pop() {
            self.submit(form);
        }
    }

    /// All questions are answered.
    fn submit(&mut self, form: Form) {
        let number = || form.answer(0).parse::<u32>().unwrap_or_default();
        let text = form.answer(0).to_owned();
        let request = match form.purpose {
            Purpose::Server => match text.parse() {
                Ok(line) => return self.effects.push(Effect::Server(line)),
                Err(error) => {
                    let mut form = form;
                    form.error = Some(format!("{error}"));
                    return self.popups.push(Popup::Form(form));
                }
            },
            Purpose::SignIn { hidden } => {
                let (number, password) = (number(), Some(form.answer(1).to_owned()));
                // Before another account may have its own.
                self.put_away();
                self.link = Link::Connecting;
                self.effects.push(Effect::Begin(number));
                self.effects.push(Effect::SignIn { number, password, hidden });
                self.submitted = Some(form);
                return;
            }
            Purpose::Password { number, hidden } => {
                self.link = Link::Connecting;
                self.effects.push(Effect::SignIn { number, password: Some(text), hidden });
                return;
            }
            Purpose::SignUp => {
                let mut profile = OwnedProfile::new(&text, form.answer(1));
                for question in form.questions.iter().filter(|question| !question.answer.is_empty()) {
                    if let Some(field) = question.field {
                        // It was checked when it was entered.
                        let _ = fields::set(&mut profile, field, &question.answer);
                    }
                }
                self.link = Link::Connecting;
                let invite = form.questions.iter().find(|question| question.kind == Kind::Invite);
                let invite = invite.map(|question| question.answer.clone());
                Request::SignUp { profile: Box::new(profile), invite }
            }
            Purpose::Add => Request::Add(number()),
            Purpose::Talk => return self.open(number()),
            Purpose::AskFor(number) => Request::AskFor { number, reason: text },
            Purpose::GroupAdd => Request::AddGroup(text),
            Purpose::Rename(group) => Request::RenameGroup { group, name: text },
            Purpose::Broadcast(group) => Request::Broadcast { group, text },
            Purpose::Find => Request::Find(text),
            Purpose::Field(field) => Request::SetField { field: field.to_owned(), value: text },
            Purpose::NewPassword => Request::SetPassword { old: text, new: form.answer(1).to_owned() },
            Purpose::SendFile(number) => Request::OfferFile { number, path: home(&text) },
            Purpose::Trust { key, number, hidden } => {
                if text == TRUST {
                    self.link = Link::Connecting;
                    self.effects.push(Effect::Trust { key, number, hidden });
                } else {
                    self.popups.push(Popup::Form(form));
                }
                return;
            }
        };
        self.submitted = Some(form);
        self.effects.push(Effect::Ask { request, form: true });
    }
}

/// A path as people write it.
pub fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.into(),
    }
}
