"""Alerts: what is worth telling somebody, once, and how it reaches them.

``kinds`` what there is to tell; ``message`` its words; ``incident`` what a run left in Dagster; ``desk``
what is told and what is not; ``outbox`` what was sent and what waits; ``backends`` the ways out;
``watch`` what happens without a run. Nothing here changes a figure or a release.
"""
