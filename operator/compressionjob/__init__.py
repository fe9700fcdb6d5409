"""The API: manifests that users write, reports that pods write, and rules that operator and runner share."""
