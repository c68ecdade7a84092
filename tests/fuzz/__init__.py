"""Hostile inputs: a seeded, structure-aware mutator, targets, workers under a watchdog.

``python -m tests.fuzz`` runs a campaign; see ``benchmarks/FUZZING.md``.
"""
