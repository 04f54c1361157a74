//! What one version of Lucia has otherwise than the other.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Two,
    Three,
}

/// How a session whose user is missing is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// The session is not found.
    Inner,
    /// The session is found, with NULLs in the place of the user.
    Left,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::Two, Self::Three];

    pub fn number(self) -> u32 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    /// Columns of a session that are to be numbers, whatever their type.
    pub(super) fn numbers(self) -> &'static [&'static str] {
        match self {
            Self::Two => &["active_expires", "idle_expires"],
            Self::Three => &[],
        }
    }

    pub(super) fn join(self) -> Join {
        match self {
            Self::Two => Join::Inner,
            Self::Three => Join::Left,
        }
    }

    /// The condition that holds of a session which Lucia takes for dead at the time `$1`: milliseconds since 1970 in version
    /// 2, an ISO text in version 3.
    pub(super) fn is_dead(self) -> &'static str {
        match self {
            Self::Two => "idle_expires < $1",
            Self::Three => "expires_at <= $1::pg_catalog.text::pg_catalog.timestamptz",
        }
    }

    pub fn has_keys(self) -> bool {
        self == Self::Two
    }

    /// Whether some violations of constraints are errors of Lucia's own.
    pub(super) fn has_errors(self) -> bool {
        self == Self::Two
    }
}

#[cfg(test)]
mod tests {
    use super::{Join, Version};

    #[test]
    fn the_versions_differ_in_what_the_adapter_promises() {
        let [two, three] = Version::ALL;
        assert_eq!([two.number(), three.number()], [2, 3]);
        assert_eq!(two.numbers(), ["active_expires", "idle_expires"]);
        assert!(three.numbers().is_empty());
        assert_eq!([two.join(), three.join()], [Join::Inner, Join::Left]);
        assert_eq!(two.is_dead(), "idle_expires < $1");
        assert!(three.is_dead().starts_with("expires_at <= $1"));
        assert_eq!([two.has_keys(), three.has_keys()], [true, false]);
        assert_eq!([two.has_errors(), three.has_errors()], [true, false]);
    }
}
