//! A brain with agents that do as they are told, in virtual time; every step is checked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use uuid::Uuid;

use crate::logic::brain::Brain;
use crate::logic::decide::rollout::SETTLE;
use crate::logic::draft::Limits;
use crate::logic::place::account::Explanation;
use crate::logic::place::explain::explain;
use crate::model::agent::{Agent, AttributeValue, Engine, GpuScheduling, Inventory, PortRange};
use crate::model::brake::Brake;
use crate::model::condition::Condition;
use crate::model::constraint::{Constraint, Operator};
use crate::model::deployment::FailurePolicy;
use crate::model::end::End;
use crate::model::event::Event;
use crate::model::fact::{Announce, Answer, Caller, Change, Expect, Fact, How, Put, Ticket};
use crate::model::findings::{Findings, HealthRecord, Readiness};
use crate::model::have::{Have, Phase, TaskHave};
use crate::model::id::{
    APP_TASK, AgentId, AgentKey, ClusterId, CommitNo, DeploymentId, Epoch, RunId, Seq,
};
use crate::model::instance::{Goal, Instance};
use crate::model::meta::Meta;
use crate::model::network::{Network, PortDefinition};
use crate::model::path::AppPath;
use crate::model::spec::{
    BackoffSpec, Container, KillSelection, Restart, Spec, UnreachableStrategy, UpgradeStrategy,
};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};
use crate::model::world::World;

/// A brain, its clock, and what came of its steps.
pub struct Rig {
    /// The brain.
    pub brain: Brain,
    /// The time.
    pub now: Timestamp,
    /// Everything that happened.
    pub events: Vec<Event>,
    answers: BTreeMap<u64, Answer>,
    facts: VecDeque<Fact>,
    next: u64,
    /// Whether the checks of one that runs say that it serves.
    pub proves: fn(&Instance) -> bool,
}

/// A path.
pub fn path(text: &str) -> AppPath {
    AppPath::parse(text).expect("a valid path")
}

/// An app that sleeps, on the host network with one dynamic port.
pub fn app(id: &str, instances: u32) -> Spec {
    Spec {
        path: path(id),
        instances,
        containers: vec![Container {
            name: APP_TASK.to_owned(),
            cmd: Some("sleep 1000".to_owned()),
            args: Vec::new(),
            user: None,
            env: BTreeMap::new(),
            cpus: Cpus::micro(100_000),
            mem: Mem::whole(32),
            disk: Disk::ZERO,
            gpus: 0,
            limits: None,
            fetch: Vec::new(),
            sandbox: None,
            tty: None,
        }],
        networks: vec![Network::host()],
        port_definitions: Some(vec![PortDefinition::default()]),
        require_ports: false,
        constraints: BTreeSet::new(),
        accepted_roles: None,
        role: "*".to_owned(),
        backoff: BackoffSpec { seconds: 1, factor: Ratio::micro(1_150_000), max_seconds: 300 },
        upgrade: UpgradeStrategy { minimum_health: Ratio::ONE, over_capacity: Ratio::ONE },
        kill_selection: KillSelection::YoungestFirst,
        kill_grace_seconds: None,
        unreachable: UnreachableStrategy::After { inactive_seconds: 0, expunge_seconds: 0 },
        dependencies: BTreeSet::new(),
        labels: BTreeMap::new(),
        health_checks: BTreeSet::new(),
        check: None,
        readiness_checks: Vec::new(),
        secrets: BTreeMap::new(),
        executor: String::new(),
        executor_resources: None,
        restart: Restart::Always,
        priority: 0,
        failure: FailurePolicy::default(),
        drain_seconds: None,
    }
}

/// What a big agent offers.
pub fn inventory(number: u128) -> Inventory {
    let engine = Engine { name: "Docker".into(), version: "20".into(), api: "1.41".into() };
    Inventory {
        hostname: format!("host-{number}"),
        role: "*".to_owned(),
        cpus: Cpus::whole(64),
        mem: Mem::whole(65_536),
        disk: Disk::whole(100_000),
        ports: vec![PortRange { first: 31_000, last: 32_000 }],
        engine: Some(engine),
        ..Inventory::default()
    }
}

/// The same app with one more constraint; without a value when that is a dash.
pub fn bound(mut spec: Spec, field: &str, operator: Operator, value: &str) -> Spec {
    let value = Some(value.to_owned()).filter(|value| value != "-");
    spec.constraints.insert(Constraint { field: field.to_owned(), operator, value });
    spec
}

/// The same app with another command.
pub fn with_cmd(mut spec: Spec, cmd: &str) -> Spec {
    spec.containers[0].cmd = Some(cmd.to_owned());
    spec
}

// === impl Rig ===

impl Rig {
    /// A brain without agents.
    pub fn new() -> Rig {
        let cluster = ClusterId(Uuid::from_u128(7));
        let world = World {
            meta: Some(Meta {
                cluster,
                next_app: crate::model::id::AppKey(1),
                next_agent: AgentKey(1),
                next_id: 0,
                brake: Brake::default(),
                gpu_scheduling: GpuScheduling::default(),
            }),
            ..World::default()
        };
        let now = Timestamp::from_millis(1_700_000_000_000);
        let brain = Brain::load(world, Epoch(1), CommitNo(0), now, Limits::default());
        Rig {
            brain,
            now,
            events: Vec::new(),
            answers: BTreeMap::new(),
            facts: VecDeque::new(),
            next: 0,
            proves: |_| true,
        }
    }

    /// With so many big agents.
    pub fn with_agents(count: u128) -> Rig {
        let mut rig = Rig::new();
        for number in 1..=count {
            rig.attach(number, 64, 65_536);
        }
        rig
    }

    /// An agent with so many cpus and MiB attaches.
    pub fn attach(&mut self, number: u128, cpus: u64, mem: u64) -> AgentKey {
        let (cpus, mem) = (Cpus::whole(cpus), Mem::whole(mem));
        self.attach_as(number, Inventory { cpus, mem, ..inventory(number) })
    }

    /// A big agent with this text in an attribute attaches.
    pub fn attach_in(&mut self, number: u128, name: &str, value: &str) -> AgentKey {
        let value = AttributeValue::Text(value.to_owned());
        let attributes = [(name.to_owned(), value)].into();
        self.attach_as(number, Inventory { attributes, ..inventory(number) })
    }

    /// An agent attaches, for the first time or with another inventory.
    pub fn attach_as(&mut self, number: u128, inventory: Inventory) -> AgentKey {
        let agent = AgentId(Uuid::from_u128(number));
        let run = RunId(Uuid::from_u128(number));
        self.facts.push_back(Fact::Attached {
            ticket: Ticket::Agent(agent, run, Seq(0)),
            agent,
            run,
            inventory,
        });
        self.settle();
        *self.brain.world().agent_ids.get(&agent).expect("attached")
    }

    /// An agent says anew what it offers, in the session that is open.
    pub fn change_agent(&mut self, key: AgentKey, by: impl FnOnce(&mut Inventory)) {
        let row = self.brain.world().agents.get(&key).expect("attached").clone();
        let (agent, run, mut inventory) = (row.id, row.run, row.inventory);
        by(&mut inventory);
        let ticket = Ticket::Agent(agent, run, Seq(0));
        self.tell(Fact::Attached { ticket, agent, run, inventory });
    }

    /// Takes steps until nothing changes at this moment; every step is checked.
    pub fn settle(&mut self) {
        while let Some(commit) = self.brain.step(self.now, &mut self.facts) {
            self.brain.check().unwrap_or_else(|broken| panic!("{broken:?}"));
            for (ticket, answer) in commit.answers {
                if let Ticket::Client(number) = ticket {
                    self.answers.insert(number, answer);
                }
            }
            self.events.extend(commit.events);
            self.brain.durable(commit.no);
        }
        assert!(self.facts.is_empty(), "every fact is taken");
        // Idempotence: at rest, looking at everything changes nothing (I7).
        self.brain.mark_all();
        let more = self.brain.step(self.now, &mut self.facts);
        assert!(
            more.is_none(),
            "a full mark at rest changes nothing: {:?}",
            more.map(|it| it.writes)
        );
    }

    /// Tells the brain something.
    pub fn tell(&mut self, fact: Fact) {
        self.facts.push_back(fact);
        self.settle();
    }

    /// Asks for a change.
    pub fn ask(&mut self, change: Change, force: bool) -> Answer {
        self.ask_how(change, How { force, ..How::default() })
    }

    /// Asks for a change in a certain way.
    pub fn ask_how(&mut self, change: Change, how: How) -> Answer {
        self.next += 1;
        let ticket = Ticket::Client(self.next);
        self.facts.push_back(Fact::Asked { ticket, who: Caller::default(), change, how });
        self.settle();
        self.answers.remove(&self.next).expect("answered")
    }

    /// Creates or changes an app.
    pub fn put(&mut self, spec: Spec) -> Answer {
        self.put_forced(spec, false)
    }

    /// Creates or changes an app, whatever runs.
    pub fn put_forced(&mut self, spec: Spec, force: bool) -> Answer {
        self.put_how(spec, How { force, ..How::default() })
    }

    /// Creates or changes an app in a certain way.
    pub fn put_how(&mut self, spec: Spec, how: How) -> Answer {
        let expect = self
            .brain
            .world()
            .app(&spec.path)
            .map_or(Expect::None, |app| Expect::Version(app.version));
        self.ask_how(Change::Put { apps: vec![Put { spec, expect }], announce: Announce::No }, how)
    }

    /// Agents say what they have.
    pub fn have(&mut self, instance: &Instance, phase: Phase) {
        self.find(instance, phase, None);
    }

    /// Agents say what they have, and what the checks have found.
    pub fn find(&mut self, instance: &Instance, phase: Phase, findings: Option<Findings>) {
        let Some(agent) = instance.place.as_ref().map(|place| place.agent) else { return };
        let id =
            self.brain.world().agents.get(&agent).map(|row| (row.id, row.run)).expect("an agent");
        let findings = findings.map(Box::new);
        let tasks = vec![TaskHave { task: APP_TASK.to_owned(), phase, findings }];
        let have = Have {
            instance: instance.id,
            key: instance.key,
            incarnation: instance.incarnation,
            rev_seen: instance.rev,
            tasks,
        };
        self.next += 1;
        let ticket = Ticket::Agent(id.0, id.1, Seq(self.next));
        self.facts.push_back(Fact::Has { ticket, agent, haves: vec![have] });
        self.settle();
    }

    /// Every agent that is heard does what is wanted of it, once: starts what is provisioned, ends what is to end.
    pub fn agents_act(&mut self) -> usize {
        let world = self.brain.world();
        let is_heard = |row: &Instance| {
            let agent = row.place.as_ref().and_then(|place| world.agents.get(&place.agent));
            agent.is_some_and(Agent::is_heard)
        };
        let live: Vec<Instance> = world
            .instances
            .iter()
            .map(|(_, row)| row.clone())
            .filter(|row| row.is_live() && is_heard(row))
            .collect();
        let mut acted = 0;
        for instance in live {
            let runs = instance.condition() == Some(Condition::Running);
            let (phase, findings) = match instance.goal {
                Goal::Run if !runs => (self.running(), None),
                Goal::Run if !instance.is_healthy() && (self.proves)(&instance) => {
                    (self.running(), Some(proven(&instance, self.now)))
                }
                Goal::Run => continue,
                // What drains serves on.
                Goal::Stop { drains_until: Some(_), .. } => continue,
                Goal::Stop { .. } => (Phase::Exited { at: self.now, end: End::Signal(15) }, None),
            };
            acted += 1;
            self.find(&instance, phase, findings);
        }
        acted
    }

    /// What a running task says.
    pub fn running(&self) -> Phase {
        Phase::Running { at: self.now, ips: Vec::new(), handle: "1".to_owned() }
    }

    /// Agents start what is placed; what waits may wait.
    pub fn run_launches(&mut self) {
        while self.agents_act() > 0 {}
    }

    /// Agents act until nothing is left to do; time passes between, also for what has to settle.
    pub fn run(&mut self) {
        for _ in 0..200 {
            if self.agents_act() > 0 {
                self.pass(Span::millis(10));
            } else if self.settles() {
                self.pass(SETTLE);
            } else {
                return;
            }
        }
        panic!("agents never come to rest");
    }

    /// Whether a deployment waits for new instances to have run for a while.
    pub fn settles(&self) -> bool {
        self.brain.world().apps.iter().any(|(_, app)| app.look_again.is_some())
    }

    /// Lets time pass, with the steps that fall due.
    pub fn pass(&mut self, span: Span) {
        let until = self.now + span;
        while let Some(wake) = self.brain.next_wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake) + Span::millis(1);
            self.settle();
            if self.now >= until {
                break;
            }
        }
        self.now = self.now.max(until);
        self.settle();
    }

    /// The instances of an app.
    pub fn instances(&self, id: &str) -> Vec<Instance> {
        let world = self.brain.world();
        let app = world.any_app(&path(id)).expect("the app is known");
        world.instances_of(app.key).cloned().collect()
    }

    /// How many instances of an app are placed by a field of their agents, in the order of values.
    pub fn spread(&self, id: &str, field: &str) -> BTreeMap<String, usize> {
        let mut spread = BTreeMap::new();
        for instance in self.instances(id) {
            let Some(place) = instance.place else { continue };
            let agent = self.brain.world().agents.get(&place.agent).expect("it has a row");
            let value = agent.inventory.field(field).unwrap_or_default().into_owned();
            *spread.entry(value).or_default() += 1;
        }
        spread
    }

    /// Why an app does not run.
    pub fn explain(&self, id: &str) -> Explanation {
        let world = self.brain.world();
        explain(world, world.any_app(&path(id)).expect("the app is known"), self.now)
    }

    /// How many instances of an app run.
    pub fn healthy(&self, id: &str) -> usize {
        self.instances(id).iter().filter(|instance| instance.is_healthy()).count()
    }

    /// How many deployments run.
    pub fn deployments(&self) -> Vec<DeploymentId> {
        self.brain.world().deployments.iter().map(|(id, _)| *id).collect()
    }
}

/// What checks find that all succeed.
pub fn proven(instance: &Instance, now: Timestamp) -> Findings {
    let mut findings = instance.findings().next().cloned().unwrap_or_default();
    for record in &mut findings.health {
        record.get_or_insert_with(HealthRecord::default).succeeded(now);
    }
    findings.readiness.fill(Some(Readiness { ready: true, last: None }));
    findings
}

/// What checks find when all have failed so often in a row.
pub fn failing(instance: &Instance, now: Timestamp, failures: u32) -> Findings {
    let mut findings = instance.findings().next().cloned().unwrap_or_default();
    for record in &mut findings.health {
        let record = record.get_or_insert_with(HealthRecord::default);
        record.failed(now, "HTTP status 503");
        record.failures = failures;
    }
    findings
}

/// The deployment that an answer names.
pub fn deployment(answer: &Answer) -> DeploymentId {
    match answer {
        Answer::Deployed { deployment, .. } => *deployment,
        other => panic!("not accepted: {other:?}"),
    }
}
