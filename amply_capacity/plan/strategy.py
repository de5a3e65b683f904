"""One way through the horizon as money by world and month, and how it compares with the plan's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amply_capacity.plan.worlds import Floats

__all__ = ["Strategy"]

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Strategy:
    """Money is (worlds, months), of all worlds or the first ones; `usd` is None with the reason in `note`."""

    name: str
    what: str
    usd: Floats | None
    """Nodes or serverless units, and what goes wrong where a way stays on nodes that are too small."""
    note: str = ""
    changes: str = ""
    """What the application or a contract has to change for it."""
    outage_usd: Floats | float = 0.0
    """Expected, of at least as many worlds."""
    unserved: Bools | None = None
    """Where nothing that is offered is enough and `usd` has the dearest; None where there is no such."""

    @property
    def all_usd(self) -> Floats:
        """With the outages."""
        assert self.usd is not None
        if isinstance(self.outage_usd, float):
            return self.usd + self.outage_usd
        return np.asarray(self.usd + self.outage_usd[:len(self.usd)])

    def unserved_until(self, months: int) -> float:
        """Share of the worlds that nothing serves in some of the first months."""
        return 0.0 if self.unserved is None else float(self.unserved[:, :months].any(axis=1).mean())

    def as_json(self, own: Strategy, months: Sequence[str], confidence: float) -> dict[str, Any]:
        """Its money beside that of the plan's own way.

        What it comes to is not known where it leaves more worlds unserved than the confidence does. What is
        expected of a way that went through the first worlds alone is that of the plan's in all of them and
        the mean difference in those (a control variate), so that the column adds up.
        """
        found: dict[str, Any] = {"usd_first_month": None, "usd_total": None, "usd_total_expected": None,
                                 "usd_outages_expected": None, "difference_expected": None,
                                 "probability_cheaper": None, "break_even_month": None, "unserved": None}
        note = self.note
        if self.usd is not None:
            unserved = self.unserved_until(len(months))
            found["unserved"] = round(unserved, 4)
            if self._is_known(1, confidence):
                first_usd = float(self.all_usd[:, 0].mean()) + self._missed(own.all_usd[:, 0])
                found["usd_first_month"] = round(first_usd, 4)
            if self._is_known(len(months), confidence):
                found |= self._total(own)
                if own._is_known(len(months), confidence):
                    found |= self._beside(own.all_usd[:len(self.usd)], months)
            else:
                reason = (f"nothing offered is enough in {100.0 * unserved:.3g} % of the worlds in "
                          "some month")
                note = "; ".join(filter(None, (reason, note)))
        return {"name": self.name, "what": self.what, **found, "changes": self.changes, "note": note}

    def _is_known(self, months: int, confidence: float) -> bool:
        return self.unserved_until(months) <= 1.0 - confidence + 1e-9

    @property
    def _outages_usd(self) -> Floats:
        """By world, over the whole horizon."""
        assert self.usd is not None
        return np.asarray(self.all_usd.sum(axis=1) - self.usd.sum(axis=1))

    def _missed(self, own: Floats) -> float:
        """By how much the worlds that this way went through lie below all of them in the plan's own."""
        assert self.usd is not None
        return float(own.mean() - own[:len(self.usd)].mean())

    def _total(self, own: Strategy) -> dict[str, Any]:
        total, outages = self.all_usd.sum(axis=1), self._outages_usd
        low, mid, high = np.quantile(total, [0.05, 0.5, 0.95])
        own_usd, own_outages = own.all_usd.sum(axis=1), own._outages_usd
        return {
            "usd_total": {"low": round(float(low), 2), "mid": round(float(mid), 2),
                          "high": round(float(high), 2)},
            "usd_total_expected": round(float(total.mean()) + self._missed(own_usd), 2),
            "usd_outages_expected": round(float(outages.mean()) + self._missed(own_outages), 2),
        }

    def _beside(self, own_usd: Floats, months: Sequence[str]) -> dict[str, Any]:
        usd = self.all_usd
        total, own = usd.sum(axis=1), own_usd.sum(axis=1)
        ahead = np.cumsum(usd.mean(axis=0)) <= np.cumsum(own_usd.mean(axis=0))
        # From when on it stays ahead: an early month alone is no break-even.
        from_month = len(ahead) - int(np.argmin(ahead[::-1])) if not ahead.all() else 0
        return {
            "difference_expected": round(float((total - own).mean()), 2),
            "probability_cheaper": round(float((total < own).mean()), 4),
            "break_even_month": months[from_month] if from_month < len(months) else None,
        }
