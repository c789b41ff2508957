//! The kinds of resources as far as they differ: where they live in the configuration, and who names them.

use serde::{Serialize, de::DeserializeOwned};
use shared::config::{Backend, Breaker, Config, IpRule, Listener, Named, Route, Settings, Upstream};

use super::current::position;
use crate::model::{Key, Kind};

/// A kind of resource of which there are many, each with a name.
///
/// `parent` is the upstream's name for backends, and is empty and ignored for all others.
pub(crate) trait Collection:
    Named + Clone + PartialEq + Serialize + DeserializeOwned + utoipa::ToSchema + Send + Sync + 'static
{
    const KIND: Kind;
    /// Most bytes of a request body.
    const BODY_LIMIT: usize = 1 << 20;

    /// The items in order of names; none if there is no such parent.
    fn list<'c>(config: &'c Config, parent: &str) -> Option<&'c Vec<Self>>;

    /// The same list, to be changed.
    fn list_mut<'c>(config: &'c mut Config, parent: &str) -> Option<&'c mut Vec<Self>>;

    /// The resources that name this one: it cannot be deleted while there are any.
    fn users(config: &Config, name: &str) -> Vec<Key> {
        let _ = (config, name);
        Vec::new()
    }

    fn key(parent: &str, name: &str) -> Key {
        let _ = parent;
        Key::new(Self::KIND, name)
    }

    fn find<'c>(config: &'c Config, parent: &str, name: &str) -> Option<&'c Self> {
        let list = Self::list(config, parent)?;
        position(list, name).map(|position| &list[position])
    }
}

/// A kind of resource of which there is exactly one, or one for each upstream. It always exists; deleted, it is at its defaults.
pub(crate) trait Singleton:
    Default + Clone + PartialEq + Serialize + DeserializeOwned + utoipa::ToSchema + Send + Sync + 'static
{
    fn get<'c>(config: &'c Config, parent: &str) -> Option<&'c Self>;

    fn get_mut<'c>(config: &'c mut Config, parent: &str) -> Option<&'c mut Self>;

    fn key(parent: &str) -> Key;
}

impl Collection for Listener {
    const KIND: Kind = Kind::Listener;

    fn list<'c>(config: &'c Config, _: &str) -> Option<&'c Vec<Self>> {
        Some(&config.listeners)
    }

    fn list_mut<'c>(config: &'c mut Config, _: &str) -> Option<&'c mut Vec<Self>> {
        Some(&mut config.listeners)
    }

    fn users(config: &Config, name: &str) -> Vec<Key> {
        routes_where(config, |route| route.matches.listeners.iter().any(|listener| listener.as_str() == name))
    }
}

impl Collection for Upstream {
    const KIND: Kind = Kind::Upstream;
    // It holds its backends.
    const BODY_LIMIT: usize = 4 << 20;

    fn list<'c>(config: &'c Config, _: &str) -> Option<&'c Vec<Self>> {
        Some(&config.upstreams)
    }

    fn list_mut<'c>(config: &'c mut Config, _: &str) -> Option<&'c mut Vec<Self>> {
        Some(&mut config.upstreams)
    }

    fn users(config: &Config, name: &str) -> Vec<Key> {
        routes_where(config, |route| route.upstreams().any(|upstream| upstream.as_str() == name))
    }
}

impl Collection for Backend {
    const KIND: Kind = Kind::Backend;

    fn list<'c>(config: &'c Config, parent: &str) -> Option<&'c Vec<Self>> {
        Upstream::find(config, "", parent).map(|upstream| &upstream.backends)
    }

    fn list_mut<'c>(config: &'c mut Config, parent: &str) -> Option<&'c mut Vec<Self>> {
        upstream_mut(config, parent).map(|upstream| &mut upstream.backends)
    }

    fn key(parent: &str, name: &str) -> Key {
        Key::backend(parent, name)
    }
}

impl Collection for Route {
    const KIND: Kind = Kind::Route;

    fn list<'c>(config: &'c Config, _: &str) -> Option<&'c Vec<Self>> {
        Some(&config.routes)
    }

    fn list_mut<'c>(config: &'c mut Config, _: &str) -> Option<&'c mut Vec<Self>> {
        Some(&mut config.routes)
    }

    fn users(config: &Config, name: &str) -> Vec<Key> {
        let of_route = |rule: &&IpRule| rule.route.as_ref().is_some_and(|route| route.as_str() == name);
        config.ip_rules.iter().filter(of_route).map(|rule| IpRule::key("", rule.name().as_str())).collect()
    }
}

impl Collection for IpRule {
    const KIND: Kind = Kind::IpRule;

    fn list<'c>(config: &'c Config, _: &str) -> Option<&'c Vec<Self>> {
        Some(&config.ip_rules)
    }

    fn list_mut<'c>(config: &'c mut Config, _: &str) -> Option<&'c mut Vec<Self>> {
        Some(&mut config.ip_rules)
    }
}

impl Singleton for Settings {
    fn get<'c>(config: &'c Config, _: &str) -> Option<&'c Self> {
        Some(&config.settings)
    }

    fn get_mut<'c>(config: &'c mut Config, _: &str) -> Option<&'c mut Self> {
        Some(&mut config.settings)
    }

    fn key(_: &str) -> Key {
        Key::settings()
    }
}

impl Singleton for Breaker {
    fn get<'c>(config: &'c Config, parent: &str) -> Option<&'c Self> {
        Upstream::find(config, "", parent).map(|upstream| &upstream.breaker)
    }

    fn get_mut<'c>(config: &'c mut Config, parent: &str) -> Option<&'c mut Self> {
        upstream_mut(config, parent).map(|upstream| &mut upstream.breaker)
    }

    fn key(parent: &str) -> Key {
        Key::new(Kind::Breaker, parent)
    }
}

fn upstream_mut<'c>(config: &'c mut Config, name: &str) -> Option<&'c mut Upstream> {
    let position = position(&config.upstreams, name)?;
    config.upstreams.get_mut(position)
}

fn routes_where(config: &Config, uses: impl Fn(&Route) -> bool) -> Vec<Key> {
    config.routes.iter().filter(|route| uses(route)).map(|route| Route::key("", route.name.as_str())).collect()
}
