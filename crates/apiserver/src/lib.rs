//! An in-memory Kubernetes API server: in process under a client, or over HTTPS with a kubeconfig.
