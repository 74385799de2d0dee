//! What form of answer a client prefers (contract 1.7, 12.6).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// JSON.
pub const JSON: &str = "application/json";
/// Plain text.
pub const TEXT: &str = "text/plain";
/// What `/ping` says to browsers.
pub const HTML: &str = "text/html";

/// The first of `offers` among those that the client likes best; none when it likes none of them.
pub fn choose(headers: &HeaderMap, offers: &[&'static str]) -> Option<&'static str> {
    let ranges = ranges(headers);
    let mut best: Option<(&'static str, u16)> = None;
    for offer in offers {
        let liking = quality(&ranges, offer);
        if liking > best.map_or(0, |(_, most)| most) {
            best = Some((offer, liking));
        }
    }
    best.map(|(offer, _)| offer)
}

/// One media range and how much it is liked, in thousandths.
type Range = (String, u16);

fn ranges(headers: &HeaderMap) -> Vec<Range> {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|range| !range.is_empty())
        .map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
            (media, weight)
        })
        .collect()
}

/// How much a media type is liked: the most exact range that covers it says so. Without any range all is.
fn quality(ranges: &[Range], media: &str) -> u16 {
    if ranges.is_empty() {
        return 1000;
    }
    let family = media.split('/').next().unwrap_or_default();
    let exactness = |range: &str| match range.split_once('/') {
        Some(_) if range == media => Some(2),
        Some((major, "*")) if major == family => Some(1),
        Some(("*", "*")) => Some(0),
        // What some clients send for anything.
        None if range == "*" => Some(0),
        Some(_) | None => None,
    };
    let covering =
        ranges.iter().filter_map(|(range, weight)| Some((exactness(range)?, *weight))).max();
    covering.map_or(0, |(_, weight)| weight)
}

/// Reads `0.85`; what is no weight counts fully.
fn thousandths(text: &str) -> u16 {
    let Some((whole, rest)) = text.split_once('.') else {
        return if text == "0" { 0 } else { 1000 };
    };
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse()) {
        ("0" | "", Ok(weight)) => weight,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn chosen(accept: Option<&'static str>, offers: &[&'static str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        choose(&headers, offers)
    }

    #[test]
    fn the_liked_form_wins_and_the_first_offer_among_equals() {
        assert_eq!(chosen(None, &[JSON, TEXT]), Some(JSON));
        assert_eq!(chosen(Some("*/*"), &[JSON, TEXT]), Some(JSON));
        assert_eq!(chosen(Some("text/plain"), &[JSON, TEXT]), Some(TEXT));
        assert_eq!(chosen(Some("text/plain, */*;q=0.1"), &[JSON, TEXT]), Some(TEXT));
        assert_eq!(chosen(Some("application/json;q=0.5, text/*;q=0.9"), &[JSON, TEXT]), Some(TEXT));
        assert_eq!(chosen(Some("*/*, text/plain;q=0"), &[TEXT]), None);
    }

    #[test]
    fn what_is_not_offered_is_none() {
        assert_eq!(chosen(Some("application/xml"), &[JSON]), None);
        assert_eq!(chosen(Some("text/html,application/xml;q=0.9,*/*;q=0.8"), &[JSON]), Some(JSON));
    }
}
