//! What every handler gets: the server behind the API, and the request as far as it matters.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::header::{HOST, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Uri, Version};
use bytes::Bytes;

use crate::api::body::{Budget, Taken};
use crate::api::fragments::{Fragments, LastList};
use crate::api::metrics::Metrics;
use crate::api::scope::Scope;
use crate::api::seams::{ApiConfig, Backends, EvidenceSource, LogSource};
use crate::api::serve::Ending;
use crate::contract::error::Reply;
use crate::contract::fault::Options;
use crate::contract::query::Query;
use crate::control::fleet::signs::Signs;
use crate::control::server::{Server, Trouble};
use crate::logic::audience::Reader;
use crate::model::fact::{Caller, How};
use crate::model::path::AppPath;
use crate::model::time::Timestamp;
use crate::model::view::View;

/// By so much of what a client calls itself it is told from others of its address.
const MAX_NAME: usize = 64;

/// A server as the API holds it. Cheap to copy.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    server: Server,
    config: ApiConfig,
    /// The URL of this server, as every answer carries it while it leads.
    url: Option<HeaderValue>,
    backends: Backends,
    metrics: Metrics,
    fragments: Fragments,
    apps: LastList,
    budget: Budget,
}

/// A request, read.
pub struct Call {
    /// Its headers.
    pub headers: HeaderMap,
    /// What was asked for, with its query.
    pub uri: Uri,
    /// Its query, decoded.
    pub query: Query,
    /// Who asks.
    pub peer: Option<SocketAddr>,
    /// What the caller may see.
    pub scope: Scope,
    /// The protocol it came by.
    pub version: Version,
    /// When the server ends, for answers that have no end of their own.
    pub ending: Option<Ending>,
    /// Its body, where the route takes one.
    pub body: Taken,
}

// === impl Api ===

impl Api {
    /// The API over `server`.
    pub fn new(server: Server, config: ApiConfig, backends: Backends) -> Api {
        let metrics = Metrics::new(&backends.gauges);
        let (fragments, apps) = (Fragments::default(), LastList::default());
        let budget = Budget::default();
        let url = url_of(&config.leader);
        Api(Arc::new(Inner { server, config, url, backends, metrics, fragments, apps, budget }))
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.0.server
    }

    /// The newest durable view.
    pub fn view(&self) -> Arc<View> {
        self.0.server.view()
    }

    /// `host:port` of the server that leads: this one, unless it knows of another. None when another one does and did not
    /// say who it is.
    pub fn leader(&self) -> Option<String> {
        match self.server().trouble().as_deref() {
            Some(Trouble::NotLeading(by)) => {
                let url = &by.as_ref()?.server.as_ref()?.url;
                Some(url.strip_prefix("http://").unwrap_or(url).to_owned())
            }
            Some(Trouble::StoreAway(_)) | None => Some(self.config().leader.clone()),
        }
    }

    /// What an operator chose.
    pub fn config(&self) -> &ApiConfig {
        &self.0.config
    }

    /// The URL of the leader, as every answer carries it.
    pub fn leader_url(&self) -> Option<HeaderValue> {
        match self.server().trouble().as_deref() {
            Some(Trouble::NotLeading(_)) => url_of(&self.leader()?),
            Some(Trouble::StoreAway(_)) | None => self.0.url.clone(),
        }
    }

    /// Wall time.
    pub fn now(&self) -> Timestamp {
        (self.0.backends.clock)()
    }

    /// Where the output of tasks comes from.
    pub fn logs(&self) -> &dyn LogSource {
        &*self.0.backends.logs
    }

    /// Where the evidence of failures comes from.
    pub fn evidence(&self) -> &dyn EvidenceSource {
        &*self.0.backends.evidence
    }

    /// When each agent was last heard.
    pub fn signs(&self) -> &Signs {
        &self.0.backends.signs
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The texts of definitions.
    pub fn fragments(&self) -> &Fragments {
        &self.0.fragments
    }

    /// The last list of apps.
    pub fn last_apps(&self) -> &LastList {
        &self.0.apps
    }

    /// What bodies may hold.
    pub fn budget(&self) -> &Budget {
        &self.0.budget
    }

    /// How a body is read for `call`.
    pub fn options(&self, call: &Call) -> Options {
        Options {
            strict: self.0.config.strict_json || call.query.flag("strict", false),
            default_role: self.0.config.default_role.clone(),
            default_network: self.0.config.default_network.clone(),
        }
    }
}

// === impl Call ===

impl Call {
    /// The name that the client used for this server.
    pub fn host<'a>(&'a self, api: &'a Api) -> &'a str {
        let header = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = self.uri.authority().map(axum::http::uri::Authority::as_str);
        header.or(authority).unwrap_or(&api.config().leader)
    }

    /// Who asks, for facts and events.
    pub fn caller(&self) -> Caller {
        Caller {
            principal: None,
            address: self.peer.map(|peer| peer.ip().to_string()).unwrap_or_default(),
            uri: self.uri.path().to_owned(),
        }
    }

    /// In what way a change is asked for; `force` is what counts where the query says nothing of it.
    ///
    /// # Errors
    /// When a limit of the deployment is none.
    pub fn how(&self, force: bool) -> Result<How, Reply> {
        let policy = self.query.policy().map_err(|error| Reply::message(400, &error))?;
        Ok(How { force: self.query.flag("force", force), policy })
    }

    /// Notes that the caller is shown the tasks of an app, a group or all, as of `view`.
    pub fn shows_tasks(&self, api: &Api, of: AppPath, view: &View) {
        let name = self.headers.get(USER_AGENT).and_then(|name| name.to_str().ok());
        let agent = name.unwrap_or_default().chars().take(MAX_NAME).collect();
        let reader = Reader { address: self.caller().address, agent, of };
        api.server().audience().read(reader, view.no);
    }

    /// The body's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.body.bytes
    }
}

fn url_of(host: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("http://{host}")).ok()
}
