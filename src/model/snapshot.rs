//! The whole of what the data plane needs to know: every service's routing table.

use std::sync::Arc;

use super::environment::Protocol;
use super::name::Name;
use super::routing_table::RoutingTable;

/// An immutable set of routing tables, swapped as one pointer. The data plane only ever reads it.
#[derive(Debug, Default)]
pub struct Snapshot {
    tables: Vec<Arc<RoutingTable>>,
    speaks_http2: bool,
}

impl Snapshot {
    /// A snapshot of these services.
    pub fn new(tables: Vec<Arc<RoutingTable>>) -> Self {
        let environments = tables.iter().flat_map(|table| &table.environments);
        let mut protocols = environments.map(|environment| environment.spec.protocol);
        let speaks_http2 = protocols.any(|protocol| protocol == Protocol::Http2);
        Self { tables, speaks_http2 }
    }

    /// Whether any environment speaks HTTP/2.
    pub fn speaks_http2(&self) -> bool {
        self.speaks_http2
    }

    /// All tables, in the order of the config.
    pub fn tables(&self) -> &[Arc<RoutingTable>] {
        &self.tables
    }

    /// The table of the service with this name.
    pub fn table(&self, service: &str) -> Option<&Arc<RoutingTable>> {
        self.tables.iter().find(|table| table.service.name == *service)
    }

    /// The same snapshot with one service's table replaced, or added.
    #[must_use]
    pub fn with(&self, table: Arc<RoutingTable>) -> Self {
        let mut tables = self.tables.clone();
        let name: &Name = &table.service.name;
        match tables.iter().position(|known| known.service.name == *name) {
            Some(index) => tables[index] = table,
            None => tables.push(table),
        }
        Self::new(tables)
    }

    /// The only service, where it answers to every host and path: most of the time nothing else has to
    /// be looked at.
    pub fn only_catch_all(&self) -> Option<&Arc<RoutingTable>> {
        let [only] = self.tables.as_slice() else { return None };
        let service = &only.service;
        (service.hosts.is_empty() && service.path_prefixes.is_empty()).then_some(only)
    }

    /// The service that answers to `host` (lower case, without a port) and `path`: an exact host before
    /// a pattern before any host, then the longest path prefix.
    pub fn route(&self, host: &str, path: &str) -> Option<&Arc<RoutingTable>> {
        self.tables
            .iter()
            .filter_map(|table| Some((rank(table, host, path)?, table)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, table)| table)
    }
}

/// How well a service fits; `None` when it does not.
fn rank(table: &RoutingTable, host: &str, path: &str) -> Option<(usize, usize)> {
    use super::service::HostPattern;
    let service = &table.service;
    let by_host = if service.hosts.is_empty() {
        0
    } else {
        let fits = service.hosts.iter().filter(|pattern| pattern.matches(host));
        fits.map(|pattern| match pattern {
            HostPattern::Exact(_) => usize::MAX,
            HostPattern::Below(suffix) => suffix.len(),
        })
        .max()?
    };
    let by_path = if service.path_prefixes.is_empty() {
        0
    } else {
        let fits = service.path_prefixes.iter().filter(|prefix| has_prefix(path, prefix));
        fits.map(|prefix| prefix.len() + 1).max()?
    };
    Some((by_host, by_path))
}

/// Whether `path` lies under `prefix`, on a segment boundary: `/api` holds `/api` and `/api/x`, not `/apix`.
pub(super) fn has_prefix(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_segments() {
        for (path, prefix, fits) in [
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/api/x", "/api/", true),
            ("/apix", "/api", false),
            ("/", "/", true),
            ("/x", "/", true),
        ] {
            assert_eq!(has_prefix(path, prefix), fits, "{path} under {prefix}");
        }
    }
}
