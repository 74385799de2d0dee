//! `stayer events`: follows what happens. A stream that is cut goes on by itself right behind the last event that was
//! printed, also with a server that was started again; what cannot be had any more is said.

mod frames;
mod line;

use std::time::Duration;

use clap::Args;
use reqwest::Response;

use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::events::frames::{Frame, Frames};
use crate::cli::failure::Failure;
use crate::cli::talk::Talk;

/// A server sends at least a line end each 10 seconds; one that is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// Before the stream is asked for again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The same while it fails again and again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// By its id a stream tells where it begins, so that a cut before the first event leaves no gap.
const ATTACHED: &str = "event_stream_attached";

/// Asks also for what Marathon's clients would not know.
const EVERY: &str = "*";

/// What `stayer events` is told.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only events about this app or group and what is within it; may be repeated [default: all]
    #[arg(long, env = "STAYER_APP", value_name = "ID", value_delimiter = ',')]
    app: Vec<String>,
    /// Only events of this type, as `status_update_event`; may be repeated [default: all]
    #[arg(long = "type", env = "STAYER_TYPE", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Begin right behind the event of this id [default: with what happens now]
    #[arg(long, env = "STAYER_SINCE", value_name = "ID")]
    since: Option<String>,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// Why a stream ended.
enum Cut {
    /// It was too slow and was told so.
    Overflow,
    /// It broke, or the server ended.
    Broken(String),
}

/// Follows until it is interrupted or nobody reads.
///
/// # Errors
/// When the server cannot be reached at first, or refuses.
pub async fn run(args: EventsArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    let mut last = args.since.clone();
    let mut answer = talk.client.stream(&ask(&args, last.as_deref())).await?;
    loop {
        let cut = follow(&mut talk, &args, answer, &mut last).await?;
        talk.console.note(&match cut {
            Cut::Overflow => "the server could not wait for this reader; going on".to_owned(),
            Cut::Broken(why) => {
                format!("the stream was cut ({why}); going on when the server answers")
            }
        });
        answer = again(&talk, &args, last.as_deref()).await?;
    }
}

/// Asks until there is an answer; a refusal ends it.
async fn again(
    talk: &Talk<'_>,
    args: &EventsArgs,
    last: Option<&str>,
) -> Result<Response, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        match talk.client.stream(&ask(args, last)).await {
            Ok(answer) => return Ok(answer),
            Err(failure) if failure.may_pass() => pause = (pause * 2).min(LONGEST_PAUSE),
            Err(failure) => return Err(failure),
        }
    }
}

fn ask(args: &EventsArgs, last: Option<&str>) -> Ask {
    let mut ask = Ask::get("/v2/events").accept_events().with("plan-format", "light");
    for app in &args.app {
        ask = ask.with("app", app.as_str());
    }
    for name in &args.types {
        ask = ask.with("event_type", name.as_str());
    }
    if args.types.is_empty() {
        ask = ask.with("event_type", EVERY);
    } else if !args.types.iter().any(|name| name == ATTACHED) {
        ask = ask.with("event_type", ATTACHED);
    }
    match last {
        Some(last) => ask.with("lastEventId", last),
        None => ask,
    }
}

/// Prints what comes until the stream ends; keeps the id of the last whole event.
async fn follow(
    talk: &mut Talk<'_>,
    args: &EventsArgs,
    mut answer: Response,
    last: &mut Option<String>,
) -> Result<Cut, Failure> {
    let mut frames = Frames::default();
    loop {
        let chunk = match tokio::time::timeout(SILENCE, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Ok(Cut::Broken("the server ended it".to_owned())),
            Ok(Err(error)) => return Ok(Cut::Broken(error.to_string())),
            Err(_) => return Ok(Cut::Broken("nothing came for 30 s".to_owned())),
        };
        for frame in frames.take(&chunk) {
            show(talk, args, &frame)?;
            if frame.id.is_some() {
                last.clone_from(&frame.id);
            }
            if frame.name == "stream_overflow" {
                return Ok(Cut::Overflow);
            }
        }
    }
}

fn show(talk: &mut Talk<'_>, args: &EventsArgs, frame: &Frame) -> Result<(), Failure> {
    match frame.name.as_str() {
        "stream_gap" => talk.console.note(&line::gap(frame)),
        "stream_overflow" => {}
        // Where this very stream begins; and that of others is shown to those who ask for it.
        ATTACHED if frame.id.is_some() => {}
        name if !args.types.is_empty() && !args.types.iter().any(|wanted| wanted == name) => {}
        _ if talk.is_json() => talk.console.line(&line::json(frame))?,
        _ => talk.console.line(&line::text(frame))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::cli::tests::stand::Stand;

    const FIRST: &str = "id: 3.1\r\nevent: event_stream_attached\r\ndata: {}\r\n\r\n\
        id: 4.0\r\nevent: app_terminated_event\r\ndata: {\"appId\":\"/a\",\"eventType\":\"app_terminated_event\",\"timestamp\":\"T1\"}\r\n\r\n\
        id: 4.1\r\nevent: app_terminated_event\r\ndata: {\"appId\":\"/cut";
    const SECOND: &str = "event: stream_gap\r\ndata: {\"lastEventId\":\"4.0\",\"reason\":\"gone\",\"nextEventId\":\"9.0\"}\r\n\r\n\
        id: 9.0\r\nevent: app_terminated_event\r\ndata: {\"appId\":\"/b\",\"eventType\":\"app_terminated_event\",\"timestamp\":\"T2\"}\r\n\r\n";

    /// The stand has a script of two streams and then refuses, which ends the verb.
    async fn followed(line: &[&str]) -> (Stand, crate::cli::tests::stand::Outcome) {
        let stand = Stand::start().await;
        let ask = "GET /v2/events";
        stand.on(ask, 200, FIRST).on(ask, 200, SECOND).on(ask, 403, "{\"message\":\"enough\"}");
        let outcome = stand.run(line).await;
        (stand, outcome)
    }

    #[tokio::test]
    async fn a_cut_stream_goes_on_behind_the_last_whole_event_and_a_gap_is_said() {
        let (stand, outcome) = followed(&["events"]).await;
        let lines: Vec<&str> = outcome.output.lines().collect();
        assert_eq!(
            lines,
            ["T1  4.0  app_terminated_event  /a", "T2  9.0  app_terminated_event  /b"]
        );
        assert!(outcome.error.contains("between 4.0 and 9.0"), "{}", outcome.error);
        assert!(outcome.error.contains("enough"), "a refusal ends it: {}", outcome.error);
        let plain = "GET /v2/events?plan-format=light&event_type=*";
        let asked = [
            plain.to_owned(),
            format!("{plain}&lastEventId=4.0"),
            format!("{plain}&lastEventId=9.0"),
        ];
        assert_eq!(stand.asked(), asked);
    }

    #[tokio::test]
    async fn programs_get_the_events_with_their_ids() {
        let (_stand, outcome) = followed(&["events", "--output", "json"]).await;
        let first: serde_json::Value =
            serde_json::from_str(outcome.output.lines().next().expect("a line")).expect("JSON");
        assert_eq!((&first["eventId"], &first["appId"]), (&"4.0".into(), &"/a".into()));
    }

    #[tokio::test]
    async fn filters_and_the_beginning_are_the_servers_to_apply() {
        let stand = Stand::start().await;
        let line = ["events", "--app", "/a,b", "--type", "x", "--since", "7.0"];
        let outcome = stand.run(&line).await;
        assert_eq!(outcome.exit, crate::cli::failure::Exit::Refused);
        let asked = "GET /v2/events?plan-format=light&app=%2Fa&app=b&event_type=x&event_type=event_stream_attached&lastEventId=7.0";
        assert_eq!(stand.asked()[0].trim_end(), asked);
    }
}
