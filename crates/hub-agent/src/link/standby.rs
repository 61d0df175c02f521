//! The answer of a replica that does not lead: members are to connect to the one that does (networking 16.5).

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use wire::member::member_hub_server::{MemberHub, MemberHubServer};
use wire::member::{self as pb, hub_message};

use super::config::Config;
use super::listener::Listener;
use super::messages::{message, not_leader};
use super::metrics::Metrics;
use super::server::HELLO_WITHIN;

/// Time for the last answers when this replica begins to lead or ends.
const GRACE: Duration = Duration::from_millis(500);

/// Answers every greeting with `NOT_LEADER` until `stop`.
///
/// # Errors
/// When the address cannot be listened on or the certificate files cannot be used; the text says what to do. Nothing is
/// left behind then.
pub async fn stand_by(config: Config, metrics: Metrics, stop: CancellationToken) -> Result<(), String> {
    let listener = Listener::bind(&config, &metrics, &stop).await?;
    let ending = stop.child_token();
    let tasks = TaskTracker::new();
    let standby = Standby {
        tasks: tasks.clone(),
        stop: ending.clone(),
    };
    let service = MemberHubServer::new(standby)
        .max_decoding_message_size(usize::try_from(config.max_message).unwrap_or(usize::MAX));
    let served = listener.serve(service, GRACE).await;
    ending.cancel();
    tasks.close();
    tasks.wait().await;
    served
        .map_err(|cause| format!("Members that connect to this replica get no answer that it does not lead: {cause}."))
}

struct Standby {
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl MemberHub for Standby {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::HubMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::MemberMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outbound, answers) = tokio::sync::mpsc::channel(1);
        let mut inbound = request.into_inner();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            // Whoever sends no greeting is answered as well, later.
            let greeted = tokio::time::timeout(HELLO_WITHIN, inbound.message());
            let _ = stop.run_until_cancelled(greeted).await;
            let _ = outbound.try_send(Ok(message(hub_message::Body::Bye(not_leader()))));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
