//! Findings about the whole configuration, told to somebody who sent a part of it.

use shared::{
    Finding, Findings, Severity,
    config::{Config, Named},
    finding::within,
    value::Name,
};

use crate::model::{Key, Kind};

/// Which part of the configuration a write sent.
#[derive(Clone, Debug)]
pub(crate) enum Focus {
    /// All of it: pointers stay as they are.
    Whole,
    /// One resource: pointers into it are relative to it, others stay whole and name the resource they point at.
    Resource(Key),
    /// No body at all.
    Nothing,
}

impl Focus {
    /// Where in `config` the resource is that was sent.
    pub(crate) fn pointer(&self, config: &Config) -> Option<String> {
        match self {
            Self::Resource(key) => pointer_of(config, key),
            Self::Whole | Self::Nothing => None,
        }
    }

    /// The findings as the caller should see them: without warnings about what the caller did not send.
    ///
    /// `config` is the configuration that the findings point into.
    pub(crate) fn tell(&self, findings: Findings, config: &Config) -> Findings {
        if matches!(self, Self::Whole) {
            return findings;
        }
        let prefix = self.pointer(config);
        let mut told = Findings::new();
        for finding in findings {
            match prefix.as_deref().and_then(|prefix| within(prefix, &finding.pointer)) {
                Some(inner) => told.push(Finding { pointer: inner.to_owned(), ..finding }),
                None if finding.severity == Severity::Error => told.push(described(finding, config)),
                None => {}
            }
        }
        told
    }
}

/// The JSON pointer of a resource; `config` need not be canonical.
pub(crate) fn pointer_of(config: &Config, key: &Key) -> Option<String> {
    let upstream = |name: &str| {
        let position = at(&config.upstreams, name)?;
        Some((format!("/upstreams/{position}"), &config.upstreams[position]))
    };
    match key.kind {
        Kind::Listener => Some(format!("/listeners/{}", at(&config.listeners, &key.name)?)),
        Kind::Upstream => upstream(&key.name).map(|(pointer, _)| pointer),
        Kind::Backend => {
            let (parent, name) = key.name.split_once('/')?;
            let (pointer, upstream) = upstream(parent)?;
            Some(format!("{pointer}/backends/{}", at(&upstream.backends, name)?))
        }
        Kind::Breaker => upstream(&key.name).map(|(pointer, _)| format!("{pointer}/breaker")),
        Kind::Route => Some(format!("/routes/{}", at(&config.routes, &key.name)?)),
        Kind::IpRule => Some(format!("/ip_rules/{}", at(&config.ip_rules, &key.name)?)),
        Kind::Settings => Some("/settings".to_owned()),
    }
}

fn at<T: Named>(list: &[T], name: &str) -> Option<usize> {
    list.iter().position(|item| item.name().as_str() == name)
}

/// Puts the name of the resource that a pointer leads to in front of the message: the caller cannot see the position.
fn described(finding: Finding, config: &Config) -> Finding {
    match resource_at(config, &finding.pointer) {
        Some(key) => Finding { message: format!("{key}: {}", finding.message), ..finding },
        None => finding,
    }
}

/// The resource that a pointer into `config` leads to.
fn resource_at(config: &Config, pointer: &str) -> Option<Key> {
    fn name<T: Named>(list: &[T], index: Option<&str>) -> Option<Name> {
        list.get(index?.parse::<usize>().ok()?).map(Named::name)
    }
    let mut segments = pointer.strip_prefix('/')?.split('/');
    let (collection, index) = (segments.next()?, segments.next());
    let (kind, name) = match collection {
        "listeners" => (Kind::Listener, name(&config.listeners, index)?),
        "upstreams" => (Kind::Upstream, name(&config.upstreams, index)?),
        "routes" => (Kind::Route, name(&config.routes, index)?),
        "ip_rules" => (Kind::IpRule, name(&config.ip_rules, index)?),
        _ => return None,
    };
    Some(Key::new(kind, name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_relative_to_what_was_sent() {
        let config = shared::document::read_config(
            "upstreams: [{name: u, backends: [{name: a, address: 'unix:/a'}, {name: b, address: 'unix:/b'}]}]
routes: [{name: r1, action: {forward: {upstream: u}}}, {name: r2, action: {forward: {upstream: u}}}]",
        )
        .unwrap();
        let told = |key: Key, pointer: &str| {
            let findings = Focus::Resource(key).tell(Findings::of_error(pointer, "wrong"), &config);
            let finding = findings.iter().next().unwrap().clone();
            (finding.pointer, finding.message)
        };
        let route = || Key::new(Kind::Route, "r2");
        for (key, pointer, expected) in [
            (route(), "/routes/1/match/hosts/0", ("/match/hosts/0", "wrong")),
            (route(), "/routes/1", ("", "wrong")),
            (route(), "/routes/10/x", ("/routes/10/x", "wrong")),
            (route(), "/routes/0/action", ("/routes/0/action", "route `r1`: wrong")),
            (Key::backend("u", "b"), "/upstreams/0/backends/1/address", ("/address", "wrong")),
            (Key::backend("u", "b"), "/upstreams/0/balance", ("/upstreams/0/balance", "upstream `u`: wrong")),
            (Key::new(Kind::Breaker, "u"), "/upstreams/0/breaker/x", ("/x", "wrong")),
            (Key::settings(), "/settings/access_log", ("/access_log", "wrong")),
        ] {
            let (pointer, message) = told(key, pointer);
            assert_eq!((pointer.as_str(), message.as_str()), expected);
        }
        let mut warnings = Findings::new();
        warnings.warning("/routes/0", "another's");
        warnings.warning("/routes/1", "ours");
        let told = Focus::Resource(route()).tell(warnings.clone(), &config);
        assert_eq!(told.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>(), ["ours"]);
        assert_eq!(Focus::Whole.tell(warnings, &config).iter().count(), 2);
    }
}
