//! Agent runtime: clients, watches into indexes, queues, leases, events, logging, probes and metrics.
