"""The NetworkPolicies of the runners' pods: settings and content."""
