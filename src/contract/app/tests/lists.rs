//! Arrays of apps and updates, ids from outside, lists of tasks.

use serde_json::json;

use super::{app, set, told};
use crate::contract::app::{
    Update, read_app_at, read_apps_array, read_task_ids, read_updates_array,
};
use crate::contract::fault::{Fault, Options};
use crate::model::path::AppPath;

#[test]
fn a_path_from_outside_wins_over_the_id_which_still_has_to_be_one() {
    let path = AppPath::parse("/x/y").expect("a path");
    let options = Options::default();
    let read = read_app_at(&app(json!({"id": "/other"})), &path, &options).expect("an app");
    assert_eq!(read.value.path, path);
    let wrong = read_app_at(&app(json!({"id": "A"})), &path, &options);
    assert!(matches!(wrong, Err(Fault::Type(problems)) if problems[0].path == "/id"));
    let wrong = read_app_at(&json!([]), &path, &options);
    let Err(Fault::Type(problems)) = wrong else { panic!("it is taken") };
    assert_eq!(told(problems), set(&[" error.expected.jsobject"]));
}

#[test]
fn items_of_an_array_are_told_by_their_place() {
    // Contract 2.3.
    let options = Options::default();
    let body = json!([{"id": "A"}, {"id": "/b", "instances": "x"}]);
    for faults in [
        read_updates_array(&body, &options).map(|_| ()),
        read_apps_array(&body, &options).map(|_| ()),
    ] {
        let Err(Fault::Type(problems)) = faults else { panic!("it is taken") };
        let expected = ["(0)/id error.pattern", "(1)/instances error.expected.jsnumber"];
        assert_eq!(told(problems), set(&expected));
    }
    let Err(Fault::Invalid(problems)) =
        read_apps_array(&json!([app(json!({})), {"id": "/b"}]), &options)
    else {
        panic!("it is taken")
    };
    assert_eq!(problems[0].path, "(1)/");
    let Err(Fault::Type(problems)) = read_updates_array(&json!({}), &options) else {
        panic!("it is taken")
    };
    assert_eq!(told(problems), set(&[" error.expected.jsarray"]));
}

#[test]
fn each_update_of_an_array_names_its_app() {
    let options = Options::default();
    let body =
        json!([{"id": "a", "instances": 2}, {"id": "/b", "version": "2015-04-17T12:27:51Z"}]);
    let read = read_updates_array(&body, &options).expect("updates").value;
    assert_eq!(read[0].0.as_str(), "/a");
    assert!(matches!(&read[1].1, Update::Rollback(_)));
    assert_eq!(
        read_updates_array(&json!([{"instances": 2}]), &options),
        Err(Fault::Illegal("requirement failed: App Update must have app id set".into()))
    );
}

#[test]
fn task_ids_are_texts_each_once() {
    assert_eq!(read_task_ids(&json!({"ids": ["a", "b", "a"]})), Ok(vec!["a".into(), "b".into()]));
    for (body, expected) in [
        (json!({}), "/ids error.path.missing"),
        (json!({"ids": [1]}), "/ids(0) error.expected.jsstring"),
        (json!({"ids": "a"}), "/ids error.expected.jsarray"),
        (json!([]), " error.expected.jsobject"),
    ] {
        let Err(Fault::Type(problems)) = read_task_ids(&body) else { panic!("{body} is taken") };
        assert_eq!(told(problems), set(&[expected]), "{body}");
    }
}

#[test]
fn long_arrays_are_refused_before_they_grow() {
    let items = vec![json!({"id": "/a"}); 100_001];
    assert_eq!(
        read_updates_array(&json!(items), &Options::default()),
        Err(Fault::Illegal("an array has more than 100000 apps".into()))
    );
    let wrong = vec![json!({"id": "/a", "instances": "x"}); 2_000];
    let Err(Fault::Type(problems)) = read_apps_array(&json!(wrong), &Options::default()) else {
        panic!("it is taken")
    };
    assert_eq!(problems.len(), 1_000);
}

/// A definition that no record could hold is refused where it comes in.
#[test]
fn a_definition_beyond_a_record_is_refused() {
    let value = serde_json::json!({"id": "/big", "cmd": "sleep 9", "env": {"TEXT": "x".repeat(900 * 1024)}});
    let read = crate::contract::app::read_app(&value, &AppPath::root(), &Options::default());
    assert!(
        matches!(read, Err(Fault::Illegal(text)) if text.contains("at most 786432 are stored"))
    );
}
