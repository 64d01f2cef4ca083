"""What happens to a collection: resolve, observe, decide, carry out, judge. `run.py` has the story.

It sends one create for each collection, and repeats one only where that changes nothing (up to 0.2.24).
It deletes only by the rule in `deletion.py`.
"""

from hook.registration.prune import Pruner
from hook.registration.run import Run

__all__ = ["Pruner", "Run"]
