//! One session with one agent: the leader's half of the link over a connection that the agent dialled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::control::clock::Clock;
use crate::control::fleet::signs::Sign;
use crate::control::fleet::{FleetEvent, SessionEvent};
use crate::control::server::Server;
use crate::model::fact::Fact;
use crate::model::id::{AgentId, RunId};
use crate::wire::link::MAX_BATCH;
use crate::wire::link::leader::LeaderLink;
use crate::wire::message::{Down, Open, Up};
use crate::wire::reverse::{FrameReceiver, FrameSender, Peer, Permit};

/// Between two looks at the time while there is no room to send.
const ROOM: Duration = Duration::from_millis(100);

/// One session and what it talks to.
pub struct Session {
    /// Figures, view and facts.
    pub server: Server,
    /// Where facts go. A full inbox stops the reading here, and so the agent.
    pub facts: mpsc::Sender<Fact>,
    /// The leader's time.
    pub clock: Clock,
    /// What opens it.
    pub open: Open,
    /// With which agent.
    pub agent: AgentId,
    /// Which run of its process.
    pub run: RunId,
    /// Which session.
    pub number: u64,
    /// The connection.
    pub peer: Peer,
    /// What the fleet says.
    pub events: mpsc::UnboundedReceiver<SessionEvent>,
    /// Where it tells its end.
    pub fleet: mpsc::Sender<FleetEvent>,
    /// Where it notes what it hears, for people.
    pub sign: Arc<Sign>,
}

// === impl Session ===

impl Session {
    /// Runs until either side ends it, then tells the fleet.
    pub async fn run(mut self) {
        let mut link = LeaderLink::new(self.agent, self.run, self.clock.now());
        self.sign.begins();
        match self.peer.session(&self.open).await {
            Ok((sender, receiver)) => self.talk(&mut link, sender, receiver).await,
            Err(error) => tracing::warn!(agent = %self.agent, %error, "no session with an agent"),
        }
        if let Some(over) = link.over() {
            tracing::info!(agent = %self.agent, %over, "a session with an agent is over");
        }
        self.peer.hang_up();
        let ended =
            FleetEvent::Ended { agent: self.agent, number: self.number, liveness: link.closed() };
        // The fleet is gone only when the server ends.
        let _over = self.fleet.send(ended).await;
    }

    /// Room to send is waited for beside everything else: two ends that each wait for the other to read first would
    /// wait for ever.
    async fn talk(
        &mut self,
        link: &mut LeaderLink,
        sender: FrameSender<Down>,
        mut receiver: FrameReceiver<Up>,
    ) {
        let mut has_news = true;
        loop {
            if !self.tell(link).await || link.over().is_some() {
                return;
            }
            let sleep = until_wake(link, self.clock, has_news);
            tokio::select! {
                permit = sender.reserve(), if has_news => match permit {
                    Ok(permit) => match self.say(link, permit) {
                        Some(said) => has_news = said,
                        None => return,
                    },
                    Err(_) => return,
                },
                frame = receiver.recv() => match frame {
                    Ok(Some(frame)) => {
                        self.note(&frame);
                        link.up(self.clock.now(), frame);
                        has_news = true;
                    }
                    Ok(None) => return,
                    Err(error) => {
                        tracing::info!(agent = %self.agent, %error, "the stream of an agent ended");
                        return;
                    }
                },
                event = self.events.recv() => match event {
                    Some(event) => {
                        take(link, event);
                        has_news = true;
                    }
                    None => return,
                },
                () = tokio::time::sleep(sleep) => {
                    link.tick(self.clock.now());
                    has_news = true;
                }
            }
            while let Ok(event) = self.events.try_recv() {
                take(link, event);
                has_news = true;
            }
        }
    }

    /// Notes what people are shown of an agent.
    fn note(&self, frame: &Up) {
        self.sign.heard(self.clock.now());
        if let Up::Have(_, haves) = frame {
            self.sign.has(haves);
        }
    }

    /// Sends one frame; whether there was one, none when the session cannot go on.
    fn say(&self, link: &mut LeaderLink, permit: Permit<'_, Down>) -> Option<bool> {
        let view = self.server.view();
        let Some(frame) = link.pull(self.clock.now(), &view.world, MAX_BATCH) else {
            return Some(false);
        };
        match permit.send(&frame) {
            Ok(()) => Some(true),
            Err(error) => {
                tracing::error!(agent = %self.agent, %error, "a message is too long");
                None
            }
        }
    }

    /// Tells the brain; false when there is none any more.
    async fn tell(&self, link: &mut LeaderLink) -> bool {
        for fact in link.facts() {
            if self.facts.send(fact).await.is_err() {
                return false;
            }
        }
        true
    }
}

fn take(link: &mut LeaderLink, event: SessionEvent) {
    match event {
        SessionEvent::Attached { key, instances } => link.attached(key, instances),
        SessionEvent::Answered(run, seq) => link.answered(run, seq),
        SessionEvent::Changed(keys) => link.changed(keys),
    }
}

/// While there is no room to send, what is due to be sent is no reason to wake.
fn until_wake(link: &LeaderLink, clock: Clock, waits_for_room: bool) -> Duration {
    let wake = link.next_wake().map_or(Duration::ZERO, |wake| wake.since(clock.now()).into());
    if waits_for_room { wake.max(ROOM) } else { wake }
}

#[cfg(test)]
mod tests;
