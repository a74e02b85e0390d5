//! Texts that many have got at once. Each is kept once, as long as a mailbox has a message with it.

use super::{Plan, Planned};
use crate::store::index::Lookup;
use crate::store::key;
use crate::store::{Mail, Text, read};

impl<I: Lookup> Plan<'_, I> {
    /// The record of a message that is added. The text of a broadcast is kept apart.
    pub(super) fn record(&mut self, mail: &Mail) -> Planned<Vec<u8>> {
        let Text::Shared(text) = &mail.text else { return Ok(mail.encode()) };
        let key = key::text(mail.from, mail.id);
        match self.draft.look(self.index, key, |kept| kept == text.as_bytes())? {
            Some(true) => {}
            None => self.draft.put(key, text.as_bytes()),
            // The sender has used the id for two texts.
            Some(false) => return Ok(mail.encode()),
        }
        let uses = self.text_uses(mail.from, mail.id)? + 1;
        self.draft.put(key::text_uses(mail.from, mail.id), uses.to_be_bytes());
        Ok(mail.encode_reference())
    }

    /// A message that had this text is gone; with the last of them the text goes.
    pub(super) fn release_text(&mut self, from: u32, id: u64) -> Planned<()> {
        match self.text_uses(from, id)? {
            0 | 1 => {
                self.delete(key::text(from, id))?;
                self.delete(key::text_uses(from, id))
            }
            uses => {
                self.draft.put(key::text_uses(from, id), (uses - 1).to_be_bytes());
                Ok(())
            }
        }
    }

    fn text_uses(&self, from: u32, id: u64) -> Planned<u32> {
        let uses =
            self.draft.look(self.index, key::text_uses(from, id), |value| value.try_into().map(u32::from_be_bytes))?;
        Ok(uses.transpose().map_err(|_| read::malformed())?.unwrap_or(0))
    }
}
