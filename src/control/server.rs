//! The server as its readers and askers hold it: a view to read, an inbox to ask.
//!
//! Cheap to copy. Readers never wait for the brain; an ask waits until what it rests on is durable.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, oneshot};

use crate::control::audience::Audience;
use crate::control::events::Events;
use crate::model::fact::{Answer, Caller, Change, Fact, How, Refusal, Ticket};
use crate::model::view::View;
use crate::store::log::Holder;

/// The most facts that wait for the brain; beyond it askers are told 503.
pub const MAX_WAITING_FACTS: usize = 16_384;

/// The longest wait for an answer; beyond it the change may or may not have been made, and 503 says so.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Why the view may be older than what others have made of it, and nothing can be changed here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The store takes nothing now; this is what it says.
    StoreAway(String),
    /// Another server leads, if it is known which.
    NotLeading(Option<Holder>),
}

/// What the API, the fleet and the commands hold of a running server.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    view: ArcSwap<View>,
    events: Events,
    audience: Audience,
    inbox: mpsc::Sender<Fact>,
    next_ticket: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Answer>>>,
    /// Why nothing can be stored, while nothing can.
    trouble: ArcSwapOption<Trouble>,
}

// === impl Server ===

impl Server {
    /// A server whose facts go to `inbox`.
    pub fn new(inbox: mpsc::Sender<Fact>, events: Events) -> Server {
        let shared = Shared {
            view: ArcSwap::default(),
            events,
            audience: Audience::new(),
            inbox,
            next_ticket: AtomicU64::new(1),
            waiting: Mutex::new(BTreeMap::new()),
            trouble: ArcSwapOption::empty(),
        };
        Server { shared: Arc::new(shared) }
    }

    /// The newest durable view.
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// What happened, for whoever follows.
    pub fn events(&self) -> &Events {
        &self.shared.events
    }

    /// Those who balance requests over tasks.
    pub fn audience(&self) -> &Audience {
        &self.shared.audience
    }

    /// Asks for a change and waits until its answer is durable. The view that is read afterwards holds its effect.
    pub async fn ask(&self, who: Caller, change: Change, how: How) -> Answer {
        if let Some(trouble) = &*self.shared.trouble.load() {
            return unavailable(&trouble.nothing_changed());
        }
        let number = self.shared.next_ticket.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(number, sender);
        let fact = Fact::Asked { ticket: Ticket::Client(number), who, change, how };
        if self.shared.inbox.try_send(fact).is_err() {
            self.waiting().remove(&number);
            return unavailable("the server is overloaded or not leading; nothing was changed");
        }
        match tokio::time::timeout(ANSWER_DEADLINE, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => {
                self.waiting().remove(&number);
                unavailable("the store does not answer; whether the change was made is not known")
            }
        }
    }

    /// Publishes what has become durable, then tells who asked.
    pub fn publish(&self, view: View, answers: Vec<(u64, Answer)>) {
        self.shared.view.store(Arc::new(view));
        let mut waiting = self.waiting();
        for (number, answer) in answers {
            if let Some(sender) = waiting.remove(&number) {
                // An asker that has given up is no longer listening.
                let _gone = sender.send(answer);
            }
        }
    }

    /// Nothing can be stored: who asks from now on is told so at once, who waits is told that the outcome is open.
    pub fn store_is_away(&self, why: &str) {
        self.shared.trouble.store(Some(Arc::new(Trouble::StoreAway(why.to_owned()))));
        self.tell_all(&format!(
            "{why}; the change is made when the store takes it, look before you ask again"
        ));
    }

    /// Another server leads: nothing is changed here any more.
    pub fn leads_no_more(&self, by: Option<Holder>) {
        let trouble = Trouble::NotLeading(by);
        let detail = format!("{trouble}; whether the change was made is not known, ask there");
        self.shared.trouble.store(Some(Arc::new(trouble)));
        self.tell_all(&detail);
        // Who follows the events looks whether this server still leads.
        self.shared.events.wake();
    }

    /// The store takes commits.
    pub fn store_is_back(&self) {
        if self.shared.trouble.load().is_some() {
            self.shared.trouble.store(None);
        }
    }

    /// Why nothing can be stored, while nothing can.
    pub fn trouble(&self) -> Option<Arc<Trouble>> {
        self.shared.trouble.load_full()
    }

    fn tell_all(&self, detail: &str) {
        for (_, sender) in std::mem::take(&mut *self.waiting()) {
            let _gone = sender.send(unavailable(detail));
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Answer>>> {
        self.shared.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

// === impl Trouble ===

impl Trouble {
    fn nothing_changed(&self) -> String {
        match self {
            Trouble::StoreAway(_) => format!("{self}; nothing was changed, tasks go on"),
            Trouble::NotLeading(_) => format!("{self}; nothing was changed, ask there"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::StoreAway(why) => f.write_str(why),
            Trouble::NotLeading(Some(by)) => write!(f, "{by} leads"),
            Trouble::NotLeading(None) => f.write_str("another server leads"),
        }
    }
}

fn unavailable(detail: &str) -> Answer {
    Answer::Refused(Refusal::Unavailable { detail: detail.to_owned() })
}
