"""Stands for the process that prepares a job: writes the plan of its order, with a row, and says so."""

import json
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
order = json.loads((folder / "order.json").read_bytes())
(folder / "train.jsonl").write_text("{}\n")
ready: dict[str, object] = {
    "plan": order["plan"],
    "report": {"notes": ["2 rows were left out."]},
    "estimate": {},
}
time.sleep(order.get("hang_s", 0))
if order.get("refuse"):
    ready = {
        "refusal": {"code": "invalid_training_file", "message": order["refuse"], "param": "training_file"}
    }
else:
    (folder / "plan.json").write_text(json.dumps(order["plan"]))
(folder / ".prepared").write_text(json.dumps(ready))
(folder / ".prepared").replace(folder / "prepared.json")
