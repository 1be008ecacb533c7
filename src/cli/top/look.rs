//! One look at a running Cyan: everything that the screen shows, asked for in one go.

use std::time::SystemTime;

use serde::Serialize;

use super::super::failure::Failure;
use super::super::session::{Session, pick};
use crate::admin::api::stats::{Buckets, Stats};
use crate::admin::api::{SCHEMA, Service, Status};
use crate::model::name::Name;

/// How far back numbers and distributions look.
pub(super) const WINDOW: &str = "1m";

/// What was seen.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Look {
    schema: u32,
    /// When, in milliseconds since 1970.
    pub(super) at_unix_ms: u64,
    pub(super) status: Status,
    /// One for each environment of each service.
    pub(super) measured: Vec<Measured>,
}

/// What was measured of an environment lately.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    pub(super) stats: Stats,
    /// Times to first token.
    pub(super) ttft: Buckets,
}

impl Look {
    /// Looks at every service, or at the one that is named.
    pub(super) async fn take(session: &Session, service: Option<&str>) -> Result<Self, Failure> {
        let mut status: Status = session.client.get("/v1/status").await?;
        if let Some(name) = service {
            status.services = vec![pick(status.services, Some(name))?];
        }
        let mut measured = Vec::new();
        for service in &status.services {
            for environment in &service.environments {
                measured.push(Measured::of(session, &service.name, &environment.name).await?);
            }
        }
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at_unix_ms = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        Ok(Self::of(status, measured, at_unix_ms))
    }

    /// Puts together what was answered.
    pub(super) fn of(status: Status, measured: Vec<Measured>, at_unix_ms: u64) -> Self {
        Self { schema: SCHEMA, at_unix_ms, status, measured }
    }

    /// What was measured of the environments of a service, in their order.
    pub(super) fn measured<'a>(
        &'a self,
        service: &'a Service,
    ) -> impl Iterator<Item = &'a Measured> {
        self.measured.iter().filter(|measured| measured.stats.service == service.name)
    }
}

impl Measured {
    async fn of(session: &Session, service: &Name, environment: &Name) -> Result<Self, Failure> {
        let path = format!("/v1/services/{service}/environments/{environment}");
        let stats = session.client.get(&format!("{path}/stats?window={WINDOW}")).await?;
        let ttft = format!("{path}/histogram?metric=ttft&window={WINDOW}");
        Ok(Self { stats, ttft: session.client.get(&ttft).await? })
    }
}
