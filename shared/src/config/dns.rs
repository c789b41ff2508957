use serde::{Deserialize, Serialize};

use super::{is, is_default, is_millis};
use crate::value::{NameServer, TimeSpan};

/// How the names of backends are resolved: in the background, never while a request waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"servers": ["10.0.0.2", "10.0.0.3:5353"], "min_ttl": "5s", "max_ttl": "1m", "timeout": "1s"}))))]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// Servers that are asked, at most 8. None: those of the data plane's `/etc/resolv.conf`, with its search list.
    #[serde(skip_serializing_if = "is_default")]
    pub servers: Vec<NameServer>,
    /// How long an answer is kept at least, however short its time to live: 1s to 1h. A name is never asked for more often.
    #[serde(skip_serializing_if = "is_millis::<5_000>")]
    pub min_ttl: TimeSpan,
    /// After how long a name is asked for again at the latest: `min_ttl` to 1d.
    #[serde(skip_serializing_if = "is_millis::<300_000>")]
    pub max_ttl: TimeSpan,
    /// How long a server may take for an answer: 100ms to 30s.
    #[serde(skip_serializing_if = "is_millis::<2_000>")]
    pub timeout: TimeSpan,
    /// How often a question that was not answered is asked again at once: 0 to 5.
    #[serde(skip_serializing_if = "is::<1, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 5))]
    pub retries: u32,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            min_ttl: TimeSpan::from_secs(5),
            max_ttl: TimeSpan::from_secs(300),
            timeout: TimeSpan::from_secs(2),
            retries: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&Dns::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Dns>("{}").unwrap(), Dns::default());
    }
}
