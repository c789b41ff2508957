use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt, future::join, stream};
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RData, RecordType},
    },
    system_conf,
};
use shared::{config, value::NameServer};
use tokio::sync::Semaphore;
use tracing::{error, warn};

use super::question::{Answer, Family, Fault, Part, PartKey, Question, Record, loopback, usable};

/// Names that are asked for at the same time, over all backends.
const AT_ONCE: usize = 32;

/// Queries that may be under way to one server: each of those names asks for both families.
const QUERIES: usize = 4 * AT_ONCE;

/// Hosts of a service that are resolved: what an answer has beyond is not used.
const HOSTS_PER_SERVICE: usize = 64;

/// Hosts of one service that are asked for at the same time.
const HOSTS_AT_ONCE: usize = 8;

/// The longest that a question may take, whatever servers do and however many names are to be searched.
const LONGEST: Duration = Duration::from_secs(60);

/// What is not from a server holds until it is read again.
const FOREVER: Duration = Duration::MAX;

/// The files that say what the system says.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Who asks.
pub(crate) trait Ask: Send + Sync + 'static {
    /// Asks, and waits for the answer. It ends in bounded time.
    fn ask(&self, question: &Question) -> impl Future<Output = Result<Answer, Fault>> + Send;

    /// The settings that it was made from.
    fn config(&self) -> &config::Dns;
}

/// Asks DNS servers; names in the system's `hosts` file, and `localhost`, need none.
pub(crate) struct Client {
    config: config::Dns,
    resolver: Option<TokioResolver>,
    hosts: Hosts,
    slots: Arc<Semaphore>,
    /// When the system's files were written that this was made from.
    written: [Option<SystemTime>; FILES.len()],
}

impl Client {
    /// Reads the system's files. Whatever is wrong with them is logged: names fail then, nothing else does.
    pub(crate) fn new(config: &config::Dns) -> Self {
        let written = written();
        let (servers, mut options) = servers(&config.servers);
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        options.timeout = config.timeout.duration();
        options.attempts = config.retries as usize;
        options.max_active_requests = QUERIES;
        let mut builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let resolver = builder.build().inspect_err(|error| error!(%error, "names cannot be resolved"));
        Self {
            config: config.clone(),
            resolver: resolver.ok(),
            hosts: Hosts::from_system().unwrap_or_default(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            written,
        }
    }

    /// Whether the system's files have changed since they were read.
    pub(crate) fn is_outdated(&self) -> bool {
        self.written != written()
    }

    async fn host(&self, name: Name, key: &HostKey<'_>) -> Result<Answer, Fault> {
        if let Some(answer) = self.without_server(&name, key) {
            return Ok(answer);
        }
        let resolver = self.resolver.as_ref().ok_or_else(|| Fault::Failed("there is no DNS resolver".to_owned()))?;
        let (v6, v4) = join(resolver.ipv6_lookup(name.clone()), resolver.ipv4_lookup(name)).await;
        let (v6, v4) = (addresses(v6), addresses(v4));
        let found = || [&v6, &v4].into_iter().flatten();
        if found().all(|found| found.ips.is_empty()) {
            return Err([v6, v4].into_iter().find_map(Result::err).unwrap_or(Fault::Empty));
        }
        let ttl = found().filter_map(|found| found.ttl).min();
        let parts = [(Family::V6, v6), (Family::V4, v4)].map(|(family, found)| {
            let records = found.ok().map(|found| found.ips.into_iter().map(|ip| key.record(ip)).collect());
            Part { key: key.part(family), records }
        });
        Ok(Answer { parts: parts.into(), ttl: ttl.unwrap_or_default() })
    }

    /// What the `hosts` file says, whatever servers would, or that `localhost` is this host.
    fn without_server(&self, name: &Name, key: &HostKey<'_>) -> Option<Answer> {
        let of_type = |kind| {
            let lookup = self.hosts.lookup_static_host(&Query::query(name.clone(), kind));
            let records = lookup.iter().flat_map(|lookup| lookup.answers()).filter_map(|record| record.data.ip_addr());
            records.collect::<Vec<_>>()
        };
        let mut ips = [of_type(RecordType::AAAA), of_type(RecordType::A)].concat();
        if ips.is_empty() {
            ips = loopback(key.host.trim_end_matches('.'))?.into();
        }
        let parts = [Family::V6, Family::V4].map(|family| {
            let of_family = ips.iter().filter(|ip| ip.is_ipv6() == (family == Family::V6));
            Part { key: key.part(family), records: Some(of_family.map(|ip| key.record(*ip)).collect()) }
        });
        Some(Answer { parts: parts.into(), ttl: FOREVER })
    }

    /// The addresses of one host of a service, and why they are not known.
    async fn host_of_service(&self, mut target: Name, port: u16, weight: u16) -> (Answer, Option<Fault>) {
        target.set_fqdn(true);
        let host = target.to_ascii();
        let key = HostKey { host: &host, port: Some(port), weight };
        match self.host(target, &key).await {
            Ok(answer) => (answer, None),
            Err(Fault::Empty) => (key.answer(Some(Vec::new())), None),
            Err(fault) => (key.answer(None), Some(fault)),
        }
    }

    /// The hosts of the lowest priority that have addresses (RFC 2782).
    async fn service(&self, name: &str) -> Result<Answer, Fault> {
        let resolver = self.resolver.as_ref().ok_or_else(|| Fault::Failed("there is no DNS resolver".to_owned()))?;
        let lookup = resolver.srv_lookup(parsed(name)?).await.map_err(fault)?;
        let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or_default();
        let mut by_priority: BTreeMap<u16, Vec<_>> = BTreeMap::new();
        let mut services: Vec<_> = lookup
            .answers()
            .iter()
            .filter_map(|record| if let RData::SRV(service) = &record.data { Some(service) } else { None })
            // A root says that there is no such service here.
            .filter(|service| !service.target.is_root() && service.port != 0)
            .collect();
        // In an order that does not change from answer to answer.
        services.sort_by(|a, b| (a.priority, &a.target, a.port).cmp(&(b.priority, &b.target, b.port)));
        if services.len() > HOSTS_PER_SERVICE {
            warn!(name, hosts = services.len(), used = HOSTS_PER_SERVICE, "a service has more hosts than are used");
            services.truncate(HOSTS_PER_SERVICE);
        }
        for service in services {
            let host = (service.target.clone(), service.port, service.weight);
            by_priority.entry(service.priority).or_default().push(host);
        }
        for services in by_priority.into_values() {
            // All weights may be 0, where they do not matter; among others it means next to nothing.
            let hosts =
                services.into_iter().map(|(target, port, weight)| self.host_of_service(target, port, weight.max(1)));
            let hosts: Vec<_> = stream::iter(hosts).buffer_unordered(HOSTS_AT_ONCE).collect().await;
            let ttl = hosts.iter().map(|(answer, _)| answer.ttl).min().unwrap_or_default().min(seconds(ttl));
            let fault = hosts.iter().find_map(|(_, fault)| fault.clone());
            let parts: Vec<Part> = hosts.into_iter().flat_map(|(answer, _)| answer.parts).collect();
            let is_known = parts.iter().any(|part| part.records.as_ref().is_some_and(|records| !records.is_empty()));
            match fault {
                _ if is_known => return Ok(Answer { parts, ttl }),
                // The hosts of this priority may well have addresses.
                Some(fault) => return Err(fault),
                None => {}
            }
        }
        Err(Fault::Empty)
    }
}

impl Ask for Client {
    async fn ask(&self, question: &Question) -> Result<Answer, Fault> {
        // Never closed.
        let _slot = self.slots.acquire().await;
        let asked = async {
            match question {
                Question::Host(host) => {
                    let key = HostKey { host: host.as_str(), port: None, weight: 1 };
                    self.host(parsed(host.as_str())?, &key).await
                }
                Question::Service(name) => self.service(name.as_str()).await,
            }
        };
        tokio::time::timeout(LONGEST, asked).await.unwrap_or(Err(Fault::Timeout))
    }

    fn config(&self) -> &config::Dns {
        &self.config
    }
}

/// A host and what is to be said of its addresses.
struct HostKey<'a> {
    host: &'a str,
    port: Option<u16>,
    weight: u16,
}

impl HostKey<'_> {
    fn part(&self, family: Family) -> PartKey {
        PartKey { host: self.host.into(), port: self.port, family }
    }

    fn record(&self, ip: IpAddr) -> Record {
        Record { ip, port: self.port, weight: self.weight }
    }

    /// The same for both families.
    fn answer(&self, records: Option<Vec<Record>>) -> Answer {
        let parts = [Family::V6, Family::V4].map(|family| Part { key: self.part(family), records: records.clone() });
        Answer { parts: parts.into(), ttl: FOREVER }
    }
}

/// What one query found.
struct Found {
    ips: Vec<IpAddr>,
    /// None if it found nothing.
    ttl: Option<Duration>,
}

fn addresses(lookup: Result<Lookup, NetError>) -> Result<Found, Fault> {
    match lookup.map_err(fault) {
        Ok(lookup) => Ok(Found {
            ips: lookup.answers().iter().filter_map(|record| record.data.ip_addr()).filter_map(usable).collect(),
            // Those of aliases on the way, too.
            ttl: lookup.answers().iter().map(|record| seconds(record.ttl)).min(),
        }),
        Err(Fault::Empty) => Ok(Found { ips: Vec::new(), ttl: None }),
        Err(fault) => Err(fault),
    }
}

fn fault(error: NetError) -> Fault {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => Fault::Empty,
        NetError::Timeout => Fault::Timeout,
        error => Fault::Failed(error.to_string()),
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

fn parsed(name: &str) -> Result<Name, Fault> {
    Name::from_ascii(name).map_err(|error| Fault::Failed(error.to_string()))
}

fn servers(named: &[NameServer]) -> (ResolverConfig, ResolverOpts) {
    if named.is_empty() {
        return system_conf::read_system_conf().unwrap_or_else(|error| {
            warn!(%error, "/etc/resolv.conf names no DNS servers; only names in /etc/hosts are resolved");
            (ResolverConfig::from_parts(None, Vec::new(), Vec::new()), ResolverOpts::default())
        });
    }
    let servers = named.iter().map(|server| {
        let address = server.socket_addr();
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = address.port();
            connection
        });
        NameServerConfig::new(address.ip(), true, connections.into())
    });
    (ResolverConfig::from_parts(None, Vec::new(), servers.collect()), ResolverOpts::default())
}

fn written() -> [Option<SystemTime>; FILES.len()] {
    FILES.map(|file| fs::metadata(file).and_then(|metadata| metadata.modified()).ok())
}
