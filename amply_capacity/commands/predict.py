"""`amply-capacity predict`: what was not measured, from what was."""

from __future__ import annotations

import typer

from amply_capacity.commands.predict_hit_rate import hit_rate
from amply_capacity.commands.predict_memory import memory
from amply_capacity.commands.predict_throughput import throughput

__all__ = ["predict_app"]

predict_app = typer.Typer(help="Predict what was not measured from what was.", no_args_is_help=True)


predict_app.command("memory")(memory)
predict_app.command("hit-rate")(hit_rate)
predict_app.command("throughput")(throughput)
