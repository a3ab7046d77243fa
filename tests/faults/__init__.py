"""Exactly once, whatever fails: the whole system as real processes, struck by faults, and one
oracle for what is left.

    make faults                      everything, and the table in docs/explanation/promises.md make
    faults SEED=7 ONLY=redis    the same strikes as that seed gave, for what pytest's -k selects
    make test                        the short ones, with seed 1

To add a scenario, put a `Scenario` into the SCENARIOS of the module that fits (or of a new one, and
that into `MODULES` in `test_scenarios.py`). Its `plan` gets a `Random` of the run's seed and
returns `Strike`s: what is done to the `Trial`, how long it lasts, how it ends. Everything drawn by
chance is drawn there, so that the seed alone repeats it. The runner (`scenario.run`) prints the
plan, carries it out, measures after each strike how long it takes until every home's readings flow
again, looks that no user's state is ahead of the files, then stops everything in order and asks the
oracle (`oracle.py`), which is the same for all. What only one scenario can check goes into its
`also`. Whatever `Trial` cannot do to the system yet belongs there, and what can be done to the
world around it (relay, S3) into `stand_ins.py`.

A test that is no scenario (the kills at every step) notes its row of the table itself, with the
`noted` fixture.
"""
