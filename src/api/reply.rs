//! From the contract's answers to responses: types, and headers that depend on the request.
//!
//! Texts are the contract's; here are only those about HTTP itself.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION, WARNING};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::contract::error::Reply;
use crate::contract::fault::Warning;
use crate::contract::show::text;
use crate::control::server::Trouble;
use crate::model::path::AppPath;

/// What a handler answers: a response, or what the contract says when it comes to nothing.
pub type Outcome = Result<Response, Reply>;

/// The most warnings of one answer, and the most characters of one.
const MAX_WARNINGS: usize = 16;
const MAX_WARNING_LENGTH: usize = 400;

/// How many headers an answer has, about.
const USUAL_HEADERS: usize = 12;

/// Marks an answer whose bytes must leave as they come: it is not compressed.
#[derive(Clone, Copy, Debug)]
pub struct Streaming;

// === impl Reply ===

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = if self.body.is_empty() {
            empty(status)
        } else {
            with_type(status, "application/json", self.body)
        };
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// A phrase of HTTP, and what helps to do better.
pub fn hint(status: StatusCode, hint: &str) -> Reply {
    let body = text::object_text(|object| {
        object.text("message", status.canonical_reason().unwrap_or("Unknown"));
        object.text("hint", hint);
    });
    Reply::json(status.as_u16(), body)
}

/// A sentence that a client sees with `status`.
pub fn say(status: StatusCode, message: &str) -> Reply {
    Reply::message(status.as_u16(), message)
}

/// 404 as a resource says it, with an empty `details` (contract 2.4), for what is no valid id too.
pub fn not_found(message: &str) -> Reply {
    let body = text::object_text(|object| {
        object.text("message", message);
        object.raw("details", "[]");
    });
    Reply::json(404, body)
}

/// 200 with a JSON body.
pub fn json_text(text: impl Into<Body>) -> Response {
    with_type(StatusCode::OK, "application/json", text)
}

/// A body of any type.
pub fn with_type(status: StatusCode, media: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    // Room for those that every answer gets.
    *response.headers_mut() = HeaderMap::with_capacity(USUAL_HEADERS);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// A status and nothing else.
pub fn empty(status: StatusCode) -> Response {
    status.into_response()
}

/// Says where what was created is: `http://host/id`, as Marathon has it (contract 3.2).
pub fn locate(response: &mut Response, host: &str, path: &AppPath) {
    if let Ok(value) = HeaderValue::try_from(format!("http://{host}{path}")) {
        response.headers_mut().insert(LOCATION, value);
    }
}

/// Says what was taken although it is odd: `Warning: 299 - "text"` each.
pub fn warn(response: &mut Response, warnings: &[Warning]) {
    for Warning(text) in warnings.iter().take(MAX_WARNINGS) {
        if let Ok(value) = HeaderValue::try_from(format!("299 - \"{}\"", quotable(text))) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// Says that an answer is what was known last (RFC 7234 5.5): 111 when the store could not be asked, 110 when another
/// server leads.
pub fn stale(headers: &mut HeaderMap, trouble: &Trouble) {
    let code = match trouble {
        Trouble::StoreAway(_) => "111 - \"Revalidation Failed",
        Trouble::NotLeading(_) => "110 - \"Response is Stale",
    };
    if let Ok(value) =
        HeaderValue::try_from(format!("{code}: {}\"", quotable(&trouble.to_string())))
    {
        headers.append(WARNING, value);
    }
}

/// Visible ASCII, ready to stand in quotes; anything else becomes `?`.
fn quotable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().take(MAX_WARNING_LENGTH) {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            ' '..='~' => out.push(character),
            _ => out.push('?'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_header_safe() {
        let mut response = empty(StatusCode::OK);
        warn(&mut response, &[Warning("say \"mem\" for\r\n\u{e4}".to_owned())]);
        let header = response.headers().get(WARNING).expect("a warning");
        assert_eq!(header, r#"299 - "say \"mem\" for???""#);
    }
}
