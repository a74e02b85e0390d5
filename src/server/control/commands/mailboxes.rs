//! What operators do with mailboxes: they see who fills them, never a text, and take out what somebody has left.

use super::{Done, Office, Show, commit, say};
use crate::limits::MAILBOX_PAGE;
use crate::store::{Change, MailView, Request, Utc};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

/// Messages of one sender, or of all.
#[derive(Debug, Default)]
struct Heap {
    messages: u64,
    bytes: u64,
    oldest_ms: u64,
    newest_ms: u64,
}

impl Heap {
    fn add(&mut self, mail: &MailView) {
        self.oldest_ms = if self.messages == 0 { mail.time_ms } else { self.oldest_ms.min(mail.time_ms) };
        self.newest_ms = self.newest_ms.max(mail.time_ms);
        self.messages += 1;
        self.bytes += u64::from(mail.bytes);
    }

    fn words(&self) -> String {
        let Self { messages, bytes, oldest_ms, newest_ms } = self;
        format!("{messages} messages, {bytes} bytes, from {} to {}", Utc(*oldest_ms), Utc(*newest_ms))
    }
}

/// How much is in a mailbox: in all, and of each sender, those with most first.
pub fn show(office: &mut dyn Office, number: u32, show: Show<'_>) -> Done {
    super::account(office, number)?;
    let (mut all, mut senders) = (Heap::default(), BTreeMap::<u32, Heap>::new());
    let visited = office.accounts().mailbox(number, &mut |mail| {
        all.add(&mail);
        senders.entry(mail.from).or_default().add(&mail);
        ControlFlow::Continue(())
    });
    visited.map_err(|error| error.to_string())?;
    if all.messages == 0 {
        return say(show, &format!("the mailbox of {number} is empty"));
    }
    say(show, &format!("mailbox of {number}: {}", all.words()))?;
    let mut senders: Vec<(u32, Heap)> = senders.into_iter().collect();
    senders.sort_by_key(|(from, heap)| (std::cmp::Reverse(heap.messages), *from));
    senders.iter().try_for_each(|(from, heap)| say(show, &format!("{from}  {}", heap.words())))
}

/// Deletes what is in a mailbox, or what one sender has left there.
pub fn purge(office: &mut dyn Office, number: u32, from: Option<u32>, show: Show<'_>) -> Done {
    super::account(office, number)?;
    let gone = take_out(office, &mut |office, visit| {
        office.accounts().mailbox(number, &mut |mail| match from {
            Some(from) if mail.from != from => ControlFlow::Continue(()),
            _ => visit(mail),
        })
    })?;
    say(show, &format!("{gone} messages are deleted from the mailbox of {number}"))
}

/// Deletes what somebody has left in all mailboxes.
pub fn purge_sender(office: &mut dyn Office, from: u32, show: Show<'_>) -> Done {
    let gone = take_out(office, &mut |office, visit| office.accounts().mail_from(from, visit))?;
    say(show, &format!("{gone} messages of {from} are deleted from the mailboxes of others"))
}

/// Called with each message that is to go; it says whether to go on.
type Visit<'a> = &'a mut dyn FnMut(MailView) -> ControlFlow<()>;

/// Deletes the messages that `find` shows, some at a time: nobody waits for a long purge.
fn take_out(
    office: &mut dyn Office,
    find: &mut dyn FnMut(&dyn Office, Visit<'_>) -> io::Result<()>,
) -> Result<usize, String> {
    // What comes while it is done is not looked for.
    let mut found = BTreeMap::<u32, Vec<u64>>::new();
    let visited = find(office, &mut |mail| {
        found.entry(mail.owner).or_default().push(mail.seq);
        ControlFlow::Continue(())
    });
    visited.map_err(|error| error.to_string())?;
    let mut gone = 0;
    for (owner, places) in found {
        for some in places.chunks(MAILBOX_PAGE) {
            commit(office, Request::Commit(vec![Change::DeleteMailAt(owner, some.to_vec())]))?;
            gone += some.len();
        }
    }
    Ok(gone)
}
