"""Datasets: what a model may learn from, where it stems from, and proof that it is what was approved."""
