//! Changes of the friend list: at the server, and then in the book.

use super::Engine;
use oicq::client::{Error, Group};
use std::sync::Arc;

impl Engine {
    /// Takes a friend out of the list.
    pub fn delete_friend(self: &Arc<Self>, number: u32) -> Result<(), Error> {
        self.client()?.delete_friend(number)?;
        self.book().remove(number);
        Ok(())
    }

    /// Adds a group, and gives its number.
    pub fn add_group(self: &Arc<Self>, name: &str) -> Result<u8, Error> {
        let number = self.client()?.add_group(name)?;
        self.book().groups.push(Group { number, name: name.to_owned(), friends: Vec::new() });
        Ok(number)
    }

    /// Gives a group another name.
    pub fn rename_group(self: &Arc<Self>, group: u8, name: &str) -> Result<(), Error> {
        self.client()?.rename_group(group, name)?;
        if let Some(group) = self.book().group_mut(group) {
            group.name = name.to_owned();
        }
        Ok(())
    }

    /// Deletes a group; its friends move to group 1.
    pub fn delete_group(self: &Arc<Self>, group: u8) -> Result<(), Error> {
        self.client()?.delete_group(group)?;
        self.book().remove_group(group);
        Ok(())
    }

    /// Puts a friend into another group.
    pub fn move_friend(self: &Arc<Self>, number: u32, group: u8) -> Result<(), Error> {
        self.client()?.move_friends(&[(number, group)])?;
        self.book().move_to(number, group);
        Ok(())
    }
}
