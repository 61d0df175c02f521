//! Clients of servers in the same process.

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;

use crate::reachability::{Inquiry, Reachability, Slot};

/// Makes those who use a client of a server in this process share what they know of the server, as those who use a client
/// of [`super::build`] do: whether it can be reached, and whether its history has gone back.
pub fn in_process(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let probed = client.clone();
    let probe = move || {
        let client = probed.clone();
        let request = Request::builder()
            .method(Method::GET)
            .uri("/version")
            .body(Body::empty());
        async move {
            let request = request.map_err(|err| err.to_string())?;
            client.send(request).await.map_err(|err| err.to_string())?;
            Ok(())
        }
    };
    let reachability = Reachability::new("the server in this process", Box::new(move || Box::pin(probe())));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (client, reachability) = (client.clone(), reachability.clone());
        async move {
            if let Some(slot) = request.extensions().get::<Slot>() {
                slot.fill(&reachability);
            }
            if request.extensions().get::<Inquiry>().is_some() {
                return Ok(Response::new(Body::empty()));
            }
            let answer = client.send(request).await;
            match &answer {
                Ok(_) => reachability.answered(),
                Err(_) => reachability.failed(),
            }
            answer
        }
    });
    Client::new(service, namespace)
}
