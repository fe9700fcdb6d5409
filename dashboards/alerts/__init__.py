"""The alerts: what should wake or tell somebody, and where it is explained."""
