"""The control loop: a job that changed is looked at, and what must be done is planned and done."""
