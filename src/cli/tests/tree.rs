//! The tree of verbs as `--help` shows it, and what every verb has in common.

use clap::{Arg, Command};

use super::stand::{Stand, run};
use crate::agent::machine::Nowhere;
use crate::cli;
use crate::cli::failure::Exit;

/// Every verb with its flags, the global ones included.
fn verbs(command: &Command, into: &mut Vec<Command>) {
    into.push(command.clone());
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        verbs(verb, into);
    }
}

fn all() -> Vec<Command> {
    let mut command = cli::command();
    command.clone().debug_assert();
    command.build();
    let mut all = Vec::new();
    verbs(&command, &mut all);
    all
}

fn is_own_flag(arg: &Arg) -> bool {
    // What is hidden is this program speaking to itself.
    arg.get_long().is_some_and(|long| long != "help" && long != "version") && !arg.is_hide_set()
}

#[test]
fn every_flag_is_an_environment_variable_of_its_name() {
    for verb in all() {
        for flag in verb.get_arguments().filter(|arg| is_own_flag(arg)) {
            let long = flag.get_long().expect("a flag");
            let variable = format!("STAYER_{}", long.replace('-', "_").to_uppercase());
            let named = flag.get_env().and_then(|name| name.to_str());
            assert_eq!(named, Some(variable.as_str()), "--{long} of {}", verb.get_name());
        }
    }
}

#[test]
fn every_flag_says_what_it_does_and_what_holds_without_it() {
    for verb in all() {
        for arg in verb
            .get_arguments()
            .filter(|arg| arg.get_id() != "help" && arg.get_id() != "version" && !arg.is_hide_set())
        {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{} of {}", arg.get_id(), verb.get_name());
            let has_default = !arg.get_default_values().is_empty() || help.contains("[default: ");
            assert!(has_default || arg.is_positional(), "{} of {}", arg.get_id(), verb.get_name());
        }
    }
}

#[test]
fn help_lists_the_exit_codes_everywhere() {
    for mut verb in all() {
        let help = verb.render_help().to_string();
        for line in
            ["Exit codes:", "0  done", "2  rejected", "3  the deployment failed", "5  a human"]
        {
            assert!(help.contains(line), "{} lacks {line}:\n{help}", verb.get_name());
        }
    }
    assert!(cli::command().render_version().contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_wrong_argument_is_a_usage_error() {
    assert_eq!(run(&["app", "scale", "/a", "many"], "").await.exit, Exit::Usage);
    assert_eq!(run(&["ps", "--log-level", "a=b=c"], "").await.exit, Exit::Usage);
    assert_eq!(run(&["ps", "--server", "ftp://h"], "").await.exit, Exit::Usage);
    assert_eq!(run(&["app", "add", "/nonexistent/app.json"], "").await.exit, Exit::Usage);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let nowhere = Nowhere::hold();
    let address = nowhere.to_string();
    let outcome = run(&["ps", "--server", &address], "").await;
    assert_eq!(outcome.exit, Exit::Unreachable);
    assert!(outcome.error.contains(&address) && outcome.error.contains("refused"), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_fails_is_told_from_one_that_refuses() {
    let stand = Stand::start().await;
    stand.on("GET /v2/tasks", 503, r#"{"message":"not leading"}"#);
    let outcome = stand.run(&["ps"]).await;
    assert_eq!((outcome.exit, outcome.error.as_str()), (Exit::Server, "error: not leading\n"));
    let outcome = stand.run(&["ps", "/none"]).await;
    assert_eq!(outcome.exit, Exit::Refused);
    assert_eq!(outcome.error, "error: nothing at GET /v2/apps/none/tasks\n");
}
