"""Start the engine so that it cannot outlive the process that plays: the kernel ends both together (Linux).

    python -IS launch.py ENGINE ARGUMENT...

A worker that is killed has no chance to end its engine, and the engine would wait for it forever. Run as a program
only; it becomes the engine, with the same process id.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # otherwise it has died already
        os.execv(sys.argv[1], sys.argv[1:])
