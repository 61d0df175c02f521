//! The side-car that keeps the token towards the hub fresh in a file (member-behaviour 2.3).
//!
//! The token comes from a Secret on the member, or from the managed identity of the machine. Whatever fails is tried again:
//! the agent keeps using the last token meanwhile.

mod args;
mod file;
mod source;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use kit::backoff::Backoff;
use kit::clock::Clock;
use tokio_util::sync::CancellationToken;

pub use args::{Provider, Settings, parse};
use source::{Azure, InSecret, Source};

/// For one fetch, with its repetitions.
const FETCH_WITHIN: Duration = Duration::from_secs(30);
/// Requests of one fetch.
const TRIES: u32 = 4;
/// Between the requests of one fetch.
const RETRY: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(2));
/// After a failure, and where a token has no time left.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// A token, and until when it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    expires: Timestamp,
}

/// Keeps the token in the file fresh until `stop`.
///
/// # Errors
/// When the member's kubeconfig cannot be used.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), String> {
    let Settings { file, provider, .. } = settings;
    match provider {
        Provider::Secret { name, namespace } => {
            let source = kit::client::Source::infer(&settings.kubeconfig);
            let client = kit::client::build(kit::client::Options::new(source))
                .await
                .map_err(|err| err.to_string())?;
            let source = InSecret::new(client, &namespace, &name, Clock::System);
            keep_fresh(&source, file, Clock::System, stop).await;
        }
        Provider::Azure { client_id, scope } => {
            let source = Azure::new(&client_id, &scope);
            keep_fresh(&source, file, Clock::System, stop).await;
        }
    }
    Ok(())
}

async fn keep_fresh<S: Source>(source: &S, file: PathBuf, clock: Clock, stop: CancellationToken) {
    let mut written: Option<String> = None;
    loop {
        let wait = match fetch(source).await {
            Ok(token) => {
                let wait = until_next(&token, clock.now()).min(source.look_again());
                if written.as_ref() == Some(&token.text) {
                    wait
                } else {
                    match file::replace(&file, &token.text).await {
                        Ok(()) => {
                            tracing::info!(file = %file.display(), next = ?wait, "The token is written.");
                            written = Some(token.text);
                            wait
                        }
                        Err(err) => {
                            tracing::error!(file = %file.display(), error = %err, "The token cannot be written; trying again.");
                            AFTER_FAILURE
                        }
                    }
                }
            }
            Err(reason) => {
                tracing::error!(%reason, "There is no token; trying again.");
                AFTER_FAILURE
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// A token, after some tries if need be.
async fn fetch<S: Source>(source: &S) -> Result<Token, String> {
    let tries = async {
        let mut tried = 0;
        loop {
            tried += 1;
            match source.token().await {
                Err(reason) if tried < TRIES => {
                    tracing::info!(%reason, tried, "A token could not be had.");
                    tokio::time::sleep(RETRY.delay(tried)).await;
                }
                ended => return ended,
            }
        }
    };
    tokio::time::timeout(FETCH_WITHIN, tries)
        .await
        .unwrap_or_else(|_| Err(format!("no token came within {} s", FETCH_WITHIN.as_secs())))
}

/// Half of the time that a token is good for; a token at its end is replaced soon.
fn until_next(token: &Token, now: Timestamp) -> Duration {
    let left = Duration::try_from(token.expires.duration_since(now)).unwrap_or_default();
    if left.is_zero() { AFTER_FAILURE } else { left / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::collections::VecDeque;
    use tokio::time::Instant;

    /// Gives one answer after the other, and notes the times of the requests.
    struct Scripted {
        answers: Mutex<VecDeque<Result<Token, String>>>,
        requested_at: Mutex<Vec<u64>>,
        start: Instant,
    }

    impl Source for Scripted {
        async fn token(&self) -> Result<Token, String> {
            self.requested_at.lock().push(self.start.elapsed().as_secs());
            let next = self.answers.lock().pop_front();
            match next {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }

        fn look_again(&self) -> Duration {
            Duration::MAX
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_and_old_tokens_are_met_soon_and_good_ones_at_half_their_time() {
        let base: Timestamp = "2025-01-01T00:00:00Z".parse().unwrap();
        let token = |text: &str, expires: u64| {
            Ok(Token {
                text: text.to_owned(),
                expires: base + Duration::from_secs(expires),
            })
        };
        let down = || Err("down".to_owned());
        let answers = [
            token("a", 1000),
            // Four tries make one failed fetch.
            down(),
            down(),
            down(),
            down(),
            token("expired", 100),
            down(),
            token("b", 1560),
        ];
        let source = Scripted {
            answers: Mutex::new(answers.into()),
            requested_at: Mutex::default(),
            start: Instant::now(),
        };
        let folder = std::env::temp_dir().join(format!("fairway-refresh-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, stop) = (folder.join("token"), CancellationToken::new());
        let end = tokio::time::sleep(Duration::from_secs(1100));
        tokio::select! {
            () = keep_fresh(&source, file.clone(), Clock::paused_at(base), stop.clone()) => unreachable!("it ends with `stop` only"),
            () = end => {}
        }
        // 500: half of 1000. 530: after the failure. 560: that token was over, and a second try brings one. 1060: half of 1000.
        assert_eq!(
            *source.requested_at.lock(),
            [0, 500, 500, 500, 500, 530, 560, 560, 1060]
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "b");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
