//! The operator's commands: with the running server if there is one, else on the store itself.

mod password;

use super::args::{Account, Ban, Command, Config, End, Grant, Invite, Mailbox, Sentence};
use super::control::commands::{self, Figures, Office};
use super::control::protocol::{self, Order};
use super::{Fatal, checks, config, control, guard_audit, identity, open_store, passwords, sys};
use crate::shard::{Control, Presence};
use crate::store::{self, Accounts, Answer, DirStore, Request, Salvaged};
use argon2::password_hash::rand_core::{OsRng, RngCore};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Does one command.
pub fn run(command: Command, data: &Path) -> Result<(), Fatal> {
    match command {
        Command::Account(command) => account(command, data),
        Command::Grant(command) => grant(command, data),
        Command::Mailbox(Mailbox::Show { number }) => either_way(data, Order::Mailbox(number)),
        Command::Mailbox(Mailbox::Purge { number, from }) => either_way(data, Order::Purge(number, from)),
        Command::Salvage { out } => salvage(data, &out),
        Command::NewKey => new_key(data),
        Command::Invite(command) => either_way(data, invite(command)),
        Command::Ban(command) => either_way(data, ban(command)),
        Command::Announce { text } => with_server(data, &Order::Announce(text)),
        Command::Config(command) => configuration(command),
        Command::Reload => with_server(data, &Order::Reload),
        Command::Line => with_server(data, &Order::Line),
        Command::Stop { end_sessions } => with_server(data, &Order::Stop(end_sessions)),
        Command::Stats { json } => with_server(data, &Order::Stats(json)),
    }
}

fn configuration(command: Config) -> Result<(), Fatal> {
    let text = match command {
        Config::Check { file } => {
            config::read(&file)?;
            format!("{} is a good configuration", file.display())
        }
        Config::Defaults => config::defaults().trim_end().to_owned(),
    };
    show(&text).map_err(|error| Fatal(format!("cannot print it: {error}")))
}

fn account(command: Account, data: &Path) -> Result<(), Fatal> {
    match command {
        Account::Add { nickname, password } => {
            let password = password::read(&password)?;
            let order = Order::Add(nickname, passwords::hash(&password).into());
            if control::connect(data).is_ok_and(|server| server.is_none()) {
                // A first account may well come before the first start.
                checks::data_directory(data)?;
            }
            either_way(data, order)
        }
        Account::Passwd { number, password } => {
            let password = password::read(&password)?;
            either_way(data, Order::Password(number, passwords::hash(&password).into()))
        }
        Account::Disable { number } => either_way(data, Order::Disable(number)),
        Account::Enable { number } => either_way(data, Order::Enable(number)),
        Account::Limits { number, limits } => either_way(data, Order::Limits(number, limits.default, limits.rates())),
        Account::Delete { number, purge } => either_way(data, Order::Delete(number, purge)),
        Account::Approve { number } => either_way(data, Order::Approve(number)),
        Account::List { pending, json } => either_way(data, Order::Accounts(pending, json)),
        Account::Show { number, json } => either_way(data, Order::Show(number, json)),
        Account::Sessions { number } => either_way(data, Order::Sessions(number.unwrap_or(0))),
        Account::Signout { number } => either_way(data, Order::SignOut(number)),
    }
}

fn grant(command: Grant, data: &Path) -> Result<(), Fatal> {
    match command {
        Grant::Monitor { account, target, reason, end } => {
            either_way(data, Order::Grant(account, target, end_ms(&end), reason))
        }
        Grant::Revoke { account, target } => either_way(data, Order::Revoke(account, target)),
        Grant::List => either_way(data, Order::Grants),
        Grant::Audit { expect } => either_way(data, Order::Audit(expect.unwrap_or_default())),
        Grant::Acknowledge => either_way(data, Order::Acknowledge),
    }
}

fn invite(command: Invite) -> Order {
    match command {
        Invite::Add { uses, span, note } => {
            Order::Invite(uses, span.map_or(u64::MAX, |span| now_ms().saturating_add(span)), note.unwrap_or_default())
        }
        Invite::List { json } => Order::Invites(json),
        Invite::Revoke { which } => Order::Uninvite(which),
    }
}

fn ban(command: Ban) -> Order {
    let order = |who: String, sentence: Sentence| {
        let until_ms = sentence.term.span.map_or(u64::MAX, |span| now_ms().saturating_add(span));
        Order::Ban(who, until_ms, sentence.reason, sentence.force)
    };
    match command {
        Ban::Account { number, sentence } => order(number.to_string(), sentence),
        Ban::Address { address, sentence } => order(address.to_string(), sentence),
        Ban::Net { network, sentence } => order(network.to_string(), sentence),
        Ban::List { json } => Order::Bans(json),
        Ban::Lift { who } => Order::Lift(who),
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn end_ms(end: &End) -> u64 {
    let now = now_ms();
    match (end.hours, end.until) {
        (Some(hours), _) => now + u64::from(hours) * 3_600_000,
        (None, until) => until.unwrap_or(0).saturating_mul(1000),
    }
}

/// Shows a line of an answer.
fn show(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn with_server(data: &Path, order: &Order) -> Result<(), Fatal> {
    if try_server(data, order)? {
        return Ok(());
    }
    Err(Fatal(format!("no server is running on {}; name its directory with --data", data.display())))
}

/// With the server, or without if none runs.
fn either_way(data: &Path, order: Order) -> Result<(), Fatal> {
    if try_server(data, &order)? {
        return Ok(());
    }
    if !data.is_dir() {
        return Err(Fatal(format!("there is no data directory {}; name it with --data", data.display())));
    }
    checks::owner(data)?;
    // Only what adds something may begin a store.
    if !matches!(order, Order::Add(..)) {
        checks::has_store(data)?;
    }
    sys::owner_only();
    let mut store = open_store(data, &mut io::stderr())?;
    if matches!(order, Order::Add(..)) {
        // From now on a key that is missing is a key that was lost.
        identity::private_key(data, store.account_count() > 0)?;
    }
    if matches!(order, Order::Grant(..) | Order::Revoke(..) | Order::Acknowledge) {
        guard_audit(&mut store)?;
    }
    tracing::info!(target: super::events::TARGET, order = order.word(), about = order.about(), user = sys::effective_user(), "operator");
    let mut office = Alone { accounts: store.accounts(), store, data: data.to_owned() };
    let done = commands::run(order, &mut office, &mut show);
    office.store.close().map_err(|error| Fatal(format!("cannot close the store: {error}")))?;
    done.map_err(Fatal)
}

/// Recovers a damaged directory.
fn salvage(data: &Path, out: &Path) -> Result<(), Fatal> {
    if !data.is_dir() {
        return Err(Fatal(format!("there is no data directory {}; name it with --data", data.display())));
    }
    sys::owner_only();
    let failed = |error: io::Error| Fatal(format!("cannot print it: {error}"));
    let (mut places, mut bytes, mut silent) = (0_u64, 0, None);
    let salvaged = store::salvage(data, out, OsRng.next_u64(), &mut |loss| {
        (places, bytes) = (places + 1, bytes + loss.bytes);
        silent = silent.take().or(show(&loss.to_string()).err());
    });
    let Salvaged { frames, keys, accounts, messages, left_out } = salvaged.map_err(|error| Fatal(error.to_string()))?;
    silent.map_or(Ok(()), |error| Err(failed(error)))?;
    show(&format!(
        "recovered into {}: {frames} frames of the journal and {keys} keys of the base; {accounts} accounts, {messages} messages",
        out.display()
    ))
    .map_err(failed)?;
    show(&format!(
        "lost: {bytes} bytes in {places} places; {left_out} entries were left out because what they belong to is lost; sessions are not carried over"
    ))
    .map_err(failed)
}

/// Makes a key where the old one is lost.
fn new_key(data: &Path) -> Result<(), Fatal> {
    checks::has_store(data)?;
    checks::owner(data)?;
    sys::owner_only();
    identity::make_new(data)?;
    show("the server has a new key: every client must learn it (`oicqd line`, once the server runs)")
        .map_err(|error| Fatal(format!("cannot print it: {error}")))
}

/// Has the running server do it; `false` if none runs.
fn try_server(data: &Path, order: &Order) -> Result<bool, Fatal> {
    let failed = |error: io::Error| Fatal(format!("cannot talk to the server on {}: {error}", data.display()));
    if !data.exists() {
        return Ok(false);
    }
    let Some(mut server) = control::connect(data).map_err(failed)? else { return Ok(false) };
    server.write_all(order.line().as_bytes()).map_err(failed)?;
    protocol::read_answer(BufReader::new(server), &mut show).map_err(failed)?.map_err(Fatal)?;
    Ok(true)
}

/// The store without a server.
struct Alone {
    data: PathBuf,
    store: DirStore,
    accounts: Accounts,
}

impl Office for Alone {
    fn ask(&mut self, request: Request) -> Option<Answer> {
        Some(self.store.ask(request))
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn data(&self) -> &Path {
        &self.data
    }

    fn tell(&mut self, _: Control) {}

    fn line(&self) -> Option<String> {
        None
    }

    fn announce(&mut self, _: &str) -> Option<u64> {
        None
    }

    fn presence(&mut self, _: u32) -> Option<Presence> {
        None
    }

    fn reload(&mut self) -> Option<Result<String, String>> {
        None
    }

    fn stop(&mut self) {}

    fn figures(&mut self) -> Option<Figures> {
        None
    }

    fn running(&self) -> bool {
        false
    }
}
