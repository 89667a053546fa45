"""A pretrained network fine-tuned to name the subset (runs 1287, 1425 and their ensembles)."""
