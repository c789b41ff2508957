use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use super::problem::Problem;
use crate::service::Target;

/// What the path names: the parameter `upstream` is the parent, the other one the resource.
pub(super) struct Place(pub(super) Target);

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::malformed("the path is not percent-encoded UTF-8"))?;
        let mut target = Target::default();
        for (name, value) in &parameters {
            match name {
                "upstream" => value.clone_into(&mut target.parent),
                _ => value.clone_into(&mut target.name),
            }
        }
        Ok(Self(target))
    }
}
