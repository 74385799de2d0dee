//! The one binary: server, agent and command line. What it does is said in `cli`; here it only starts.

use std::process::ExitCode;

use stayer::cli::console::Console;
use stayer::cli::failure::Exit;
use stayer::cli::{self, client, logging};

fn main() -> ExitCode {
    let cli = cli::parse();
    let mut console = Console::standard();
    client::install_tls();
    logging::start(&cli.logging);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console.note(&format!("error: no threads to work with: {error}"));
            return Exit::Failed.into();
        }
    };
    let exit = runtime.block_on(cli::run(cli, &mut console));
    // A read of standard input or a lookup of a name that still blocks must not hold the end up.
    runtime.shutdown_background();
    exit.into()
}
