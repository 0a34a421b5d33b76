"""dlt: RESTClient to the filesystem destination as JSON lines, incremental on ``created_at``."""

import sys
from collections.abc import Iterator
from typing import Any

import dlt  # type: ignore[import-not-found]
import requests  # type: ignore[import-untyped]
from dlt.sources.helpers.rest_client import RESTClient  # type: ignore[import-not-found]
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth  # type: ignore[import-not-found]
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator  # type: ignore[import-not-found]

BASE, APP_KEY, APP_SECRET, FOLDER, SIZE = sys.argv[1:6]


def token() -> str:
    """A token, asked for once."""
    credentials = {"grant_type": "client_credentials", "app_key": APP_KEY, "app_secret": APP_SECRET}
    return str(requests.post(f"{BASE}/cgi-bin/token", json=credentials, timeout=60).json()["access_token"])


@dlt.resource(name="download_logs", primary_key="id", write_disposition="append", max_table_nesting=0)  # type: ignore[untyped-decorator]
def download_logs(
    created_at: Any = dlt.sources.incremental("created_at", initial_value="1970-01-01 00:00:00", row_order="desc"),  # noqa: ARG001, B008 - dlt asks for it here
) -> Iterator[list[dict[str, Any]]]:
    """Page by page to the last one."""
    paginator = PageNumberPaginator(base_page=1, total_path="meta.last_page")
    client = RESTClient(BASE, auth=BearerTokenAuth(token()), paginator=paginator, data_selector="$")
    params = {"per_page": SIZE, "include": "target,owner"}
    for page in client.paginate("/cgi-bin/v1/download-logs", params=params):
        for document in page:
            yield lines(document)


def lines(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What is kept of each row: itself and what it links to."""
    linked = {(thing["type"], thing["id"]): thing for thing in document.get("included", ())}
    return [
        {
            "id": row["id"],
            "created_at": row["attributes"]["created_at"],
            "record": row,
            "included": [
                linked[end["type"], end["id"]]
                for end in ((link.get("data") or {}) for link in row["relationships"].values())
                if (end.get("type"), end.get("id")) in linked
            ],
        }
        for row in document["data"]
    ]


if __name__ == "__main__":
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=f"{FOLDER}/work",
        destination=dlt.destinations.filesystem(f"file://{FOLDER}/out"),
        dataset_name="lexiang",
    )
    pipeline.run(download_logs(), loader_file_format="jsonl")
