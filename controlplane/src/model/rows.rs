use serde::de::DeserializeOwned;
use shared::config::{Backend, Config, Upstream};

use super::{Key, Kind};

/// One stored resource.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: Key,
    /// The body as JSON.
    pub(crate) body: String,
    /// The revision of its last change.
    pub(crate) created_in: u64,
}

/// A stored row that is no resource: the database was changed by something else, or by a newer version.
#[derive(Debug, thiserror::Error)]
#[error("the stored {key} cannot be read: {reason}")]
pub(crate) struct RowError {
    key: Key,
    reason: String,
}

/// Puts the rows of one revision together; the configuration is canonical.
pub(crate) fn assemble(rows: &[Row]) -> Result<Config, RowError> {
    let mut config = Config::default();
    // Upstreams first: backends and breakers join theirs.
    for row in rows.iter().filter(|row| row.key.kind == Kind::Upstream) {
        config.upstreams.push(read(row)?);
    }
    config.upstreams.sort_by(|a, b| a.name.cmp(&b.name));
    for row in rows {
        match row.key.kind {
            Kind::Listener => config.listeners.push(read(row)?),
            Kind::Upstream => {}
            Kind::Backend => {
                let upstream = row.key.name.split('/').next().unwrap_or_default();
                let backend: Backend = read(row)?;
                owner(&mut config, row, upstream)?.backends.push(backend);
            }
            Kind::Breaker => owner(&mut config, row, &row.key.name)?.breaker = read(row)?,
            Kind::Route => config.routes.push(read(row)?),
            Kind::IpRule => config.ip_rules.push(read(row)?),
            Kind::Settings => config.settings = read(row)?,
        }
    }
    config.canonicalize();
    Ok(config)
}

fn read<T: DeserializeOwned>(row: &Row) -> Result<T, RowError> {
    shared::document::from_json(row.body.as_bytes())
        .map_err(|findings| RowError { key: row.key.clone(), reason: findings.to_string() })
}

fn owner<'c>(config: &'c mut Config, row: &Row, upstream: &str) -> Result<&'c mut Upstream, RowError> {
    let position = config
        .upstreams
        .binary_search_by(|candidate| candidate.name.as_str().cmp(upstream))
        .map_err(|_| RowError { key: row.key.clone(), reason: format!("upstream `{upstream}` is missing") })?;
    Ok(&mut config.upstreams[position])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::diff;

    #[test]
    fn a_configuration_survives_the_way_through_rows() {
        let config = shared::document::read_config(
            "listeners: [{name: web, address: '127.0.0.1:80'}]
upstreams:
  - {name: a, breaker: {failure_rate_threshold: 10}, backends: [{name: b, address: 'unix:/b'}, {name: a, address: 'unix:/a', weight: 3}]}
  - {name: a-b}
routes: [{name: r, action: {forward: {upstream: a}}}]
ip_rules: [{action: deny, cidr: 10.0.0.0/8}, {name: z, route: r, action: allow, cidr: 10.0.0.1}]
settings: {access_log: {enabled: false}}",
        )
        .unwrap();
        let rows: Vec<Row> = diff(&Config::default(), &config)
            .into_iter()
            .rev()
            .map(|change| Row { key: change.key, body: change.after.unwrap(), created_in: 1 })
            .collect();
        assert_eq!(assemble(&rows).unwrap(), config);
    }

    #[test]
    fn a_row_that_does_not_fit_is_named() {
        let row =
            Row { key: Key::backend("a", "x"), body: r#"{"name":"x","address":"unix:/x"}"#.into(), created_in: 1 };
        let error = assemble(&[row]).unwrap_err().to_string();
        assert!(error.contains("backend `a/x`") && error.contains("upstream `a` is missing"), "{error}");
    }
}
