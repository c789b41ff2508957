//! Parsed text: each type here is made by parsing once, and is right from then on.
//!
//! All of them are strings in JSON, YAML and SQL. [`Display`](std::fmt::Display) gives the canonical spelling, which parses
//! to the same value again.

mod address;
mod body_template;
mod cidr;
mod error_selector;
mod grpc_status;
mod host;
mod host_policy;
mod name;
mod origin;
mod pattern;
mod retry_on;
mod server_header;
mod size;
mod status;
mod template;
mod time;
mod token;

pub use address::{BackendAddress, ListenAddress, NameServer};
pub use body_template::{BodyPart, BodyTemplate};
pub use cidr::Cidr;
pub use error_selector::{ErrorSelector, REASONS};
pub use grpc_status::GrpcStatus;
pub use host::{HostPattern, Hostname};
pub use host_policy::HostPolicy;
pub use name::Name;
pub use origin::OriginPattern;
pub use pattern::{AbsolutePath, Pattern};
pub use retry_on::RetryOn;
pub use server_header::ServerHeader;
pub use size::ByteSize;
pub use status::StatusRange;
pub use template::{Part, Template, Variable};
pub use time::{TimeSpan, Timestamp};
pub use token::{FieldName, Method};

/// Why a text is not a value: one sentence that says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub(crate) String);

impl ParseError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Shortens text from outside before it goes into a message, and escapes what would not print.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

/// Gives a type with `FromStr` and `Display` the string form in serde and in OpenAPI.
macro_rules! string_value {
    ($type:ident, $expecting:literal, $example:literal $(, pattern: $pattern:expr)?) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str($expecting)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::SchemaType::Type(utoipa::openapi::schema::Type::String))
                    .description(Some($expecting))
                    $(.pattern(Some($pattern)))?
                    .examples([$example])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(stringify!($type))
            }
        }
    };
}
pub(crate) use string_value;
