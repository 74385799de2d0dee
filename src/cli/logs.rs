//! `stayer logs`: what a task writes. A task is named by its id, a part of it that only it has, or the id of an app
//! with one task.

use clap::Args;
use serde_json::Value;

use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::talk::{Talk, list, text};
use crate::model::id::TaskRef;

/// What `stayer logs` is told.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// A task id, a part of one that only it has, or the id of an app with one task
    task: String,
    /// Stay and print what comes [default: end with what is there]
    #[arg(
        short,
        long,
        env = "STAYER_FOLLOW",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    follow: bool,
    /// Print standard error [default: standard output]
    #[arg(
        long,
        env = "STAYER_STDERR",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    stderr: bool,
    /// Begin with so many last lines [default: with all that is kept]
    #[arg(long, env = "STAYER_TAIL", value_name = "LINES")]
    tail: Option<u64>,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// Does it.
///
/// # Errors
/// When no task or several are meant, or the server does not answer well.
pub async fn run(args: LogsArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    let task = task_id(&mut talk, &args.task).await?;
    let stream = if args.stderr { "stderr" } else { "stdout" };
    let mut ask = Ask::get(&format!("/v2/tasks/{task}/logs")).with("stream", stream);
    if args.follow {
        ask = ask.with("follow", "true");
    }
    if let Some(tail) = args.tail {
        ask = ask.with("tail", tail.to_string());
    }
    let mut answer = talk.client.stream(&ask).await?;
    while let Some(bytes) = answer.chunk().await.map_err(|error| talk.client.cut_short(&error))? {
        talk.console.bytes(&bytes)?;
    }
    Ok(())
}

/// The id of the task that `name` means.
async fn task_id(talk: &mut Talk<'_>, name: &str) -> Result<String, Failure> {
    // A whole id needs no list, and may be of a task that is listed no more.
    if TaskRef::parse(name).is_ok() {
        return Ok(name.to_owned());
    }
    let tasks = talk.json(&Ask::get("/v2/tasks").accept_json()).await?;
    the_task(list(&tasks, "tasks"), name)
}

/// The only task that `name` means: an app's, else one with this in its id.
fn the_task(tasks: &[Value], name: &str) -> Result<String, Failure> {
    let ids = |means: &dyn Fn(&Value) -> bool| -> Vec<String> {
        tasks.iter().filter(|task| means(task)).map(|task| text(task, "id")).collect()
    };
    let app = format!("/{}", name.trim_matches('/'));
    let of_app = ids(&|task| text(task, "appId") == app);
    let found =
        if of_app.is_empty() { ids(&|task| text(task, "id").contains(name)) } else { of_app };
    match found.as_slice() {
        [task] => Ok(task.clone()),
        [] => Err(Failure::Usage(format!("no task is meant by {name}; `stayer ps` lists them"))),
        many => Err(Failure::Usage(format!(
            "several tasks are meant by {name}:\n  {}",
            many.join("\n  ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_means_one_task_or_says_why_not() {
        let tasks = [
            json!({"id": "web.instance-aa1._app.1", "appId": "/web"}),
            json!({"id": "web.instance-ab2._app.1", "appId": "/web"}),
            json!({"id": "web_db.instance-cc3._app.1", "appId": "/web/db"}),
        ];
        let task = |name: &str| the_task(&tasks, name);
        assert_eq!(task("web/db"), Ok("web_db.instance-cc3._app.1".to_owned()));
        assert_eq!(task("ab2"), Ok("web.instance-ab2._app.1".to_owned()));
        let Err(Failure::Usage(many)) = task("web") else { panic!("several are meant") };
        assert!(many.contains("aa1") && many.contains("ab2") && !many.contains("cc3"), "{many}");
        assert!(matches!(task("zz"), Err(Failure::Usage(_))));
    }
}
