"""Runs the house: Dagster assets, the gate's place in the run, publication and the command line.

Only this package knows Dagster; nothing here computes a figure.
"""
