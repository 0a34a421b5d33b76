"""A tap on the Singer SDK, as its documentation shows one; target-jsonl reads what it writes."""

import sys
from collections.abc import Iterable
from typing import Any

import requests  # type: ignore[import-untyped]
from singer_sdk import RESTStream, Tap  # type: ignore[import-not-found]
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator  # type: ignore[import-not-found]
from singer_sdk.pagination import BasePageNumberPaginator  # type: ignore[import-not-found]

LINE = th.PropertiesList(
    th.Property("id", th.StringType, required=True),
    th.Property("created_at", th.DateTimeType),
    th.Property("record", th.ObjectType(additional_properties=True)),
    th.Property("included", th.ArrayType(th.ObjectType(additional_properties=True))),
)


class Pages(BasePageNumberPaginator):  # type: ignore[misc]
    """Page numbers, as long as a next page is named."""

    def has_more(self, response: requests.Response) -> bool:
        """Whether a page follows."""
        return response.json()["links"]["next"] is not None


class DownloadLogs(RESTStream[int]):  # type: ignore[misc]
    """The one stream."""

    name = "download_logs"
    path = "/cgi-bin/v1/download-logs"
    primary_keys = ("id",)
    replication_key = "created_at"
    schema = LINE.to_dict()

    @property
    def url_base(self) -> str:
        """Where the vendor is."""
        return str(self.config["base_url"])

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        """The token of the tap."""
        return BearerTokenAuthenticator(token=self._tap.token)

    def get_new_paginator(self) -> Pages:
        """Begins on page 1."""
        return Pages(start_value=1)

    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:  # noqa: ARG002 - the SDK calls it so
        """What a page is asked for with."""
        return {"per_page": self.config["per_page"], "page": next_page_token or 1, "include": "target,owner"}

    def parse_response(self, response: requests.Response) -> Iterable[dict[str, Any]]:
        """What is kept of each row: itself and what it links to."""
        document = response.json()
        linked = {(thing["type"], thing["id"]): thing for thing in document.get("included", ())}
        for row in document["data"]:
            ends = [link.get("data") or {} for link in row["relationships"].values()]
            found = [linked[end["type"], end["id"]] for end in ends if (end.get("type"), end.get("id")) in linked]
            yield {
                "id": row["id"],
                "created_at": row["attributes"]["created_at"],
                "record": row,
                "included": found,
            }


class LexiangTap(Tap):  # type: ignore[misc]
    """Told by a dictionary where the vendor is."""

    name = "tap-lexiang"
    config_jsonschema = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("app_key", th.StringType, required=True),
        th.Property("app_secret", th.StringType, required=True),
        th.Property("per_page", th.IntegerType, default=100),
    ).to_dict()
    token = ""

    def discover_streams(self) -> list[DownloadLogs]:
        """The stream, once a token is there."""
        if not self.token:
            known = {name: self.config[name] for name in ("app_key", "app_secret")}
            credentials = {"grant_type": "client_credentials", **known}
            answer = requests.post(f"{self.config['base_url']}/cgi-bin/token", json=credentials, timeout=60)
            self.token = answer.json()["access_token"]
        return [DownloadLogs(self)]


if __name__ == "__main__":
    base, app_key, app_secret, _, size = sys.argv[1:6]
    config = {"base_url": base, "app_key": app_key, "app_secret": app_secret, "per_page": int(size)}
    LexiangTap(config=config).sync_all()
