//! Against real sockets: what a server really sends is what a check has to do with.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::agent::machine::Nowhere;

/// Long enough for whatever is answered.
const PATIENT: Span = Span::secs(60);

/// A server that answers every connection with these bytes, after it has read something.
async fn server(answer: &'static str) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1_024];
            let _read = stream.read(&mut request).await;
            let _written = stream.write_all(answer.as_bytes()).await;
            if answer.is_empty() {
                // It never answers, and never hangs up.
                std::future::pending::<()>().await;
            }
        }
    });
    Target { at: At::Loopback { ipv6: false }, port }
}

async fn get(answer: &'static str, bytes: usize) -> Reply {
    get_within(PATIENT, answer, Glimpse { bytes, wanted: true }).await
}

async fn get_within(limit: Span, answer: &'static str, body: Glimpse) -> Reply {
    let target = server(answer).await;
    let ask = HttpAsk { target, tls: false, path: "/health", body };
    Prober::new(None).http(ask, limit).await
}

fn status(reply: &Reply) -> Option<u16> {
    match reply {
        Reply::Http { status, .. } => Some(*status),
        Reply::Connected | Reply::Exit(_) | Reply::Failed { .. } | Reply::Unknown => None,
    }
}

/// HC-4: a redirect is an answer, an informational answer counts only when nothing follows.
#[tokio::test]
async fn what_servers_answer() {
    for (answer, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        ("HTTP/1.0 503 No\r\n\r\n", 503),
        ("HTTP/1.1 301 Away\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 301),
        ("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n", 404),
        ("HTTP/1.1 103 Early\r\n\r\n", 103),
    ] {
        assert_eq!(status(&get(answer, 0).await), Some(expected), "{answer}");
    }
}

#[tokio::test]
async fn no_more_of_a_body_is_read_than_is_wanted() {
    let long =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\nabcdef";
    let wanted = Reply::Http { status: 200, content_type: "text/plain".into(), body: "abc".into() };
    assert_eq!(get(long, 3).await, wanted);
}

/// HC-4: a status is an answer; a body that never ends does not make it a late one.
#[tokio::test]
async fn a_body_that_nobody_waits_for_makes_no_answer_late() {
    let endless = "HTTP/1.1 503 No\r\nContent-Length: 1000000\r\n\r\nwhy: no disk";
    let begin =
        Reply::Http { status: 503, content_type: String::new(), body: "why: no disk".into() };
    assert_eq!(get_within(PATIENT, endless, Glimpse { bytes: 2_049, wanted: false }).await, begin);
}

/// HC-4, BETTER: the time is that of the whole probe.
#[tokio::test]
async fn what_takes_too_long_is_a_failure() {
    let silent = get_within(Span::secs(1), "", Glimpse { bytes: 0, wanted: true }).await;
    assert_eq!(silent, Reply::Failed { why: "no answer within 1 s".to_owned() });
    let Reply::Failed { why } = get("nonsense\r\n\r\n", 0).await else { panic!("no HTTP") };
    assert!(!why.is_empty());
}

#[tokio::test]
async fn tcp_asks_for_a_connection_alone() {
    let prober = Prober::new(Some("127.0.0.1"));
    let target = Target { at: At::Host, ..server("x").await };
    assert_eq!(prober.tcp(target, PATIENT).await, Reply::Connected);
    let nowhere = Nowhere::hold();
    let port = nowhere.port();
    let Reply::Failed { why } = prober.tcp(Target { port, ..target }, PATIENT).await else {
        panic!("nobody listens")
    };
    assert_eq!(why, format!("{nowhere} refuses connections"));
}

/// A status that came in time is an answer, also when the time is over before its body; where the body is wanted too it is
/// none.
#[tokio::test]
async fn a_status_in_time_is_an_answer_whatever_becomes_of_its_body() {
    let late = || Reply::Failed { why: "no answer within 1 s".to_owned() };
    for (wanted, expected) in [(false, Some(200)), (true, None)] {
        let early = Early::default();
        early.note(Glimpse { bytes: 10, wanted }, StatusCode::OK, "text/plain");
        assert_eq!(status(&early.or(late())), expected, "{wanted}");
    }
    assert_eq!(status(&Early::default().or(late())), None);
    let early = Early::default();
    early.note(Glimpse { bytes: 10, wanted: false }, StatusCode::OK, "text/plain");
    let whole = answer(StatusCode::OK, String::new(), b"body".to_vec(), 10);
    assert_eq!(early.or(whole.clone()), whole, "the whole answer goes before its begin");
}
