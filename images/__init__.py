"""The contents of the images: base digests, packages, licences, bills of materials and advisories."""
