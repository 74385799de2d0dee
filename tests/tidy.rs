//! The rules of the house that a compiler does not know: layers, purity, no circles, headers, sizes, words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders in the order of their layers: an import points to the same folder or to a lower layer.
const LAYERS: &[(&str, u8)] = &[
    ("planted", 0),
    ("model", 1),
    ("contract", 2),
    ("logic", 2),
    ("store", 3),
    ("wire", 3),
    ("agent", 4),
    ("control", 4),
    ("api", 5),
    ("cli", 5),
];

/// Imports within one layer that the house allows: verbs are clients of the API, and `dev` starts the rest.
const ALLOWED_WITHIN_LAYER: &[(&str, &str)] = &[("cli", "api")];

/// Where nothing may touch the world outside.
const PURE: &[&str] = &["model", "contract", "logic", "wire/link", "wire/message.rs", "agent/mind"];

/// What the pure folders must not name.
const IMPURE_WORDS: &[&str] = &[
    "tokio::",
    "async ",
    ".await",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "Timestamp::now",
    "HashMap",
    "HashSet",
    "tracing::",
    "println!",
    "rand::",
    "RandomState",
];

/// The most lines of a file without its tests.
const MAX_LINES: usize = 500;

struct Source {
    path: PathBuf,
    name: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect(&entry, into);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            into.push(entry);
        }
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let base = root().join(folder);
    let mut paths = Vec::new();
    collect(&base, &mut paths);
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&base).expect("below").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("readable");
        Source { path, name, text }
    };
    paths.into_iter().map(read).collect()
}

/// The text without test modules at its end and without comments.
fn code(source: &Source) -> String {
    let body = source.text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    body.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

fn is_test(name: &str) -> bool {
    name.contains("tests")
        || name.ends_with("testing.rs")
        || name.ends_with("rig.rs")
        || name.ends_with("golden.rs")
}

fn fail_if_any(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[test]
fn every_file_begins_with_a_header() {
    let faults: Vec<String> = ["src", "tests", "benches"]
        .iter()
        .filter(|folder| root().join(folder).exists())
        .flat_map(|folder| sources(folder))
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path.display().to_string())
        .collect();
    fail_if_any("files without a //! header", &faults);
}

#[test]
fn files_are_small() {
    let faults: Vec<String> = sources("src")
        .iter()
        .filter(|source| !is_test(&source.name))
        .map(|source| {
            (source, source.text.split("\n#[cfg(test)]").next().unwrap_or_default().lines().count())
        })
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(source, lines)| format!("{}: {lines}", source.name))
        .collect();
    fail_if_any("files over 500 lines", &faults);
}

#[test]
fn imports_point_to_lower_layers() {
    let layer: BTreeMap<&str, u8> = LAYERS.iter().copied().collect();
    let mut faults = Vec::new();
    for source in sources("src") {
        let Some((folder, _)) = source.name.split_once('/') else { continue };
        let own = layer.get(folder).unwrap_or_else(|| panic!("{folder} is no folder of the house"));
        for target in imports(&source.text) {
            let theirs = layer.get(target.as_str()).copied().unwrap_or(0);
            let allowed = ALLOWED_WITHIN_LAYER.contains(&(folder, target.as_str()));
            if target != folder && theirs >= *own && !allowed && !is_test(&source.name) {
                faults.push(format!("{} imports {target}", source.name));
            }
        }
    }
    fail_if_any("imports that point upwards", &faults);
}

/// The folders that a file names by `crate::folder::`.
fn imports(text: &str) -> BTreeSet<String> {
    let body = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines = body.lines().filter(|line| !line.trim_start().starts_with("//"));
    let names = lines.flat_map(|line| line.split("crate::").skip(1));
    let word = |rest: &str| {
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    names.map(word).filter(|name| LAYERS.iter().any(|(folder, _)| folder == name)).collect()
}

#[test]
fn pure_folders_are_pure() {
    let mut faults = Vec::new();
    for source in sources("src").iter().filter(|source| !is_test(&source.name)) {
        if !PURE.iter().any(|pure| source.name.starts_with(pure)) {
            continue;
        }
        let code = code(source);
        for word in IMPURE_WORDS.iter().filter(|word| code.contains(**word)) {
            faults.push(format!("{} names {word}", source.name));
        }
    }
    fail_if_any("impurity", &faults);
}

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    let all: Vec<Source> =
        sources("src").into_iter().filter(|source| !is_test(&source.name)).collect();
    let modules: BTreeMap<String, &Source> =
        all.iter().map(|source| (module_of(&source.name), source)).collect();
    let edges: BTreeMap<&str, BTreeSet<&str>> = modules
        .iter()
        .map(|(name, source)| (name.as_str(), edges_of(name, &code(source), &modules)))
        .collect();
    let mut faults = Vec::new();
    for start in edges.keys() {
        if let Some(path) = way_back(start, &edges) {
            faults.push(path.join(" -> "));
        }
    }
    fail_if_any("circles of imports", &faults);
}

/// `logic/place/mod.rs` → `logic::place`.
fn module_of(name: &str) -> String {
    let name = name.trim_end_matches(".rs").trim_end_matches("/mod");
    name.replace('/', "::")
}

/// The modules that a module names; a parent that only gathers its children is no edge.
fn edges_of<'a>(
    own: &str,
    code: &str,
    modules: &'a BTreeMap<String, &Source>,
) -> BTreeSet<&'a str> {
    let mut edges = BTreeSet::new();
    for path in named_paths(own, code) {
        let mut path = path.as_str();
        while !path.is_empty() {
            if let Some((name, _)) = modules.get_key_value(path) {
                let is_family = |one: &str, other: &str| one.starts_with(&format!("{other}::"));
                if name != own && !is_family(own, name) && !is_family(name, own) {
                    edges.insert(name.as_str());
                }
                break;
            }
            path = path.rsplit_once("::").map_or("", |(head, _)| head);
        }
    }
    edges
}

/// Every path that a module names by `crate::`, `super::` or `self::`, from the root; groups in braces taken apart.
fn named_paths(own: &str, code: &str) -> Vec<String> {
    let parent = own.rsplit_once("::").map_or("", |(head, _)| head);
    let roots = [("crate::", ""), ("super::", parent), ("self::", own)];
    let mut paths = Vec::new();
    for (mark, root) in roots {
        for rest in code.split(mark).skip(1) {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let head: String = rest.chars().take_while(|c| is_path(*c)).collect();
            let base = format!("{root}::{}", head.trim_end_matches(':'));
            match rest[head.len()..].strip_prefix('{').and_then(|group| group.split_once('}')) {
                Some((group, _)) if head.is_empty() || head.ends_with(':') => {
                    let items =
                        group.split([',', '{']).map(|item| item.trim().trim_end_matches(':'));
                    paths.extend(items.map(|item| format!("{base}::{item}")));
                }
                Some(_) | None => paths.push(base),
            }
        }
    }
    paths.iter().map(|path| path.replace("::::", "::").trim_matches(':').to_owned()).collect()
}

/// The shortest way from a module back to itself.
fn way_back(start: &str, edges: &BTreeMap<&str, BTreeSet<&str>>) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![start.to_owned()]];
    while let Some(way) = ways.pop() {
        let last = way.last().expect("not empty").clone();
        for next in edges.get(last.as_str()).into_iter().flatten() {
            if *next == start {
                let mut circle = way.clone();
                circle.push(start.to_owned());
                return Some(circle);
            }
            if seen.insert(*next) {
                let mut longer = way.clone();
                longer.push((*next).to_owned());
                ways.insert(0, longer);
            }
        }
    }
    None
}

#[test]
fn nothing_is_left_for_later() {
    let words =
        ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "unimplemented".to_owned() + "!("];
    let mut faults = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        for word in words.iter().filter(|word| source.text.contains(word.as_str())) {
            faults.push(format!("{} says {word}", source.name));
        }
    }
    fail_if_any("left for later", &faults);
}
