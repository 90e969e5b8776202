"""Fine-tuning: from feedback and data to a model release that two people have let answer."""
