//! Certificates renewed while Cyan serves, as a part of every reload.
//!
//! Files are read before the controller hears of the reload, on a thread that may wait for a disk, and
//! put in place after it has taken the config: a certificate that cannot be used refuses the whole, and
//! the last good one goes on being shown. Connections that stand are not touched.

use std::sync::Arc;

use serde_json::json;

use super::clock::unix_ms;
use super::command::{Applied, Command, Refused, Request};
use super::handle::ControllerHandle;
use super::journal::NewEntry;
use crate::config::Config;
use crate::model::listener::ListenerSpec;
use crate::model::reading::Reading;
use crate::tls::certificate::Certificate;
use crate::tls::server::{ServerTls, Settings};

/// A certificate that clients see, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateView {
    /// The file of its chain.
    pub file: String,
    /// The hosts it is made out to.
    pub names: Vec<String>,
    /// The last second of its validity, in Unix time.
    pub not_after: Option<u64>,
    /// Seconds until then; negative once it is over.
    pub expires_in_s: Option<i64>,
    /// What somebody should know of it; `None` while it is valid, and will be for weeks.
    pub warning: Option<String>,
}

impl CertificateView {
    fn of(certificate: &Certificate, now: u64) -> Self {
        Self {
            file: certificate.file.display().to_string(),
            names: certificate.names.iter().map(str::to_owned).collect(),
            not_after: certificate.not_after,
            expires_in_s: certificate.expires_in_s(now),
            warning: certificate.warning(now),
        }
    }
}

impl ControllerHandle {
    /// TLS of the listeners. Said once, when they are up.
    pub fn announce_tls(&self, tls: Arc<ServerTls>) {
        // Listeners need a restart to change, so that there is no second time.
        let _ = self.shared.tls.set(tls);
        warn(&self.certificates());
    }

    /// The certificates that clients see; none without TLS.
    pub fn certificates(&self) -> Vec<CertificateView> {
        self.shared.tls.get().map(|tls| views(&tls.now())).unwrap_or_default()
    }

    /// Listeners with TLS as it is now.
    pub(super) fn listeners_now(&self, started_with: &[ListenerSpec]) -> Vec<ListenerSpec> {
        let now = self.shared.tls.get().map(|tls| tls.now().spec().clone());
        let with_now = |listener: &ListenerSpec| {
            let tls = listener.tls.as_ref().and_then(|_| now.clone());
            ListenerSpec { tls, ..listener.clone() }
        };
        started_with.iter().map(with_now).collect()
    }

    /// Takes a config over, its certificates included.
    ///
    /// # Errors
    /// When the config, or a certificate, cannot be used; nothing has changed then.
    pub(super) async fn reload(&self, request: Request) -> Result<Applied, Refused> {
        let (actor, reason) = (request.actor.clone(), request.reason.clone());
        let mut prepared = None;
        if let Command::Reload(reading, config) = &request.command {
            let said = |refused: &Refused| {
                self.config_refused(*reading, &actor, &refused.to_string());
            };
            prepared = self.prepare(*reading, config).await.inspect_err(said)?;
        }
        let mut applied = self.ask(request).await?;
        // All of a config or nothing: who was left out brings no certificates either.
        let prepared = prepared.filter(|_| !applied.is_left_out);
        let renewed = prepared.is_some_and(|(tls, next)| tls.replace(next).is_some());
        if renewed {
            applied.changed = true;
            self.tell_of_renewal(actor, reason).await;
        }
        Ok(applied)
    }

    async fn prepare(
        &self,
        reading: Reading,
        config: &Config,
    ) -> Result<Option<(Arc<ServerTls>, Settings)>, Refused> {
        let spec = config.listeners.iter().find_map(|listener| listener.tls.clone());
        let (Some(tls), Some(spec)) = (self.shared.tls.get(), spec) else { return Ok(None) };
        let tls = Arc::clone(tls);
        let prepare = move || tls.prepare(reading, &spec).map(|next| (tls, next));
        let read = tokio::task::spawn_blocking(prepare);
        let read = read.await.map_err(|_| "reading certificates panicked".to_owned());
        let read = read.and_then(|read| read.map_err(|error| error.to_string()));
        read.map(Some).map_err(|problem| Refused::State {
            problem,
            remedy: "the last good certificates stay; put right ones in place".to_owned(),
        })
    }

    async fn tell_of_renewal(&self, actor: String, reason: Option<String>) {
        let certificates = self.certificates();
        warn(&certificates);
        let files: Vec<_> = certificates.iter().map(|own| own.file.as_str()).collect();
        let text =
            format!("TLS was renewed; new connections see {}, others go on", files.join(", "));
        let ends: Vec<_> = certificates.iter().map(|own| own.not_after).collect();
        let details = json!({ "files": files, "not_after": ends });
        let kind = "certificates_renewed";
        self.shared.events.tell(None, kind, text.clone(), details.clone());
        self.remember(NewEntry::of_process(actor, reason, kind, text, details)).await;
    }
}

fn views(settings: &Settings) -> Vec<CertificateView> {
    let now = unix_ms() / 1000;
    settings.certificates().iter().map(|own| CertificateView::of(own, now)).collect()
}

fn warn(certificates: &[CertificateView]) {
    for warning in certificates.iter().filter_map(|own| own.warning.as_ref()) {
        tracing::warn!("{warning}");
    }
}
