//! What is a URI, as far as Marathon cares: the syntax of RFC 2396 that Java checks, and whether its path names an
//! archive (contract 5.3).

const ARCHIVES: [&str; 9] =
    [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".tgz", ".tbz2", ".txz", ".zip"];

/// Whether `text` can be a URI; a relative one can.
pub fn is_uri(text: &str) -> bool {
    let fits = |char: char| {
        char.is_ascii_alphanumeric()
            || "-_.!~*'();/?:@&=+$,[]%#".contains(char)
            || (!char.is_ascii() && !char.is_control() && !char.is_whitespace())
    };
    text.chars().all(fits)
        && escapes_are_whole(text)
        && text.matches('#').count() <= 1
        && scheme_fits(text)
}

/// Whether the path ends as archives do.
pub fn is_archive(uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    ARCHIVES.iter().any(|ending| path.ends_with(ending))
}

fn escapes_are_whole(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn scheme_fits(text: &str) -> bool {
    let head = text.split(['/', '?', '#']).next().unwrap_or(text);
    let Some((scheme, _)) = head.split_once(':') else { return true };
    let rest = &text[scheme.len() + 1..];
    scheme.starts_with(|char: char| char.is_ascii_alphabetic())
        && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
        && !rest.is_empty()
        && rest != "//"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_told_from_other_texts() {
        for good in [
            "http://h/a.tgz",
            "hdfs://h:9000/x?y=1#z",
            "a/b.jar",
            "",
            "file:///etc/x",
            "http://h/%20ä",
        ] {
            assert!(is_uri(good), "{good}");
        }
        for bad in [
            "http://h/a b",
            "http://",
            ":x",
            "1a:x",
            "a:",
            "http://h/%2",
            "http://h/{x}",
            "a#b#c",
            "a|b",
        ] {
            assert!(!is_uri(bad), "{bad}");
        }
    }

    #[test]
    fn archives_are_told_by_the_path_alone() {
        for good in ["http://h/a.tar.gz", "http://h/a.zip?x=y", "a.txz#b"] {
            assert!(is_archive(good), "{good}");
        }
        for bad in ["http://h/a.jar", "http://h/a?b=.zip", "http://h/tar"] {
            assert!(!is_archive(bad), "{bad}");
        }
    }
}
