//! Asks Prometheus what deploys want to know, and tells the brain what came of it.
//!
//! The only part of a deploy that waits for anybody: off the brain, with a deadline, one question of a deploy at a time.
//! What is to be asked is read from the durable view again and again, so that a new leader asks on; what an answer means
//! is the brain's to say.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::contract::deploy;
use crate::control::clock::Clock;
use crate::control::server::Server;
use crate::model::deploy::{Analysis, Deploy, Finding, MAX_TEXT, Phase, State};
use crate::model::fact::Fact;
use crate::model::id::DeployId;
use crate::model::text::cut;
use crate::model::time::Timestamp;

/// Between two looks at what is to be asked.
const LOOK: Duration = Duration::from_millis(200);
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const MOST_BYTES: usize = 1 << 20;

/// Asks on behalf of deploys.
pub struct Analyst {
    /// What is durable.
    pub server: Server,
    /// Where answers go.
    pub facts: mpsc::Sender<Fact>,
    /// The leader's time.
    pub clock: Clock,
}

/// One question: in which step, for the how many-th time, when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    step: u32,
    asking: u32,
    due: Timestamp,
}

// === impl Analyst ===

impl Analyst {
    /// Asks until the brain is gone.
    pub async fn run(self) {
        let mut asked: BTreeMap<DeployId, Question> = BTreeMap::new();
        let mut client = None;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.facts.is_closed() {
            looks.tick().await;
            let view = self.server.view();
            let rows = view.world.deploys.iter().map(|(_, row)| row);
            let open: Vec<(&Deploy, Question)> =
                rows.filter_map(|row| Some((row, question(row)?))).collect();
            asked.retain(|id, _| open.iter().any(|(row, _)| row.id == *id));
            let now = self.clock.now();
            for (row, question) in open {
                let is_new = asked.get(&row.id) != Some(&question);
                let Some(analysis) = &row.plan.analysis else { continue };
                if is_new && question.due <= now {
                    asked.insert(row.id, question);
                    let client = client.get_or_insert_with(client_of);
                    self.ask(client, row.id, question, analysis.clone());
                }
            }
        }
    }

    fn ask(&self, client: &Client, deploy: DeployId, question: Question, analysis: Analysis) {
        let (client, facts) = (client.clone(), self.facts.clone());
        tokio::spawn(async move {
            let finding = finding(&client, &analysis).await;
            let Question { step, asking, .. } = question;
            // Without a brain there is nobody to tell; the next one asks again.
            let _nobody = facts.send(Fact::Analysed { deploy, step, asking, finding }).await;
        });
    }
}

fn question(row: &Deploy) -> Option<Question> {
    match row.state {
        State::Going(Phase::Judging { step, asking, due, .. }) => {
            Some(Question { step, asking, due })
        }
        State::Going(_) | State::Paused { .. } | State::RollingBack { .. } | State::Over(_) => None,
    }
}

fn client_of() -> Client {
    let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE);
    client.build().expect("a client without settings of its own")
}

/// What Prometheus says.
pub async fn finding(client: &Client, analysis: &Analysis) -> Finding {
    match answer(client, analysis).await {
        Ok(bytes) => match deploy::values(&bytes) {
            Ok(values) => match (values.iter().min(), values.iter().max()) {
                (Some(least), Some(most)) => Finding::Measured { least: *least, most: *most },
                (None, _) | (_, None) => Finding::NoTraffic,
            },
            Err(text) => Finding::Unanswered(cut(&text, MAX_TEXT).to_owned()),
        },
        Err(text) => Finding::Unanswered(cut(&text, MAX_TEXT).to_owned()),
    }
}

async fn answer(client: &Client, analysis: &Analysis) -> Result<Vec<u8>, String> {
    let base = analysis.prometheus.trim_end_matches('/');
    let mut url = Url::parse(&format!("{base}/api/v1/query")).map_err(|error| error.to_string())?;
    url.query_pairs_mut().append_pair("query", &analysis.query);
    let mut response = client.get(url).send().await.map_err(|error| told(&error))?;
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| told(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_BYTES {
            return Err("the answer is longer than 1 MiB".to_owned());
        }
    }
    // Prometheus says in JSON what is wrong with a query; others say it by the status alone.
    let is_json = bytes.first() == Some(&b'{');
    if status.is_success() || is_json { Ok(bytes) } else { Err(format!("it answers {status}")) }
}

/// An error with its causes, without the URL, which the deploy shows.
fn told(error: &reqwest::Error) -> String {
    let mut text =
        if error.is_timeout() { "it does not answer in time" } else { "no answer" }.to_owned();
    let mut cause = error.source();
    while let Some(because) = cause {
        text = format!("{text}: {because}");
        cause = because.source();
    }
    text
}
