//! Many clients at once on one thread.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::error::{BenchError, Result};

/// Runs `work` on every item, at most `limit` at a time; the results stand in the items' order.
///
/// # Errors
///
/// The first failure; the rest is abandoned.
pub async fn each<I, O, W, F>(limit: usize, items: Vec<I>, work: W) -> Result<Vec<O>>
where
    I: Send + 'static,
    O: Send + 'static,
    W: Fn(I) -> F,
    F: Future<Output = Result<O>> + Send + 'static,
{
    let gate = Arc::new(Semaphore::new(limit.max(1)));
    let mut tasks = JoinSet::new();
    for (index, item) in items.into_iter().enumerate() {
        let gate = Arc::clone(&gate);
        let job = work(item);
        tasks.spawn(async move {
            let _turn = gate.acquire_owned().await;
            job.await.map(|output| (index, output))
        });
    }
    join_ordered(tasks).await
}

/// Waits for all tasks and puts their results in order.
///
/// # Errors
///
/// The first failure; the rest is aborted.
pub async fn join_ordered<O: Send + 'static>(
    mut tasks: JoinSet<Result<(usize, O)>>,
) -> Result<Vec<O>> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(joined) = tasks.join_next().await {
        results.push(
            joined.map_err(|error| BenchError::Setup(format!("a client stopped: {error}")))??,
        );
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, output)| output).collect())
}

#[cfg(test)]
mod tests {
    use super::each;
    use crate::error::BenchError;

    #[tokio::test]
    async fn results_keep_the_order_of_the_items() {
        let work = |n: u64| async move {
            tokio::task::yield_now().await;
            Ok(n * 2)
        };
        assert_eq!(
            each(3, vec![5, 1, 4], work).await.expect("works"),
            [10, 2, 8]
        );
    }

    #[tokio::test]
    async fn one_failure_fails_all() {
        let work = |n: u64| async move {
            if n == 2 {
                Err(BenchError::Setup("two".into()))
            } else {
                Ok(n)
            }
        };
        assert!(each(2, vec![1, 2, 3], work).await.is_err());
    }
}
