//! Calls to the engine that are lost, cut, late or failed: nothing is doubled, nothing is lost, nothing is replaced for it
//! (house.md, invariant 9; reliability §4.3).

use std::time::Duration;

use serde_json::Value;

use crate::docker_rig::{Docked, Engine, Watch, patient};
use crate::engine_proxy::{Fault, Profile};

async fn server() -> Docked {
    Docked::behind(Profile::named("plain"), &Engine::machine(), &[]).await
}

/// Plans that the next calls of this kind go wrong.
fn plan(stayer: &Docked, call: &'static str, times: usize, fault: Fault) {
    stayer.proxy.as_ref().expect("one of these servers").faults.plan(call, times, fault);
}

fn all_happened(stayer: &Docked) -> bool {
    stayer.proxy.as_ref().expect("one of these servers").faults.are_spent()
}

/// Waits until an app runs, and looks for what a lost call may have left: a second container, or a failure.
async fn runs_once(stayer: &Docked, id: &str, what: &str) -> Value {
    let task = stayer.running(id, 1).await.remove(0);
    assert!(all_happened(stayer), "{what} did not happen");
    assert_eq!(stayer.failure_of(id).await, None, "{what}");
    assert_eq!(stayer.containers().len(), 1, "{what}");
    task
}

#[tokio::test]
async fn a_launch_whose_calls_are_lost_happens_once() {
    let away = || Fault::Says(503, "the engine is shutting down".to_owned());
    let slow = Fault::HeldBack(Duration::from_millis(300));
    for call in ["POST /containers/create", "POST /containers/…/start", "GET /containers/stayer-"]
    {
        let stayer = server().await;
        // Twice, but for what the engine does all the same: that is found instead of asked for again.
        for (fault, times) in [
            (Fault::AnswerLost, 1),
            (Fault::NeverAsked, 2),
            (Fault::Half, 1),
            (away(), 2),
            (slow.clone(), 1),
        ] {
            let what = format!("{call} {fault:?}");
            plan(&stayer, call, times, fault);
            stayer.launch(&patient("/once", 1)).await;
            runs_once(&stayer, "/once", &what).await;
            stayer.remove("/once").await;
            for dead in stayer.containers() {
                stayer.engine.docker(&["rm", "--force", &dead]);
            }
        }
    }
}

#[tokio::test]
async fn an_answer_later_than_our_deadline_is_no_answer_and_no_end() {
    // Questions have 10 s, changes a minute.
    let stayer = server().await;
    plan(&stayer, "GET /containers/stayer-", 1, Fault::Late(Duration::from_secs(11)));
    stayer.launch(&patient("/late", 1)).await;
    let first = runs_once(&stayer, "/late", "a late answer to a question").await;
    stayer.remove("/late").await;
    assert_eq!(stayer.alive(), Vec::<String>::new(), "{first}");
}

#[tokio::test]
async fn a_create_that_the_engine_does_after_our_deadline_makes_no_second_container() {
    // We give up after a minute, look, find nothing, and create; then the first one comes.
    let late = Duration::from_secs(65);
    let stayer = server().await;
    plan(&stayer, "POST /containers/create", 1, Fault::HeldBack(late));
    let began = Watch::start();
    stayer.launch(&patient("/once", 1)).await;
    while began.elapsed() < late + Duration::from_secs(1) {
        assert!(stayer.containers().len() < 2, "one name, one container");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    runs_once(&stayer, "/once", "a create that came late").await;
}

#[tokio::test]
async fn an_end_is_told_once_whatever_becomes_of_the_wait_for_it() {
    let stayer = server().await;
    stayer.launch(&patient("/ends", 1)).await;
    let mut before = runs_once(&stayer, "/ends", "nothing").await;
    for fault in [
        Fault::AnswerLost,
        Fault::NeverAsked,
        Fault::Half,
        Fault::Says(500, "context canceled".to_owned()),
    ] {
        let what = format!("{fault:?}");
        plan(&stayer, "POST /containers/…/wait", 2, fault);
        stayer.engine.docker(&["kill", &stayer.engine.of_task(&before)]);
        stayer
            .until("another runs in its place", |stayer| {
                let before = before["id"].clone();
                async move {
                    let running = stayer.tasks("/ends", "TASK_RUNNING").await;
                    running.first().is_some_and(|task| task["id"] != before)
                }
            })
            .await;
        let now = stayer.running("/ends", 1).await.remove(0);
        let told = stayer.failure("/ends").await;
        assert_eq!(told, "Container terminated with signal 9 (Killed)", "{what}");
        let lives = |task: &Value| {
            let id = task["id"].as_str().expect("an id").to_owned();
            let life = id.rsplit('.').next().and_then(|life| life.parse::<u32>().ok());
            life.expect("a task id ends in its life")
        };
        assert_eq!(lives(&now), lives(&before) + 1, "replaced once: {what}");
        assert_eq!(stayer.alive(), [stayer.engine.of_task(&now)], "{what}");
        before = now;
    }
}

#[tokio::test]
async fn what_runs_is_left_alone_while_questions_fail() {
    let mut stayer = server().await;
    stayer.launch(&patient("/stays", 3)).await;
    let tasks = stayer.running("/stays", 3).await;
    let mut containers = stayer.engine.of_tasks(&tasks);
    containers.sort();
    for fault in [
        Fault::Half,
        Fault::NeverAsked,
        Fault::Says(500, "context deadline exceeded".to_owned()),
        Fault::Says(404, "page not found".to_owned()),
    ] {
        let what = format!("{fault:?}");
        // All that an agent asks when it comes back.
        plan(&stayer, "GET /containers/json", 2, fault.clone());
        if !matches!(fault, Fault::Says(404, _)) {
            plan(&stayer, "GET /containers/", 3, fault);
        }
        stayer.kill();
        stayer.restart().await;
        stayer
            .until("all of that has happened", |_| {
                let happened = all_happened(&stayer);
                async move { happened }
            })
            .await;
        let now = stayer.running("/stays", 3).await;
        let mut same = stayer.engine.of_tasks(&now);
        same.sort();
        assert_eq!(same, containers, "{what}");
        assert_eq!(stayer.containers().len(), 3, "{what}");
        assert_eq!(stayer.failure_of("/stays").await, None, "{what}");
    }
}

#[tokio::test]
async fn a_stop_that_is_lost_is_repeated_and_removes_nothing_else() {
    let stayer = server().await;
    for fault in [Fault::AnswerLost, Fault::NeverAsked, Fault::Says(503, String::new())] {
        stayer.launch(&patient("/stops", 2)).await;
        stayer.running("/stops", 2).await;
        stayer.launch(&patient("/stays", 1)).await;
        let kept = stayer.running("/stays", 1).await.remove(0);
        plan(&stayer, "POST /containers/…/kill", 2, fault);
        stayer.remove("/stops").await;
        assert!(all_happened(&stayer));
        assert_eq!(stayer.alive(), [stayer.engine.of_task(&kept)]);
        stayer.remove("/stays").await;
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_engine_s_words_and_tried_again_later() {
    let stayer = server().await;
    for call in ["POST /containers/create", "POST /containers/…/start"] {
        plan(&stayer, call, 1, Fault::Says(500, "no room for this one".to_owned()));
        stayer.launch(&patient("/refused", 1)).await;
        let told = stayer.failure("/refused").await;
        assert!(told.contains("no room for this one"), "{told}");
        let task = stayer.running("/refused", 1).await.remove(0);
        assert_eq!(stayer.alive(), [stayer.engine.of_task(&task)]);
        stayer.remove("/refused").await;
    }
}
