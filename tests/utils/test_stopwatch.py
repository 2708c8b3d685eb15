import time

from sf_core.utils.stopwatch import Stopwatch


def test_parts_add_up_to_the_whole():
    begin = time.perf_counter()
    stopwatch = Stopwatch(("env", "learner"))
    time.sleep(0.02)
    stopwatch.start("learner")
    time.sleep(0.05)
    seconds = stopwatch.snapshot()
    whole = time.perf_counter() - begin
    assert seconds["env"] >= 0.02
    assert seconds["learner"] >= 0.05
    assert abs(sum(seconds.values()) - whole) < 0.01
