"""What stands before Django: life and death of the process, identity by header, caps and deadlines of bodies, admission.

``door`` chooses by path; ``arrivals`` decides who is let in and in which order; ``drain`` ends everything in time.
"""

from __future__ import annotations

from .door import Door

__all__ = ["Door"]
