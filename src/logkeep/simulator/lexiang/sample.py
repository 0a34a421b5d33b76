"""The rows of the vendor's own example of ``download-logs`` (read in 2025), newest first: one document, two readers."""

from typing import Final

from logkeep.simulator.lexiang.traits import Given

OFFICIAL_SAMPLE: Final[tuple[tuple[str, Given], ...]] = (
    (
        "2018-04-10 15:51:21",
        {
            "record_id": "f59de3063c9311e8b64995597300a871",
            "target_type": "file",
            "target_id": "10a18f022c2411e8802db53e40a56056",
            "target_name": "投票结果",
            "owner_id": "ThreeZhang",
            "owner_name": "张三",
        },
    ),
    (
        "2018-04-10 15:40:08",
        {
            "record_id": "64d8df663c9211e8a6d56f2588dac9b6",
            "target_type": "file",
            "target_id": "10a18f022c2411e8802db53e40a56056",
            "target_name": "投票结果",
            "owner_id": "FourLee",
            "owner_name": "李四",
        },
    ),
)
"""``created_at`` and what is given of each record."""
