"""Three tiers: unit, integration (a real API server), e2e (a real kubelet); and methods, images, engines."""
