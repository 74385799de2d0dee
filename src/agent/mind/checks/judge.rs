//! What an answer means for a check, and what it changes of what was found. Functions of their arguments.

use crate::agent::mind::checks::BODY;
use crate::agent::mind::checks::probe::Reply;
use crate::model::check::{HealthCheck, HealthProtocol, ReadinessCheck};
use crate::model::findings::{CheckResult, HealthRecord, Readiness, Response};
use crate::model::text::cut;
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;

/// So much of why a check failed is kept.
const MAX_CAUSE: usize = 512;

/// Takes an answer to a health check into its record; whether that changed it. `since` is when the task began to run.
pub(super) fn health(
    record: &mut Option<HealthRecord>,
    check: &HealthCheck,
    reply: &Reply,
    since: Timestamp,
    now: Timestamp,
) -> bool {
    match verdict(check, reply) {
        None => false,
        Some(Ok(())) => record.get_or_insert_default().succeeded(now),
        Some(Err(cause)) => {
            let fresh = record.as_ref().is_none_or(|record| record.first_success.is_none());
            let grace = since + Span::secs(u64::from(check.grace_period_seconds));
            // HC-5: until the first success a failure counts only when the grace period is over.
            if planted!("grace-ignored", fresh && now < grace, false) {
                return false;
            }
            record.get_or_insert_default().failed(now, cut(&cause, MAX_CAUSE));
            true
        }
    }
}

/// HC-4: nothing, a success, or a failure with its cause.
fn verdict(check: &HealthCheck, reply: &Reply) -> Option<Result<(), String>> {
    let ignores = check.ignore_http_1xx && check.protocol == HealthProtocol::Http;
    match reply {
        Reply::Unknown => None,
        Reply::Connected | Reply::Exit(0) | Reply::Http { status: 200..=399, .. } => Some(Ok(())),
        Reply::Http { status: 100..=199, .. } if ignores => None,
        Reply::Http { status, .. } => Some(Err(format!("HTTP status {status}"))),
        Reply::Exit(code) => Some(Err(format!("the command exited with status {code}"))),
        Reply::Failed { why } => Some(Err(why.clone())),
    }
}

/// Takes an answer to a readiness check into what it has found; whether that changed it. `url` is for people.
pub(super) fn readiness(
    found: &mut Option<Readiness>,
    check: &ReadinessCheck,
    reply: Reply,
    url: &str,
) -> bool {
    let response = match reply {
        Reply::Http { status, content_type, body } => {
            Response { status, content_type, body: cut(&body, BODY).to_owned() }
        }
        Reply::Failed { why } => unanswered(url, &why),
        Reply::Connected | Reply::Exit(_) => unanswered(url, "no answer over HTTP"),
        Reply::Unknown => return false,
    };
    let ready = check.ready_codes.contains(&response.status);
    let new = Some(Readiness { ready, last: check.preserve_last_response.then_some(response) });
    let changed = *found != new;
    *found = new;
    changed
}

/// HC-16: what could not be asked is told as an answer.
fn unanswered(url: &str, why: &str) -> Response {
    let body = format!("Marathon could not query {url}: {why}");
    let body = cut(&body, MAX_CAUSE).to_owned();
    Response { status: 504, content_type: "text/plain".to_owned(), body }
}

/// What a plain check shows of an answer; nothing when there was none.
pub(super) fn plain(reply: &Reply, tcp: bool) -> Option<CheckResult> {
    match reply {
        Reply::Http { status, .. } => Some(CheckResult::Http(*status)),
        Reply::Connected => Some(CheckResult::Tcp(true)),
        Reply::Failed { .. } if tcp => Some(CheckResult::Tcp(false)),
        Reply::Exit(code) => Some(CheckResult::Command(*code)),
        Reply::Failed { .. } | Reply::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::mind::checks::testing::check;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1_000)
    }

    fn http(status: u16) -> Reply {
        Reply::Http { status, content_type: String::new(), body: String::new() }
    }

    fn refused() -> Reply {
        Reply::Failed { why: "connection refused".to_owned() }
    }

    /// HC-4.
    #[test]
    fn which_answers_are_healthy() {
        let mut http_check = check(HealthProtocol::Http);
        let good =
            |check: &HealthCheck, reply| verdict(check, &reply).map(|verdict| verdict.is_ok());
        for (status, expected) in [
            (200, true),
            (204, true),
            (301, true),
            (399, true),
            (400, false),
            (404, false),
            (500, false),
        ] {
            assert_eq!(good(&http_check, http(status)), Some(expected), "{status}");
        }
        assert_eq!(good(&http_check, http(103)), Some(false), "a 1xx is a failure");
        http_check.ignore_http_1xx = true;
        assert_eq!(good(&http_check, http(103)), None, "or nothing, where that is asked for");
        let https = HealthCheck { protocol: HealthProtocol::Https, ..http_check.clone() };
        assert_eq!(good(&https, http(103)), Some(false), "HTTPS never ignores one");
        assert_eq!(good(&check(HealthProtocol::Tcp), Reply::Connected), Some(true));
        assert_eq!(good(&check(HealthProtocol::Tcp), refused()), Some(false));
        assert_eq!(good(&check(HealthProtocol::Command), Reply::Exit(0)), Some(true));
        assert_eq!(good(&check(HealthProtocol::Command), Reply::Exit(1)), Some(false));
        assert_eq!(good(&check(HealthProtocol::Command), Reply::Unknown), None);
    }

    /// HC-5, HC-6: fail for the grace period, then succeed; from the first success on every failure counts.
    #[test]
    fn grace_ends_with_the_first_success() {
        let check = check(HealthProtocol::Http);
        let mut record = None;
        for second in [1, 100, 299] {
            let changed = health(&mut record, &check, &refused(), at(0), at(second));
            assert!(
                !changed && record.is_none(),
                "a failure in the grace period is none: {second} s"
            );
        }
        assert!(health(&mut record, &check, &http(200), at(0), at(299)));
        assert!(health(&mut record, &check, &refused(), at(0), at(299)), "grace is over");
        assert_eq!(record.as_ref().map(|record| record.failures), Some(1));
        assert!(!health(&mut record, &check, &Reply::Unknown, at(0), at(299)));
        assert!(health(&mut record, &check, &http(500), at(0), at(300)));
        let cause = record.as_ref().and_then(|record| record.cause.clone());
        assert_eq!(cause.as_deref(), Some("HTTP status 500"));
        assert!(health(&mut record, &check, &http(200), at(0), at(301)));
        assert_eq!(record.map(|record| record.failures), Some(0));
        let mut late = None;
        assert!(health(&mut late, &check, &refused(), at(0), at(300)), "without a success it ends");
    }

    /// HC-16.
    #[test]
    fn readiness_is_what_the_codes_say() {
        let mut check = ReadinessCheck {
            name: "readinessCheck".to_owned(),
            https: false,
            path: "/".to_owned(),
            port_name: "http-api".to_owned(),
            interval_seconds: 30,
            timeout_seconds: 10,
            ready_codes: [200, 204].into(),
            preserve_last_response: false,
        };
        let mut found = None;
        assert!(readiness(&mut found, &check, http(404), "http://a"));
        assert!(!readiness(&mut found, &check, http(500), "http://a"), "not ready is no news");
        assert!(readiness(&mut found, &check, http(204), "http://a"));
        assert_eq!(found, Some(Readiness { ready: true, last: None }));
        check.preserve_last_response = true;
        let mut found = None;
        assert!(readiness(&mut found, &check, refused(), "http://a:1/x"));
        let last = found.and_then(|found| found.last).expect("kept");
        assert_eq!((last.status, last.content_type.as_str()), (504, "text/plain"));
        assert_eq!(last.body, "Marathon could not query http://a:1/x: connection refused");
    }

    /// HC-15.
    #[test]
    fn a_plain_check_shows_what_came() {
        assert_eq!(plain(&http(503), false), Some(CheckResult::Http(503)));
        assert_eq!(plain(&refused(), false), None);
        assert_eq!(plain(&refused(), true), Some(CheckResult::Tcp(false)));
        assert_eq!(plain(&Reply::Exit(3), false), Some(CheckResult::Command(3)));
    }
}
