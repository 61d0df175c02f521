//! The list of prices of machines, fetched periodically (member-behaviour 3.7).

use std::sync::Arc;
use std::time::Duration;

use azure::{Transport, TransportOptions, Url, next_page};
use fairway_core::heartbeat::{Page, Prices};
use kit::backoff::Backoff;
use kit::clock::Clock;
use kit::rest::query_value;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Where prices are published.
const PUBLISHER: &str = "https://prices.azure.com";

/// How often they are fetched.
const PERIOD: Duration = Duration::from_secs(12 * 60 * 60);

/// After a failure.
const RETRY: Backoff = Backoff::new(Duration::from_secs(60), Duration::from_secs(60 * 60));

/// How the agent names itself.
const USER_AGENT: &str = concat!("fairway-member-agent/", env!("CARGO_PKG_VERSION"));

/// A list of more pages than this is none of prices of one region.
const MAX_PAGES: usize = 100;

/// The prices of the cluster's region, as far as they are known.
pub(crate) struct PriceList {
    endpoint: String,
    /// Empty until it is known.
    region: watch::Sender<String>,
    current: RwLock<Option<Arc<Prices>>>,
    clock: Clock,
}

impl PriceList {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            endpoint: PUBLISHER.to_owned(),
            region: watch::Sender::new(String::new()),
            current: RwLock::default(),
            clock,
        }
    }

    /// The prices that hold now in a region; the first call says which region that is.
    pub(crate) fn prices(&self, region: &str) -> Arc<Prices> {
        let mut current = self.current.write();
        let prices = current.get_or_insert_with(|| Arc::new(Prices::known(region)));
        self.region.send_if_modified(|known| {
            let is_new = known.is_empty();
            if is_new {
                *known = region.to_owned();
            }
            is_new
        });
        Arc::clone(prices)
    }

    /// Fetches prices periodically, once the region is known, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let _ = stop.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        let mut regions = self.region.subscribe();
        let region = match regions.wait_for(|region| !region.is_empty()).await {
            Ok(region) => region.clone(),
            Err(_) => return,
        };
        let mut failures = 0;
        loop {
            let wait = match self.fetch(&region).await {
                Ok(prices) => {
                    failures = 0;
                    *self.current.write() = Some(Arc::new(prices));
                    PERIOD
                }
                Err(reason) => {
                    failures += 1;
                    tracing::warn!(
                        region,
                        reason,
                        failures,
                        "The prices of machines could not be had; the last ones stay."
                    );
                    RETRY.delay(failures)
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// All pages, or none.
    async fn fetch(&self, region: &str) -> Result<Prices, String> {
        // A client of its own each time: nothing is held for half a day.
        let transport = Transport::new(&TransportOptions::new(USER_AGENT)).map_err(|err| err.to_string())?;
        let mut pages = Vec::new();
        let mut next = Some(first_page(&self.endpoint, region)?);
        while let Some(url) = next {
            if pages.len() == MAX_PAGES {
                return Err(format!("the list has more than {MAX_PAGES} pages"));
            }
            let page: Page = transport
                .get_json(&url, "list the prices of machines")
                .await
                .map_err(|err| err.to_string())?;
            let link = page.next_page_link.as_deref();
            next = link.map(|link| next_page(&url, link)).transpose()?;
            pages.push(page);
        }
        Prices::of(&pages, self.clock.now()).ok_or_else(|| "the list holds no prices of machines on demand".to_owned())
    }
}

fn first_page(endpoint: &str, region: &str) -> Result<Url, String> {
    let filter = [
        ("priceType", "Consumption"),
        ("currencyCode", "USD"),
        ("serviceFamily", "Compute"),
        ("serviceName", "Virtual Machines"),
        ("armRegionName", region),
    ]
    .map(|(field, value)| format!("{field} eq '{value}'"))
    .join(" and ");
    let filter = query_value(&filter);
    let url = format!("{endpoint}/api/retail/prices?api-version=2023-01-01-preview&$filter={filter}");
    Url::parse(&url).map_err(|err| format!("the address of the prices is not valid: {err}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Answers one request after the other, and hands out their first lines.
    async fn publisher(answers: Vec<(&'static str, Value)>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        kit::install_crypto();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let home = endpoint.clone();
        let served = tokio::spawn(async move {
            let mut lines = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 8192];
                let size = stream.read(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request[..size]).into_owned();
                lines.push(text.lines().next().unwrap_or_default().to_owned());
                let body = body.to_string().replace("HOME", &home);
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            lines
        });
        (endpoint, served)
    }

    fn list(endpoint: String) -> PriceList {
        PriceList {
            endpoint,
            ..PriceList::new(Clock::System)
        }
    }

    #[tokio::test]
    async fn all_pages_make_one_list() {
        let item = |size: &str, price: f64| json!({"armSkuName": size, "retailPrice": price, "meterName": size});
        let pages = vec![
            (
                "200 OK",
                json!({"Items": [item("a", 1.0)], "NextPageLink": "HOME/api/retail/prices?$skip=1"}),
            ),
            ("200 OK", json!({"Items": [item("b", 2.0)], "NextPageLink": null})),
        ];
        let (endpoint, served) = publisher(pages).await;
        let prices = list(endpoint).fetch("westus").await.unwrap();
        let wanted: Page = serde_json::from_value(json!({"Items": [item("a", 1.0), item("b", 2.0)]})).unwrap();
        assert_eq!(Some(&prices), Prices::of([wanted], prices.updated).as_ref());
        let lines = served.await.unwrap();
        assert_eq!(
            lines[0],
            "GET /api/retail/prices?api-version=2023-01-01-preview&$filter=priceType%20eq%20%27Consumption%27%20and%20\
             currencyCode%20eq%20%27USD%27%20and%20serviceFamily%20eq%20%27Compute%27%20and%20serviceName%20eq%20%27\
             Virtual%20Machines%27%20and%20armRegionName%20eq%20%27westus%27 HTTP/1.1"
        );
        assert_eq!(lines[1], "GET /api/retail/prices?$skip=1 HTTP/1.1");
    }

    #[tokio::test]
    async fn one_bad_page_spoils_the_list() {
        let item = json!({"armSkuName": "a", "retailPrice": 1.0});
        for (status, second) in [
            ("500 Internal Server Error", json!({})),
            ("200 OK", json!({"Items": 5})),
        ] {
            let first = json!({"Items": [item], "NextPageLink": "HOME/next"});
            let (endpoint, served) = publisher(vec![("200 OK", first), (status, second)]).await;
            assert!(list(endpoint).fetch("westus").await.is_err(), "{status}");
            served.await.unwrap();
        }
        let away = json!({"Items": [item], "NextPageLink": "http://elsewhere.example/next"});
        let (endpoint, served) = publisher(vec![("200 OK", away)]).await;
        let err = list(endpoint).fetch("westus").await.unwrap_err();
        assert!(err.contains("leads elsewhere"), "{err}");
        served.await.unwrap();
    }

    #[tokio::test]
    async fn known_prices_hold_until_others_are_had() {
        let page = json!({"Items": [{"armSkuName": "a", "retailPrice": 1.0}]});
        let (endpoint, served) = publisher(vec![("200 OK", page)]).await;
        let list = Arc::new(list(endpoint));
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&list).run(stop.clone()));
        assert_eq!(*list.prices("eastasia"), Prices::known("eastasia"));
        served.await.unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while *list.prices("eastasia") == Prices::known("eastasia") {
            assert!(tokio::time::Instant::now() < deadline, "the new prices never came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        task.await.unwrap();
    }
}
