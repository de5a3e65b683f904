"""Backup and maintenance windows that are no windows, overlap, or lie where the application is busy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from amply_capacity.ops import sources
from amply_capacity.ops.circumstances import Circumstances
from amply_capacity.ops.configuration import Configuration, Resource
from amply_capacity.ops.finding import Hit, Rule
from amply_capacity.ops.windows import (
    SHORTEST_MINUTES,
    Window,
    busyness,
    daily_window,
    quietest_hour,
    weekly_window,
)

__all__ = ["RULES"]

_BACKUP, _MAINTENANCE = "SnapshotWindow", "PreferredMaintenanceWindow"
_FORMS = {_BACKUP: "hh:mm-hh:mm, e.g. 04:00-05:00",
          _MAINTENANCE: "ddd:hh:mm-ddd:hh:mm, e.g. sun:05:00-sun:06:00"}


def _invalid(configuration: Configuration, _: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        for key, form in _FORMS.items():
            text = cache.text(key)
            if text is None:
                continue
            window = _window(cache, key)
            if window is None:
                yield Hit(f"{key} of {cache.name} is {text!r}, which is no window: the request is refused",
                          f"write it as {form}, in UTC", cache.place(key))
            elif window.minutes < SHORTEST_MINUTES:
                longer = Window(window.first_minute, SHORTEST_MINUTES, window.is_daily)
                yield Hit(f"{key} of {cache.name} lasts {window.minutes} minutes, and the shortest is "
                          f"{SHORTEST_MINUTES}: the request is refused", f"write `{key}: {longer}`",
                          cache.place(key))


def _overlap(configuration: Configuration, circumstances: Circumstances) -> Iterator[Hit]:
    for cache in configuration.caches:
        backup, maintenance = _window(cache, _BACKUP), _window(cache, _MAINTENANCE)
        if backup is None or maintenance is None:
            continue
        if (backup.of_week() & maintenance.of_week()).any():
            better = quietest_hour(busyness(circumstances), backup.of_week(), is_daily=False)
            yield Hit(f"the backup window {cache.text(_BACKUP)} and the maintenance window "
                      f"{cache.text(_MAINTENANCE)} of {cache.name} overlap: the request is refused",
                      f"write `{_MAINTENANCE}: {better}`", cache.place(_MAINTENANCE))


def _in_peak(configuration: Configuration, circumstances: Circumstances) -> Iterator[Hit]:
    busy = busyness(circumstances)
    for cache in configuration.caches:
        windows = {key: _window(cache, key) for key in _FORMS}
        for key, window in windows.items():
            if window is None or not window.minutes:
                continue
            most = float(busy[window.of_week()].max())
            if most <= 1.0:
                continue
            other = windows[_MAINTENANCE if key == _BACKUP else _BACKUP]
            taken = other.of_week() if other else np.zeros(busy.shape, dtype=np.bool_)
            better = quietest_hour(busy, taken, is_daily=window.is_daily)
            does = ("a snapshot slows the node, and copies what is written meanwhile" if key == _BACKUP
                    else "a node is replaced or restarted there")
            yield Hit(f"{key} {cache.text(key)} of {cache.name} lies where the load is up to {most:.1f} "
                      f"times its mean (busiest at {_clock(circumstances.busiest_hour_utc)} UTC, by the "
                      f"model's day): {does}",
                      f"write `{key}: {better}`", cache.place(key))


def _window(cache: Resource, key: str) -> Window | None:
    text = cache.text(key)
    if text is None:
        return None
    return daily_window(text) if key == _BACKUP else weekly_window(text)


def _clock(hour: float) -> str:
    return f"{int(hour) % 24:02}:{round(60.0 * (hour % 1.0)) % 60:02}"


RULES = (
    Rule("window-invalid", "error", sources.CREATE_GROUP, _invalid),
    Rule("windows-overlap", "error", sources.WINDOWS_OVERLAP, _overlap),
    Rule("window-in-peak", "warning", sources.BACKUPS, _in_peak),
)
