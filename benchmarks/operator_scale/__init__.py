"""Measure the control loop with thousands of jobs, on a real API server and etcd, without kubelets."""
