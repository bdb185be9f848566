"""A filter of system calls: no process starts another. Threads may be started.

The limit on processes (RLIMIT_NPROC) does not hold for root's, so the kernel is asked to refuse the calls themselves.
https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import struct

_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_CLONE_THREAD, _CLONE3, _FOREIGN = 0x10000, 435, 0x40000000
# Machine: (the kernel's word for it, clone, what else starts a process).
_MACHINES = {"x86_64": (0xC000003E, 56, (57, 58)), "aarch64": (0xC00000B7, 220, ())}


def no_processes(machine: str) -> bytes | None:
    """A BPF program as bubblewrap's ``--seccomp`` reads it; ``None`` for a machine whose numbers are not known here."""
    known = _MACHINES.get(machine)
    if known is None:
        return None
    architecture, clone, forks = known
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _FOREIGN),
        (_RETURN, 0, 0, _EPERM),
        # Whoever is told that there is no such call uses clone.
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ENOSYS),
    ]
    for fork in forks:
        lines += [(_EQUAL, 0, 1, fork), (_RETURN, 0, 0, _EPERM)]
    lines += [
        (_EQUAL, 1, 0, clone),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_HAS_BIT, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
