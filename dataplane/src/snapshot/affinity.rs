use shared::{
    config::{Hash, HashFallback, HashKey},
    routing::{RequestView, form},
};

use super::session::Session;
use crate::{balance::hash, head::RoutedRequest};

/// What of a request its backend is chosen by, once it is routed: all that is needed for a further try when its bytes are gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affinity {
    /// The number of its key; none if chance chooses.
    pub(crate) key: Option<u64>,
    /// The client's session, where clients stay with their backends.
    pub(crate) session: Option<Session>,
}

/// The number of the key of `request`; none if it goes by chance.
pub(super) fn key(by: &Hash, request: &RoutedRequest<'_>) -> Option<u64> {
    let of_client = || hash::of_address(request.client);
    let key = match &by.key {
        HashKey::ClientAddress => return Some(of_client()),
        HashKey::Path => return Some(hash::of_bytes(request.path().as_bytes())),
        HashKey::Header(name) => {
            let mut key = None;
            request.any_header(name.as_str(), &mut |value| {
                key = Some(hash::of_bytes(value));
                true
            });
            key
        }
        HashKey::Cookie(name) => {
            request.cookies().find(|(sent, _)| *sent == name.as_bytes()).map(|(_, value)| hash::of_bytes(value))
        }
        HashKey::Query(name) => form::values(request.query().unwrap_or_default(), name.as_bytes())
            .next()
            .map(|value| hash::of_bytes(&value)),
    };
    match by.fallback {
        HashFallback::ClientAddress => key.or_else(|| Some(of_client())),
        HashFallback::Random => key,
    }
}
