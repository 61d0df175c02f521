//! What a replica that does not lead tells members: to look for the one that does (networking 16.5).

use std::pin::Pin;

use futures::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};
use wire::member::member_hub_server::{MemberHub, MemberHubServer};
use wire::member::{self as pb, hub_message};

use super::server::{HELLO_WITHIN, KEEPALIVE, bye, message};
use super::{Config, tls};

/// Milliseconds after which a member asks again; behind a Service that reaches another replica.
const RETRY_AFTER_MS: u64 = 1000;

/// Answers every greeting with `NOT_LEADER` until `stop`.
///
/// # Errors
/// When the address cannot be listened on or the certificate files cannot be used; the text says what to do.
pub async fn stand_by(config: Config, stop: CancellationToken) -> Result<(), String> {
    let stop = stop.child_token();
    let tasks = TaskTracker::new();
    let incoming = tls::listen(&config, stop.clone(), &tasks).await?;
    let service = MemberHubServer::new(Standby { tasks: tasks.clone() })
        .max_decoding_message_size(usize::try_from(config.max_message).unwrap_or(usize::MAX));
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(HELLO_WITHIN))
        .max_concurrent_streams(Some(4))
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned())
        .await;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    served.map_err(|err| {
        format!(
            "Members cannot be told that this replica does not lead: {}.",
            kit::error::chain(&err)
        )
    })
}

struct Standby {
    tasks: TaskTracker,
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
        self.tasks.spawn(async move {
            // Whoever says nothing is told as well, later.
            let _ = tokio::time::timeout(HELLO_WITHIN, inbound.message()).await;
            let farewell = pb::Bye {
                retry_after_ms: RETRY_AFTER_MS,
                ..bye(
                    pb::ByeReason::NotLeader,
                    "This replica of the hub agent does not lead; connect again to reach another one.",
                )
            };
            let _ = outbound.try_send(Ok(message(hub_message::Body::Bye(farewell))));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}
