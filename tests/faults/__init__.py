"""Exactly once, whatever fails: faults strike the whole system, which runs as real processes, and
one oracle judges what is left.

    make faults                  everything; writes the table in docs/explanation/promises.md
    make faults SEED=7 ONLY=redis    repeats the strikes of seed 7 for the tests that -k selects
    make test                    the short ones, with seed 1

To add a scenario, put a `Scenario` into the SCENARIOS of the module that fits. List a new module in
MODULES of `test_scenarios.py`. The scenario's `plan` gets a `Random` of the run's seed and returns
`Strike`s: what to do to the `Trial`, how long it lasts, and how it ends. Draw all chance there, so
that the seed alone repeats a run.

The runner (`scenario.run`) prints the plan and carries it out. After each strike it measures how
long it takes until every home's readings flow again, and checks that no user's state is ahead of
the files. Then it stops everything in order and asks the oracle (`oracle.py`), which is the same
for all scenarios. A check of one scenario alone goes into its `further_findings`. What can be done
to the system belongs into `Trial`, and what can be done to relay and S3 into `stand_ins.py`.

A test that is no scenario (as the kills at random steps) adds its row of the table itself, with the
fixture `note_row`.
"""
