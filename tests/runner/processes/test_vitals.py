"""Who works, who waits, and what is said of it."""

import numpy as np
import pytest

from sf_core.runner.processes.vitals import TimeReport, Vitals, serial_bottleneck


def report(learner, inference, workers, asynchronous=True):
    """From (busy, waiting) of the learner, of each inference process and of each worker."""
    vitals = Vitals(lambda path, shape, dtype: np.zeros(shape, dtype), 1 + len(inference) + len(workers))
    for row, (busy, waiting) in enumerate([learner, *inference, *workers]):
        vitals.busy_s[row], vitals.waiting_s[row] = busy, waiting
    return TimeReport(vitals, len(inference), asynchronous=asynchronous)


def test_seconds_are_means_over_the_processes_of_a_kind():
    assert report((8, 2), [(4, 6), (2, 8)], [(1, 9), (2, 8), (6, 4)]).seconds() == {
        "env": 3.0,
        "env_waiting": 7.0,
        "inference": 3.0,
        "inference_waiting": 7.0,
        "learner": 8.0,
        "learner_waiting": 2.0,
    }


@pytest.mark.parametrize(
    ("seconds", "asynchronous", "said", "flag"),
    [
        (((9, 1), [(1, 9)], [(2, 8)]), True, "learner works 90 %", "--num_epochs"),
        (((1, 9), [(8, 2)], [(2, 8)]), True, "inference works 80 %", "--num_envs_per_worker"),
        (((1, 9), [(1, 9)], [(7, 3), (5, 5)]), True, "env works 60 %", "--num_workers"),
        (((4, 6), [(3, 7)], [(3, 7)]), True, "learner works 40 %", "--num_envs_per_worker"),
        (((4, 6), [(3, 7)], [(3, 7)]), False, "learner works 40 %", "--async_rl=True"),
    ],
)
def test_one_sentence_names_who_works_most_and_the_flag_to_turn(seconds, asynchronous, said, flag):
    sentence = report(*seconds, asynchronous=asynchronous).bottleneck()
    assert said in sentence
    assert flag in sentence


def test_nothing_is_said_of_the_first_seconds():
    assert report((2, 1), [(1, 2)], [(1, 2)]).bottleneck() == ""
    assert serial_bottleneck({"other": 0, "env": 4, "inference": 0, "learner": 0}) == ""


@pytest.mark.parametrize(
    ("part", "flag"),
    [("env", "--serial_mode=False"), ("inference", "--num_envs_per_worker"), ("learner", "--num_epochs")],
)
def test_a_run_in_one_process_names_the_part_that_takes_longest(part, flag):
    seconds = {"other": 1.0, "env": 2.0, "inference": 2.0, "learner": 2.0, part: 5.0}
    sentence = serial_bottleneck(seconds)
    assert f"{part} takes 50 %" in sentence
    assert flag in sentence
