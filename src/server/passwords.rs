//! The password pool: Argon2id on threads of their own, behind a bounded queue in which address prefixes take turns.

use super::mesh::{Mesh, Message};
use super::sys;
use super::turns::Turns;
use crate::limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, PASSWORD_QUEUE};
use crate::shard::{Applicant, PasswordJob, PasswordOutcome, Ticket};
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Shards and their packets go first.
const NICE: i32 = 10;

/// So many of the known have their turn before one of the others has.
const KNOWN_IN_A_ROW: u32 = 3;

struct Job {
    shard: usize,
    ticket: Ticket,
    job: PasswordJob,
}

/// Where shards hand in passwords.
#[derive(Clone)]
pub struct Passwords(Arc<Pool>);

struct Pool {
    queue: Mutex<Queue>,
    more: Condvar,
}

struct Queue {
    /// Whoever has signed in from there lately does not wait for guesses from everywhere.
    known: Turns<Job>,
    others: Turns<Job>,
    /// Jobs of the known in a row.
    in_a_row: u32,
    /// Jobs that have given way to others: their shards are to be told.
    refused: Vec<Job>,
}

impl Queue {
    fn new() -> Self {
        let turns = || Turns::new(PASSWORD_QUEUE / 2);
        Self { known: turns(), others: turns(), in_a_row: 0, refused: Vec::new() }
    }

    /// The known first; now and then one of the others, who must not wait for ever.
    fn pop(&mut self) -> Option<Job> {
        if self.in_a_row < KNOWN_IN_A_ROW
            && let Some(job) = self.known.pop()
        {
            self.in_a_row += 1;
            return Some(job);
        }
        self.in_a_row = 0;
        self.others.pop().or_else(|| self.known.pop())
    }
}

impl Pool {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, or one that has to be refused.
    fn next(&self) -> (Job, bool) {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.refused.pop() {
                return (job, true);
            }
            if let Some(job) = queue.pop() {
                return (job, false);
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Passwords {
    /// Starts so many threads.
    pub fn spawn(threads: usize, mesh: &Arc<Mesh>) -> std::io::Result<Self> {
        let queue = Mutex::new(Queue::new());
        let pool = Arc::new(Pool { queue, more: Condvar::new() });
        for at in 0..threads {
            let (pool, mesh) = (Arc::clone(&pool), Arc::clone(mesh));
            std::thread::Builder::new().name(format!("password {at}")).spawn(move || work(&pool, &mesh))?;
        }
        Ok(Self(pool))
    }

    /// Hands in a job for somebody; `false` if too many of their prefix wait, or too many in all. Another that gives way
    /// to it is answered with `Busy`.
    pub fn submit(&self, shard: usize, ticket: Ticket, who: Applicant, job: PasswordJob) -> bool {
        let mut queue = self.0.queue();
        let turns = if who.known { &mut queue.known } else { &mut queue.others };
        let refused = turns.push(who.prefix, Job { shard, ticket, job });
        let taken = refused.as_ref().is_none_or(|job| (job.shard, job.ticket) != (shard, ticket));
        queue.refused.extend(refused.filter(|_| taken));
        drop(queue);
        self.0.more.notify_one();
        taken
    }

    /// How many wait.
    pub fn depth(&self) -> usize {
        let queue = self.0.queue();
        queue.known.len() + queue.others.len()
    }
}

fn work(pool: &Pool, mesh: &Mesh) {
    sys::be_nice(NICE);
    loop {
        let (Job { shard, ticket, job }, refused) = pool.next();
        let outcome = match job {
            _ if refused => PasswordOutcome::Busy,
            PasswordJob::Check { password, hash } => check(&password, &hash),
            PasswordJob::Hash { password } => PasswordOutcome::Hashed(hash(&password)),
        };
        mesh.post(shard, vec![Message::Password(ticket, outcome)]);
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.expect("limits.rs holds valid parameters"))
}

/// The PHC string of a password, with a fresh salt.
pub fn hash(password: &str) -> Box<str> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = argon2().hash_password(password.as_bytes(), &salt).expect("every password of a legal length has a hash");
    hash.to_string().into()
}

/// The parameters are those of the hash: it may be older than the present ones. What is no hash takes as long as one.
fn check(password: &str, hash: &str) -> PasswordOutcome {
    let fits = |hash: &PasswordHash<'_>| argon2().verify_password(password.as_bytes(), hash).is_ok();
    match PasswordHash::new(hash) {
        Ok(hash) if fits(&hash) => PasswordOutcome::Good,
        Ok(_) => PasswordOutcome::Wrong,
        Err(_) => {
            let nobody = PasswordHash::new(PasswordJob::NOBODY).expect("it is one");
            let _ = fits(&nobody);
            PasswordOutcome::Wrong
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Prefix;

    #[test]
    fn the_known_go_first_and_the_others_do_not_starve() {
        let mut queue = Queue::new();
        for nth in 0..8 {
            let job = |ticket| Job { shard: 0, ticket: Ticket(ticket), job: PasswordJob::Hash { password: "".into() } };
            assert!(queue.known.push(Prefix::V4(1), job(nth)).is_none());
            assert!(queue.others.push(Prefix::V4(2), job(100 + nth)).is_none());
        }
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop()).map(|job| job.ticket.0).collect();
        assert_eq!(order, [0, 1, 2, 100, 3, 4, 5, 101, 6, 7, 102, 103, 104, 105, 106, 107]);
    }

    #[test]
    fn a_password_fits_its_own_hash_alone() {
        let hash = hash("secret");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(check("secret", &hash), PasswordOutcome::Good);
        assert_eq!(check("Secret", &hash), PasswordOutcome::Wrong);
        assert_eq!(check("secret", "no hash"), PasswordOutcome::Wrong);
        let cost = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(cost(PasswordJob::NOBODY), cost(&hash), "a refusal without an account costs the same");
        let nobody = PasswordHash::new(PasswordJob::NOBODY).expect("a hash");
        assert_eq!(argon2().verify_password(b"", &nobody), Err(argon2::password_hash::Error::Password));
        assert_ne!(super::hash("secret"), hash, "each has its own salt");
    }
}
