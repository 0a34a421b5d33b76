"""The peer that proves nothing: one walk over all pages with aiohttp and orjson, one fsync a page."""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import orjson  # type: ignore[import-not-found]


async def archive(base: str, app_key: str, app_secret: str, folder: str, size: str) -> None:
    """Append every record to one file."""
    credentials = {"grant_type": "client_credentials", "app_key": app_key, "app_secret": app_secret}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{base}/cgi-bin/token", json=credentials) as reply:
            headers = {"Authorization": f"Bearer {orjson.loads(await reply.read())['access_token']}"}
        with (Path(folder) / "records.jsonl").open("ab") as file:
            page = 1
            while True:
                url = f"{base}/cgi-bin/v1/download-logs?per_page={size}&page={page}&include=target,owner"
                async with session.get(url, headers=headers) as reply:
                    document = orjson.loads(await reply.read())
                linked = {(thing["type"], thing["id"]): thing for thing in document.get("included", ())}
                lines = []
                for row in document["data"]:
                    ends = [link.get("data") or {} for link in row["relationships"].values()]
                    keys = [(end.get("type"), end.get("id")) for end in ends]
                    found = [linked[key] for key in keys if key in linked]
                    at = row["attributes"]["created_at"]
                    lines.append(orjson.dumps({"id": row["id"], "created_at": at, "record": row, "included": found}))
                if not lines:
                    break
                file.write(b"\n".join(lines) + b"\n")
                file.flush()
                os.fsync(file.fileno())
                page += 1


if __name__ == "__main__":
    asyncio.run(archive(*sys.argv[1:6]))
