//! The shapes of failures and their evidence.

use serde_json::Value;
use utoipa::ToSchema;

schemas! {
    /// Failures.
    Failures {
        /// Newest first.
        failures: Vec<Failure>,
        /// How many there are, with those that are not listed.
        total: u32,
    }
    /// One failure.
    OneFailure {
        /// The failure.
        failure: FailureShown,
    }
    /// A life that failed.
    Failure {
        /// Its app.
        app_id: String,
        /// Its task.
        task_id: String,
        /// When it was known to have failed.
        timestamp: String,
        /// The definition it ran.
        version: String,
        /// `TASK_FAILED`, or `TASK_KILLED` of one that was ended for a fault.
        state: String,
        /// `exit`, `signal`, `oom`, `unhealthy`, `overdue`, `launch`, `lost` or `unknown`.
        kind: String,
        /// What was wrong, for people.
        message: String,
        /// Its agent.
        agent: Option<String>,
        /// That agent's host name.
        host: Option<String>,
        /// When it first ran.
        started_at: Option<String>,
        /// As a shell says it: 137 of what was killed.
        exit_code: Option<i32>,
        /// The signal it ended by.
        signal: Option<i32>,
        /// Of what the kernel killed for its memory.
        oom: Option<Oom>,
        /// The check that condemned it.
        health_check: Option<Condemning>,
        /// The deployment that worked on its app then, or else the one that had brought its version.
        deployment: Option<DuringDeployment>,
        /// What led to its end, the first cause first.
        chain: Vec<String>,
    }
    /// A failure with its evidence.
    FailureShown {
        /// The outline.
        #[schema(inline)]
        #[serde(flatten)]
        failure: Failure,
        /// What the agent kept.
        evidence: Evidence,
    }
    /// What the kernel killed for its memory.
    Oom {
        /// The most it used, if known.
        #[schema(rename = "peakMiB")]
        peak_mib: Option<f64>,
    }
    /// A check that failed too often.
    Condemning {
        /// A path, a port, or a command.
        check: String,
        /// How many failures followed each other.
        failures: u32,
        /// What the last one was.
        cause: String,
    }
    /// A deployment that worked on an app.
    DuringDeployment {
        /// Its id.
        id: String,
        /// Whether what failed ran the configuration that it brings.
        brings: bool,
        /// `going`, `paused` or `stuck`; or how it ended: `done`, `failed`, `rolledBack`, `cancelled`, `replaced`; or `over`.
        state: String,
        /// The deployment that followed it.
        by: Option<String>,
    }
    /// What an agent kept of a life that failed, at most 64 KiB of it; or where it is.
    Evidence {
        /// `here`, `none`, `away` or `forgotten`; only with the first there is more than `detail`.
        state: String,
        /// Where it is, for people.
        detail: Option<String>,
        /// When it was taken.
        taken_at: Option<String>,
        /// When it ended, by the clock of its host.
        ended_at: Option<String>,
        /// How, for people.
        end: Option<String>,
        /// `askedAt` and `killedAt`, of one that was ended.
        stop: Option<Value>,
        /// Bytes pulled and fetched for it.
        pulled: Option<u64>,
        /// `name`, `id` and, of one that has ever been in a registry, `digest`.
        image: Option<Value>,
        /// Answers before this are not known: the agent began anew.
        asked_since: Option<String>,
        /// The last 5 answers to its checks, oldest first.
        probes: Option<Vec<ProbeReply>>,
        /// The end of its standard output.
        stdout: Option<OutputEnd>,
        /// The end of its standard error.
        stderr: Option<OutputEnd>,
    }
    /// An answer to a check.
    ProbeReply {
        /// When it came.
        at: String,
        /// To which check.
        check: String,
        /// Whether it is one of those that say that a task is well.
        good: bool,
        /// Over HTTP.
        status: Option<u16>,
        /// The first 2 KiB, as far as they came with the status.
        body: Option<String>,
        /// Whether there was more.
        cut: Option<bool>,
        /// Of a command.
        exit_code: Option<i32>,
        /// Why there was no answer.
        error: Option<String>,
    }
    /// The end of what a task wrote.
    OutputEnd {
        /// At most 200 lines.
        lines: Vec<String>,
        /// Whether it wrote more before these.
        more: bool,
        /// How many of these are cut; each says by how much.
        shortened: u32,
        /// Why it could not be read.
        unread: Option<String>,
    }
}
