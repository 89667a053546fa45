"""The noise that a generator leaves in its images (Marra et al., 2019)."""
