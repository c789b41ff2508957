use serde::{Deserialize, Serialize};

use super::{is, is_default};
use crate::value::{FieldName, TimeSpan};

/// How a backend is chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"policy": "least_connections", "slow_start": "30s"}), json!({"policy": "consistent_hash", "hash": {"key": {"header": "x-user"}, "max_load_percent": 125}}))))]
#[serde(default, deny_unknown_fields)]
pub struct Balance {
    /// The policy.
    #[serde(skip_serializing_if = "is_default")]
    pub policy: BalancePolicy,
    /// How long an endpoint that joins the others, or recovers, takes less than its share, which grows from a tenth to the
    /// whole, up to 1h. None: it takes its share at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<TimeSpan>,
    /// What `consistent_hash` chooses by; other policies pass over it.
    #[serde(skip_serializing_if = "is_default")]
    pub hash: Hash,
}

/// A balancing policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BalancePolicy {
    /// In turn, by weight: of any Σweights consecutive requests each backend gets exactly its weight.
    #[default]
    RoundRobin,
    /// By chance, by weight.
    Random,
    /// Where the fewest requests are under way for its weight, as all workers of the data plane count them: the least of up to 8
    /// endpoints, the lesser of two chosen by chance if there are more.
    LeastConnections,
    /// Where a request probably takes the shortest: by the time to the response head, which rises at once and falls slowly, and the
    /// requests under way for its weight.
    PeakEwma,
    /// What has the same key goes to the same endpoint; when one joins or leaves, few keys move.
    ConsistentHash,
}

/// What `consistent_hash` chooses by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"key": {"cookie": "user"}, "fallback": "random", "max_load_percent": 150}))))]
#[serde(default, deny_unknown_fields)]
pub struct Hash {
    /// The key.
    #[serde(skip_serializing_if = "is_default")]
    pub key: HashKey,
    /// What a request without the key goes by.
    #[serde(skip_serializing_if = "is_default")]
    pub fallback: HashFallback,
    /// How many requests may be under way at one endpoint, in per cent of its share of all that are under way, 101 to 10000; what
    /// would be more goes to the next endpoint of the key. 0: no bound, and the default.
    #[serde(skip_serializing_if = "is::<0, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 10_000, example = 125))]
    pub max_load_percent: u16,
}

/// The key of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!("client_address"), json!({"query": "id"}))))]
#[serde(rename_all = "snake_case")]
pub enum HashKey {
    /// The client's address.
    #[default]
    ClientAddress,
    /// The path, without the query.
    Path,
    /// The value of the first header field with this name.
    Header(FieldName),
    /// The value of the cookie with this name.
    Cookie(String),
    /// The value of the first query parameter with this name, as it was sent.
    Query(String),
}

/// What a request goes by that has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HashFallback {
    /// The client's address.
    #[default]
    ClientAddress,
    /// Chance.
    Random,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&Balance::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Balance>("{}").unwrap(), Balance::default());
    }

    #[test]
    fn keys_are_a_word_or_a_name() {
        for (text, key) in [
            (r#""client_address""#, HashKey::ClientAddress),
            (r#""path""#, HashKey::Path),
            (r#"{"header":"x-user"}"#, HashKey::Header("x-user".parse().unwrap())),
            (r#"{"cookie":"id"}"#, HashKey::Cookie("id".to_owned())),
            (r#"{"query":"id"}"#, HashKey::Query("id".to_owned())),
        ] {
            assert_eq!(serde_json::from_str::<HashKey>(text).unwrap(), key);
            assert_eq!(serde_json::to_string(&key).unwrap(), text);
        }
    }
}
