//! A talk with a server: a client, the console and the form in which answers are shown. What every client verb holds.

use serde_json::Value;

use crate::cli::client::{self, Answer, Ask, Client, Form, Remote};
use crate::cli::console::Console;
use crate::cli::failure::Failure;

/// A talk with a server.
pub struct Talk<'a> {
    /// Who is asked.
    pub client: Client,
    /// Where answers go.
    pub console: &'a mut Console,
    form: Form,
}

// === impl Talk ===

impl<'a> Talk<'a> {
    /// Begins a talk.
    ///
    /// # Errors
    /// When the server's address is none.
    pub fn begin(remote: &Remote, console: &'a mut Console) -> Result<Talk<'a>, Failure> {
        Ok(Talk { client: Client::new(remote)?, console, form: remote.output })
    }

    /// Asks, and repeats what the server warns of.
    ///
    /// # Errors
    /// When there is no answer, or none that says yes.
    pub async fn send(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let answer = self.client.send(ask).await?;
        for warning in client::warnings(&answer.headers) {
            self.console.note(&format!("warning: {warning}"));
        }
        Ok(answer)
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// When there is no answer, or none that says yes.
    pub async fn json(&mut self, ask: &Ask) -> Result<Value, Failure> {
        self.send(ask).await?.json()
    }

    /// Whether answers are shown as the server's own JSON.
    pub fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Shows an answer: its body for programs, what `text` makes of it for people.
    ///
    /// # Errors
    /// When it is no JSON, or nobody reads.
    pub fn show(
        &mut self,
        answer: &Answer,
        text: impl FnOnce(&Value) -> String,
    ) -> Result<(), Failure> {
        match self.form {
            Form::Json => self.body(answer),
            Form::Table => {
                let text = text(&answer.json()?);
                self.console.line(&text)
            }
        }
    }

    /// Writes the body of an answer as it came.
    ///
    /// # Errors
    /// When nobody reads.
    pub fn body(&mut self, answer: &Answer) -> Result<(), Failure> {
        match answer.body.as_slice() {
            [] => Ok(()),
            body => self.console.line(String::from_utf8_lossy(body).trim_end()),
        }
    }
}

/// The text at `key`; empty when there is none. Numbers and flags count as their text.
pub fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The whole number at `key`; 0 when there is none.
pub fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// The list at `key`; empty when there is none.
pub fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// An app's path as it is asked for: `shop/web` and `/shop/web` alike.
pub fn app_path(id: &str) -> String {
    format!("/v2/apps/{}", id.trim_matches('/'))
}
