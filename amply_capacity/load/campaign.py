"""What one generator process of a scenario needs to play its part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amply_capacity.load.options import Options
from amply_capacity.load.recorder import Recorder
from amply_capacity.target.endpoint import Endpoint
from amply_capacity.traffic.application import Application
from amply_capacity.traffic.population import Population, PopulationShape

if TYPE_CHECKING:
    from locust.env import Environment

__all__ = ["Campaign", "current_campaign", "set_campaign"]

_ATTRIBUTE = "amply_campaign"


class Campaign:
    """Endpoint, population, application and recorder of this process, as worker `worker_index` of so many."""

    def __init__(self, options: Options, endpoint: Endpoint, shape: PopulationShape, *,
                 worker_index: int = 0, worker_count: int = 1, clients: int = 1) -> None:
        self.options = options
        self.endpoint = endpoint
        self.shape = shape
        self.recorder = Recorder()
        self.rate_per_client = (options.rate or 0.0) / max(clients, 1)
        self._worker = worker_index, worker_count
        self._application: Application | None = None
        self._clients = 0

    def application(self) -> Application:
        """This process' application: its clients share one, as the requests of one API process do."""
        if self._application is None:
            index, count = self._worker
            self._application = Application(
                Population(self.shape, index, count), seed=self.options.seed * 1009 + index,
                compute_seconds=self.options.compute_seconds,
            )
        return self._application

    def next_client_number(self) -> str:
        """A name for a client's random stream, not shared with another client of any worker."""
        self._clients += 1
        return f"{self._worker[0]}/{self._clients}"


def current_campaign(environment: Environment) -> Campaign | None:
    """The campaign of this process; None before it has one."""
    return getattr(environment, _ATTRIBUTE, None)


def set_campaign(environment: Environment, campaign: Campaign) -> None:
    """Make it this process' campaign: Locust hands its environment to users and listeners alike."""
    setattr(environment, _ATTRIBUTE, campaign)
