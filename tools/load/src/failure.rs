//! How a run can fail, which its exit status tells.

use std::fmt;

/// Why there is no figure, or none to be trusted.
#[derive(Debug)]
pub enum Failure {
    /// It was asked for wrongly: exit status 2.
    Use(String),
    /// Something was lost or doubled, or the measurement failed: exit status 1.
    Run(String),
}

impl Failure {
    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Use(_) => 2,
            Self::Run(_) => 1,
        }
    }

    /// With more words where the measurement has failed.
    pub fn explained(self, explain: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Run(error) => Self::Run(explain(error)),
            wrong => wrong,
        }
    }
}

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self::Run(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Use(error) | Self::Run(error)) = self;
        f.write_str(error)
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;

    #[test]
    fn wrong_use_and_a_failure_are_told_apart() {
        let (wrong, failed) = (Failure::Use("no tokens".into()), Failure::from("3 lost".to_owned()));
        assert_eq!((wrong.status(), failed.status()), (2, 1));
        assert_eq!(wrong.explained(|_| "the server ended".into()).to_string(), "no tokens");
        assert_eq!(failed.explained(|error| format!("oicqd: {error}")).to_string(), "oicqd: 3 lost");
    }
}
