//! Members whose sessions break: what becomes of their endpoints, and when.

use super::*;

impl Hub {
    /// Two members export a service, and the profile requests fast degradation.
    async fn opted_in() -> Self {
        let hub = Self::new().await;
        for cluster in ["m0", "m1"] {
            hub.namespace(&format!("fleet-member-{cluster}")).await;
            hub.export(cluster, "s0", 1).await;
        }
        let object = json!({
            "apiVersion": kinds::TRAFFIC_MANAGER_PROFILE.api_version(), "kind": "TrafficManagerProfile",
            "metadata": {"name": "web", "namespace": NAMESPACE,
                "annotations": {"networking.fleet.azure.com/fast-degradation": "true"}},
            "spec": {"resourceGroup": "rg"},
        });
        let profile = kinds::TRAFFIC_MANAGER_PROFILE;
        hub.user.create(&profile, Some(NAMESPACE), &object).await.unwrap();
        let spec = json!({"profile": {"name": "web"}, "backend": {"name": "s0"}, "weight": 100});
        hub.create(&kinds::TRAFFIC_MANAGER_BACKEND, NAMESPACE, "b0", spec).await;
        hub.until(&shares(&[vec![1, 1]])).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        hub
    }

    /// The session of m1 breaks now.
    fn breaks(&self) {
        self.queues.presence.silenced("m1", self.clock.now());
    }

    fn heartbeat(&self) {
        self.queues.presence.heartbeat("m1", self.clock.now());
    }

    fn session(&self) {
        self.queues.presence.not_silent("m1");
    }

    /// The period of heartbeats in milliseconds, of a member that does not say any.
    fn period(&self) -> u64 {
        let period = Store::new(&self.queues, false, self.clock).heartbeat_period("m1");
        u64::try_from(period.as_millis()).unwrap()
    }

    /// The hints of the next milliseconds.
    async fn hints_within(&self, milliseconds: u64) -> Vec<String> {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        std::mem::take(&mut *self.port.hints.lock())
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_session_breaks_and_that_is_back_in_time_is_not_degraded() {
    let hub = Hub::opted_in().await;
    for _ in 0..5 {
        hub.breaks();
        assert_eq!(hub.hints_within(1900).await, [""; 0]);
        hub.session();
        assert_eq!(hub.hints_within(50).await, [""; 0]);
    }
    assert_eq!(hub.hints_within(60_000).await, [""; 0]);
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_cut_off_again_and_again_is_lost_each_time_whenever_its_heartbeats_come() {
    let hub = Hub::opted_in().await;
    // Milliseconds from the break to a heartbeat that was on its way, or that is overdue when the member goes on.
    for heartbeat in [5, 400, 1990, 2100, 3900] {
        hub.breaks();
        let mut hints = hub.hints_within(heartbeat).await;
        hub.heartbeat();
        hints.extend(hub.hints_within(4000 - heartbeat).await);
        assert_eq!(hints, ["m1 lost"], "with a heartbeat after {heartbeat} ms");
        hub.session();
        assert_eq!(hub.hints_within(200).await, ["m1 there"]);
    }
    hub.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_there_without_a_session_is_lost_once_its_heartbeats_are_missing() {
    let hub = Hub::opted_in().await;
    hub.breaks();
    assert_eq!(hub.hints_within(3000).await, ["m1 lost"]);
    hub.heartbeat();
    assert_eq!(hub.hints_within(15_000).await, [""; 0], "it may be from before");
    hub.heartbeat();
    assert_eq!(hub.hints_within(200).await, ["m1 there"]);
    let period = hub.period();
    assert_eq!(hub.hints_within(period * 3 - 1000).await, [""; 0]);
    assert_eq!(hub.hints_within(2000).await, ["m1 lost"]);
    hub.stop().await;
}
