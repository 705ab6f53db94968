"""Evaluation of apps, prompts and models on data sets, with intervals behind every difference."""
