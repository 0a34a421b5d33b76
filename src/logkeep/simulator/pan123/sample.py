"""The rows of the vendor's own example of ``direct-link/offline/logs``, in its order (page of 2025-06-28).

Rows 12 and 11 share a name, rows 8 and 7 share name, size and hour; only the id tells them apart, and ``total`` is 0
beside five rows.
"""

OFFICIAL_SAMPLE: tuple[tuple[int, str, int, str], ...] = (
    (12, "202506201516.gz", 317, "2025062015"),
    (11, "202506201516.gz", 195, "2025062015"),
    (10, "202506201314.log.gz", 208, "2025062013"),
    (8, "202506201213.gz", 195, "2025062012"),
    (7, "202506201213.gz", 195, "2025062012"),
)
"""Id, ``fileName``, ``fileSize``, hour."""
