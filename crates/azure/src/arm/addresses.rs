//! Public IP addresses of a resource group, kept for a moment and shared (networking 9.3).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::{Method, Pipeline, Url};
use tokio::time::Instant;

use super::pages::next_page;
use super::{Arm, call, segment, unreadable};
use crate::error::{Class, Error};
use crate::model::PublicIp;
use crate::port::PublicIpAddresses;

const API_VERSION: &str = "2023-05-01";

/// How long a list is answered again.
const FRESH: Duration = Duration::from_secs(10);

/// A subscription has at most 10 000 addresses, and a page some hundred.
const MAX_PAGES: usize = 200;
const MAX_ADDRESSES: usize = 20_000;

/// A list, and when it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    at: Instant,
    addresses: Arc<[PublicIp]>,
}

#[async_trait]
impl PublicIpAddresses for Arm {
    async fn list(&self, resource_group: &str) -> Result<Arc<[PublicIp]>, Error> {
        let what = format!("list the public IP addresses of the resource group {resource_group:?}");
        let group = segment(resource_group, "resource group", &what)?.to_owned();
        let now = Instant::now();
        let fresh = |listed: &Listed| now.saturating_duration_since(listed.at) < FRESH;
        let key = group.to_lowercase();
        let path = format!("/resourceGroups/{group}/providers/Microsoft.Network/publicIPAddresses");
        let first = self.url(&path, API_VERSION);
        // The fetch may outlive whoever began it.
        let pipeline = self.pipeline.clone();
        let fetch = || async move {
            let at = Instant::now();
            let addresses = all(&pipeline, first, &what).await?.into();
            Ok(Listed { at, addresses })
        };
        let listed = self.addresses.get(&key, fresh, |_| false, fetch).await?;
        Ok(listed.addresses)
    }
}

async fn all(pipeline: &Pipeline, first: Url, what: &str) -> Result<Vec<PublicIp>, Error> {
    let mut addresses = Vec::new();
    let mut url = first;
    for _ in 0..MAX_PAGES {
        let body = call(pipeline, Method::Get, url.clone(), None, what).await?;
        let (page, link) = PublicIp::read_page(&body).map_err(|cause| unreadable(what, &cause))?;
        addresses.extend(page);
        if addresses.len() > MAX_ADDRESSES {
            break;
        }
        let Some(link) = link else { return Ok(addresses) };
        url = next_page(&url, &link).map_err(|cause| unreadable(what, &cause))?;
    }
    let cause = format!("the list has more than {MAX_PAGES} pages or {MAX_ADDRESSES} addresses");
    Err(Error::local(what, Class::NoAnswer, cause))
}
