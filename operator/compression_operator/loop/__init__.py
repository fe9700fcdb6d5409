"""The control loop: for each job that has changed, plan the next steps and carry them out."""
