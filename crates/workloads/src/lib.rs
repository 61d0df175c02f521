//! Makes workloads report what a healthy cluster would, where no kubelet runs.
