//! `/v2/events` over the real router, and over real connections where cuts and ends are the point.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Method, Request, Response, StatusCode};
use futures::StreamExt;
use proptest::test_runner::{RngAlgorithm, TestRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::rig::Rig;
use crate::api::seams::ApiConfig;
use crate::api::serve::{Patience, serve_with};
use crate::control::events::{Events, Published};
use crate::model::event::{Event, EventId, Plan};
use crate::model::id::{CommitNo, DeploymentId, Version};
use crate::model::path::AppPath;
use crate::model::time::Timestamp;
use crate::model::world::World;

const ACCEPT: (&str, &str) = ("accept", "text/event-stream");
/// Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_mins(1);

fn publish(events: &Events, no: u64, all: Vec<Event>) {
    let at = Timestamp::from_millis(super::rig::START);
    events.publish(vec![Published::with_world(CommitNo(no), at, all, &World::default())]);
}

fn ended(path: &str) -> Event {
    Event::AppTerminated { path: AppPath::parse(path).expect("a path") }
}

async fn open(rig: &Rig, query: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::get(format!("/v2/events{query}")).header("host", "localhost:8080");
    for (name, value) in [&[ACCEPT], headers].concat() {
        request = request.header(name, value);
    }
    let request = request.body(Body::empty()).expect("a request");
    rig.front.clone().oneshot(request).await.expect("infallible")
}

/// A stream, read frame by frame.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn of(rig: &Rig, query: &str, last: Option<&str>) -> Stream {
        let headers: Vec<(&str, &str)> =
            last.into_iter().map(|last| ("last-event-id", last)).collect();
        let response = open(rig, query, &headers).await;
        assert_eq!(response.status(), StatusCode::OK);
        Stream { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next frame; none at the end.
    async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\r\n\r\n") {
                let frame = self.text.drain(..end + 4).collect::<String>();
                return Some(frame.trim_end().to_owned());
            }
            let next = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("in time");
            let bytes = next?.expect("no error");
            self.text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let frame = self.frame().await.expect("it goes on");
            let id = frame.strip_prefix("id: ").and_then(|rest| rest.lines().next());
            let told = !frame.contains("event_stream_attached");
            ids.extend(id.filter(|_| told).map(str::to_owned));
        }
        ids
    }
}

#[tokio::test]
async fn only_who_accepts_a_stream_of_events_and_nothing_else_gets_one() {
    let rig = Rig::new();
    for accept in ["*/*", "text/event-stream, */*", "application/json"] {
        let answer = rig.ask_with(Method::GET, "/v2/events", "", &[("accept", accept)]).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "11.1: {accept}");
        assert!(answer.text.contains("Accept: text/event-stream"), "{}", answer.text);
    }
    assert_eq!(rig.get("/v2/events").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let posted = rig.ask_with(Method::POST, "/v2/events", "", &[ACCEPT]).await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(posted.header("allow"), "GET, HEAD, OPTIONS");
    let stranger = [ACCEPT, ("host", "evil.example")];
    let stranger = rig.ask_with(Method::GET, "/v2/events", "", &stranger).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
    let page = [ACCEPT, ("origin", "http://evil.example")];
    let page = rig.ask_with(Method::GET, "/v2/events", "", &page).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    let bad = rig.ask_with(Method::GET, "/v2/events?app=a_b", "", &[ACCEPT]).await;
    assert_eq!((bad.status, bad.text.contains("'a_b'")), (StatusCode::BAD_REQUEST, true));
}

#[tokio::test]
async fn the_headers_are_marathons_and_nothing_is_compressed() {
    let rig = Rig::new();
    // marathon-lb's headers (clients.md).
    let given = [("accept-encoding", "gzip"), ("content-type", "application/json")];
    let response = open(&rig, "?plan-format=light", &given).await;
    let header = |name: &str| {
        response.headers().get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    };
    assert_eq!(header("content-type"), "text/event-stream;charset=utf-8", "11.1");
    assert_eq!(header("cache-control"), "no-cache, no-store, must-revalidate");
    assert_eq!((header("connection"), header("content-encoding")), ("close", ""));
}

#[tokio::test]
async fn the_first_event_is_its_own_and_others_hear_of_it_and_of_its_end() {
    let rig = Rig::new();
    let mut first = Stream::of(&rig, "", None).await;
    assert_eq!(
        first.frame().await.as_deref(),
        Some(
            "id: 0.4294967295\r\nevent: event_stream_attached\r\ndata: {\"remoteAddress\":\"\",\"eventType\":\"event_stream_attached\",\"timestamp\":\"2021-07-01T10:01:00.000Z\"}"
        )
    );
    let mut deaf = Stream::of(&rig, "?event_type=app_terminated_event", None).await;
    let mut second = Stream::of(&rig, "?event_type=event_stream_attached", None).await;
    second.frame().await.expect("its own");
    assert!(first.frame().await.expect("the second's").contains("event_stream_attached"));
    drop(second);
    assert!(first.frame().await.expect("its end").contains("event_stream_detached"));
    publish(rig.server.events(), 1, vec![ended("/a")]);
    assert_eq!(deaf.ids(1).await, ["1.0"], "11.1: filtered out is not delivered");
}

#[tokio::test]
async fn a_head_tells_of_no_consumer() {
    let rig = Rig::new();
    let mut stream = Stream::of(&rig, "", None).await;
    stream.frame().await.expect("its own");
    let head = Request::head("/v2/events").header("host", "localhost").header(ACCEPT.0, ACCEPT.1);
    let head = head.body(Body::empty()).expect("a request");
    let response = rig.front.clone().oneshot(head).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
    drop(response);
    publish(rig.server.events(), 1, vec![ended("/a")]);
    assert_eq!(stream.frame().await.expect("the event").lines().next(), Some("id: 1.0"));
}

#[tokio::test]
async fn types_apps_and_the_form_of_plans_are_the_clients_choice() {
    let rig = Rig::new();
    let (id, version) = (DeploymentId(uuid::Uuid::nil()), Version::default());
    let done = || Event::DeploymentDone(Plan { id, version, steps: Vec::new() });
    let mut heavy = Stream::of(&rig, "?event_type=deployment_success", None).await;
    let mut light =
        Stream::of(&rig, "?plan-format=light&event_type=x&event_type=deployment_success", None)
            .await;
    let mut app = Stream::of(&rig, "?app=/a&app=b/c", None).await;
    let paths = ["/a", "/a/b", "/ab", "/b/c", "/b"];
    let all = paths.into_iter().map(ended).chain([done()]).collect();
    publish(rig.server.events(), 1, all);
    let frame = heavy.frame().await.expect("it");
    assert!(frame.starts_with("id: 1.5\r\nevent: deployment_success\r\ndata: {"), "{frame}");
    assert!(frame.contains(r#""original":{"id":"/""#), "11.4");
    assert!(!light.frame().await.expect("it").contains("original"), "11.4");
    assert_eq!(app.ids(3).await, ["1.0", "1.1", "1.3"]);
}

#[tokio::test]
async fn who_comes_again_goes_on_or_is_told_of_the_gap() {
    let rig = Rig::new();
    for no in 1..=3 {
        publish(rig.server.events(), no, vec![ended("/a"), ended("/b")]);
    }
    let mut again = Stream::of(&rig, "", Some("1.1")).await;
    assert_eq!(again.ids(4).await, ["2.0", "2.1", "3.0", "3.1"]);
    let mut query = Stream::of(&rig, "?lastEventId=3.0", None).await;
    assert_eq!(query.ids(1).await, ["3.1"]);
    let mut wrong = Stream::of(&rig, "?event_type=app_terminated_event", Some("7.0")).await;
    let gap = wrong.frame().await.expect("the gap, whatever was asked for");
    assert!(gap.starts_with("event: stream_gap\r\n"), "{gap}");
    assert!(gap.contains(r#""lastEventId":"7.0","reason":"the log has no such event""#), "{gap}");
    publish(rig.server.events(), 4, vec![ended("/a")]);
    assert_eq!(wrong.ids(1).await, ["4.0"], "then what comes");
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_told_so_at_last() {
    let rig = Rig::new();
    let mut slow = Stream::of(&rig, "", None).await;
    slow.frame().await.expect("attached");
    publish(rig.server.events(), 1, vec![ended("/a")]);
    assert_eq!(slow.ids(1).await, ["1.0"]);
    for no in 2..=150 {
        publish(rig.server.events(), no, (0..1_000).map(|_| ended("/a")).collect());
    }
    let last = slow.frame().await.expect("the last");
    assert!(last.starts_with("event: stream_overflow\r\n"), "{last}");
    assert!(last.contains(r#""lastEventId":"1.0""#), "{last}");
    assert_eq!(slow.frame().await, None, "it is closed");
    // With the id it has, it comes again and learns what it missed.
    let mut again = Stream::of(&rig, "", Some("1.0")).await;
    assert!(again.frame().await.expect("the gap").contains("not kept any more"));
    let attached = again.frame().await.expect("where it begins");
    let first = again.frame().await.expect("the oldest");
    let id = |frame: &str| frame.lines().next().expect("a line").to_owned();
    let before = id(&attached).trim_start_matches("id: ").parse::<EventId>().expect("an id");
    let next = EventId { index: before.index + 1, ..before };
    assert_eq!(id(&first), format!("id: {next}"));
}

#[tokio::test]
async fn who_leads_no_more_closes_its_streams_and_opens_none() {
    let rig = Rig::new();
    let mut stream = Stream::of(&rig, "", None).await;
    stream.frame().await.expect("attached");
    publish(rig.server.events(), 1, vec![ended("/a")]);
    rig.server.leads_no_more(None);
    assert_eq!(stream.ids(1).await, ["1.0"], "what was durable is told");
    assert_eq!(stream.frame().await, None, "11.1");
    let answer = rig.ask_with(Method::GET, "/v2/events", "", &[ACCEPT]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("another server leads"), "{}", answer.text);
}

#[tokio::test]
async fn a_quiet_stream_has_a_bare_line_end_now_and_then() {
    assert_eq!(ApiConfig::new("m1:8080").heartbeat, Duration::from_secs(10), "11.1");
    let rig = Rig::with(|config| config.heartbeat = Duration::from_millis(30));
    let mut stream = open(&rig, "", &[]).await.into_body().into_data_stream();
    stream.next().await.expect("attached").expect("bytes");
    for _ in 0..3 {
        assert_eq!(&stream.next().await.expect("it goes on").expect("bytes")[..], b"\r\n");
    }
    publish(rig.server.events(), 1, vec![ended("/a")]);
    let mut text = stream.next().await.expect("it goes on").expect("bytes");
    while text == "\r\n" {
        text = stream.next().await.expect("it goes on").expect("bytes");
    }
    assert!(text.starts_with(b"id: 1.0"), "frames stay whole");
}

// === over real connections ===

async fn serve(rig: &Rig) -> (SocketAddr, impl FnOnce() -> tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async {
        let _dropped = stopped.await;
    };
    // An end that waits for the bound of its drain is missed.
    let patience = Patience { drain: PATIENCE * 2, ..Patience::USUAL };
    let serving = tokio::spawn(serve_with(listener, rig.front.clone(), shutdown, patience));
    let end = move || {
        stop.send(()).expect("it serves");
        serving
    };
    (address, end)
}

/// In HTTP/1.0 the body comes as it is, up to the end.
async fn connect(address: SocketAddr, last: Option<EventId>) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connects");
    let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
    let ask = format!(
        "GET /v2/events?event_type=app_terminated_event HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n{last}\r\n"
    );
    stream.write_all(ask.as_bytes()).await.expect("sends");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_server_ends_its_streams_end_at_once() {
    let rig = Rig::new();
    let (address, end) = serve(&rig).await;
    let mut stream = connect(address, None).await;
    stream.read_u8().await.expect("it has begun");
    let ended = end();
    let mut rest = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut rest))
        .await
        .expect("in time")
        .expect("the end");
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("not by the bound of the drain")
        .expect("no panic");
}

/// A client that is cut off again and again and goes on with the last whole event that it has.
struct Cut {
    address: SocketAddr,
    rng: TestRng,
    last: EventId,
    frames: Vec<String>,
}

impl Cut {
    fn number(&mut self, below: u32) -> usize {
        use proptest::prelude::Rng;
        (self.rng.next_u32() % below) as usize
    }

    /// Reads so many bytes, answer's headers and all, then is cut off.
    async fn read(&mut self, bytes: usize) {
        let mut stream = connect(self.address, Some(self.last)).await;
        let mut text = vec![0; bytes];
        stream.read_exact(&mut text).await.expect("more will come");
        drop(stream);
        let text = String::from_utf8(text).expect("ASCII");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return };
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        let Some((whole, _cut)) = body.rsplit_once("\r\n\r\n") else { return };
        for frame in whole.split("\r\n\r\n") {
            let id = frame.trim_start().strip_prefix("id: ").expect("no gap, no overflow");
            self.last = id.lines().next().expect("a line").parse().expect("an id");
            self.frames.push(frame.trim_start().to_owned());
        }
    }
}

/// I14: a stream that is cut at any byte and resumed with its last whole event is the stream that was never cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_random_cuts_leave_no_gap_and_no_double() {
    const CLIENTS: u8 = 10;
    const CUTS: usize = 100;
    let rig = Rig::new();
    let (address, _end) = serve(&rig).await;
    let begin = EventId { commit: CommitNo(1), index: 0 };
    publish(rig.server.events(), 1, vec![ended("/a")]);
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn({
        let (events, stop) = (rig.server.events().clone(), stop.clone());
        async move {
            let mut no = 1;
            let mut told = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                no += 1;
                let count =
                    1 + u32::try_from(no * 7 % 90).expect("small") * u32::from(no % 50 == 0);
                told.extend((0..count).map(|index| EventId { commit: CommitNo(no), index }));
                let event = |place| ended(&format!("/shop/app-{no}-{place}"));
                publish(&events, no, (0..count).map(event).collect());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            told
        }
    });
    let mut cutting = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[client; 32]);
        let mut cut = Cut { address, rng, last: begin, frames: Vec::new() };
        cutting.spawn(async move {
            for _ in 0..CUTS {
                let bytes = 1 + cut.number(4_000);
                cut.read(bytes).await;
            }
            cut
        });
    }
    let cuts = tokio::time::timeout(PATIENCE, cutting.join_all()).await.expect("in time");
    stop.store(true, Ordering::Relaxed);
    let told = publishing.await.expect("no panic");
    let mut uncut = Stream::of(&rig, "?event_type=app_terminated_event", Some("1.0")).await;
    let mut frames = Vec::new();
    while frames.len() < told.len() {
        frames.push(uncut.frame().await.expect("it goes on"));
    }
    let ids: Vec<String> = told.iter().map(EventId::to_string).collect();
    assert!(frames.iter().zip(&ids).all(|(frame, id)| frame.starts_with(&format!("id: {id}\r\n"))));
    let mut seen = BTreeSet::new();
    for cut in cuts {
        assert!(cut.frames.len() > CUTS, "each cut let something through: {}", cut.frames.len());
        assert_eq!(cut.frames, frames[..cut.frames.len()], "no gap, no double");
        seen.insert(cut.frames.len());
    }
    assert!(seen.len() > 1, "the clients were cut differently");
}
