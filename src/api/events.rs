//! `GET /v2/events`: what happens, as it happens (contract 11.1), and what Marathon lacks: an id on each event, by which a
//! client that was cut off goes on without a gap.
//!
//! Which events there are and where a reader is among them is [`crate::control::events`]'s; here is HTTP. A stream asks
//! for the next piece when its client has taken the last one, so that a slow one costs a place in the ring and what
//! its connection buffers.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{ACCEPT, CONNECTION};
use axum::http::{HeaderValue, StatusCode, Version};
use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::api::call::{Api, Call};
use crate::api::reply::{self, Outcome, Streaming};
use crate::api::serve::Ending;
use crate::contract::error::Reply;
use crate::contract::show::event::{self, Notice, Plans};
use crate::control::audience::Seat;
use crate::control::events::{Filter, Pull, Reader, Start};
use crate::control::server::Trouble;
use crate::model::path::AppPath;

/// The only type that is asked for and given.
const EVENT_STREAM: &str = "text/event-stream";

/// One client's stream.
struct Follow {
    api: Api,
    reader: Reader,
    remote: String,
    ending: Option<Ending>,
    heartbeat: Interval,
    stage: Stage,
    /// Its place among those who are told before an instance is asked to end, if it is told of that.
    seat: Option<Seat>,
}

/// How far a stream is.
enum Stage {
    /// Nothing was sent yet, and nobody told that there is a new consumer.
    New,
    /// Events are sent.
    Open,
    /// The last event was sent.
    Over,
}

/// What a stream sends next.
enum Next {
    Bytes(Bytes),
    End,
}

/// Sends what happens, until the client or the server ends.
#[utoipa::path(
    get,
    path = "/v2/events",
    operation_id = "followEvents",
    tag = "events",
    params(
        ("event_type" = Option<Vec<String>>, Query, description = "only events of these types; may be repeated, lists with commas are not split. Events that Marathon does not know are told only to those who name them, or `*` for all that there are"),
        ("app" = Option<Vec<String>>, Query, description = "only events about this app or group and what is within it; may be repeated"),
        ("plan-format" = Option<String>, Query, description = "`light`: plans without `original` and `target`"),
        ("lastEventId" = Option<String>, Query, description = "as the header `Last-Event-ID`, for clients that cannot set one"),
        ("Last-Event-ID" = Option<String>, Header, description = "go on right behind the event of this id; `stream_gap` comes first when that is not possible"),
    ),
    responses(
        (status = 200, description = "server-sent events", body = String, content_type = "text/event-stream"),
        (status = 400, description = "`app` is no id", body = crate::api::schema::Message),
        (status = 503, description = "another server leads", body = crate::api::schema::Message),
        (status = 405, description = "the header `Accept` is not `text/event-stream` and nothing else", body = crate::api::schema::Message),
    ),
)]
pub fn follow(api: &Api, call: &Call) -> Outcome {
    if !call.headers.get_all(ACCEPT).iter().any(|accept| accept == EVENT_STREAM) {
        let hint = "send the header Accept: text/event-stream";
        return Err(reply::hint(StatusCode::METHOD_NOT_ALLOWED, hint));
    }
    if let Some(trouble) = led_elsewhere(api) {
        return Err(Reply::unavailable(&format!("{trouble}; events are told there")));
    }
    let filter = call.scope.events(filter(call)?);
    // From here on nothing is missed, although the body begins later, and for HEAD never.
    let seat = filter.tells_ends().map(|of| api.server().audience().follow(of));
    let reader = api.server().events().read(&start(call), filter);
    let mut heartbeat = interval(api.config().heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    let (api, remote, ending) = (api.clone(), call.caller().address, call.ending.clone());
    let follow = Follow { api, reader, remote, ending, heartbeat, stage: Stage::New, seat };
    let pieces = futures::stream::unfold(follow, |mut follow| async move {
        match follow.next().await {
            Next::Bytes(bytes) => Some((Ok::<_, Infallible>(bytes), follow)),
            Next::End => None,
        }
    });
    let media = "text/event-stream;charset=utf-8";
    let mut response = reply::with_type(StatusCode::OK, media, Body::from_stream(pieces));
    if call.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.extensions_mut().insert(Streaming);
    Ok(response)
}

fn filter(call: &Call) -> Result<Filter, Reply> {
    let types = call.query.all("event_type").map(str::to_owned).collect();
    let apps = call.query.all("app").map(|id| {
        AppPath::parse(id).map_err(|error| {
            let message = format!("app is the id of an app or a group, not '{id}': {error}");
            reply::say(StatusCode::BAD_REQUEST, &message)
        })
    });
    let apps: Vec<AppPath> = apps.collect::<Result<_, _>>()?;
    Ok(Filter {
        types: call.query.first("event_type").map(|_| types),
        apps: Some(apps).filter(|apps| !apps.is_empty()),
        plans: match call.query.first("plan-format") {
            Some("light") => Plans::Light,
            Some(_) | None => Plans::Heavy,
        },
    })
}

fn start(call: &Call) -> Start {
    let header = call.headers.get("last-event-id");
    let header = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let last = header.or_else(|| call.query.first("lastEventId").map(str::to_owned));
    match last.filter(|last| !last.is_empty()) {
        Some(last) => Start::Behind(last),
        None => Start::Now,
    }
}

// === impl Follow ===

impl Follow {
    /// What is sent next, as soon as there is something.
    async fn next(&mut self) -> Next {
        match self.stage {
            Stage::New => {
                self.stage = Stage::Open;
                if let Some(bytes) = self.begin() {
                    return Next::Bytes(bytes);
                }
            }
            Stage::Open => {}
            Stage::Over => return Next::End,
        }
        loop {
            let pulled = self.reader.pull();
            if let (Some(seat), Pull::Some(_) | Pull::More) = (&self.seat, &pulled) {
                seat.told(self.reader.last().commit);
            }
            match pulled {
                Pull::Some(bytes) => {
                    self.heartbeat.reset();
                    return Next::Bytes(bytes);
                }
                // Others have their turn: what is left out may be long.
                Pull::More => tokio::task::yield_now().await,
                Pull::Lost => {
                    self.stage = Stage::Over;
                    return Next::Bytes(self.say(&Notice::Overflow { last: self.reader.last() }));
                }
                // Contract 11.1: who leads no more closes its streams, and a client goes on elsewhere by its last id.
                Pull::All if led_elsewhere(&self.api).is_some() => return Next::End,
                Pull::All => {
                    tokio::select! {
                        () = self.reader.wait() => {}
                        _ = self.heartbeat.tick() => {
                            return Next::Bytes(Bytes::from_static(b"\r\n"));
                        }
                        () = end(&mut self.ending) => return Next::End,
                    }
                }
            }
        }
    }

    /// Says that it has begun, to its client and to the others, and what the client has missed.
    fn begin(&mut self) -> Option<Bytes> {
        let (attached, at) = (Notice::Attached { remote: self.remote.clone() }, self.api.now());
        let mut text = String::new();
        // A gap is told whatever was asked for, and before the client gets an id that lies behind it.
        if let Some(gap) = self.reader.take_gap() {
            event::notice(&mut text, None, &gap, at);
        }
        if self.reader.filter().takes_type(attached.name()) {
            // Who is cut off before the first event knows where to go on too.
            event::notice(&mut text, Some(self.reader.last()), &attached, at);
        }
        self.reader.attach(attached, at);
        (!text.is_empty()).then(|| text.into())
    }

    fn say(&self, notice: &Notice) -> Bytes {
        let mut text = String::new();
        event::notice(&mut text, None, notice, self.api.now());
        text.into()
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        match self.stage {
            Stage::New => {}
            Stage::Open | Stage::Over => {
                let remote = std::mem::take(&mut self.remote);
                let (events, at) = (self.api.server().events(), self.api.now());
                events.tell(Notice::Detached { remote }, at);
            }
        }
    }
}

/// Who leads, when this server does so no more and therefore learns of nothing.
fn led_elsewhere(api: &Api) -> Option<Arc<Trouble>> {
    api.server().trouble().filter(|trouble| match **trouble {
        Trouble::NotLeading(_) => true,
        Trouble::StoreAway(_) => false,
    })
}

async fn end(ending: &mut Option<Ending>) {
    match ending {
        Some(ending) => ending.wait().await,
        None => std::future::pending().await,
    }
}
