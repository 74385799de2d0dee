//! `/v2/events` of the real server: a deployment as it is told, over kills of the server, and by the command line.

use std::process::Stdio;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::rig::{PATIENCE, Stayer, command, free_port, sleeper};

/// A stream of events, read frame by frame.
pub struct Stream {
    answer: Response,
    text: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    id: Option<String>,
    /// Its type.
    pub name: String,
    /// Its JSON.
    pub data: Value,
}

impl Stream {
    /// Begins to follow, with a query or `""`.
    pub async fn open(stayer: &Stayer, query: &str, last: Option<&str>) -> Stream {
        let mut request = stayer
            .request(Method::GET, &format!("/v2/events{query}"))
            .header("Accept", "text/event-stream")
            // Of the whole stream, which may be followed for long.
            .timeout(*PATIENCE * 10);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        Stream { answer, text: String::new() }
    }

    async fn next(&mut self) -> Event {
        loop {
            if let Some(end) = self.text.find("\r\n\r\n") {
                let frame: String = self.text.drain(..end + 4).collect();
                return event(frame.trim());
            }
            let chunk = tokio::time::timeout(*PATIENCE, self.answer.chunk()).await;
            let chunk = chunk.expect("in time").expect("no cut").expect("it goes on");
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    /// All events up to one with this name.
    pub async fn until(&mut self, name: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            events.push(self.next().await);
            if events.last().is_some_and(|event| event.name == name) {
                return events;
            }
        }
    }
}

fn event(frame: &str) -> Event {
    let field = |name: &str| {
        let line = frame.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned)
    };
    let data: Value = serde_json::from_str(&field("data").expect("data")).expect("JSON");
    let name = field("event").expect("a name");
    assert_eq!(data["eventType"], name.as_str(), "contract 11.1");
    assert!(data["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "contract 14.3");
    Event { id: field("id"), name, data }
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

/// Contract 11.3: the order of a deployment's events, with what clients read of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_told_in_order() {
    let stayer = Stayer::bare().await;
    let mut stream = Stream::open(&stayer, "", None).await;
    assert_eq!(stream.next().await.name, "event_stream_attached");
    stayer.launch(&sleeper("/shop/app", json!({}))).await;
    let events = stream.until("deployment_success").await;
    let expected = [
        "group_change_success",
        "api_post_event",
        "deployment_info",
        "deployment_step_success",
        "deployment_info",
        "instance_changed_event",
        "status_update_event",
        "deployment_step_success",
        "deployment_success",
    ];
    let mut told = names(&events).into_iter();
    for name in expected {
        assert!(told.any(|told| told == name), "{name} in its place of {:?}", names(&events));
    }
    let find = |name: &str| events.iter().rfind(|event| event.name == name).expect("it was told");
    assert_eq!(find("group_change_success").data["groupId"], "/shop");
    let posted = &find("api_post_event").data;
    assert_eq!(posted["appDefinition"]["id"], "/shop/app");
    assert_eq!((&posted["clientIp"], &posted["uri"]), (&json!("127.0.0.1"), &json!("/v2/apps")));
    let status = &find("status_update_event").data;
    assert_eq!(
        (&status["taskStatus"], &status["appId"]),
        (&json!("TASK_RUNNING"), &json!("/shop/app"))
    );
    let task = stayer.tasks("/shop/app", "TASK_RUNNING").await.remove(0);
    assert_eq!((&status["taskId"], &status["host"]), (&task["id"], &task["host"]));
    assert_eq!((&status["ports"], &status["ipAddresses"]), (&task["ports"], &task["ipAddresses"]));
    assert_eq!(find("instance_changed_event").data["condition"], "Running");
    assert!(find("deployment_success").data["plan"]["original"].is_object(), "contract 11.4");
    // The end of an app: of its task, its deployment, itself.
    stayer.delete("/v2/apps//shop/app").await.expect(200);
    let end = stream.until("app_terminated_event").await;
    assert!(names(&end).contains(&"deployment_success"), "{:?}", names(&end));
    assert!(end.iter().any(|event| event.data["taskStatus"] == "TASK_KILLED"));
    stayer.finish().await;
}

/// I14: who comes again after the server was killed is told exactly what it has not seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_goes_on_where_each_client_was() {
    let mut stayer = Stayer::bare().await;
    let mut stream = Stream::open(&stayer, "", None).await;
    stream.next().await;
    stayer.launch(&sleeper("/a", json!({"instances": 3}))).await;
    let mut before = stream.until("deployment_success").await;
    stayer.kill();
    stayer.restart().await;
    stayer.launch(&sleeper("/b", json!({}))).await;
    let ids: Vec<String> = before.iter().map(|event| event.id.clone().expect("an id")).collect();
    // All that happened, by who was there before and names the last it has.
    let mut again = Stream::open(&stayer, "", ids.last().map(String::as_str)).await;
    assert_eq!(again.next().await.name, "event_stream_attached", "and no gap");
    before.extend(again.until("deployment_success").await);
    assert!(before.iter().any(|event| event.data["appId"] == "/b"));
    for (place, last) in ids.iter().enumerate() {
        let mut other = Stream::open(&stayer, "", Some(last)).await;
        assert_eq!(other.next().await.name, "event_stream_attached", "and no gap");
        for expected in before.iter().skip(place + 1) {
            assert_eq!(&other.next().await, expected, "behind {last}");
        }
    }
    let mut lost = Stream::open(&stayer, "", Some("999999.0")).await;
    assert_eq!(lost.next().await.name, "stream_gap");
    stayer.finish().await;
}

/// `stayer events` prints on over a kill of the server, each event once.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_follows_over_a_restart() {
    let listen = format!("127.0.0.1:{}", free_port());
    let mut stayer = Stayer::bare_with(&["--listen", &listen]).await;
    let file = stayer.dir().join("events");
    let mut verb = command()
        .args(["events", "--app", "/b", "--output", "json", "--type", "deployment_success"])
        .args(["--type", "status_update_event"])
        .env("STAYER_SERVER", &stayer.url)
        .stdout(std::fs::File::create(&file).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&file).expect("the file");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    stayer
        .until("it follows", |stayer| async {
            let metrics = stayer.get("/metrics").await.text;
            metrics.contains("stayer_event_consumers 1")
        })
        .await;
    stayer.launch(&sleeper("/a", json!({}))).await;
    stayer.launch(&sleeper("/b", json!({}))).await;
    stayer.kill();
    stayer.restart().await;
    stayer.at_rest().await;
    stayer.put("/v2/apps/b", &json!({"instances": 2})).await.expect(200);
    let over = |lines: &[Value]| {
        lines.iter().filter(|line| line["eventType"] == "deployment_success").count() == 2
    };
    let began = std::time::Instant::now();
    while !over(&lines()) {
        assert!(began.elapsed() < *PATIENCE, "{:?}", lines());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    verb.kill().expect("it ran");
    verb.wait().expect("it ended");
    let ids: Vec<Value> = lines().iter().map(|line| line["eventId"].clone()).collect();
    let mut sorted = ids.clone();
    sorted.dedup();
    assert_eq!(ids, sorted, "each once");
    let running = lines().iter().filter(|line| line["taskStatus"] == "TASK_RUNNING").count();
    assert_eq!(running, 2, "{:?}", lines());
    assert!(lines().iter().all(|line| line.get("appId").is_none_or(|app| app == "/b")));
    stayer.finish().await;
}

/// A browser's page, a HEAD and a wrong `Accept` get no stream; an end of the server ends streams at once.
#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_server() {
    let mut stayer = Stayer::bare().await;
    stayer.get("/v2/events").await.expect(405);
    let mut stream = Stream::open(&stayer, "", None).await;
    stream.next().await;
    let ended = stayer.signal("TERM").await;
    assert!(ended.success());
    // Nothing more came, and the end is a clean one: not that of a connection that is given up.
    assert!(stream.answer.chunk().await.expect("a clean end").is_none());
    drop(stayer);
}
