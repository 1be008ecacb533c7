//! Requests that name their environment: evaluations, smoke tests, somebody who wants to look.
//!
//! Only clients that the service trusts may, or anybody with a signed value. Whoever else sends the
//! header is served as if it were not there: it was removed on the way in.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::head::RequestHead;
use super::key::cookie_value;
use super::reply::Refusal;
use crate::model::environment::Environment;
use crate::model::force_token;
use crate::model::routing_table::RoutingTable;
use crate::model::service::ForceRule;

/// The environment that an allowed client names.
///
/// # Errors
/// When an allowed client names one that does not exist.
pub fn forced(
    head: &impl RequestHead,
    table: &RoutingTable,
    client: Option<IpAddr>,
) -> Result<Option<Arc<Environment>>, Refusal> {
    let Some(rule) = &table.service.force else { return Ok(None) };
    let by_cookie = || rule.cookie.as_ref().and_then(|name| cookie_value(head, name));
    let Some(value) = head.first(rule.header).or_else(by_cookie) else { return Ok(None) };
    let Ok(value) = std::str::from_utf8(value) else { return Ok(None) };
    let Some(name) = allowed_name(rule, client, value) else { return Ok(None) };
    if let Some(environment) = table.environment(name) {
        Ok(Some(Arc::clone(environment)))
    } else {
        let known: Vec<_> = table.environments.iter().map(|e| e.name().as_str()).collect();
        Err(Refusal::UnknownEnvironment(known.join(", ")))
    }
}

/// The name in a value, if this client may say it. Behind a trusted proxy the client is who the proxy says
/// it is, not the proxy.
fn allowed_name<'v>(rule: &ForceRule, client: Option<IpAddr>, value: &'v str) -> Option<&'v str> {
    if let Some(secret) = &rule.secret {
        // Signed values expire by the calendar, so this is the one place that reads it.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Some(name) = force_token::verify(secret.expose(), value, now) {
            return Some(name);
        }
    }
    let is_trusted = client.is_some_and(|a| rule.trusted.iter().any(|net| net.contains(&a)));
    is_trusted.then_some(value)
}
