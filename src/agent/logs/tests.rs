//! Reading and rotating outputs, on real files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::watch;

use super::*;
use crate::agent::machine::PATIENCE;

const SMALL: LogLimits = LogLimits { bytes: 4, files: 3, every: Duration::from_millis(5) };

fn put(dir: &Path, name: &str, text: &str) {
    let mut file =
        OpenOptions::new().create(true).append(true).open(dir.join(name)).expect("opened");
    file.write_all(text.as_bytes()).expect("written");
}

async fn all(dir: &Path, tail: Option<Tail>) -> String {
    let (_end, ended) = watch::channel(false);
    let parts: Vec<_> = read(dir.to_owned(), LogStream::Stdout, tail, false, ended).collect().await;
    let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.expect("read")).collect();
    String::from_utf8(bytes).expect("text")
}

/// Reads on until `wanted` was seen.
async fn until(stream: &mut (impl Stream<Item = io::Result<bytes::Bytes>> + Unpin), wanted: &str) {
    let mut seen = String::new();
    while seen != wanted {
        let next = tokio::time::timeout(*PATIENCE, stream.next()).await;
        let chunk =
            next.unwrap_or_else(|_| panic!("only {seen:?} came")).expect("more").expect("read");
        seen.push_str(std::str::from_utf8(&chunk).expect("text"));
        assert!(wanted.starts_with(&seen), "{seen:?} came instead of {wanted:?}");
    }
}

#[tokio::test]
async fn a_tail_counts_lines_across_copies() {
    let dir = tempfile::tempdir().expect("a directory");
    put(dir.path(), "stdout.2", "a\nb\n");
    put(dir.path(), "stdout.1", "c\nd");
    put(dir.path(), "stdout", "\ne\n");
    for (lines, text) in [(0, ""), (1, "e\n"), (2, "d\ne\n"), (3, "c\nd\ne\n"), (4, "b\nc\nd\ne\n")]
    {
        assert_eq!(all(dir.path(), Some(Tail::Lines(lines))).await, text);
    }
    assert_eq!(all(dir.path(), Some(Tail::Lines(99))).await, "a\nb\nc\nd\ne\n");
    assert_eq!(all(dir.path(), Some(Tail::Bytes(4))).await, "d\ne\n");
    assert_eq!(all(dir.path(), None).await, "a\nb\nc\nd\ne\n");
    fs::write(dir.path().join("stdout"), "").expect("cut");
    assert_eq!(all(dir.path(), Some(Tail::Lines(1))).await, "d");
}

#[test]
fn rotation_keeps_so_many_files_and_the_newest_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    for text in ["first", "second", "third", "4"] {
        put(dir.path(), "stdout", text);
        rotate(dir.path(), SMALL).expect("rotated");
    }
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).ok();
    assert_eq!(read("stdout").as_deref(), Some("4"));
    assert_eq!(read("stdout.1").as_deref(), Some("third"));
    assert_eq!(read("stdout.2").as_deref(), Some("second"));
    assert_eq!(read("stdout.3"), None);
    assert_eq!(read("stdout.part"), None);
}

#[tokio::test]
async fn following_goes_on_across_rotation_and_ends_with_the_task() {
    let dir = tempfile::tempdir().expect("a directory");
    let (end, ended) = watch::channel(false);
    put(dir.path(), "stdout", "one two ");
    let mut stream =
        pin!(read(dir.path().to_owned(), LogStream::Stdout, Some(Tail::Bytes(4)), true, ended));
    until(&mut stream, "two ").await;
    put(dir.path(), "stdout", "three ");
    rotate(dir.path(), SMALL).expect("rotated");
    put(dir.path(), "stdout", "a longer text than all that was there before ");
    until(&mut stream, "three a longer text than all that was there before ").await;
    put(dir.path(), "stdout", "last");
    end.send(true).expect("listened to");
    until(&mut stream, "last").await;
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn nothing_but_plain_files_of_the_sandbox_is_read_or_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let outside = tempfile::NamedTempFile::new().expect("a file");
    fs::write(outside.path(), "not yours").expect("written");
    std::os::unix::fs::symlink(outside.path(), dir.path().join("stdout")).expect("linked");
    let (_end, ended) = watch::channel(false);
    let parts: Vec<_> =
        read(dir.path().to_owned(), LogStream::Stdout, None, false, ended).collect().await;
    assert!(parts.iter().all(Result::is_err), "{parts:?}");
    assert!(rotate(dir.path(), SMALL).is_err());
    assert_eq!(fs::read_to_string(outside.path()).expect("read"), "not yours");
    // Where the copy goes there may be a link, too.
    fs::remove_file(dir.path().join("stdout")).expect("removed");
    put(dir.path(), "stdout", "evil text");
    std::os::unix::fs::symlink(outside.path(), dir.path().join("stdout.part")).expect("linked");
    rotate(dir.path(), SMALL).expect("rotated");
    assert_eq!(fs::read_to_string(outside.path()).expect("read"), "not yours");
}
