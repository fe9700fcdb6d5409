"""Settings and manifests of the NetworkPolicies for the runners' pods."""
