"""The Celery application of a worker; ``oretrace worker`` starts it.

What belongs here: nothing but the application and Dagster's task in it. It must not import polars: workers
fork, and threads do not survive that.
"""

from __future__ import annotations

import logging

from dagster_celery.tasks import create_task

from ingest.errors import BadInput
from orchestration.workers import BROKER, broker_url, celery_app

_url = broker_url()
if _url is None:
    raise BadInput(f"{BROKER} is not set: a worker needs the address of its broker.")
app = celery_app(_url)
execute_plan = create_task(app)
# It prints what a task returns, which here is every event of the step; Dagster's own lines tell more.
logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
