//! Who may ask at all, before any token exists: the defence against pages in the operator's browser.
//!
//! A page can reach loopback in two ways, by a request across sites and by a name that is rebound to 127.0.0.1
//! (reliability §5.3). So the name that was asked for must be ours, an origin must be our own, and the content types that
//! a page may send unasked are taken only from what is no browser. Nothing here depends on the route.

use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN, REFERER};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri};

use crate::api::reply;
use crate::contract::error::Reply;

/// The type that `curl -d` declares by itself.
const FORM: &str = "application/x-www-form-urlencoded";
/// What browsers say of the page that asks.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses names, origins and sites that are not ours. `allowed` are names beside `localhost` and every address.
///
/// # Errors
/// 403, with the header that gave the reason.
pub fn admit(headers: &HeaderMap, uri: &Uri, allowed: &[String]) -> Result<(), Reply> {
    let host = text(headers, &HOST)?;
    let named = uri.authority().map(Authority::as_str);
    for asked in [host, named].into_iter().flatten() {
        if !is_ours(asked, allowed) {
            let name = host_of(asked);
            return Err(forbidden(&format!(
                "Host '{name}' is not a name of this server; start it with --allow-host {name}"
            )));
        }
    }
    if let Some(origin) = text(headers, &ORIGIN)?
        && !is_own_origin(origin, host.or(named))
    {
        return Err(forbidden(&format!("Origin '{origin}' is not this server")));
    }
    if let Some(site) = text(headers, &SEC_FETCH_SITE)?
        && !matches!(site, "same-origin" | "none")
    {
        return Err(forbidden(&format!(
            "Sec-Fetch-Site '{site}': only pages of this server may ask"
        )));
    }
    Ok(())
}

/// Refuses bodies that are not JSON. Without a type, or with the type of a plain `curl -d`, they are taken for JSON, unless
/// a browser sends them: it may send those types across sites without asking.
///
/// # Errors
/// 415, with what to send instead.
pub fn check_type(headers: &HeaderMap, has_body: bool) -> Result<(), Reply> {
    let unsupported = |hint: String| reply::hint(StatusCode::UNSUPPORTED_MEDIA_TYPE, &hint);
    let declared = text(headers, &CONTENT_TYPE)?;
    let media = declared.map(|value| value.split(';').next().unwrap_or("").trim());
    match (media, browser_header(headers)) {
        (Some(media), _) if media.eq_ignore_ascii_case("application/json") => Ok(()),
        (None, None) => Ok(()),
        (None, Some(_)) if !has_body => Ok(()),
        (Some(media), None) if media.eq_ignore_ascii_case(FORM) => Ok(()),
        (None, Some(header)) => Err(unsupported(format!(
            "the header {header} says that a browser asks: send Content-Type: application/json"
        ))),
        (Some(media), Some(header)) if media.eq_ignore_ascii_case(FORM) => {
            Err(unsupported(format!(
                "Content-Type {media} is taken from no browser, and the header {header} says that one \
             asks: send application/json"
            )))
        }
        (Some(media), _) => {
            Err(unsupported(format!("Content-Type is {media}: send application/json")))
        }
    }
}

/// A header that only browsers send, if there is one.
fn browser_header(headers: &HeaderMap) -> Option<&str> {
    headers.keys().map(axum::http::HeaderName::as_str).find(|name| {
        name.starts_with("sec-") || *name == ORIGIN.as_str() || *name == REFERER.as_str()
    })
}

/// Whether a `Host` is this server: any address, `localhost`, or a name that was given.
fn is_ours(host: &str, allowed: &[String]) -> bool {
    let name = host_of(host).trim_end_matches('.');
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<std::net::IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|own| host_of(own).eq_ignore_ascii_case(name))
}

/// The host part of `host[:port]`.
fn host_of(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => &host[..colon],
        Some(_) | None => host,
    }
}

/// Whether an origin is the very host and port that were asked.
fn is_own_origin(origin: &str, host: Option<&str>) -> bool {
    let Some((scheme @ ("http" | "https"), rest)) = origin.split_once("://") else {
        return false;
    };
    let port = if scheme == "https" { ":443" } else { ":80" };
    host.is_some_and(|host| {
        rest.trim_end_matches(port).eq_ignore_ascii_case(host.trim_end_matches(port))
    })
}

/// A header's only value; several or unreadable ones are refused, since a proxy may have read another of them.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Reply> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(forbidden(&format!("several {name} headers")));
    }
    match first.to_str() {
        Ok(value) => Ok(Some(value.trim())),
        Err(_) => Err(forbidden(&format!("the {name} header is not text"))),
    }
}

fn forbidden(message: &str) -> Reply {
    reply::say(StatusCode::FORBIDDEN, message)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::try_from(*name).expect("a name");
                (name, HeaderValue::from_str(value).expect("a value"))
            })
            .collect()
    }

    fn admitted(pairs: &[(&str, &str)]) -> bool {
        let uri = Uri::from_static("/v2/apps");
        admit(&headers(pairs), &uri, &["stayer.example".to_owned()]).is_ok()
    }

    #[test]
    fn addresses_localhost_and_named_hosts_are_ours() {
        for host in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "172.16.0.5",
            "localhost",
            "LOCALHOST:8080",
            "stayer.example",
            "Stayer.Example:80",
        ] {
            assert!(admitted(&[("host", host)]), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.nip.io"]
        {
            assert!(!admitted(&[("host", host)]), "{host}");
        }
        assert!(admitted(&[]), "an old health probe sends none");
    }

    #[test]
    fn only_the_own_origin_passes() {
        let host = ("host", "localhost:8080");
        assert!(admitted(&[host, ("origin", "http://localhost:8080")]));
        assert!(admitted(&[("host", "stayer.example"), ("origin", "https://stayer.example:443")]));
        for origin in ["http://localhost:3000", "http://evil.example", "null", "file://"] {
            assert!(!admitted(&[host, ("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn only_own_pages_and_the_address_bar_fetch() {
        for (site, passes) in
            [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)]
        {
            let given = [("host", "localhost"), ("sec-fetch-site", site)];
            assert_eq!(admitted(&given), passes, "{site}");
        }
    }

    #[test]
    fn the_form_type_is_taken_unless_a_browser_sends_it() {
        let form = ("content-type", FORM);
        assert!(check_type(&headers(&[form]), true).is_ok());
        assert!(check_type(&headers(&[]), true).is_ok());
        let json = ("content-type", "application/json; charset=utf-8");
        assert!(check_type(&headers(&[json, ("origin", "http://localhost")]), true).is_ok());
        for header in ["origin", "sec-fetch-mode", "referer", "sec-ch-ua"] {
            let refused = check_type(&headers(&[form, (header, "x")]), true).expect_err(header);
            assert_eq!(refused.status, 415);
            assert!(refused.body.contains(header), "{header} is named");
            assert!(check_type(&headers(&[(header, "x")]), true).is_err(), "{header}: no type");
            assert!(check_type(&headers(&[(header, "x")]), false).is_ok(), "{header}: no body");
        }
        assert!(check_type(&headers(&[("content-type", "text/plain")]), true).is_err());
    }
}
