//! One session with one agent: the leader's half of the link over a connection that the agent dialled.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::control::clock::Clock;
use crate::control::fleet::{FleetEvent, SessionEvent};
use crate::control::server::Server;
use crate::model::fact::Fact;
use crate::model::id::{AgentId, RunId};
use crate::wire::link::MAX_BATCH;
use crate::wire::link::leader::LeaderLink;
use crate::wire::message::{Down, Open, Up};
use crate::wire::reverse::{FrameReceiver, FrameSender, Peer};

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
}

// === impl Session ===

impl Session {
    /// Runs until either side ends it, then tells the fleet.
    pub async fn run(mut self) {
        let mut link = LeaderLink::new(self.agent, self.run, self.clock.now());
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

    async fn talk(
        &mut self,
        link: &mut LeaderLink,
        sender: FrameSender<Down>,
        mut receiver: FrameReceiver<Up>,
    ) {
        loop {
            if !self.say(link, &sender).await || !self.tell(link).await || link.over().is_some() {
                return;
            }
            let sleep = until_wake(link, self.clock);
            tokio::select! {
                frame = receiver.recv() => match frame {
                    Ok(Some(frame)) => link.up(self.clock.now(), frame),
                    Ok(None) => return,
                    Err(error) => {
                        tracing::info!(agent = %self.agent, %error, "the stream of an agent ended");
                        return;
                    }
                },
                event = self.events.recv() => match event {
                    Some(event) => take(link, event),
                    None => return,
                },
                () = tokio::time::sleep(sleep) => link.tick(self.clock.now()),
            }
            while let Ok(event) = self.events.try_recv() {
                take(link, event);
            }
        }
    }

    /// Sends all there is to say; false when nobody reads any more.
    async fn say(&self, link: &mut LeaderLink, sender: &FrameSender<Down>) -> bool {
        loop {
            let Ok(permit) = sender.reserve().await else { return false };
            let view = self.server.view();
            let Some(frame) = link.pull(self.clock.now(), &view.world, MAX_BATCH) else {
                return true;
            };
            if let Err(error) = permit.send(&frame) {
                tracing::error!(agent = %self.agent, %error, "a message is too long");
                return false;
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

fn until_wake(link: &LeaderLink, clock: Clock) -> Duration {
    match link.next_wake() {
        Some(wake) => wake.since(clock.now()).into(),
        None => Duration::ZERO,
    }
}
