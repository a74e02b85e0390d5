//! What the operator can set while the server runs: every shard gets it at its start, and again at each reload.

/// Who may register (protocol.md 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegistrationMode {
    /// Everybody.
    #[default]
    Open,
    /// Whoever has an invite code.
    Invite,
    /// Everybody, but nobody can sign in until the operator has approved the account.
    Approve,
    /// Nobody: the operator adds accounts.
    Closed,
}

/// What the operator has set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Who may register.
    pub registration: RegistrationMode,
}
