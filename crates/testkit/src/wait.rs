//! Waiting for something that gives no signal: a port of another process, a line in a log, a row another program
//! writes. Within one process a test should await the thing itself instead.

use std::time::Duration;

use crate::edge;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Asks `probe` until it answers `Some`, and panics with `what` when it has not within `timeout`.
#[track_caller]
pub fn eventually<T>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = edge::now() + timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(edge::now() < end, "waited {timeout:?} in vain for {what}");
        edge::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// [`eventually`] for tests inside a runtime; needs real time, not tokio's paused clock.
pub async fn eventually_async<T, Answer>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Answer) -> T
where
    Answer: Future<Output = Option<T>>,
{
    let end = edge::now() + timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(edge::now() < end, "waited {timeout:?} in vain for {what}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_ends_the_wait() {
        let mut asked = 0;
        let answer = eventually("the third time", Duration::from_secs(5), || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(answer, 3);
    }

    #[test]
    #[should_panic(expected = "in vain for a miracle")]
    fn a_wait_in_vain_says_what_for() {
        eventually("a miracle", Duration::from_millis(10), || None::<()>);
    }

    #[tokio::test]
    async fn the_answer_ends_the_wait_in_a_runtime() {
        let mut asked = 0;
        let answer = eventually_async("the third time", Duration::from_secs(5), || {
            asked += 1;
            let asked = asked;
            async move { (asked == 3).then_some(asked) }
        })
        .await;
        assert_eq!(answer, 3);
    }
}
