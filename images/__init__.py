"""What the images are made of: their base by digest, their packages, licences, bills of materials and advisories."""
