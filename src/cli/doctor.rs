//! `stayer doctor`: what is wrong on this host, and what to do about it. It asks no server and changes nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use serde_json::json;

use crate::agent::doctor::{Finding, Level, Patient, examine};
use crate::agent::inventory::parse_ports;
use crate::cli::agent::Account;
use crate::cli::client::Form;
use crate::cli::console::Console;
use crate::cli::dirs::DEFAULT_DATA_DIR;
use crate::cli::failure::Failure;
use crate::cli::table::printable;
use crate::wire::dial::Address;

/// What `stayer doctor` is told: as `server` and `agent` are.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The data directory; it need not be there yet
    #[arg(long, env = "STAYER_DATA_DIR", value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// Where the container engine listens [default: what DOCKER_HOST says, else the usual sockets]
    #[arg(long, env = "STAYER_ENGINE", value_name = "unix://PATH")]
    pub engine: Option<String>,
    /// No container engine is to be used [default: off]
    #[arg(long, env = "STAYER_NO_ENGINE", value_parser = FalseyValueParser::new())]
    pub no_engine: bool,
    /// Where the API of a server is to listen
    #[arg(long, env = "STAYER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Host ports for tasks that ask for any, several ranges with commas between them
    #[arg(long, env = "STAYER_PORTS", value_name = "RANGES", default_value = "31000-32000")]
    pub ports: String,
    /// Servers that an agent is to dial, HOST:PORT or unix:PATH, several with commas between them [default: none]
    #[arg(long, env = "STAYER_SERVER", value_name = "SERVER", value_delimiter = ',')]
    pub server: Vec<Address>,
    /// The name under which tasks are to be shown and reached [default: the host's name]
    #[arg(long, env = "STAYER_HOSTNAME", value_name = "NAME")]
    pub hostname: Option<String>,
    /// As what findings are shown
    #[arg(long, env = "STAYER_OUTPUT", value_name = "FORM", default_value = "table")]
    pub output: Form,
}

/// Looks at the host.
///
/// # Errors
/// When something does not work, after all findings.
pub async fn run(args: DoctorArgs, console: &mut Console) -> Result<(), Failure> {
    let form = args.output;
    let found = examine(&args.patient()?).await;
    let faults = found.iter().filter(|one| one.level == Level::Fault).count();
    match form {
        Form::Table => {
            for line in found.iter().flat_map(lines) {
                console.line(&line)?;
            }
        }
        Form::Json => console.line(&json!({"ok": faults == 0, "findings": found}).to_string())?,
    }
    match faults {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 thing does not work on this host".to_owned())),
        many => Err(Failure::Failed(format!("{many} things do not work on this host"))),
    }
}

// === impl DoctorArgs ===

impl DoctorArgs {
    fn patient(self) -> Result<Patient, Failure> {
        let ports = parse_ports(&self.ports).map_err(|error| Failure::Usage(error.to_string()))?;
        let own = || nix::unistd::gethostname().ok()?.into_string().ok();
        Ok(Patient {
            root: PathBuf::from("/"),
            data: self.data_dir,
            search: (!self.no_engine).then(|| Account::of_process().search(self.engine)),
            listen: vec![self.listen],
            ports,
            servers: self.server,
            hostname: self.hostname.or_else(own).unwrap_or_default(),
        })
    }
}

fn lines(finding: &Finding) -> Vec<String> {
    let Finding { check, level, found, remedy } = finding;
    let mut lines = vec![format!("{level:<8} {check:<9} {}", printable(found))];
    lines.extend(remedy.iter().map(|remedy| format!("{:18} -> {}", "", printable(remedy))));
    lines
}
