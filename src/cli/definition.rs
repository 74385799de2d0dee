//! A file of definitions and the write that brings its apps to it: one app, or a list of them.

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use crate::cli::app::body;
use crate::cli::client::Ask;
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::talk::app_path;

/// Which file, and how it is taken.
#[derive(Clone, Debug, Args)]
pub struct FileArgs {
    /// The file with one app or a list of apps, or `-` for standard input
    #[arg(value_name = "FILE|-")]
    file: String,
    /// Take the file for all there is: a field that it does not name goes back to its default [default: such a field stays
    /// as it is]
    #[arg(long, env = "STAYER_REPLACE", value_parser = clap::builder::FalseyValueParser::new())]
    replace: bool,
    /// Cancel running deployments that hold an app [default: refuse]
    #[arg(long, env = "STAYER_FORCE", value_parser = clap::builder::FalseyValueParser::new())]
    force: bool,
}

/// The write that a file is.
#[derive(Clone, Debug)]
pub struct Write {
    /// What is asked.
    pub ask: Ask,
    /// The apps that it names.
    pub apps: Vec<String>,
    /// Whether running deployments may be cancelled for it.
    pub force: bool,
    /// The file itself.
    pub text: String,
}

// === impl FileArgs ===

impl FileArgs {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn write(&self, console: &mut Console) -> Result<Write, Failure> {
        let text = console.read(&self.file)?;
        let mut write = write_of(text, self.force);
        if self.replace {
            write.ask = write.ask.with("partialUpdate", "false");
        }
        Ok(write)
    }
}

// === impl Write ===

impl Write {
    /// The request as it is sent.
    pub fn request(&self) -> Ask {
        // Said in any case, since not every write has the same default.
        self.ask.clone().with("force", self.force.to_string())
    }
}

/// The text goes as it is: the server points at a fault better than a second parser would.
fn write_of(text: String, force: bool) -> Write {
    let id = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|app| app.get("id")?.as_str().map(body::absolute));
    let body = text.clone();
    let (ask, apps) = if body::is_list(&text) {
        (Ask::new(Method::PUT, "/v2/apps").body(body), body::ids(&text))
    } else if let Some(id) = id {
        (Ask::new(Method::PUT, &app_path(&id)).body(body), vec![id])
    } else {
        (Ask::new(Method::POST, "/v2/apps").body(body), Vec::new())
    };
    Write { ask, apps, force, text }
}
