"""EMPTY SLOTS, IMPROVE THE POLICY.

A `TrainBatch` comes in, a newer policy and a few numbers leave. In the order in which a batch meets them:

    validity      which rows count, and for what; `sample_counts`: how many, and why not
    advantages    GAE                      } one of the two
    vtrace        V-trace                  }
    targets       the record both fill: Targets(advantage, value_target)
    segments      rollouts cut into segments of `recurrence` steps: what a minibatch is made of
    minibatches   which segments go together
    prepare       from a batch to segments and targets, with the policy as it is
    losses        policy, value, exploration and KL terms
    ppo           the loss of one minibatch, made of them
    optimizer     adam and `lamb`, and the step that is skipped when something is not finite
    schedules     the learning rate as a function of counters
    update_stats  what is reported of one training iteration
    nonfinite     who is to blame when a loss is not finite
    update        `Learner`: one training iteration, start to end

and beside them `checkpoint_folder` (one checkpoint on disk), `checkpoint` (which are kept and read), `random_state`.
"""
