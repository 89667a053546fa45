"""What surrounds a fit: run folders, claims, resume, provenance."""
