"""kill -9 between any two file operations: nothing half-written is visible, and one more pass mends everything."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).with_name("store_crash.py")


def test_killed_before_each_of_its_file_operations(tmp_path: Path) -> None:
    """Visible objects are whole at once; staged, published, quarantined ones are as if nothing had happened."""
    run = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout.splitlines()[-1])  # its log comes before
    assert outcome["problems"] == []
    assert outcome["killed"] > 60, "the attempts must have been killed on the way, not after it"
