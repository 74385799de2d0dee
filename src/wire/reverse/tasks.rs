//! Tasks that end with their connection.
//!
//! The library hands its socket to a task of its own, and that task goes on until every stream has ended. Who hangs up
//! means now, with streams open.

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

/// Runs tasks until `hang_up`.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    pub(super) hang_up: CancellationToken,
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let hang_up = self.hang_up.clone();
        tokio::spawn(async move { hang_up.run_until_cancelled(task).await });
    }
}
