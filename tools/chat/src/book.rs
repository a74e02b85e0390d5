//! What is known about people: the friend list as it is now, and names that were learned on the way.

use oicq::client::{Friend, Group, Status};
use oicq::limits::FIRST_GROUP;
use std::collections::HashMap;

/// What is known about people.
#[derive(Default)]
pub struct Book {
    /// One's own list, as the server sent it and with what has changed since.
    pub groups: Vec<Group>,
    names: HashMap<u32, String>,
}

impl Book {
    /// Takes the list of a sign-in.
    pub fn open(&mut self, groups: Vec<Group>) {
        self.names.extend(
            groups.iter().flat_map(|group| &group.friends).map(|friend| (friend.number, friend.nickname.clone())),
        );
        self.groups = groups;
    }

    /// The name of someone, if it is known.
    pub fn name(&self, number: u32) -> Option<&str> {
        self.names.get(&number).map(String::as_str)
    }

    /// Notes a name.
    pub fn learn(&mut self, number: u32, name: &str) {
        self.names.insert(number, name.to_owned());
    }

    /// Puts a new friend into group 1, or renews what is known.
    pub fn add(&mut self, friend: Friend) {
        self.learn(friend.number, &friend.nickname);
        if let Some(known) = self.friend_mut(friend.number) {
            *known = friend;
        } else if let Some(group) = self.group_mut(FIRST_GROUP) {
            group.friends.push(friend);
        }
    }

    /// Notes a friend's status.
    pub fn set_status(&mut self, number: u32, status: Status) {
        if let Some(friend) = self.friend_mut(number) {
            friend.status = status;
        }
    }

    /// Takes a friend out of the list.
    pub fn remove(&mut self, number: u32) -> Option<Friend> {
        self.groups.iter_mut().find_map(|group| {
            let at = group.friends.iter().position(|friend| friend.number == number)?;
            Some(group.friends.remove(at))
        })
    }

    /// Moves a friend to a group.
    pub fn move_to(&mut self, number: u32, group: u8) {
        if self.group_mut(group).is_some()
            && let Some(friend) = self.remove(number)
            && let Some(group) = self.group_mut(group)
        {
            group.friends.push(friend);
        }
    }

    /// Deletes a group; its friends move to group 1.
    pub fn remove_group(&mut self, number: u8) {
        let Some(at) = self.groups.iter().position(|group| group.number == number) else { return };
        let friends = self.groups.remove(at).friends;
        if let Some(first) = self.group_mut(FIRST_GROUP) {
            first.friends.extend(friends);
        }
    }

    /// Everybody in a group; 0 is all groups.
    pub fn members(&self, group: u8) -> Vec<u32> {
        let groups = self.groups.iter().filter(|known| group == 0 || known.number == group);
        groups.flat_map(|group| &group.friends).map(|friend| friend.number).collect()
    }

    /// The group of this number.
    pub fn group_mut(&mut self, number: u8) -> Option<&mut Group> {
        self.groups.iter_mut().find(|group| group.number == number)
    }

    fn friend_mut(&mut self, number: u32) -> Option<&mut Friend> {
        self.groups.iter_mut().flat_map(|group| &mut group.friends).find(|friend| friend.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_follows_what_happens() {
        let friend = |number| Friend { number, nickname: format!("n{number}"), portrait: 0, status: Status::Offline };
        let group = |number| Group { number, name: String::new(), friends: Vec::new() };
        let mut book = Book::default();
        book.open(vec![group(1), group(2)]);
        book.add(friend(10_001));
        book.add(friend(10_002));
        book.move_to(10_001, 2);
        book.move_to(10_002, 99);
        book.set_status(10_001, Status::Online);
        assert_eq!(book.groups[1].friends[0].status, Status::Online);
        assert_eq!((book.groups[0].friends.len(), book.name(10_001)), (1, Some("n10001")));
        assert_eq!((book.members(2), book.members(0)), (vec![10_001], vec![10_002, 10_001]));
        book.remove_group(2);
        assert_eq!(book.groups[0].friends.len(), 2);
        book.remove(10_002);
        assert_eq!(book.groups[0].friends[0].number, 10_001);
    }
}
