//! The store of a stopped server, from a backup to a dump.

use std::fs;
use std::path::Path;

use uuid::Uuid;

use super::stand::{Outcome, run};
use crate::cli::failure::Exit;
use crate::model::id::{AgentKey, AppKey, ClusterId, CommitNo, Epoch};
use crate::model::meta::Meta;
use crate::model::time::Timestamp;
use crate::model::view::View;
use crate::model::world::World;
use crate::store::offline::backup;

fn save(file: &Path) {
    let meta = Meta {
        cluster: ClusterId(Uuid::from_u128(7)),
        next_app: AppKey(1),
        next_agent: AgentKey(1),
        next_id: 9,
        brake: crate::model::brake::Brake::default(),
        gpu_scheduling: crate::model::agent::GpuScheduling::default(),
    };
    let view = View {
        epoch: Epoch(5),
        no: CommitNo(70),
        at: Timestamp::from_millis(1_700_000_000_000),
        world: World { meta: Some(meta), ..World::default() },
        ..View::default()
    };
    backup(&view, fs::File::create(file).expect("a file")).expect("a backup");
}

async fn store(verb: &str, paths: &[&Path]) -> Outcome {
    let paths = paths.iter().map(|path| path.to_str().expect("a name in UTF-8"));
    run(&["store", verb].into_iter().chain(paths).collect::<Vec<_>>(), "").await
}

#[tokio::test]
async fn a_backup_becomes_a_store_that_is_clean_and_can_be_read() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, dir) = (place.path().join("backup"), place.path().join("data"));
    save(&file);
    let outcome = store("restore", &[&file, &dir]).await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    assert!(outcome.output.contains("as of 2023-11-14T22:13:20.000Z, 1 rows"), "{outcome:?}");
    for named in [dir.clone(), dir.join("server")] {
        let outcome = store("check", &[&named]).await;
        assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
        assert!(outcome.output.ends_with("clean\n"), "{outcome:?}");
    }
    let outcome = store("dump", &[&dir]).await;
    assert!(outcome.output.contains("\"next_id\":9"), "{outcome:?}");
    assert_eq!(store("restore", &[&file, &dir]).await.exit, Exit::Usage, "never over a store");
}

#[tokio::test]
async fn what_is_no_store_or_no_backup_is_named() {
    let place = tempfile::tempdir().expect("a directory");
    let outcome = store("check", &[place.path()]).await;
    assert_eq!(outcome.exit, Exit::Usage);
    assert!(outcome.error.contains("server/log.redb"), "{outcome:?}");
    let file = place.path().join("backup");
    save(&file);
    let text =
        fs::read_to_string(&file).expect("a backup").replacen("\"next_id\":9", "\"next_id\":8", 1);
    fs::write(&file, text).expect("a file");
    let outcome = store("restore", &[&file, &place.path().join("data")]).await;
    assert_eq!(outcome.exit, Exit::Failed, "{outcome:?}");
}
