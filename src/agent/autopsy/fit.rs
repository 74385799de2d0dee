//! Evidence within its size: what is cut is cut at its less telling end, and says so.
//!
//! Sizes are those of the JSON, since a byte that is no text takes six there. First come answers of checks, then what is
//! left goes to both outputs alike, the newest lines first; what one does not need the other gets.

use std::fmt::Write;

use crate::model::evidence::{Answer, Evidence, MAX_BYTES, Output};

/// The longest that an answer's body gets in JSON.
const BODY: usize = 4 * 1_024;
/// The longest that any other text gets.
const TEXT: usize = 1_024;
/// A line that is longer gets shortened where there is not enough room.
const LINE: usize = 2 * 1_024;

/// The JSON of evidence, of at most [`MAX_BYTES`].
pub fn encode(mut evidence: Evidence) -> Vec<u8> {
    trim(&mut evidence);
    let (stdout, stderr) =
        (std::mem::take(&mut evidence.stdout), std::mem::take(&mut evidence.stderr));
    let (out_lines, out) = bare(stdout);
    let (err_lines, err) = bare(stderr);
    (evidence.stdout, evidence.stderr) = (out, err);
    let room = MAX_BYTES.saturating_sub(json(&evidence).len());
    let (out_size, err_size) = (size(&out_lines), size(&err_lines));
    let out_room = room.saturating_sub(err_size).max(room / 2);
    let err_room = room.saturating_sub(out_size).max(room / 2);
    fill(&mut evidence.stdout, out_lines, out_room);
    fill(&mut evidence.stderr, err_lines, err_room);
    json(&evidence)
}

/// Everything but the lines, each within its own size.
fn trim(evidence: &mut Evidence) {
    for reply in &mut evidence.replies {
        cut(&mut reply.check, TEXT);
        match &mut reply.answer {
            Answer::Http { body, cut: is_cut, .. } => *is_cut |= cut(body, BODY),
            Answer::Failed(why) => _ = cut(why, TEXT),
            Answer::Connected | Answer::Exit(_) => {}
        }
    }
    if let Some(ended) = &mut evidence.ended {
        cut(&mut ended.message, 2 * TEXT);
    }
    if let Some(image) = &mut evidence.image {
        cut(&mut image.name, TEXT);
        cut(&mut image.id, TEXT);
        if let Some(digest) = &mut image.digest {
            cut(digest, TEXT);
        }
    }
    for output in [&mut evidence.stdout, &mut evidence.stderr] {
        if let Some(why) = &mut output.unread {
            cut(why, TEXT);
        }
    }
}

/// An output and its lines apart. The longest number stands for the one that it gets when it is filled.
fn bare(output: Output) -> (Vec<String>, Output) {
    let Output { lines, more, shortened: _, unread } = output;
    (lines, Output { lines: Vec::new(), more, shortened: u32::MAX, unread })
}

/// Takes as many lines as there is room for, from the last one on.
fn fill(output: &mut Output, mut lines: Vec<String>, room: usize) {
    output.shortened = 0;
    if size(&lines) > room {
        for line in &mut lines {
            output.shortened += u32::from(shorten(line));
        }
    }
    let mut left = room;
    let mut from = lines.len();
    while let Some(line) = from.checked_sub(1).and_then(|at| lines.get(at)) {
        let Some(rest) = left.checked_sub(weight(line) + 1) else { break };
        (left, from) = (rest, from - 1);
    }
    output.more |= from > 0;
    output.lines = lines.split_off(from);
}

/// Cuts a long line and says in it by how much; whether it was long.
fn shorten(line: &mut String) -> bool {
    if weight(line) <= LINE {
        return false;
    }
    let whole = line.len();
    cut(line, LINE - 40);
    let lost = whole - line.len();
    write!(line, " …[{lost} more bytes]").expect("a text takes all");
    true
}

/// Cuts a text to so many bytes of JSON; whether it was longer.
fn cut(text: &mut String, most: usize) -> bool {
    let mut used = 2;
    let end = text.char_indices().find(|(_, char)| {
        used += escaped(*char);
        used > most
    });
    let Some((end, _)) = end else { return false };
    text.truncate(end);
    true
}

/// How much a character takes in a JSON text.
fn escaped(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

fn weight(text: &str) -> usize {
    2 + text.chars().map(escaped).sum::<usize>()
}

/// What lines take as a list.
fn size(lines: &[String]) -> usize {
    lines.iter().map(|line| weight(line) + 1).sum()
}

fn json(evidence: &Evidence) -> Vec<u8> {
    serde_json::to_vec(evidence).expect("evidence is texts and numbers")
}
