//! The password pool: Argon2id on threads of their own, behind a bounded queue.

use super::mesh::{Mesh, Message};
use super::sys;
use crate::limits::{ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, PASSWORD_QUEUE};
use crate::shard::{PasswordJob, PasswordOutcome, Ticket};
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::sync::Arc;

/// Shards and their packets go first.
const NICE: i32 = 10;

struct Job {
    shard: usize,
    ticket: Ticket,
    job: PasswordJob,
}

/// Where shards hand in passwords.
#[derive(Clone)]
pub struct Passwords(Sender<Job>);

impl Passwords {
    /// Starts so many threads.
    pub fn spawn(threads: usize, mesh: &Arc<Mesh>) -> std::io::Result<Self> {
        let (sender, receiver) = bounded(PASSWORD_QUEUE);
        for at in 0..threads {
            let (receiver, mesh) = (receiver.clone(), Arc::clone(mesh));
            std::thread::Builder::new().name(format!("password {at}")).spawn(move || work(&receiver, &mesh))?;
        }
        Ok(Self(sender))
    }

    /// Hands in a job; `false` if too many wait.
    pub fn submit(&self, shard: usize, ticket: Ticket, job: PasswordJob) -> bool {
        self.0.try_send(Job { shard, ticket, job }).is_ok()
    }

    /// How many wait.
    pub fn depth(&self) -> usize {
        self.0.len()
    }
}

fn work(jobs: &Receiver<Job>, mesh: &Mesh) {
    sys::be_nice(NICE);
    for Job { shard, ticket, job } in jobs {
        let outcome = match job {
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

/// The parameters are those of the hash: it may be older than the present ones.
fn check(password: &str, hash: &str) -> PasswordOutcome {
    let good = PasswordHash::new(hash).is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok());
    if good { PasswordOutcome::Good } else { PasswordOutcome::Wrong }
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
        assert_ne!(super::hash("secret"), hash, "each has its own salt");
    }
}
