"""Volume: the real job on releases of BACI's size, generated here, and what each station costs.

What belongs here: the generator, the stations, the curve and its report. What does not: the job itself,
which runs as it is installed.
"""
