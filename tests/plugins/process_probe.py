"""Runs in a subprocess of `test_processes.py`: makes an env from a plan in children and prints what they had imported.

The three lines below the imports of each kind of main script differ; this module is what they all call.
"""

import json
import multiprocessing
import sys


def report(plan, cfg, sender):
    """In the child: make the env, step it, and send the names of all modules."""
    from sf_core.envs.create_env import create_agent_vector

    try:
        vector = create_agent_vector(plan, cfg, 2)
        vector.reset(seed=1)
        vector.close()
        sender.send(sorted(sys.modules))
    except BaseException as error:
        sender.send(f"{type(error).__name__}: {error}")


def drive(env, requests=()):
    """In the main process: plan, then one child for each start method; prints JSON."""
    from sf_core.plugins.manager import build_plan, get_manager
    from sf_core.utils.attr_dict import AttrDict

    plan = build_plan({"env": env}, get_manager(requests))
    plan.check_portable()
    answers = {}
    for method in ("spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=report, args=(plan.env, AttrDict(grid_size=5), sender))
        child.start()
        answers[method] = receiver.recv() if receiver.poll(60) else "no answer"
        child.join()
    print(json.dumps({"plan": plan.env.factory, "children": answers}))
