"""Draws what the simulated homes of `make up` drew: `python docs/tutorial/draw_a_day.py`."""

import duckdb
import matplotlib.pyplot as plt

day = duckdb.execute("""
    SELECT time_bucket(INTERVAL 10 MINUTES, time)::TIMESTAMP AS utc, avg(value)::DOUBLE AS kw
    FROM read_parquet('data/s3/eagle-logger/archive/parquet/v=1/date=*/*.parquet')
    WHERE kind = 'demand' GROUP BY utc ORDER BY utc""").df()
figure, axes = plt.subplots(figsize=(9, 3.5), layout="constrained")
axes.plot(day["utc"], day["kw"], marker=".")
axes.set_ylabel("kW, average of all homes")
figure.savefig("a-day.png")
