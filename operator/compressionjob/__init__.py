"""The contract: what users write, what pods report, and the rules that both sides share."""
