//! What a user can ask for, one method each.

use super::{Client, Receipt};
use crate::client::core::{Recipient, Secret, Unsent};
use crate::client::error::Error;
use crate::client::event::{AddOutcome, Group, Person, Reply, Status};
use crate::client::profile::OwnedProfile;
use crate::limits::FILE_PIECE_BYTES;
use crate::wire::{List, Move, User, check_password};
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file of which nothing arrives for so long is given up.
const FILE_STALLED: Duration = Duration::from_secs(30);

impl Client {
    /// Registers a new user and gives its number. It is not signed in by that.
    pub fn register(&self, profile: &OwnedProfile) -> Result<u32, Error> {
        self.enlist(profile, None)
    }

    /// The same where registration is by invitation: with the code that the operator has given.
    pub fn register_invited(&self, profile: &OwnedProfile, invite: &str) -> Result<u32, Error> {
        self.enlist(profile, Some(invite))
    }

    fn enlist(&self, profile: &OwnedProfile, invite: Option<&str>) -> Result<u32, Error> {
        match self.shared.call(|core, now| core.register(now, profile, invite))? {
            Reply::Registered(number) => Ok(number),
            other => Err(unexpected(&other)),
        }
    }

    /// Signs in, hidden if asked, and gives the friend list. Stored messages follow as events, and so does a token that
    /// signs in the next time: [`Event::Token`](crate::client::Event::Token).
    pub fn sign_in(&self, number: u32, password: &str, hidden: bool) -> Result<Vec<Group>, Error> {
        self.enter(number, &Secret::Password(password.to_owned()), hidden)
    }

    /// Signs in with a token from an earlier sign-in.
    pub fn sign_in_with_token(&self, number: u32, token: &str, hidden: bool) -> Result<Vec<Group>, Error> {
        self.enter(number, &Secret::Token(token.to_owned()), hidden)
    }

    fn enter(&self, number: u32, secret: &Secret, hidden: bool) -> Result<Vec<Group>, Error> {
        match self.shared.call(|core, now| core.sign_in(now, number, secret, hidden))? {
            Reply::SignedIn(groups) => Ok(groups),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends words to one user. They are held, and sent again over reconnections, until the server has answered for them:
    /// the receipt says how.
    pub fn message(&self, to: u32, text: &str) -> Result<Receipt, Error> {
        self.say(Recipient::User(to), text)
    }

    /// Sends words to every friend in a group; 0 is all groups. Each recipient has a receipt of its own, which comes as
    /// [`Event::Receipt`](crate::client::Event::Receipt) with the id of the one that is given here.
    pub fn broadcast(&self, group: u8, text: &str) -> Result<Receipt, Error> {
        self.say(Recipient::Group(group), text)
    }

    fn say(&self, to: Recipient, text: &str) -> Result<Receipt, Error> {
        let id = self.shared.with(|state, now| {
            if state.closed {
                return Err(Error::Closed);
            }
            let id = state.core.message(now, to, text)?;
            state.core.watch(id);
            Ok(id)
        })?;
        Ok(Receipt::new(id, Arc::clone(&self.shared)))
    }

    /// The id that the next message gets, for a program that writes a message down before it sends it by
    /// [`hold`](Self::hold).
    pub fn next_id(&self) -> u64 {
        self.shared.lock().core.next_id()
    }

    /// Takes a message that has been written down with an id of its own, from [`next_id`](Self::next_id) or of an earlier
    /// run. It goes out when its sender is signed in, who need not be so yet; what becomes of it comes as
    /// [`Event::Receipt`](crate::client::Event::Receipt).
    pub fn hold(&self, message: Unsent) -> Result<(), Error> {
        self.shared.with(|state, now| if state.closed { Err(Error::Closed) } else { state.core.hold(now, message) })
    }

    /// Reads a profile.
    pub fn view(&self, friend: u32) -> Result<OwnedProfile, Error> {
        match self.call(&User::View { me: self.me()?, friend })? {
            Reply::Profile(_, profile) => Ok(*profile),
            other => Err(unexpected(&other)),
        }
    }

    /// Changes one's profile: all of it, but for the password.
    pub fn update(&self, profile: &OwnedProfile) -> Result<(), Error> {
        self.done(&profile.as_update(self.me()?, None))
    }

    /// Changes one's profile and the password with it: `profile` has the new one. Every other session of this user ends, and
    /// every other token. [`Error::Refused`] with code 3 says that `old` is not the present password.
    pub fn change_password(&self, profile: &OwnedProfile, old: &str) -> Result<(), Error> {
        check_password(&profile.password).map_err(|fault| Error::Invalid(fault.to_string()))?;
        self.done(&profile.as_update(self.me()?, Some(old)))
    }

    /// Adds a group and gives its number.
    pub fn add_group(&self, name: &str) -> Result<u8, Error> {
        match self.call(&User::AddGroup { me: self.me()?, name })? {
            Reply::Group(group, _) => Ok(group),
            other => Err(unexpected(&other)),
        }
    }

    /// Renames a group.
    pub fn rename_group(&self, group: u8, name: &str) -> Result<(), Error> {
        self.done(&User::RenameGroup { me: self.me()?, group, name })
    }

    /// Deletes a group. Its friends move to group 1.
    pub fn delete_group(&self, group: u8) -> Result<(), Error> {
        self.done(&User::DeleteGroup { me: self.me()?, group })
    }

    /// Moves friends to groups: all of them, or none if one cannot be moved.
    pub fn move_friends(&self, moves: &[(u32, u8)]) -> Result<(), Error> {
        let moves: Vec<Move> = moves.iter().map(|&(friend, group)| Move { friend, group }).collect();
        self.done(&User::MoveFriends { me: self.me()?, moves: List::new(&moves) })
    }

    /// Who is online, `count` of them beyond `start`: larger numbers, or smaller ones where `downwards`.
    pub fn online(&self, start: u32, count: u8, downwards: bool) -> Result<Vec<Person>, Error> {
        let direction = if downwards { 1 } else { 2 };
        self.people(&User::Online { me: self.me()?, start, count, direction })
    }

    /// Searches the users (protocol.md 4.1).
    pub fn search(&self, sql: &str) -> Result<Vec<Person>, Error> {
        self.people(&User::Search { me: self.me()?, sql })
    }

    /// Adds a friend, or tells that they want to be asked.
    pub fn add_friend(&self, friend: u32) -> Result<AddOutcome, Error> {
        match self.call(&User::AddFriend { me: self.me()?, friend })? {
            Reply::Added(_, outcome) => Ok(outcome),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks somebody for authorization. Their answer comes as [`Event::AskAnswered`](crate::client::Event::AskAnswered).
    pub fn ask(&self, friend: u32, reason: &str) -> Result<(), Error> {
        self.done(&User::Ask { me: self.me()?, friend, reason })
    }

    /// Answers somebody's request for authorization.
    pub fn answer(&self, friend: u32, agree: bool) -> Result<(), Error> {
        self.done(&User::Answer { me: self.me()?, friend, agree: agree.into() })
    }

    /// Deletes a friend from the list.
    pub fn delete_friend(&self, friend: u32) -> Result<(), Error> {
        self.done(&User::DeleteFriend { me: self.me()?, friend })
    }

    /// Ends the session, so that others see one offline at once. The token stays good: it signs in the next time.
    pub fn leave(&self) -> Result<(), Error> {
        match self.shared.call(|core, now| core.leave(now))? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Changes one's status; [`Status::Offline`] signs out, and the tokens of the session are good no more.
    pub fn set_status(&self, status: Status) -> Result<(), Error> {
        match self.call(&User::SetStatus { me: self.me()?, status: status.code() })? {
            Reply::Status(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks the server whether it is there: everything sent before has reached it when it answers.
    pub fn test(&self) -> Result<(), Error> {
        self.done(&User::Test { me: self.me()? })
    }

    /// Monitors the conversations of `target`; 0 stops. Only for accounts to which the operator has granted it.
    pub fn monitor(&self, target: u32) -> Result<(), Error> {
        self.done(&User::Monitor { me: self.me()?, target })
    }

    /// Offers a file, and gives the number of the offer: several can stand between the same two people. The answer comes as
    /// [`Event::FileAnswered`](crate::client::Event::FileAnswered).
    pub fn offer_file(&self, friend: u32, name: &str, size: u32) -> Result<u32, Error> {
        let offer = self.next_offer();
        self.offer_file_as(offer, friend, name, size)?;
        Ok(offer)
    }

    /// The number for the next offer of a file, for a program that must know it before the answer can come.
    pub fn next_offer(&self) -> u32 {
        self.shared.lock().core.next_offer()
    }

    /// Offers a file under a number from [`next_offer`](Self::next_offer).
    pub fn offer_file_as(&self, offer: u32, friend: u32, name: &str, size: u32) -> Result<(), Error> {
        self.done(&User::OfferFile { me: self.me()?, friend, name, size, offer: Some(offer) })
    }

    /// Whether the server knows of a file for `friend` that was offered here, or is being sent. One that was started anew
    /// has forgotten it, and it must be offered again.
    pub fn is_offering(&self, friend: u32, offer: u32) -> bool {
        self.shared.lock().core.file_room(friend, offer).is_some()
    }

    /// Answers an offer. If it is allowed, the pieces come as [`Event::FilePiece`](crate::client::Event::FilePiece).
    pub fn answer_file(&self, friend: u32, offer: u32, allow: bool) -> Result<(), Error> {
        self.done(&User::AnswerFile { me: self.me()?, friend, allow: allow.into(), offer: Some(offer) })
    }

    /// Takes nothing more of the file that `friend` sends, because it cannot be kept. A piece counts as arrived when its
    /// event is taken: whoever writes it first, from [`Events::peek`](crate::client::Events::peek), and stops when that
    /// fails, never makes a sender believe that all is there.
    pub fn stop_file(&self, friend: u32, offer: u32) {
        self.shared.lock().core.stop_file(friend, offer);
    }

    /// Refuses anything from `other`, or accepts it again.
    pub fn block(&self, other: u32, on: bool) -> Result<(), Error> {
        self.done(&User::Block { me: self.me()?, other, on: on.into() })
    }

    /// Sends `size` bytes of a file whose offer was accepted, never further ahead than the receiver follows, and tells
    /// `progress` how many have arrived. It returns when all have. If the session under it ends, so does the transfer,
    /// with [`Error::Unknown`].
    pub fn send_file(
        &self,
        friend: u32,
        offer: u32,
        size: u32,
        file: &mut dyn Read,
        progress: &mut dyn FnMut(u32),
    ) -> Result<(), Error> {
        let result = self.send_pieces(friend, offer, size, file, progress);
        self.shared.lock().core.finish_file(friend, offer);
        result
    }

    fn send_pieces(
        &self,
        friend: u32,
        offer: u32,
        size: u32,
        file: &mut dyn Read,
        progress: &mut dyn FnMut(u32),
    ) -> Result<(), Error> {
        let mut piece = vec![0; FILE_PIECE_BYTES];
        let (mut sent, mut confirmed, mut moved) = (0, 0, Instant::now());
        while confirmed < size {
            let (room, arrived) = {
                let state = self.shared.lock();
                if state.closed {
                    return Err(Error::Closed);
                }
                (state.core.file_room(friend, offer), state.core.file_confirmed(friend, offer))
            };
            let (Some(room), Some(arrived)) = (room, arrived) else { return Err(Error::Unknown) };
            if arrived > confirmed {
                (confirmed, moved) = (arrived, Instant::now());
                progress(confirmed);
                continue;
            }
            let length = piece.len().min(room as usize).min((size - sent) as usize);
            if length > 0 {
                file.read_exact(&mut piece[..length])?;
                self.shared.with(|state, now| state.core.piece(now, friend, offer, &piece[..length]))?;
                sent += length as u32;
                moved = Instant::now();
                continue;
            }
            if moved.elapsed() >= FILE_STALLED {
                return Err(Error::Timeout);
            }
            let state = self.shared.lock();
            let unchanged = state.core.file_room(friend, offer) == Some(room)
                && state.core.file_confirmed(friend, offer) == Some(arrived);
            if unchanged && !state.closed {
                drop(self.shared.wait(state, Some(moved + FILE_STALLED)));
            }
        }
        Ok(())
    }

    fn me(&self) -> Result<u32, Error> {
        self.number().ok_or(Error::NotSignedIn)
    }

    fn people(&self, frame: &User<'_>) -> Result<Vec<Person>, Error> {
        match self.call(frame)? {
            Reply::People(people) => Ok(people),
            other => Err(unexpected(&other)),
        }
    }

    fn done(&self, frame: &User<'_>) -> Result<(), Error> {
        self.call(frame).map(|_| ())
    }

    fn call(&self, frame: &User<'_>) -> Result<Reply, Error> {
        self.shared.call(|core, now| core.request(now, frame))
    }
}

fn unexpected(reply: &Reply) -> Error {
    unreachable!("the core matches each answer to its request, and this is none: {reply:?}")
}
