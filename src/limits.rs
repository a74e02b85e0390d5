//! Every bound of the system in one place, each with its reason. Relations between them are asserted at compile time.

use std::time::Duration;

// ---- frames (protocol.md 1.1, 1.2)

/// Bytes of a frame header: lead, sender, receiver, type, length (protocol.md 1.2).
pub const HEADER_BYTES: usize = 8;
/// Largest content of a frame, in bytes (protocol.md 1.2). With the header it fits one UDP datagram.
pub const CONTENT_BYTES: usize = 60_000;
/// Largest frame, in bytes.
pub const FRAME_BYTES: usize = HEADER_BYTES + CONTENT_BYTES;

// ---- the link (protocol.md 2)

/// Largest datagram of the link, which fits any path that IPv6 allows (protocol.md 2.1).
pub const DATAGRAM_BYTES: usize = 1_232;
/// A hello is padded to at least so much, so that its answer is never longer (protocol.md 2.1).
pub const HELLO_BYTES: usize = 256;
/// Header of a data packet: header, number, session, counter. It is authenticated with the rest (protocol.md 2.3).
pub const DATA_HEADER_BYTES: usize = HEADER_BYTES + 4 + 4 + 8;
/// The tag of AES-GCM.
pub const TAG_BYTES: usize = 16;
/// An ack record.
pub const ACK_BYTES: usize = 1 + 4 + 8 + 2 + 2;
/// A segment record without its bytes.
pub const SEGMENT_HEADER_BYTES: usize = 1 + 4 + 1 + 2;
/// Bytes of a frame in one segment: with an ack before it the datagram is full.
pub const SEGMENT_BYTES: usize = DATAGRAM_BYTES - DATA_HEADER_BYTES - ACK_BYTES - SEGMENT_HEADER_BYTES - TAG_BYTES;
/// A challenge or a response: the type and the nonce.
pub const NONCE_BYTES: usize = 1 + 8;
/// How often a client answers one challenge at most: with doubling pauses that takes half a minute's third.
pub const RESPONSES: u8 = 5;
/// How long an address may take to prove itself before what waits goes to the last one again that has. Its answer is good
/// later, too.
pub const PROOF: Duration = Duration::from_secs(1);
/// The smallest packet that challenges an address.
pub const CHALLENGE_PACKET_BYTES: usize = DATA_HEADER_BYTES + NONCE_BYTES + TAG_BYTES;
// Whatever a client says, an ack or a response alone, the answer with a challenge is no longer than it.
const _: () = assert!(CHALLENGE_PACKET_BYTES <= DATA_HEADER_BYTES + ACK_BYTES + TAG_BYTES);
// The answer to a padded connection test holds a challenge, an ack, the test's reply and a close without words.
const _: () = assert!(CHALLENGE_PACKET_BYTES + ACK_BYTES + 3 + HEADER_BYTES + 4 + 4 <= TEST_BYTES);
/// Segments that may be unacknowledged, and so those beyond a gap that are kept (protocol.md 2.4).
pub const SEGMENTS_IN_FLIGHT: usize = 64;
/// Counters that the replay window tells apart (protocol.md 2.3).
pub const REPLAY_WINDOW: usize = 1_024;
/// A packet that tells a client that the server has started anew; the packet that it answers has at least as many
/// (protocol.md 2.5).
pub const RESUME_BYTES: usize = HEADER_BYTES + 4 + 4 + 16 + TAG_BYTES;
/// A kept session is told of the server's start at most so often while it does not answer.
pub const RESUME_PAUSE: Duration = Duration::from_secs(1);
/// A client pads a packet that holds only a connection test to so much, so that its answer is no longer.
pub const TEST_BYTES: usize = 128;
/// Starts of the server of which a client remembers what it has sent in them, so that no counter is used again under
/// their keys: more than a session sees in its two days.
pub const KNOWN_STARTS: usize = 64;
/// A client answers a proposed start at most so often: a replayed proposal costs one packet a second.
pub const RESUME_ANSWERS: Duration = Duration::from_secs(1);
/// How long a proposed start is kept in mind that nobody proposes again: twice the time between two connection tests.
pub const PROPOSAL: Duration = Duration::from_secs(60);
/// An ack goes out so long after its segment at the latest (protocol.md 2.4).
pub const ACK_DELAY: Duration = Duration::from_millis(10);
/// A segment unacknowledged for so long ends the link (protocol.md 2.4).
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(32);

const _: () = assert!(RESUME_BYTES == 48 && RESUME_BYTES <= DATA_HEADER_BYTES + ACK_BYTES + TAG_BYTES);
const _: () = assert!(SEGMENT_BYTES > 1_000 && SEGMENT_BYTES <= u16::MAX as usize);
// An ack names 64 segments beyond the first that is missing.
const _: () = assert!(SEGMENTS_IN_FLIGHT <= 64 && REPLAY_WINDOW.is_multiple_of(64));

// ---- strangers

/// The part of a bounded table that one address prefix may have is one in so many; from half of that on it has to prove its
/// address, where that is possible (protocol.md 2.2).
pub const PREFIX_SHARE: u32 = 16;
/// How many times as much as one address prefix all prefixes of an IPv6 /48 together may have: a large household or a small
/// firm has a /48, and whoever uses its 65,536 networks of /64 gains no more than this.
pub const PREFIXES_OF_SITE: u32 = 4;
const _: () = assert!(PREFIXES_OF_SITE < PREFIX_SHARE);

// ---- links of a server

/// Handshakes in progress in one shard, shared fairly. From half of it on, or of a prefix's share, addresses must prove
/// themselves by a cookie first. A forged flood then costs some 400 handshakes a second, a twentieth of a core.
pub const HANDSHAKES: usize = 4_096;
/// How long a handshake may take from the welcome to the first data packet.
pub const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often an address prefix is told in this time that there is no such session (protocol.md 2.2).
pub const UNKNOWN_PER_WINDOW: u32 = 10;
/// See [`UNKNOWN_PER_WINDOW`].
pub const UNKNOWN_WINDOW: Duration = Duration::from_secs(1);
/// Prefixes for which that is counted.
pub const UNKNOWN_PREFIXES: usize = 16_384;
/// Links of a shard by which nobody has signed in, shared fairly: the newest replaces one of the prefix that has most.
pub const ENTERING_LINKS: usize = 16_384;
/// Links of a shard that have just ended, shared fairly. Beyond it some leave without staying for a lost farewell.
pub const LEAVING: usize = 16_384;
/// How long a link may be there by which nobody signs in: time to type a password again.
pub const ENTERING: Duration = Duration::from_secs(60);
/// How long a link that has ended says so again to whoever missed it.
pub const FAREWELL: Duration = Duration::from_secs(30);
/// Links of a shard whose keys are kept prepared, two each: about three megabytes. The others cost 0.1 µs more a packet.
pub const CIPHERS: usize = 8_192;
/// Memory for what waits for one link, in flight or behind it. Beyond it the user is signed out: what is stored for them waits
/// in the mailbox.
pub const LINK_BACKLOG_BYTES: usize = 1024 * 1024;
/// The same for a link by which nobody has signed in: notices to somebody who does not read them, two refusals or so.
pub const ENTERING_BACKLOG_BYTES: usize = 1024;
/// Bytes of a frame that are kept of somebody who has not signed in while its last segment is still to come: the largest
/// registration has two segments. With the link itself that is less than two kilobytes.
pub const PARTIAL_BYTES: usize = 1_200;
const _: () = assert!(PARTIAL_BYTES >= SEGMENT_BYTES);
/// What a segment that waits or is in flight costs beside its bytes: its entry in a queue that may be half empty, and what
/// the allocator needs.
pub const SEGMENT_COST_BYTES: usize = 112;
/// Acks that a shard sends in a millisecond after a start. Each is answered, and its session woken and told about its
/// friends, at about 50 µs of a core; faster, answers would be dropped where they arrive, and a session whose answer is
/// lost sleeps until its next packet.
pub const KEPT_ACKS_PER_MS: u64 = 10;
/// Questions to the store that are open, above which those acks wait for a while: it cannot follow.
pub const KEPT_ACKS_QUESTIONS: usize = 64;
/// How long they wait.
pub const KEPT_ACKS_PAUSE: Duration = Duration::from_secs(1);
/// Timers that are handled together; then datagrams have their turn: a message does not wait for all the acks that are due
/// in its millisecond.
pub const TIMERS_TOGETHER: usize = 16;
/// Frames, and their bytes, that a kept session brings while its lists are read. More are the fault of the sender.
pub const WAKING_FRAMES: usize = 256;
/// See [`WAKING_FRAMES`].
pub const WAKING_BYTES: usize = 256 * 1024;
/// How often the address of one session is written to the store at most.
pub const SAVE_ADDRESS: Duration = Duration::from_secs(10);
/// A session is closed when it is so old: its keys have served long enough, and its client should have made fresh ones a
/// day ago (protocol.md 2.6).
pub const SESSION_AGE: Duration = Duration::from_secs(48 * 3600);
/// How long a token is good (protocol.md 2.6).
pub const TOKEN: Duration = Duration::from_secs(30 * 24 * 3600);

// Ages are counted in minutes, in 16 bits.
const _: () = assert!(SESSION_AGE.as_secs() / 60 < u16::MAX as u64 / 2);
const _: () = assert!(FAREWELL.as_secs() < IDLE.as_secs() && ENTERING.as_secs() < IDLE.as_secs());

// ---- custody of messages (protocol.md 3.3)

/// How long a message that was sent to somebody online waits for 0x41 before it is stored.
pub const CUSTODY_TIME: Duration = Duration::from_secs(1);
/// Messages sent over one link and not acknowledged by 0x41. More go into the mailbox, and from there when there is room.
pub const CUSTODY: usize = 1_024;
/// Bytes of their texts.
pub const CUSTODY_BYTES: usize = 512 * 1024;
/// Messages that wait for a session which the server has kept over its start, and has not heard of since.
pub const EARLY_MESSAGES: usize = 64;
/// Messages of a shard that are remembered as delivered, so that one which comes again is not sent again. What comes
/// later is told from a new one by its recipient; a larger table would not stay in the cache of a core.
pub const DELIVERED: usize = 4_096;
/// How far a sender of a file may be ahead of what its receiver has (protocol.md 3.2).
pub const FILE_AHEAD_BYTES: u32 = 262_144;

const _: () = assert!(CUSTODY / 4 + MAILBOX_PAGE <= CUSTODY);
const _: () = assert!(CUSTODY_BYTES / 4 + MAILBOX_PAGE_BYTES + FRAME_BYTES <= CUSTODY_BYTES);
// Messages in custody, the shortest too, and a file beside them are no reason to sign somebody out.
const _: () = assert!(
    LINK_BACKLOG_BYTES
        >= CUSTODY_BYTES
            + CUSTODY * (SEGMENT_COST_BYTES + 40)
            + FILE_AHEAD_BYTES as usize / SEGMENT_BYTES * (SEGMENT_BYTES + SEGMENT_COST_BYTES)
);

// ---- service numbers (protocol.md 1.3)

/// The lowest number of a user. Numbers are handed out upwards from here.
pub const FIRST_USER: u32 = 10_000;
/// The highest number of a user.
pub const LAST_USER: u32 = 0x7FFF_FFFF;
/// The lowest number of a guest.
pub const FIRST_GUEST: u32 = 0x8000_0000;

// ---- field lengths, in bytes (protocol.md 1.4, 1.5)

/// Longest nickname, real name, city or group name.
pub const NAME_BYTES: usize = 64;
/// Longest password.
pub const PASSWORD_BYTES: usize = 128;
/// Shortest password that can be set: with five failures a minute, guessing all of six letters takes a century. Shorter
/// ones that were set before stay good.
pub const PASSWORD_BYTES_LEAST: usize = 6;
/// Longest address, hobby or reason.
pub const SHORT_TEXT_BYTES: usize = 255;
/// Longest postcode.
pub const POSTCODE_BYTES: usize = 16;
/// Longest school or e-mail address.
pub const LINE_BYTES: usize = 128;
/// Longest telephone or pager number.
pub const PHONE_BYTES: usize = 32;
/// Longest introduction.
pub const INTRODUCTION_BYTES: usize = 1024;
/// Longest file name.
pub const FILE_NAME_BYTES: usize = 255;
/// Longest search (0x0B).
pub const QUERY_BYTES: usize = 1024;
/// Longest text of a message; the shortest is 1 (protocol.md 1.7).
pub const TEXT_BYTES: usize = 8_000;
/// Highest portrait: the friend list sends it as one byte (protocol.md 1.4).
pub const PORTRAIT_MAX: u16 = 255;

// ---- friends and groups (protocol.md 1.7)

/// Friends in one group: the friend list counts them in one byte.
pub const GROUP_FRIENDS: usize = 255;
/// Friends of one person, so that the largest friend list fits a frame.
pub const FRIENDS: usize = 700;
/// Groups of one person, group 1 included.
pub const GROUPS: usize = 64;
/// The group that exists from registration, "My Friends".
pub const FIRST_GROUP: u8 = 1;
/// How long a request for authorization stays open (protocol.md 1.7).
pub const ASK_OPEN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Open requests that one person can have waiting for an answer: enough for a popular person's week, and a stranger
/// with many accounts cannot fill the disk through them.
pub const ASKS_OPEN: usize = 1_000;
/// Users who are signing in, of whom a shard notes who has blocked them meanwhile. Of those beyond it the store knows, and
/// their next sign-in.
pub const BLOCKS_MEANWHILE: usize = 4_096;
/// People whom one person can block: more than anybody needs, and reading them is part of a sign-in.
pub const BLOCKS: usize = 1_000;

// The largest 0x02: header, ok, count, groups (name, number, count), friends (number, portrait, status, nickname).
const LARGEST_LIST: usize = 2 + GROUPS * (2 + NAME_BYTES + 2) + FRIENDS * (4 + 1 + 1 + 2 + NAME_BYTES);
// A token (2 + 43 bytes) is added over the link.
const _: () = assert!(LARGEST_LIST + 45 <= CONTENT_BYTES);

// ---- lists of people

/// Most users in one answer to "who is online": its count is one byte.
pub const ONLINE_USERS: usize = 255;
/// Most users in one answer to a search (protocol.md 1.6).
pub const SEARCH_USERS: usize = 50;
const LARGEST_USER: usize = 4 + (2 + NAME_BYTES) + 2 + 1 + (2 + NAME_BYTES);
const _: () = assert!(2 + ONLINE_USERS * LARGEST_USER <= CONTENT_BYTES);
const _: () = assert!(SEARCH_USERS <= ONLINE_USERS);

// ---- messages

/// The highest id that a sender can choose (protocol.md 3.1): the half above it is the server's.
pub const LAST_ID: u64 = (1 << 63) - 1;
/// Stored messages of one user (protocol.md 1.7).
pub const MAILBOX_MESSAGES: usize = 10_000;
/// Room beyond that for what the system itself must tell (requests, answers), so that a full mailbox loses none of it.
pub const MAILBOX_RESERVE: usize = 1_000;
/// Stored messages read for delivery at a time: one step of a full mailbox stays far below a millisecond of a shard.
pub const MAILBOX_PAGE: usize = 256;
/// Bytes of stored messages read for delivery at a time, so that a page of long ones is not two megabytes.
pub const MAILBOX_PAGE_BYTES: usize = 128 * 1024;
/// Stored messages sent to one user in one go: a receive buffer of the usual 208 KiB holds them.
pub const BURST_FRAMES: usize = 64;
/// Bytes of stored messages sent in one go.
pub const BURST_BYTES: usize = 64 * 1024;
/// The pause between two such bursts over UDP; over TCP the next follows when the connection has taken the last.
pub const BURST_PAUSE: Duration = Duration::from_millis(5);
/// Mailboxes whose length the writer remembers; the others are counted anew when a message comes for them.
pub const MAILBOX_COUNTS: usize = 65_536;
/// Senders of one mailbox whose newest message the writer remembers: with all mailboxes above about 25 MiB at most.
pub const MAILBOX_SENDERS: usize = 16;
/// Messages of a mailbox up to which the writer walks it to find one or to count: some 30 µs. A longer one has its
/// messages by name, and counts, under keys of their own; most mailboxes never do, and cost nothing more to fill.
pub const MAILBOX_WALK: usize = 128;
/// Parts of a longer mailbox whose names stand together: what is looked through for one that somebody repeats, 60 µs at
/// most. Beyond it the two smallest neighbours become one, which then fits a value.
pub const MAILBOX_BLOCKS: usize = 48;
const _: () = assert!(2 * (MAILBOX_MESSAGES + MAILBOX_RESERVE) / MAILBOX_BLOCKS * 16 <= STORE_VALUE_BYTES);
/// Messages in one mailbox of one sender whom its owner does not list (protocol.md 1.7): many for somebody who is not
/// known, and a nuisance that is cleared in a minute.
pub const MAILBOX_STRANGER: u32 = 200;
/// Messages in one mailbox of all such senders together, so that they leave most of it to friends.
pub const MAILBOX_STRANGERS: u32 = 2_000;
/// Messages in one mailbox of one sender whom its owner lists: no friend fills it alone.
pub const MAILBOX_FRIEND: u32 = 2_000;
// A mailbox that is walked has no full share, so nobody need count them.
const _: () = assert!(MAILBOX_WALK < MAILBOX_STRANGER as usize && MAILBOX_STRANGER <= MAILBOX_STRANGERS);
const _: () = assert!((MAILBOX_STRANGERS + MAILBOX_FRIEND) as usize <= MAILBOX_MESSAGES / 2);

/// Pairs of recipient and sender of which a message could not be taken for now, and nothing newer is until it comes
/// again. At the bound the oldest is forgotten: what was under way behind it has long failed, too. About 1.5 MiB.
pub const STALLED_PAIRS: usize = 16_384;
/// How long a shard remembers such a pair: longer than a client waits until it sends the message again (30 s). One that
/// was not sent again by then was given up.
pub const STALLED: Duration = Duration::from_secs(120);
/// How long the store does, beyond the latest message that it was given: what was asked of it before its shard learnt of
/// the failure.
pub const STALLED_COMMITS: Duration = Duration::from_secs(10);
const _: () = assert!(STALLED_COMMITS.as_secs() <= STALLED.as_secs());

/// How often a user is told something that goes on: that messages cannot be taken for now, or wait (protocol.md 3.2).
pub const NOTICE_AGAIN: Duration = Duration::from_secs(60);

// ---- budgets of an account (protocol.md 1.7): the defaults, which the operator can raise and lower

/// Messages a second in the long run, one for each recipient: nobody types faster, and a program that does has its own
/// limits.
pub const MESSAGES_PER_SECOND: u32 = 20;
/// Messages at once: what a client that was offline has to say.
pub const MESSAGES_BURST: u32 = 200;
/// Requests that write, a second: each is a sync that others share.
pub const WRITES_PER_SECOND: u32 = 10;
/// Requests that write, at once: a list is put in order.
pub const WRITES_BURST: u32 = 100;
/// Requests that read, a second: each is a look into the store, which takes about 10 µs.
pub const READS_PER_SECOND: u32 = 100;
/// Requests that read, at once: the profile of each friend.
pub const READS_BURST: u32 = 1_000;
/// Bytes of files, a second: far more than a line carries, and a part of a core.
pub const FILE_BYTES_PER_SECOND: u32 = 64 * 1024 * 1024;
/// Bytes of files at once.
pub const FILE_BYTES_BURST: u32 = 128 * 1024 * 1024;
/// Writes that a request with a password costs: Argon2id takes as much time as so many syncs.
pub const PASSWORD_WRITES: u32 = 10;
/// Writes that a sign-in costs: token, session, lists and mailbox.
pub const SIGN_IN_WRITES: u32 = 5;
/// Others who are told of a status for which a change of it costs one write more.
pub const WATCHERS_A_WRITE: u32 = 64;
/// People in an answer to "who is online" for which it costs one read more.
pub const CARDS_A_READ: u32 = 16;
/// Bytes that a piece of a file costs at least: a small one is as much work.
pub const FILE_PIECE_LEAST: u32 = 512;
/// Bytes that it costs to tell what of a file has arrived. A client tells so every 32 KiB.
pub const FILE_PROGRESS_BYTES: u32 = 16 * 1024;
/// How deep in debt an account may be that signs in: one that does nothing else goes no further.
pub const SIGN_IN_DEBT: Duration = Duration::from_secs(30);
/// How long an account is over budget until it is told so.
pub const OVER_BUDGET_NOTICE: Duration = Duration::from_secs(10);
/// Frames of a connection that wait for their budget, and their bytes: what came before it was read no more. More are
/// dropped. A link has at most a window of them.
pub const OVER_BUDGET_FRAMES: usize = 256;
/// See [`OVER_BUDGET_FRAMES`].
pub const OVER_BUDGET_BYTES: usize = 256 * 1024;
/// Accounts without a session of which a shard remembers what they have spent: about 7 MiB.
pub const DEBTS: usize = 65_536;
/// How often one person makes another be told something at their own will in a while: "has added you", "asks".
pub const NEWS_PER_PAIR: u32 = 3;
/// That while.
pub const NEWS_WINDOW: Duration = Duration::from_secs(600);
/// Pairs for which that is counted, in each shard. Beyond it nobody is held back.
pub const NEWS_PAIRS: usize = 16_384;

const _: () = assert!(PASSWORD_WRITES <= WRITES_BURST && SIGN_IN_WRITES <= WRITES_BURST);
const _: () = assert!(OVER_BUDGET_FRAMES >= SEGMENTS_IN_FLIGHT && OVER_BUDGET_BYTES >= 4 * FRAME_BYTES);

// ---- sessions

/// Silence after which a user is offline (protocol.md 1.7).
pub const IDLE: Duration = Duration::from_secs(90);
/// How long the latest request of a classic session can be repeated (protocol.md 1.8).
pub const REPEAT: Duration = Duration::from_secs(10);
/// Registrations remembered for repetition, in each shard. Beyond it the oldest is forgotten, which its repeat would then
/// do twice.
pub const REPEAT_REGISTRATIONS: usize = 65_536;
/// How often an address without a session is told to sign in (protocol.md 1.8).
pub const SIGN_IN_HINT: Duration = Duration::from_secs(1);
/// Places where addresses are remembered for that.
pub const SIGN_IN_HINTS: usize = 16_384;
/// Users remembered who have just signed out, in each shard.
pub const SIGN_OUTS: usize = 65_536;
/// Frames of a session that wait for its sign-in to be checked, and their bytes; more are dropped.
pub const HELD_FRAMES: usize = 64;
/// See [`HELD_FRAMES`].
pub const HELD_BYTES: usize = 64 * 1024;
/// Registrations of one prefix in progress at once, unless it is loopback: a person has one, and rubbish must not fill the
/// password pool.
pub const REGISTRATIONS_AT_ONCE: u32 = 4;
/// Questions to the store and the password pool that a shard has open; beyond it requests are refused as "busy".
pub const QUESTIONS: usize = 262_144;
/// Tokens of one account that are good at a time: eight devices, and two for each, since the one before is good until the
/// present one is used (protocol.md 2.6).
pub const TOKENS: usize = 16;
/// Sign-ins of one number in progress at once, so that wrong ones cannot fill the password pool. One whose connection has
/// ended counts until its check has.
pub const SIGN_IN_ATTEMPTS: usize = 4;
/// Changes of one user that wait for an earlier one to be synced; beyond it they are refused as "busy".
pub const CHANGES_WAITING: usize = 64;
/// Wrong passwords of one account from one prefix in a minute, after which the next are refused without a check
/// (protocol.md 2.6).
pub const SIGN_IN_FAILURES: u32 = 5;
/// Wrong passwords of any account from one prefix in a minute, unless it is loopback.
pub const PREFIX_FAILURES: u32 = 60;
/// Wrong passwords of one account from anywhere within [`ATTACK_WINDOW`], after which it is being attacked.
pub const ATTACK_FAILURES: u32 = 100;
/// See [`ATTACK_FAILURES`].
pub const ATTACK_WINDOW: Duration = Duration::from_secs(3_600);
/// How long a password for an account that is being attacked waits, if it comes from a prefix that is new to the account.
pub const ATTACK_PAUSE: Duration = Duration::from_secs(30);
/// Passwords of a shard that wait for that, shared fairly.
pub const WAITING_CHECKS: usize = 4_096;
/// Pairs of account and prefix that have signed in lately, in each shard: some 20 bytes each.
pub const KNOWN_PREFIXES: usize = 65_536;
/// Accounts whose failures are remembered, in each shard.
pub const SIGN_IN_FAILURE_ACCOUNTS: usize = 65_536;
/// Registrations a minute from one prefix, unless it is loopback (protocol.md 2.6).
pub const REGISTRATIONS_PER_MINUTE: u32 = 30;
/// The window of the two limits above.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(60);
/// Prefixes whose registrations are counted, in each shard.
pub const REGISTRATION_PREFIXES: usize = 65_536;

// What is being checked is spared when a link has to give way: of a prefix's share of links, that is never all.
const _: () = assert!(WAITING_CHECKS + PASSWORD_QUEUE <= ENTERING_LINKS);
// A password that waits does not lose the link that it came by.
const _: () = assert!(ATTACK_PAUSE.as_secs() < ENTERING.as_secs());
const _: () = assert!(REPEAT.as_secs() < IDLE.as_secs());

/// Invites at a time: more than anybody makes by hand, and they are looked through for each new one.
pub const INVITES: usize = 10_000;
/// Bans at a time. Every shard has all of them in memory.
pub const BANS: usize = 10_000;
/// Answers to one prefix that is banned, in each shard and in [`BANNED_WINDOW`]: a handshake has up to three, so its people
/// learn why they are not let in, and cost next to nothing.
pub const BANNED_ANSWERS: u32 = 4;
/// See [`BANNED_ANSWERS`].
pub const BANNED_WINDOW: Duration = Duration::from_secs(1);
/// Banned prefixes that are counted for that; the others get no answer.
pub const BANNED_PREFIXES: usize = 4_096;

// ---- passwords

/// Memory of one Argon2id computation, in KiB (protocol.md 2.6).
pub const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
/// Passes of Argon2id.
pub const ARGON2_PASSES: u32 = 2;
/// Lanes of Argon2id.
pub const ARGON2_LANES: u32 = 1;
/// Passwords that wait for the pool; beyond it sign-ins are refused as "busy".
pub const PASSWORD_QUEUE: usize = 4_096;

// ---- files

/// Transfers that one session can have open in each direction.
pub const TRANSFERS: usize = 32;
/// Files that one person can offer to a session at a time: half, so that one person leaves room for others.
pub const TRANSFERS_FROM_ONE: usize = TRANSFERS / 2;

// ---- search (protocol.md 4)

/// Longest stretch of a core that a search takes before it lets others run.
pub const SEARCH_SLICE: Duration = Duration::from_millis(5);
/// Searches that wait or run on the whole server; beyond it they are refused as "busy".
pub const SEARCHES: usize = 1_024;
/// Deepest nesting of brackets, AND, OR and NOT in a search.
pub const SEARCH_DEPTH: usize = 64;

// ---- queues between threads

/// Datagrams read or written by one system call.
pub const DATAGRAM_BATCH: usize = 64;
/// Bytes of datagrams that wait for one UDP socket of a shard to take more; what comes beyond is lost, as datagrams are.
pub const SOCKET_BACKLOG_BYTES: usize = 4 * 1024 * 1024;
/// Messages in one batch to another shard.
pub const PEER_BATCH: usize = 256;
/// Batches that wait for one shard. Full: the sender keeps its own and stops reading its socket.
pub const INBOX_BATCHES: usize = 1_024;
/// Requests that wait for the store: a few groups, so that nobody's sign-in waits for seconds behind somebody's flood.
/// Full: the shard keeps its own and stops reading its socket.
pub const STORE_QUEUE: usize = 4 * COMMIT_GROUP;
/// Bytes of texts that wait for the store; above it the queue counts as full.
pub const STORE_QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// Requests that a shard keeps for the store at most before it takes nothing from other shards either: then their queues
/// fill, and they stop reading their sockets, too.
pub const STORE_HELD: usize = 4_096;
/// Requests that the store takes into one group commit: larger groups sync less often but answer later.
pub const COMMIT_GROUP: usize = 1_024;
/// Shards of one server.
pub const SHARDS: usize = 64;

// ---- the event log

/// Events of one kind from one address prefix that are logged at once; an office that comes to work has more people.
pub const EVENT_BURST: u64 = 20;
/// The same, in a second from then on: what is left out is counted.
pub const EVENTS_PER_SECOND: u64 = 1;
/// Kinds and prefixes that a shard counts apart.
pub const EVENT_SOURCES: usize = 4_096;
/// Events of all shards that wait for the log.
pub const EVENT_QUEUE: usize = 4_096;
/// Events that are logged in a second, whoever causes them: about 100 bytes each, half a gigabyte in a day of attack.
pub const EVENTS_IN_ALL_PER_SECOND: u64 = 50;
/// The same at once: a company that signs in after a start of the server.
pub const EVENTS_BURST_IN_ALL: u64 = 2_000;
const _: () = assert!(EVENT_BURST < EVENTS_BURST_IN_ALL && EVENTS_PER_SECOND < EVENTS_IN_ALL_PER_SECOND);

// ---- TCP

/// Connections of one shard.
pub const STREAMS: usize = 250_000;
/// Bytes that wait to be written to one connection; a reader slower than that is disconnected, and what comes later
/// is stored. It holds at least four of the largest frames.
pub const STREAM_BACKLOG_BYTES: usize = 256 * 1024;
/// Bytes of frames that all connections of a shard together bring in one turn of its loop, so that datagrams and other
/// shards have theirs.
pub const STREAM_TURN_BYTES: usize = 16 * 1024;
/// Bytes read from a connection at a time.
pub const STREAM_READ_BYTES: usize = 8 * 1024;
/// Largest frame of a connection by which nobody has asked to sign in: a registration is smaller.
pub const STREAM_FIRST_FRAME_BYTES: usize = 4 * 1024;
/// Connections accepted in one go.
pub const ACCEPTS: usize = 32;
/// Descriptors that are kept for the store, the control socket and the executors.
pub const DESCRIPTORS_KEPT: usize = 64;
/// Numbers that one connection can sign in.
pub const STREAM_NUMBERS: usize = 64;
/// How long a new connection may stay silent before its first whole frame, and a signed-out one without any.
pub const STREAM_SILENCE: Duration = Duration::from_secs(90);
const _: () = assert!(STREAM_BACKLOG_BYTES >= 4 * FRAME_BYTES);

// ---- store

/// Bytes of one journal file before the next is begun.
pub const JOURNAL_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Journal beyond the last base at which a new base is worth writing, if it is also larger than that base.
pub const JOURNAL_COMPACT_BYTES: u64 = 256 * 1024 * 1024;
/// Memory that sled may use for cached pages.
pub const SLED_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Changes of the index from which on a second thread helps: when an index is filled, not for a group of requests,
/// whose second core the shards need more.
pub const INDEX_SPLIT: usize = 4_096;
/// Changes that a new index is filled with at a time, if they are small.
pub const INDEX_LOAD: usize = 65_536;
/// Bytes of such changes, if they are not.
pub const INDEX_LOAD_BYTES: usize = 8 * 1024 * 1024;
const _: () = assert!(INDEX_SPLIT <= INDEX_LOAD && INDEX_SPLIT > COMMIT_GROUP);
/// Places in mailboxes that the writer reserves ahead: the record of it is written once for so many messages, and a
/// restart skips the rest.
pub const MAIL_SEQ_RESERVE: u64 = 65_536;
/// Numbers in one block of the list of those who list a user: what is written again when somebody joins them.
pub const WATCHERS_BLOCK: usize = 512;
/// Bytes of the longest values in the index. sled leaks files if they are far beyond.
pub const STORE_VALUE_BYTES: usize = 8 * 1024;
const _: () = assert!(FRIENDS * 5 <= STORE_VALUE_BYTES && WATCHERS_BLOCK * 4 <= STORE_VALUE_BYTES);
/// Values from so many bytes on have a key of their own in the index, rather than a part of one.
pub const ALONE_BYTES: usize = 512;
/// Bytes of a block of the index, where small values of several users share a key, from which on it takes no more of
/// them.
pub const INDEX_BLOCK_BYTES: usize = 4 * 1024;
const _: () = assert!(ALONE_BYTES < INDEX_BLOCK_BYTES && 2 * INDEX_BLOCK_BYTES <= STORE_VALUE_BYTES);
/// Bytes of journal and base that are read in a second to see that they are whole: nobody else waits for the disk.
pub const SCRUB_BYTES_PER_SECOND: u64 = 1024 * 1024;
/// Bytes of them that are read at a time.
pub const SCRUB_STEP_BYTES: u64 = 64 * 1024;
/// How long it rests after all of them: damage comes by the month, and the disk may want to sleep.
pub const SCRUB_PAUSE: Duration = Duration::from_secs(3_600);
/// Bytes of one checked block of a base.
pub const BASE_BLOCK_BYTES: usize = 64 * 1024;
/// Bytes of a base written between two syncs, so that none of them holds up the journal for long.
pub const BASE_SYNC_BYTES: u64 = 8 * 1024 * 1024;
/// Longest detail of an event in the audit log; what is beyond is cut, so that a line can be read back in one piece.
pub const AUDIT_DETAIL_BYTES: usize = 1_024;
/// Memory of changes from which on they are brought into the index, if they are not sooner for their age.
pub const BEHIND_TABLE_BYTES: usize = 16 * 1024 * 1024;
/// Memory of changes that the index does not have yet; at the bound the writer waits. As much again can be taken by
/// those that it has just got.
pub const BEHIND_BYTES: usize = 32 * 1024 * 1024;
/// Memory that one of them takes beside its value, about.
pub const BEHIND_KEY_BYTES: usize = 96;
/// Changes brought into the index in one step.
pub const BEHIND_STEP: usize = 256;
/// Changes copied at a time for whoever scans.
pub const BEHIND_PAGE: usize = 256;
const _: () = assert!(BEHIND_TABLE_BYTES <= BEHIND_BYTES && BEHIND_STEP < INDEX_SPLIT);
/// How often the writer records how far the index has come: a killed server replays about two of these at its next start.
pub const STORE_SETTLE: Duration = Duration::from_secs(1);

// ---- client

/// Messages without a receipt that a client holds; at the bound the next is refused, and those held stay.
pub const OUTBOX_MESSAGES: usize = 10_000;
/// Messages of one sender that a client remembers to have shown.
pub const SEEN_OF_SENDER: usize = 4_096;
/// Messages that a client remembers to have shown, in all.
pub const SEEN_TOTAL: usize = 65_536;
/// Events that wait for the program. Beyond it messages are not taken, so that the server keeps them; other events are lost.
pub const EVENTS_WAITING: usize = 65_536;
/// Requests of a client that wait for their turn; only a caller that never waits for answers gets there.
pub const REQUESTS_WAITING: usize = 1_024;
/// Bytes that a client gives its link at a time; the rest waits where it can still be sorted.
pub const LINK_QUEUE_BYTES: usize = 64 * 1024;
/// Bytes of a file in one frame.
pub const FILE_PIECE_BYTES: usize = 16 * 1024;
/// Ids in one 0x41: its count is one byte.
pub const RECEIVED_IDS: usize = 255;
const _: () = assert!(SEEN_OF_SENDER <= SEEN_TOTAL && FILE_PIECE_BYTES <= LINK_QUEUE_BYTES);
