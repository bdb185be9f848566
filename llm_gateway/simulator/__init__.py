"""A provider simulator: a real HTTP server that speaks the provider wires, with personalities and faults.

It is a test rig and a demo backend: no provider is called, every answer carries ``x-cogo-simulated: true``.
Faults are chosen by model name, ``fault:<kind>[:arg…][@n]`` (faults.py), or programmed through /_sim (control.py).
"""

from llm_gateway.simulator.server import Simulator
from llm_gateway.simulator.threaded import ThreadedSimulator, run

__all__ = ["Simulator", "ThreadedSimulator", "run"]
