"""A process that has only just been started is not interrupted among its imports."""

import multiprocessing
import os
import signal
import sys
import threading
import time

import pytest

from sf_core.utils.ctrl_c import ctrl_c_held_back, let_ctrl_c_through

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs POSIX signal masks")


def test_who_holds_it_back_hears_of_it_afterwards():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with ctrl_c_held_back():
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # other threads of the tests hold nothing back
            time.sleep(0.01)
            assert not heard
        time.sleep(0.01)
        assert heard == [1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_process_started_meanwhile_inherits_it():
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(20,))
    with ctrl_c_held_back():
        process.start()
    os.kill(process.pid, signal.SIGINT)
    process.join(0.5)
    assert process.is_alive()
    process.terminate()
    process.join(10)
    assert process.exitcode == -signal.SIGTERM


def test_it_is_let_through_again():
    code = (
        "import os, signal\nfrom sf_core.utils.ctrl_c import ctrl_c_held_back, let_ctrl_c_through\n"
        "with ctrl_c_held_back():\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    signal.signal(signal.SIGINT, lambda *_: os._exit(7))\n    let_ctrl_c_through()\n"
    )
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 7
    let_ctrl_c_through()  # harmless where nothing is held back
