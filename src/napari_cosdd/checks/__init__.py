"""The model check: evidence and findings, without ground truth."""
