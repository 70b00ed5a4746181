"""The publication gate: rules a candidate warehouse must hold before it may be published.

What belongs here: the rules (``suites/*.yaml``, one suite per mart, each rule with a severity and
a reason), the adapter that runs them with Great Expectations, and the pages that show the outcome.
What does not: rules that dbt tests already hold, and the act of publishing. Great Expectations
takes seconds to import, so nothing here imports it before a suite is run.
"""
