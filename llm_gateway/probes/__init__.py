"""Tools that look at an answer's code, in a process of their own: a bomb in the text ends that process and nothing else."""

from .bench import Bench, BenchBusy, BenchFailed
from .present import present
from .scoring import Scoring
from .tasks import Task, run

__all__ = ["Bench", "BenchBusy", "BenchFailed", "Scoring", "Task", "present", "run"]
