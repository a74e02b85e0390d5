//! One's own account: signing up, the profile, and the password.

use super::Engine;
use crate::fields;
use oicq::client::{Error, OwnedProfile};
use std::sync::Arc;

/// Why one's profile is as it was.
#[derive(Debug)]
pub enum Unchanged {
    /// The server says so, or cannot be asked.
    Refused(Error),
    /// A value is none of this field; the text says what would be right.
    Wrong(String),
    /// Who may add this user goes with every change, and the server tells it to nobody: it must be said first.
    WhoMayAdd,
}

impl From<Error> for Unchanged {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Engine {
    /// Signs up, with an invite code where that is needed, and gives the number. What is not told by the server is kept.
    pub fn sign_up(self: &Arc<Self>, profile: &OwnedProfile, invite: Option<&str>) -> Result<u32, Error> {
        let client = self.client()?;
        let number = match invite {
            Some(code) => client.register_invited(profile, code)?,
            None => client.register(profile)?,
        };
        // Another program may have this number already, of an earlier server at this place: then it is told at the sign-in.
        if self.be(number).is_ok() {
            self.set_authorization(profile.authorization);
            self.learn(number, &profile.nickname);
        }
        Ok(number)
    }

    /// Changes fields of one's profile, all or none.
    pub fn change_profile(self: &Arc<Self>, changes: &[(String, String)]) -> Result<(), Unchanged> {
        let mut profile = self.profile_to_change(changes.iter().any(|(field, _)| field == fields::AUTHORIZATION))?;
        changes
            .iter()
            .try_for_each(|(field, value)| fields::set(&mut profile, field, value))
            .map_err(Unchanged::Wrong)?;
        self.client()?.update(&profile)?;
        self.changed(&profile);
        Ok(())
    }

    /// Changes the password.
    pub fn change_password(self: &Arc<Self>, old: &str, new: &str) -> Result<(), Unchanged> {
        let mut profile = self.profile_to_change(false)?;
        new.clone_into(&mut profile.password);
        self.client()?.change_password(&profile, old)?;
        self.changed(&profile);
        Ok(())
    }

    /// One's profile as it is: the protocol only knows whole ones.
    fn profile_to_change(self: &Arc<Self>, says_who_may_add: bool) -> Result<OwnedProfile, Unchanged> {
        let client = self.client()?;
        let mut profile = client.view(client.number().ok_or(Error::NotSignedIn)?)?;
        match self.authorization() {
            Some(authorization) => profile.authorization = authorization,
            None if says_who_may_add => {}
            None => return Err(Unchanged::WhoMayAdd),
        }
        Ok(profile)
    }

    fn changed(&self, profile: &OwnedProfile) {
        self.set_authorization(profile.authorization);
        if let Some(me) = self.me() {
            self.learn(me, &profile.nickname);
        }
    }

    /// Why nothing was changed, in words for lines and scripts.
    pub fn unchanged(&self, why: Unchanged) -> String {
        match why {
            Unchanged::Refused(error) => self.words(&error),
            Unchanged::Wrong(text) => text,
            Unchanged::WhoMayAdd => {
                let choices = fields::meaning(fields::AUTHORIZATION);
                format!("first set authorization, which the server tells nobody and takes with every change: {choices}")
            }
        }
    }
}
