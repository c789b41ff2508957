use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A kind of resource: a column of the store, and a word in audit rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ResourceKind)]
pub(crate) enum Kind {
    /// A bound address.
    Listener,
    /// A group of backends; without them and without its breaker.
    Upstream,
    /// A member of an upstream; its name in audit rows is `upstream/backend`.
    Backend,
    /// The circuit breaker of an upstream; its name is the upstream's.
    Breaker,
    /// What to do with which request.
    Route,
    /// Which clients may come in.
    IpRule,
    /// The singleton; its name is `settings`.
    Settings,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Listener, Self::Upstream, Self::Backend, Self::Breaker, Self::Route, Self::IpRule, Self::Settings];

    /// The word in the store and in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Upstream => "upstream",
            Self::Backend => "backend",
            Self::Breaker => "breaker",
            Self::Route => "route",
            Self::IpRule => "ip_rule",
            Self::Settings => "settings",
        }
    }
}

impl fmt::Display for Kind {
    /// For people: `ip rule`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if *self == Self::IpRule { "ip rule" } else { self.as_str() })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| format!("\"{text}\" is not a kind"))
    }
}

/// One resource of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    /// Unique within the kind: see [`Kind`] for the kinds that have no name of their own.
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }

    /// A backend of `upstream`.
    pub(crate) fn backend(upstream: &str, name: &str) -> Self {
        Self::new(Kind::Backend, format!("{upstream}/{name}"))
    }

    /// The settings.
    pub(crate) fn settings() -> Self {
        Self::new(Kind::Settings, "settings")
    }
}

impl fmt::Display for Key {
    /// For messages: "route `shop`", "settings".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Settings => formatter.write_str("settings"),
            kind => write!(formatter, "{kind} `{}`", self.name),
        }
    }
}
