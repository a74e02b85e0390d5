//! The password pool: Argon2id on threads of their own, behind a bounded queue in which address prefixes take turns.

use super::mesh::{Mesh, Message};
use super::sys;
use super::turns::Turns;
use crate::limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, PASSWORD_QUEUE};
use crate::shard::{PasswordJob, PasswordOutcome, Prefix, Ticket};
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Shards and their packets go first.
const NICE: i32 = 10;

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
    turns: Turns<Job>,
    /// Jobs that have given way to others: their shards are to be told.
    refused: Vec<Job>,
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
            if let Some(job) = queue.turns.pop() {
                return (job, false);
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Passwords {
    /// Starts so many threads.
    pub fn spawn(threads: usize, mesh: &Arc<Mesh>) -> std::io::Result<Self> {
        let queue = Mutex::new(Queue { turns: Turns::new(PASSWORD_QUEUE), refused: Vec::new() });
        let pool = Arc::new(Pool { queue, more: Condvar::new() });
        for at in 0..threads {
            let (pool, mesh) = (Arc::clone(&pool), Arc::clone(mesh));
            std::thread::Builder::new().name(format!("password {at}")).spawn(move || work(&pool, &mesh))?;
        }
        Ok(Self(pool))
    }

    /// Hands in a job for somebody of this prefix; `false` if too many of it wait, or too many in all. Another that gives way
    /// to it is answered with `Busy`.
    pub fn submit(&self, shard: usize, ticket: Ticket, from: Prefix, job: PasswordJob) -> bool {
        let mut queue = self.0.queue();
        let refused = queue.turns.push(from, Job { shard, ticket, job });
        let taken = refused.as_ref().is_none_or(|job| (job.shard, job.ticket) != (shard, ticket));
        queue.refused.extend(refused.filter(|_| taken));
        drop(queue);
        self.0.more.notify_one();
        taken
    }

    /// How many wait.
    pub fn depth(&self) -> usize {
        self.0.queue().turns.len()
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
