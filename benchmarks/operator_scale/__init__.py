"""How the control loop behaves with thousands of jobs: on a real API server and etcd, without kubelets."""
