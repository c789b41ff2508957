use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SplitCookie, ValueMatch};
use crate::{
    config::{Weight, is, is_default},
    value::{FieldName, Name, Template},
};

/// What a route does with a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"forward": {"upstream": "shop"}}), json!({"split": [{"upstream": "shop", "weight": 95}, {"upstream": "shop-next", "weight": 5}]}), json!({"redirect": {"to": "https"}}), json!({"respond": {"status": 410, "body": "gone\n"}}))))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Sends it to a backend of an upstream.
    Forward(Forward),
    /// Sends it to one of several upstreams.
    Split(Vec<SplitTarget>),
    /// Sends the client elsewhere.
    Redirect(Redirect),
    /// Answers it.
    Respond(Respond),
}

/// Where a forwarded request goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"upstream": "shop"}))))]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The upstream's name.
    pub upstream: Name,
}

/// One of several upstreams that share the requests of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"upstream": "shop-next", "weight": 5, "when": {"cookies": {"canary": {"present": true}}}}))))]
#[serde(deny_unknown_fields)]
pub struct SplitTarget {
    /// The upstream's name.
    pub upstream: Name,
    /// Its share of the requests that no `when` sends elsewhere, against the weights of the others; 0 takes none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: Weight,
    /// Requests that go here whatever the weights: those for which any of these holds. The first target in the list wins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when: SplitWhen,
}

/// Requests that a split sends to one target whatever the weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"headers": {"x-canary": {"exact": "yes"}}, "cookies": {"canary": {"present": true}}}))))]
#[serde(default, deny_unknown_fields)]
pub struct SplitWhen {
    /// Any of these header fields has such a value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, ValueMatch>))]
    pub headers: BTreeMap<FieldName, ValueMatch>,
    /// Any of these cookies has such a value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cookies: BTreeMap<String, ValueMatch>,
}

/// By what a split chooses among its weights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!("client_address"), json!({"cookie": {"max_age": "30d"}}))))]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Each request by chance.
    #[default]
    Random,
    /// A client address always goes the same way, as long as the weights stay.
    ClientAddress,
    /// A client's first request by chance; a cookie keeps it there, however the weights change, until its upstream has none or is no
    /// target any more.
    Cookie(SplitCookie),
}

/// Sends the client elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"to": "https"}), json!({"to": "https://shop.example.com{uri}", "status": 301}))))]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// The new place, an absolute URL or a path: `"https://shop.example.com{uri}"`. The word `https` stands for the same place
    /// by HTTPS, at its usual port.
    pub to: Template,
    /// 301, 302, 303, 307 or 308. 307 and 308 keep the method; 301 and 308 are remembered. 308 unless said otherwise.
    #[serde(default = "permanent", skip_serializing_if = "is::<308, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 301, maximum = 308))]
    pub status: u16,
}

impl Redirect {
    /// Where it leads, with the word `https` spelled out.
    pub fn target(&self) -> Template {
        if self.to.as_text() == Some("https") {
            return "https://{host}{uri}".parse().expect("it is a template");
        }
        self.to.clone()
    }
}

fn permanent() -> u16 {
    308
}

/// A fixed answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(examples(json!({"status": 410, "headers": {"content-type": "application/json"}, "body": "{\"gone\":true}"}))))]
#[serde(deny_unknown_fields)]
pub struct Respond {
    /// The status, 200 to 599. 200 unless said otherwise.
    #[serde(default = "ok", skip_serializing_if = "is::<200, _>")]
    #[cfg_attr(feature = "openapi", schema(minimum = 200, maximum = 599))]
    pub status: u16,
    /// Header fields. `Content-Type` is `text/plain; charset=utf-8` unless it stands here. One whose value comes out empty is
    /// left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Template>))]
    pub headers: BTreeMap<FieldName, Template>,
    /// The body as it stands, at most 64 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

fn ok() -> u16 {
    200
}

impl Action {
    /// The upstreams that it names.
    pub fn upstreams(&self) -> impl Iterator<Item = &Name> {
        let (one, many) = match self {
            Self::Forward(forward) => (Some(&forward.upstream), &[][..]),
            Self::Split(targets) => (None, &targets[..]),
            Self::Redirect(_) | Self::Respond(_) => (None, &[][..]),
        };
        one.into_iter().chain(many.iter().map(|target| &target.upstream))
    }
}
