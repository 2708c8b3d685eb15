"""EMPTY SLOTS, IMPROVE THE POLICY.

A `TrainBatch` comes in, a newer policy and a few numbers leave. In the order in which a batch meets them:

    validity      which rows count, and for what
    advantages    GAE                      } one of the two
    vtrace        V-trace                  }
    targets       the record both fill: Targets(advantage, value_target)
    segments      rollouts cut into segments of `recurrence` steps: what a minibatch is made of
    minibatches   which segments go together
    losses        policy, value, exploration and KL terms
    optimizer     adam and lamb, and the step that is skipped when something is not finite
    schedules     the learning rate as a function of counters
    update_stats  what is reported of one training iteration
    nonfinite     who is to blame when a loss is not finite
    update        `Learner`: one training iteration, start to end

and beside them `checkpoint` (one folder), `checkpoint_store` (which folders are kept), `random_state`.
"""
