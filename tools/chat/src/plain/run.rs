//! Carries out what is said at the prompt.

use super::command::{Command, HELP};
use super::{input, person};
use crate::engine::{Engine, Unchanged};
use crate::fields;
use crate::notice::{self, WRONG};
use crate::show::{self, clean};
use oicq::client::{AddOutcome, Client, Error, Group, OwnedProfile, Recipient, Secret, Status, reason};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How many people are asked for at a time.
const PAGE: u8 = 50;

/// The person at the prompt: what the program remembers of what they said.
pub struct Prompt {
    engine: Arc<Engine>,
    /// From the environment or a file; asked for otherwise.
    password: Option<String>,
    number: Option<u32>,
    /// Sign in by the token that was kept, if there is one.
    by_token: bool,
    /// To whom plain lines go.
    pub partner: Option<u32>,
}

impl Prompt {
    /// Nothing has been said yet.
    pub fn new(engine: Arc<Engine>, password: Option<String>, number: Option<u32>, by_token: bool) -> Self {
        Self { engine, password, number, by_token, partner: None }
    }

    /// Does what a line says; an error says what was wrong, or what the server said.
    pub fn run(&mut self, command: Command) -> Result<(), String> {
        match command {
            Command::SignUp { full, invite } => return self.sign_up(full, invite),
            Command::SignIn { number, hidden } => return self.sign_in(number, hidden),
            Command::Wait(seconds) => {
                std::thread::sleep(Duration::from_secs(seconds));
                return Ok(());
            }
            Command::Help => {
                show::line(HELP);
                return Ok(());
            }
            _ => {}
        }
        let client = &self.client()?;
        let said = |error: Error| self.engine.words(&error);
        match command {
            Command::SignOut | Command::Status(Status::Offline) => {
                client.set_status(Status::Offline).map_err(said)?;
                show::line("signed out");
            }
            Command::Status(status) => {
                client.set_status(status).map_err(said)?;
                show::line(&format!("you are {} now", show::status(status)));
            }
            Command::List => show::groups(&self.engine.book().groups),
            Command::Say { number, text } => self.say(number, &text)?,
            Command::To(partner) => self.set_partner(partner),
            Command::Plain(text) => {
                let partner = self.partner.ok_or("say `to NUMBER` first, and plain lines go there")?;
                self.say(partner, &text)?;
            }
            Command::All { group, text } => {
                self.me()?;
                self.engine.say(Recipient::Group(group), &text)?;
            }
            Command::Ask { number, reason } => {
                client.ask(number, &reason).map_err(said)?;
                show::line(&format!("{} has been asked", person(&self.engine, number)));
            }
            Command::Answer { number, agree } => client.answer(number, agree).map_err(said)?,
            Command::Online(start) => {
                let people = client.online(start, PAGE, false).map_err(said)?;
                self.found(&people);
            }
            Command::Find(condition) => {
                let people = client.search(&condition).map_err(said)?;
                self.found(&people);
            }
            Command::View(number) => self.view(number)?,
            Command::Profile => self.view(self.me()?)?,
            Command::Set { field, value } => return self.set(field, value),
            Command::Send { number, path } => return self.send(number, &path),
            Command::Take { number, offer } => {
                let (_, name) = self.engine.take(number, offer, Path::new("."))?;
                show::line(&format!("taking {}", clean(&name)));
            }
            Command::Reject { number, offer } => self.engine.reject(number, offer)?,
            Command::Block { number, on } => {
                client.block(number, on).map_err(said)?;
                let words = if on { "nothing is taken from" } else { "again, everything is taken from" };
                show::line(&format!("{words} {}", person(&self.engine, number)));
            }
            Command::SignUp { .. } | Command::SignIn { .. } | Command::Wait(_) | Command::Help | Command::Quit => {}
            Command::Add(_)
            | Command::Delete(_)
            | Command::AddGroup(_)
            | Command::RenameGroup { .. }
            | Command::DeleteGroup(_)
            | Command::Move { .. } => return self.change_list(command),
        }
        Ok(())
    }

    /// What changes the friend list, at the server and then here.
    fn change_list(&self, command: Command) -> Result<(), String> {
        let app = &self.engine;
        let said = |error: Error| app.words(&error);
        match command {
            Command::Add(number) => {
                show::line(&add_outcome(number, self.client()?.add_friend(number).map_err(said)?));
            }
            Command::Delete(number) => {
                app.delete_friend(number).map_err(said)?;
                show::line(&format!("{number} is no longer in your list"));
            }
            Command::AddGroup(name) => {
                let number = app.add_group(&name).map_err(said)?;
                show::line(&format!("group {number} is {}", clean(&name)));
            }
            Command::RenameGroup { group, name } => {
                app.rename_group(group, &name).map_err(said)?;
                show::line(&format!("group {group} is {}", clean(&name)));
            }
            Command::DeleteGroup(group) => {
                app.delete_group(group).map_err(said)?;
                show::line(&format!("group {group} is gone; its friends are in group 1"));
            }
            Command::Move { number, group } => {
                app.move_friend(number, group).map_err(said)?;
                show::line(&format!("{} is in group {group}", person(app, number)));
            }
            _ => unreachable!("run() passes on only what changes the list"),
        }
        Ok(())
    }

    fn client(&self) -> Result<Arc<Client>, String> {
        self.engine.client().map_err(|error| self.said(error))
    }

    fn me(&self) -> Result<u32, String> {
        self.client()?.number().ok_or_else(|| self.said(Error::NotSignedIn))
    }

    fn found(&self, people: &[oicq::client::Person]) {
        people.iter().for_each(|person| self.engine.learn(person.number, &person.nickname));
        show::people(people);
    }

    fn said(&self, error: Error) -> String {
        self.engine.words(&error)
    }

    fn say(&self, number: u32, text: &str) -> Result<(), String> {
        self.me()?;
        self.engine.say(Recipient::User(number), text).map(drop)
    }

    fn password(&self, question: &str, new: bool) -> Result<String, String> {
        match &self.password {
            Some(password) => Ok(password.clone()),
            None => input::password(question, new),
        }
    }

    fn sign_up(&mut self, full: bool, invite: Option<String>) -> Result<(), String> {
        let nickname = input::ask("Nickname")?;
        let password = self.password("Password", true)?;
        let mut profile = OwnedProfile::new(&nickname, &password);
        if full {
            for (field, question) in fields::questions() {
                let answer = input::ask(&format!("{question}, or nothing"))?;
                if !answer.is_empty() {
                    fields::set(&mut profile, field, &answer)?;
                }
            }
        }
        let number = self.register(&profile, invite)?;
        show::line(&format!("your number is {number}: keep it, it is how you sign in"));
        let groups = self.engine.sign_in(number, &Secret::Password(password), false);
        self.entered(number, groups)
    }

    /// Registers; a person is asked for a code where the server wants one, and again if it is not good.
    fn register(&self, profile: &OwnedProfile, mut invite: Option<String>) -> Result<u32, String> {
        loop {
            match self.engine.sign_up(profile, invite.as_deref()) {
                Err(Error::Refused { code, text }) if notice::wants_invite(code, &text) => {
                    if !input::is_terminal() {
                        return Err(format!("{}; the form is: sign up [full] invite CODE", clean(&text)));
                    }
                    show::line(&text);
                    invite = Some(input::ask("Invite code, or nothing to stop")?).filter(|code| !code.is_empty());
                    if invite.is_none() {
                        return Err("nobody was signed up".into());
                    }
                }
                result => return result.map_err(|error| self.said(error)),
            }
        }
    }

    fn sign_in(&mut self, number: Option<u32>, hidden: bool) -> Result<(), String> {
        let number = match number.or(self.number) {
            Some(number) => number,
            None if input::is_terminal() => {
                let answer = input::ask("Number")?;
                answer.parse().map_err(|_| format!("'{answer}' is not a service number, like 10001"))?
            }
            None => return Err("say which number: sign in NUMBER".into()),
        };
        // A password that was given says more than a token that was kept.
        if self.by_token
            && self.password.is_none()
            && let Some(token) = self.engine.keep.token(number)
        {
            match self.engine.sign_in(number, &Secret::Token(token), hidden) {
                Err(Error::Refused { code: WRONG, .. }) => self.engine.keep.forget_token(number),
                result => return self.entered(number, result),
            }
        }
        let password = self.password("Password", false)?;
        let groups = self.engine.sign_in(number, &Secret::Password(password), hidden);
        self.entered(number, groups)
    }

    fn entered(&mut self, number: u32, groups: Result<Vec<Group>, Error>) -> Result<(), String> {
        let groups = groups.map_err(|error| match error {
            Error::Refused { code, text } => {
                let text = if text.is_empty() { reason(code).to_owned() } else { clean(&text) };
                format!("{number} was not signed in: {text}")
            }
            other => self.said(other),
        })?;
        if self.number.replace(number) != Some(number) {
            self.partner = None;
        }
        let friends: Vec<_> = groups.iter().flat_map(|group| &group.friends).collect();
        let present = friends.iter().filter(|friend| friend.status != Status::Offline).count();
        show::line(&format!("signed in as {number}: {} friends, {present} of them here", friends.len()));
        Ok(())
    }

    fn set_partner(&mut self, partner: Option<u32>) {
        self.partner = partner;
        match partner {
            Some(number) => show::line(&format!("plain lines go to {}", person(&self.engine, number))),
            None => show::line("plain lines go to nobody"),
        }
    }

    fn view(&self, number: u32) -> Result<(), String> {
        let profile = self.client()?.view(number).map_err(|error| self.said(error))?;
        self.engine.learn(number, &profile.nickname);
        show::line(&format!("{:<13} {number}", "number"));
        for (field, value) in fields::lines(&profile) {
            show::line(&format!("{field:<13} {}", clean(&value)));
        }
        Ok(())
    }

    fn set(&mut self, field: String, value: String) -> Result<(), String> {
        self.me()?;
        if field == "password" {
            if !value.is_empty() {
                return Err("say only `set password`: old and new are asked for, and not shown".into());
            }
            return self.set_password();
        }
        self.engine.change_profile(&[(field.clone(), value)]).map_err(|why| self.engine.unchanged(why))?;
        show::line(&format!("your {field} is changed"));
        Ok(())
    }

    fn set_password(&mut self) -> Result<(), String> {
        let old = self.password("Present password", false)?;
        let new = input::password("New password", true)?;
        self.engine.change_password(&old, &new).map_err(|why| match why {
            Unchanged::Refused(Error::Refused { code: WRONG, .. }) => {
                "the present password is another one; nothing was changed".into()
            }
            why => self.engine.unchanged(why),
        })?;
        // The one that was given is good no more.
        self.password = self.password.take().map(|_| new);
        show::line("your password is changed: all other sessions and tokens of yours have ended");
        Ok(())
    }

    fn send(&self, number: u32, path: &str) -> Result<(), String> {
        let (_, name, size) = self.engine.offer(number, Path::new(path))?;
        show::line(&format!("{name} ({size} bytes) is offered to {}", person(&self.engine, number)));
        Ok(())
    }
}

fn add_outcome(number: u32, outcome: AddOutcome) -> String {
    match outcome {
        AddOutcome::Done => format!("{number} is your friend"),
        AddOutcome::NeedsAuthorization => format!("{number} wants to be asked first: ask {number} REASON"),
        AddOutcome::Nobody => format!("{number} lets nobody add them"),
        AddOutcome::NeedsAuthorizationOffline => {
            format!(
                "{number} wants to be asked first, and is offline: ask {number} REASON, and the answer may take a while"
            )
        }
    }
}
