"""Pages of AWS' price list, composed, and two ways to have them answered: botocore's Stubber, a local server.

The outer shape of an item is that of the AWS command line's own example of get-products, the attributes are
those of the AWS offer file AmazonElastiCache of 2025-06-24, and prices that tests name are real, with their
date beside them. No item was recorded whole, for none is published whole: what is varied here, one thing at a
time, was each met in real lists.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.stub import Stubber
from seeded import AWS_SECRET_KEY

from amply_capacity.aws.price_list import pricing_client
from amply_capacity.catalog.files import PriceRow

PUBLISHED = "2026-11-20T09:15:02Z"
YEARS_OF_CODE = {"4NA7Y494T4": ("1yr", "No Upfront"), "HU7G6KETJZ": ("1yr", "Partial Upfront"),
                 "6QCMYABX3D": ("1yr", "All Upfront"), "BPH4J8HBKS": ("3yr", "No Upfront"),
                 "38NPMPTW36": ("3yr", "Partial Upfront"), "NQ3QZPMQV9": ("3yr", "All Upfront")}
CODE_OF_TERM = {"1yr_no": "4NA7Y494T4", "1yr_partial": "HU7G6KETJZ", "1yr_all": "6QCMYABX3D",
                "3yr_no": "BPH4J8HBKS", "3yr_partial": "38NPMPTW36", "3yr_all": "NQ3QZPMQV9"}
OPERATIONS = {"Memcached": "0001", "Redis": "0002", "Valkey": "Valkey"}

# Redis, us-east-1, cache.r7g.large: AWS' price-page feed, on demand of 2025-03-14, reserved of 2024-10-07.
R7G_LARGE_USD = "0.2190000000"
R7G_LARGE_RESERVED = {
    "1yr_no": ("0.1490000000", None), "1yr_partial": ("0.0710000000", "623.493"),
    "1yr_all": ("0.0000000000", "1227.802"), "3yr_no": ("0.1140000000", None),
    "3yr_partial": ("0.0530000000", "1381.277"), "3yr_all": ("0.0000000000", "2589.894"),
}


def offer(sku: str, code: str, hourly: str | None, upfront: str | None = None, *, unit: str = "Hrs",
          currency: str = "USD", attributes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One offer of a product: on demand (JRTCKXETXF), or reserved, with its price dimensions."""
    rate = f"{sku}.{code}"
    dimensions = {}
    if upfront is not None:  # before the hourly one, as some real items have it
        dimensions[f"{rate}.2TG2D8R56U"] = {
            "unit": "Quantity", "description": "Upfront Fee", "appliesTo": [],
            "rateCode": f"{rate}.2TG2D8R56U", "pricePerUnit": {currency: upfront}}
    if hourly is not None:
        dimensions[f"{rate}.6YS6EN2CT7"] = {
            "unit": unit, "beginRange": "0", "endRange": "Inf", "appliesTo": [],
            "rateCode": f"{rate}.6YS6EN2CT7", "pricePerUnit": {currency: hourly}}
    if attributes is None:
        years, payment = YEARS_OF_CODE.get(code, ("", ""))
        attributes = {"LeaseContractLength": years, "PurchaseOption": payment,
                      "OfferingClass": "standard"} if years else {}
    return {"offerTermCode": code, "sku": sku, "priceDimensions": dimensions, "termAttributes": attributes}


def item(node_type: str = "cache.t3.medium", engine: str = "Redis", usd: str | None = "0.0680000000", *,
         region: str = "us-west-2", prefix: str = "USW2-", usage: str = "NodeUsage",
         reserved: Mapping[str, tuple[str | None, str | None]] | None = None,
         without: Iterable[str] = (), **attributes: str) -> dict[str, Any]:
    """One product with its terms; keywords replace its attributes, `without` names some that it lacks.

    Reserved terms stand before those on demand, as in some real items.
    """
    sku = f"{engine}{usage}{node_type}".replace(".", "").upper()
    said = {
        "servicecode": "AmazonElastiCache", "location": "US West (Oregon)", "locationType": "AWS Region",
        "instanceType": node_type, "currentGeneration": "Yes", "vcpu": "2", "memory": "3.09 GiB",
        "cacheEngine": engine, "usagetype": f"{prefix}{usage}:{node_type}",
        "operation": f"CreateCacheCluster:{OPERATIONS.get(engine, engine)}", "regionCode": region,
        "servicename": "Amazon ElastiCache",
    } | attributes
    terms: dict[str, Any] = {}
    for term, (hourly, upfront) in (reserved or {}).items():
        code = CODE_OF_TERM[term]
        terms.setdefault("Reserved", {})[f"{sku}.{code}"] = offer(sku, code, hourly, upfront)
    if usd is not None:
        terms["OnDemand"] = {f"{sku}.JRTCKXETXF": offer(sku, "JRTCKXETXF", usd)}
    return {
        "product": {"productFamily": "Cache Instance", "sku": sku,
                    "attributes": {name: text for name, text in said.items() if name not in set(without)}},
        "serviceCode": "AmazonElastiCache", "terms": terms,
        "version": "20261120091502", "publicationDate": PUBLISHED,
    }


def serverless(engine: str = "Redis", region: str = "us-west-2", prefix: str = "USW2-",
               storage: str = "0.1250000000", ecpu: str = "0.0000000034") -> list[dict[str, Any]]:
    """What a region lists of Serverless for an engine: stored data, a single ECPU, and backups.

    Usage types and units are those of bills and of AWS' own reader of the list (agent-toolkit-for-aws,
    pricing.py of 2026-08-20); the prices are us-east-1's for Redis of 2026-09-14.
    """
    made = []
    for usage, unit, usd in (("CachedData", "GB-Hours", storage),
                             ("ElastiCacheProcessingUnits", "ElastiCacheProcessingUnit", ecpu),
                             ("BackupUsage", "GB-months", "0.0850000000")):
        one = item(engine=engine, usd=usd, region=region, usagetype=f"{prefix}{usage}:{engine}",
                   operation="CreateServerlessCache", without=("instanceType", "vcpu", "memory"))
        one["product"]["productFamily"] = "ElastiCache Serverless"
        for offers in one["terms"]["OnDemand"].values():
            for dimension in offers["priceDimensions"].values():
                dimension["unit"] = unit
        made.append(one)
    return made


def t3_medium() -> list[dict[str, Any]]:
    """The five products that us-west-2 listed for cache.t3.medium until 2026-09-04, at their prices then."""
    none = ("vcpu", "memory")  # these two bear neither
    return [
        item(engine="Memcached"), item(), item(engine="Valkey", usd="0.0544000000"),
        item(usd="0.0540000000", usage="ExtendedSupportYr1_Yr2-NodeUsage", without=none),
        item(usd="0.1090000000", usage="ExtendedSupportYr3-NodeUsage", without=none),
    ]


def r7g_large(engine: str = "Redis") -> dict[str, Any]:
    """cache.r7g.large of us-east-1, whose base products bear no prefix, with all its terms."""
    return item("cache.r7g.large", engine, R7G_LARGE_USD, region="us-east-1", prefix="",
                reserved=R7G_LARGE_RESERVED)


def listed_items(rows: Iterable[PriceRow], region: str) -> list[dict[str, Any]]:
    """A region's rows as a price list would give them; those that lack their split are left out."""
    offers: dict[tuple[str, str], dict[str, PriceRow]] = {}
    for row in rows:
        if row.region == region and row.hourly_usd:
            offers.setdefault((row.node_type, row.engine), {})[row.term] = row
    items = []
    for (node_type, engine), found in offers.items():
        usd = found["on_demand"].hourly_usd if "on_demand" in found else None
        reserved = {term: (row.hourly_usd, None if row.upfront_usd == "0" else row.upfront_usd)
                    for term, row in found.items() if term != "on_demand"}
        items.append(item(node_type, engine.capitalize(), usd, region=region, reserved=reserved))
    return items


def page(items: Iterable[object], token: str | None = None) -> dict[str, Any]:
    """One answer of GetProducts: each product is a string of JSON in it."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in items]
    return {"FormatVersion": "aws_v1", "PriceList": texts} | ({"NextToken": token} if token else {})


def question(region: str, token: str | None = None) -> dict[str, Any]:
    """What GetProducts has to be asked."""
    return {"ServiceCode": "AmazonElastiCache", "FormatVersion": "aws_v1", "MaxResults": 100,
            "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
            } | ({"NextToken": token} if token else {})


@contextlib.contextmanager
def stubbed(*answers: tuple[dict[str, Any], dict[str, Any]] | str) -> Iterator[Any]:
    """A client of the price list that is asked these questions and gives these pages, or such an error."""
    pricing = pricing_client()
    with Stubber(pricing) as stubber:
        for answer in answers:
            if isinstance(answer, str):
                stubber.add_client_error("get_products", answer, "as AWS says it")
            else:
                stubber.add_response("get_products", answer[1], answer[0])
        yield pricing
        stubber.assert_no_pending_responses()


def set_environment(monkeypatch: pytest.MonkeyPatch, endpoint: str | None = None, *,
                    keys: bool = True) -> None:
    """No AWS settings but made-up keys, if any, and a local endpoint, if any: nothing leaves this machine."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1"}
    if keys:
        settings |= {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": AWS_SECRET_KEY}
    if endpoint:
        settings["AWS_ENDPOINT_URL_PRICING"] = endpoint
    for name, text in settings.items():
        monkeypatch.setenv(name, text)


class PriceServer:
    """A local stand-in for the price list's endpoint that gives its answers in order.

    An answer is a page, the code of an error, or a manner: `stalls` never answers, `breaks off` ends
    in the middle of a page.
    """

    def __init__(self, answers: Iterable[dict[str, Any] | str]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self._leaves = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.close_connection = True
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append(json.loads(body))
                outer.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: the test's own output is enough."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        answer = self.answers.pop(0) if self.answers else "InternalErrorException"
        if answer == "stalls":
            self._leaves.wait(60.0)
            return
        is_page = not isinstance(answer, str) or answer == "breaks off"
        content = page(t3_medium()) if answer == "breaks off" else answer
        body = json.dumps(content if is_page else {"__type": answer, "message": "as AWS says it"}).encode()
        handler.send_response(200 if is_page else 400)
        handler.send_header("Content-Type", "application/x-amz-json-1.1")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:len(body) // 2] if answer == "breaks off" else body)

    def wait_until_asked(self, times: int) -> None:
        deadline = time.monotonic() + 60.0
        while len(self.asked) < times:
            assert time.monotonic() < deadline, f"asked {len(self.asked)} times"
            time.sleep(0.02)

    def __enter__(self) -> PriceServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaves.set()
        self._server.shutdown()
        self._server.server_close()
