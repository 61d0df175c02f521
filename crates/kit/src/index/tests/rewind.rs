//! What one index finds out about the server's history counts for all that use the same client.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A server with one count of versions for all its APIs, as etcd has. It accepts watches from versions that it has not
/// come to and sends no bookmarks.
#[derive(Clone)]
struct Etcd {
    state: Arc<Mutex<Stored>>,
    reachability: Reachability,
}

#[derive(Default)]
struct Stored {
    version: u64,
    /// By API and name, in which version it was written.
    objects: BTreeMap<(String, String), u64>,
    /// APIs that are stored elsewhere: how far their versions are ahead.
    offsets: BTreeMap<String, u64>,
    watches: Vec<(String, u64, mpsc::UnboundedSender<String>)>,
    requests: Vec<String>,
    is_down: bool,
}

impl Etcd {
    fn new() -> Self {
        let state = Arc::new(Mutex::new(Stored {
            version: 1000,
            ..Stored::default()
        }));
        let probed = Arc::clone(&state);
        let probe: crate::reachability::Probe = Box::new(move || {
            let answer = if probed.lock().is_down {
                Err("refused".to_owned())
            } else {
                Ok(())
            };
            Box::pin(async move { answer })
        });
        let reachability = Reachability::new("test", probe);
        Self { state, reachability }
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = server.answer(&request);
            async move { answer.map(Response::new) }
        });
        Client::new(service, "default")
    }

    fn answer(
        &self,
        request: &Request<Body>,
    ) -> Result<http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>, std::io::Error> {
        if let Some(slot) = request.extensions().get::<Slot>() {
            slot.fill(&self.reachability);
        }
        if request.extensions().get::<Inquiry>().is_some() {
            return Ok(Full::default().boxed_unsync());
        }
        let mut state = self.state.lock();
        if state.is_down {
            self.reachability.failed();
            return Err(std::io::Error::other("connection refused"));
        }
        self.reachability.answered();
        let path = request.uri().to_string();
        state.requests.push(path.clone());
        let (api, query) = path.trim_start_matches("/api/v1/").split_once('?').unwrap();
        let offset = state.offsets.get(api).copied().unwrap_or_default();
        if query.contains("watch=true") {
            let from: u64 = query.rsplit('=').next().unwrap().parse().unwrap();
            let (sender, receiver) = mpsc::unbounded_channel();
            state.watches.push((api.to_owned(), from, sender));
            return Ok(StreamBody::new(tokio_frames(receiver)).boxed_unsync());
        }
        let items: Vec<Value> = state
            .objects
            .iter()
            .filter(|((of, _), _)| of == api)
            .map(|((_, name), version)| object(name, &(version + offset).to_string()))
            .collect();
        let version = (state.version + offset).to_string();
        let list = json!({"metadata": {"resourceVersion": version}, "items": items});
        Ok(Full::from(list.to_string()).boxed_unsync())
    }

    /// Somebody writes an object; those who watch from an earlier version are notified.
    fn write(&self, api: &str, name: &str) {
        let mut state = self.state.lock();
        state.version += 1;
        let version = state.version;
        state.objects.insert((api.to_owned(), name.to_owned()), version);
        let line = event("MODIFIED", &object(name, &version.to_string()));
        for (of, from, sender) in &state.watches {
            if of == api && *from < version {
                let _ = sender.send(line.clone());
            }
        }
    }

    /// The server stops, and nothing answers until it is started again.
    fn stop(&self) {
        let mut state = self.state.lock();
        state.is_down = true;
        state.watches.clear();
    }

    /// The server starts with a former state, and somebody writes before anybody else is back.
    fn start_with(&self, version: u64, objects: BTreeMap<(String, String), u64>, writes: &[(&str, &str)]) {
        {
            let mut state = self.state.lock();
            (state.version, state.objects) = (version, objects);
        }
        writes.iter().for_each(|(api, name)| self.write(api, name));
        self.state.lock().is_down = false;
    }

    fn objects(&self) -> BTreeMap<(String, String), u64> {
        self.state.lock().objects.clone()
    }
}

/// An index of an API, and counts how often the history has gone back.
fn index_of(plural: &'static str) -> (Arc<Index<Value>>, Arc<AtomicU32>) {
    let times = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&times);
    let resource = Resource::namespaced("", "v1", "ConfigMap", plural);
    let index = Index::builder(resource, |object| Ok(Some(object)))
        .on_went_back(move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .build();
    (index, times)
}

fn run(index: &Arc<Index<Value>>, client: &Client) -> tokio_util::sync::DropGuard {
    let stop = CancellationToken::new();
    let (index, client, until) = (Arc::clone(index), client.clone(), stop.clone());
    tokio::spawn(async move { index.run(client, until).await });
    stop.drop_guard()
}

/// The names and versions that an index knows.
fn known(index: &Index<Value>) -> Vec<String> {
    let all = index.all().into_iter();
    all.map(|object| {
        format!(
            "{}@{}",
            object["metadata"]["name"].as_str().unwrap(),
            object["data"]["v"].as_str().unwrap()
        )
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn what_one_index_proves_makes_all_list_anew() {
    let etcd = Etcd::new();
    let client = etcd.client();
    etcd.write("few", "x");
    let ((many, many_times), (few, few_times)) = (index_of("many"), index_of("few"));
    let _running = [run(&many, &client), run(&few, &client)];
    tokio::time::sleep(30 * SECOND).await;
    let (backup, version) = (etcd.objects(), 1001);
    // What happens after the backup is lost: little of one API, much of the other.
    etcd.write("few", "lost");
    (0..50).for_each(|n| etcd.write("many", &format!("lost-{n}")));
    settle().await;
    assert_eq!(
        (known(&few), many.len()),
        (vec!["lost@1002".to_owned(), "x@1001".to_owned()], 50)
    );

    etcd.stop();
    tokio::time::sleep(5 * SECOND).await;
    // By the time anybody looks, the server is beyond what is known of the API with few changes.
    let writes = [("few", "y"), ("others", "a"), ("others", "b"), ("others", "c")];
    etcd.start_with(version, backup, &writes);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(
        (known(&few), many.len()),
        (vec!["x@1001".to_owned(), "y@1002".to_owned()], 0)
    );
    assert_eq!(
        [&many_times, &few_times].map(|times| times.load(Ordering::Relaxed)),
        [1, 1]
    );

    // That was all; what happens from now on arrives.
    let lists = [many.lists(), few.lists()];
    assert_eq!(lists[0], 2, "the one that had the proof lists once");
    tokio::time::sleep(60 * SECOND).await;
    etcd.write("few", "z");
    settle().await;
    assert_eq!(known(&few), ["x@1001", "y@1002", "z@1006"]);
    assert_eq!([many.lists(), few.lists()], lists);
    assert!(few.is_live() && lists[1] <= 3);
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_first_compares_with_the_highest_version_that_anybody_has_seen() {
    for is_stored_elsewhere in [false, true] {
        let etcd = Etcd::new();
        let client = etcd.client();
        let (index, times) = index_of("few");
        let _running = run(&index, &client);
        tokio::time::sleep(30 * SECOND).await;
        etcd.reachability.history().saw("1010", "/api/v1/others?");
        etcd.stop();
        tokio::time::sleep(5 * SECOND).await;
        if is_stored_elsewhere {
            etcd.state.lock().offsets.insert("others".to_owned(), 20);
        }
        etcd.start_with(1000, BTreeMap::new(), &[("few", "y")]);
        tokio::time::sleep(5 * SECOND).await;
        let expected = if is_stored_elsewhere { (1, 0) } else { (2, 1) };
        assert_eq!((index.lists(), times.load(Ordering::Relaxed)), expected);
        let requests = etcd.state.lock().requests.clone();
        assert!(requests.contains(&"/api/v1/others?limit=1".to_owned()), "{requests:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_write_tells_how_far_the_server_was() {
    let etcd = Etcd::new();
    etcd.write("few", "x");
    let client = etcd.client();
    let (index, times) = index_of("few");
    let _running = run(&index, &client);
    tokio::time::sleep(30 * SECOND).await;
    let backup = etcd.objects();
    // The server ends before the watch has delivered the write.
    index.fold(object("x", "1005")).unwrap();
    etcd.stop();
    tokio::time::sleep(SECOND).await;
    etcd.start_with(1001, backup, &[("others", "a"), ("few", "x")]);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(
        (known(&index), times.load(Ordering::Relaxed)),
        (vec!["x@1003".to_owned()], 1)
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_that_seems_to_go_back_again_and_again_makes_others_list_once_in_a_while() {
    let etcd = Etcd::new();
    let client = etcd.client();
    let ((odd, _), (even, _)) = (index_of("odd"), index_of("even"));
    etcd.state.lock().offsets.insert("odd".to_owned(), 1000);
    let _running = [run(&odd, &client), run(&even, &client)];
    // It is served by replicas that count each for itself.
    for n in 1..=40 {
        tokio::time::sleep(30 * SECOND).await;
        etcd.write("even", "x");
        let mut state = etcd.state.lock();
        state.offsets.insert("odd".to_owned(), 1000 - 10 * n);
        state.watches.retain(|(api, ..)| api != "odd");
    }
    assert!(odd.lists() >= 35, "{}", odd.lists());
    assert!((3..=9).contains(&even.lists()), "{}", even.lists());
}
