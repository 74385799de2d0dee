//! Everything at once: random wants, crashes of the mind between any two steps, calls that fail, hang or lose their
//! answer, engines that go and come, strangers that kill. The rig asserts the physical truth at every event: no life is
//! started twice, no two lives of an instance run at once, nothing foreign is touched. In the end all is as wanted.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::rig::Rig;
use crate::agent::fake::{Behaviour, CrashPoint, Fault};
use crate::agent::mind::testing::{id, key, run_after, stop, want};
use crate::agent::mind::{Hand, Sight};
use crate::agent::runtime::SandboxId;
use crate::model::end::End;
use crate::model::have::{Have, Phase, Want, WantGoal};
use crate::model::id::{AppKey, InstanceKey};
use crate::model::reason::Reason;
use crate::model::time::Span;

#[derive(Clone, Debug)]
enum Op {
    Run(usize),
    Replace(usize, usize),
    Stop(usize),
    Forget(usize),
    Crash,
    Session,
    Fault(usize, Fault),
    Down(Hand),
    Up(Hand, bool),
    Kill(usize),
    Wait(u64),
}

/// A leader as far as the mind can tell: rows, and what they have been told.
#[derive(Default)]
struct Leader {
    rows: BTreeMap<usize, Row>,
    rev: u64,
    heard: usize,
    ends: BTreeMap<SandboxId, Phase>,
}

struct Row {
    want: Want,
    /// Its end or absence is durable.
    over: bool,
}

const INSTANCES: usize = 10;

/// App 1 and 2 run; 3 and 4 exit soon; 5 ignores requests to end and a kill; 6 cannot be started.
fn instance(index: usize) -> InstanceKey {
    let app = u32::try_from(index % 6).expect("small") + 1;
    key(app, u32::try_from(index).expect("small"))
}

impl Leader {
    /// A new life only when the one before is over, mostly.
    fn run(&mut self, rig: &mut Rig, index: usize, after: Option<usize>, force: bool) {
        let life = match self.rows.get(&index) {
            Some(row) if row.over || force => row.want.incarnation.0 + 1,
            Some(_) => return,
            None => 1,
        };
        self.rev += 1;
        // Only of lower ones, so that nobody waits for himself; over ones never come back as such.
        let after = after.filter(|after| *after < index).map(instance);
        let want = run_after(instance(index), life, self.rev, after);
        self.send(rig, index, want);
    }

    fn end(&mut self, rig: &mut Rig, index: usize, forget: bool) {
        let Some(row) = self.rows.get(&index) else { return };
        let life = row.want.incarnation.0;
        self.rev += 1;
        let want = if forget {
            want(instance(index), life, self.rev, WantGoal::Forget)
        } else {
            stop(instance(index), life, self.rev)
        };
        self.send(rig, index, want);
    }

    fn send(&mut self, rig: &mut Rig, index: usize, want: Want) {
        rig.mind.want(want.clone());
        self.rows.insert(index, Row { want, over: false });
    }

    /// A session, after a crash or a cut: all that is not over is said again, and all haves are.
    fn session(&mut self, rig: &mut Rig) {
        rig.mind.session_opened();
        let all = rig.mind.all_haves();
        rig.said.extend(all);
        for row in self.rows.values().filter(|row| !row.over) {
            rig.mind.want(row.want.clone());
        }
        rig.mind.leader_synced();
    }

    /// What was said is durable.
    fn hear(&mut self, rig: &mut Rig) {
        let news: Vec<Have> = rig.said[self.heard..].to_vec();
        self.heard = rig.said.len();
        for have in news {
            let phase = have.tasks[0].phase.clone();
            let life = SandboxId { instance: have.instance, incarnation: have.incarnation };
            let ends = matches!(phase, Phase::Exited { .. } | Phase::Absent);
            if let Some(before) = self.ends.get(&life) {
                // I13: what has ended never lives again, and ends in one way.
                assert!(
                    phase == *before || phase == Phase::Absent,
                    "{life}: {before:?}, then {phase:?}"
                );
            }
            if ends {
                self.ends.entry(life).or_insert(phase.clone());
                rig.mind.acked(life.instance, life.incarnation);
                let row = self.rows.values_mut().find(|row| row.want.instance == life.instance);
                if let Some(row) = row.filter(|row| row.want.incarnation == life.incarnation) {
                    let forget = row.want.goal == WantGoal::Forget;
                    row.over |= !forget || phase == Phase::Absent;
                }
            }
        }
    }
}

fn behaviours(rig: &mut Rig) {
    let soon = |code| Behaviour {
        ends: Some((Span::millis(300), End::Code(code))),
        ..Behaviour::default()
    };
    rig.host.behave(AppKey(3), soon(0));
    rig.host.behave(AppKey(4), soon(1));
    let stubborn = Behaviour { on_terminate: None, survives_kills: 1, ..Behaviour::default() };
    rig.host.behave(AppKey(5), stubborn);
    let detail = "no".to_owned();
    let never = Behaviour { never_starts: Some(Reason::Start { detail }), ..Behaviour::default() };
    rig.host.behave(AppKey(6), never);
}

fn apply(rig: &mut Rig, leader: &mut Leader, op: &Op) {
    match op {
        Op::Run(index) => leader.run(rig, *index, None, false),
        Op::Replace(index, after) => leader.run(rig, *index, Some(*after), true),
        Op::Stop(index) => leader.end(rig, *index, false),
        Op::Forget(index) => leader.end(rig, *index, true),
        Op::Crash => {
            rig.crash();
            leader.session(rig);
        }
        Op::Session => leader.session(rig),
        Op::Fault(point, fault) => rig.host.fault(CrashPoint::ALL[*point], *fault),
        Op::Down(hand) => {
            rig.host.engine_down(*hand);
            rig.see(Sight::HandDown(*hand));
        }
        Op::Up(hand, live_restore) => up(rig, *hand, *live_restore),
        Op::Kill(index) => {
            let lives = rig.host.live();
            if let Some(life) = lives.get(*index) {
                rig.host.remove_from_outside(rig.now, *life);
            }
        }
        Op::Wait(millis) => rig.run(Span::millis(*millis)),
    }
    rig.run(Span::millis(7));
    leader.hear(rig);
    if rig.dead {
        rig.crash();
        leader.session(rig);
    }
}

fn up(rig: &mut Rig, hand: Hand, live_restore: bool) {
    if !rig.host.is_up(hand) {
        rig.host.engine_up(rig.now, hand, live_restore);
        rig.see(Sight::HandUp(hand));
    }
}

/// Faults have stopped: all becomes as wanted.
fn converge(rig: &mut Rig, leader: &mut Leader) {
    rig.host.heal();
    for hand in Hand::ALL {
        up(rig, hand, true);
    }
    for _ in 0..120 {
        rig.run(Span::secs(1));
        leader.hear(rig);
    }
    for row in leader.rows.values() {
        let life = SandboxId { instance: row.want.instance, incarnation: row.want.incarnation };
        let lives: Vec<SandboxId> =
            rig.host.live().into_iter().filter(|id| id.instance == life.instance).collect();
        match &row.want.goal {
            WantGoal::Run { after, .. } => {
                let held = after.is_some_and(|after| {
                    leader.rows.values().any(|row| row.want.key == after && !row.over)
                });
                assert!(held || row.over != (lives == [life]), "{:?}: {lives:?}", row.want);
            }
            WantGoal::Stop { .. } | WantGoal::Forget => {
                assert!(row.over, "{:?} was not answered; {:?}", row.want, rig.log);
                assert_eq!(lives, []);
            }
        }
    }
    for (stray, _) in rig.mind.strays() {
        assert!(!rig.host.is_running(stray), "{stray} runs and no want names it");
    }
    // I7: at rest nothing is begun.
    rig.log.clear();
    rig.run(Span::secs(60));
    assert_eq!(rig.log, Vec::<String>::new());
}

fn op() -> impl Strategy<Value = Op> {
    let fault = prop_oneof![Just(Fault::Crash), Just(Fault::Unknown), Just(Fault::Hang)];
    let hand = prop_oneof![Just(Hand::Docker), Just(Hand::Process)];
    prop_oneof![
        8 => (0..INSTANCES).prop_map(Op::Run),
        3 => (0..INSTANCES, 0..INSTANCES).prop_map(|(index, after)| Op::Replace(index, after)),
        4 => (0..INSTANCES).prop_map(Op::Stop),
        1 => (0..INSTANCES).prop_map(Op::Forget),
        2 => Just(Op::Crash),
        1 => Just(Op::Session),
        4 => (0..CrashPoint::ALL.len(), fault).prop_map(|(point, fault)| Op::Fault(point, fault)),
        1 => hand.clone().prop_map(Op::Down),
        2 => (hand, any::<bool>()).prop_map(|(hand, restore)| Op::Up(hand, restore)),
        1 => (0..INSTANCES).prop_map(Op::Kill),
        6 => (0_u64..3_000).prop_map(Op::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_host_is_safe_and_in_the_end_as_wanted(
        seed in any::<u64>(),
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let mut rig = Rig::new(seed);
        behaviours(&mut rig);
        let stranger = id(key(2, 99), 1);
        let plan = super::plan(stranger, 2, 99);
        rig.host.add_foreign(rig.now, Hand::Docker, &plan);
        let mut leader = Leader::default();
        leader.session(&mut rig);
        for op in &ops {
            apply(&mut rig, &mut leader, op);
        }
        converge(&mut rig, &mut leader);
        prop_assert!(rig.host.is_running(stranger));
    }
}
