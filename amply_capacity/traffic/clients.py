"""Who is at the other end of a session: address, country, browser, fingerprint, and the binding to them.

The weights are an assumption (a European service with a North American second market); what they must get
right is the size of a session's JSON, which the length of user agents and addresses decides.
"""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random

__all__ = ["IP_BINDINGS", "client_info", "ip_binding"]

_COUNTRIES = (
    # country, weight, IPv4 networks of its access providers, an IPv6 one
    ("DE", 24, ("84.146", "91.12", "93.219", "217.86"), "2003:e1"),
    ("US", 18, ("24.5", "67.160", "73.162", "98.207"), "2601:647"),
    ("GB", 13, ("81.106", "86.17", "92.40"), "2a00:23c7"),
    ("FR", 10, ("82.64", "86.210", "90.63"), "2a01:e0a"),
    ("NL", 8, ("77.161", "84.83", "145.53"), "2a02:a45c"),
    ("ES", 6, ("79.146", "83.35"), "2a02:9130"),
    ("IT", 6, ("79.20", "87.1"), "2a01:e11"),
    ("PL", 5, ("83.20", "89.64"), "2a02:a312"),
    ("IN", 4, ("49.36", "106.193"), "2409:4072"),
    ("BR", 3, ("177.32", "189.6"), "2804:14d"),
    ("CA", 3, ("70.24", "99.224"), "2607:fea8"),
)
_IPV6_SHARE = 0.22

_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS"
_USER_AGENTS = (
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME}/142.0.0.0 Safari/537.36", 27),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME}/141.0.0.0 Safari/537.36", 6),
    (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_CHROME}/142.0.0.0 Safari/537.36", 12),
    (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME}/142.0.0.0 Safari/537.36 Edg/142.0.0.0", 10),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6"
     " Safari/605.1.15", 8),
    (f"{_IPHONE} 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148"
     " Safari/604.1", 12),
    (f"{_IPHONE} 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.77"
     " Mobile/15E148 Safari/604.1", 2),
    (f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME}/142.0.0.0 Mobile Safari/537.36", 11),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0"
     " Chrome/130.0.0.0 Mobile Safari/537.36", 2),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0", 4),
    ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", 2),
    (f"Mozilla/5.0 (X11; Linux x86_64) {_CHROME}/142.0.0.0 Safari/537.36", 2),
    ("Amply/4.12.0 (com.amply.app; build:2210; iOS 18.6.0) Alamofire/5.9.1", 1),
    ("Amply/4.12.0 (Android 15; Pixel 8) okhttp/4.12.0", 1),
)

IP_BINDINGS = ("country", "none", "subnet", "strict")

_COUNTRY_STEPS = tuple(accumulate(weight for _, weight, _, _ in _COUNTRIES))
_USER_AGENT_STEPS = tuple(accumulate(weight for _, weight in _USER_AGENTS))
_IP_BINDING_STEPS = (80, 90, 97, 100)


def ip_binding(random: Random) -> str:
    """One of the spec's levels of address validation: mostly its default, `country`."""
    return IP_BINDINGS[bisect(_IP_BINDING_STEPS, random.random() * 100)]


def client_info(random: Random) -> dict[str, str]:
    """A session's client in the spec's order: ip_address, ip_country, user_agent, fingerprint (32 hex)."""
    uniform = random.random
    country, _, networks, network_v6 = _COUNTRIES[bisect(_COUNTRY_STEPS, uniform() * _COUNTRY_STEPS[-1])]
    bits = random.getrandbits(224)
    if uniform() < _IPV6_SHARE:
        groups = [f"{bits >> shift & 0xFFFF:x}" for shift in range(0, 96, 16)]
        address = ":".join((network_v6, *groups))
    else:
        network = networks[bits % len(networks)]
        address = f"{network}.{bits >> 8 & 255}.{(bits >> 16 & 255) % 254 + 1}"
    return {
        "ip_address": address,
        "ip_country": country,
        "user_agent": _USER_AGENTS[bisect(_USER_AGENT_STEPS, uniform() * _USER_AGENT_STEPS[-1])][0],
        "fingerprint": f"{bits >> 96:032x}",
    }
